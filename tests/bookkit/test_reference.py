"""What the package offers, and which notebook uses it, read without importing anything."""

import importlib
import inspect

import pytest

from bookkit import inventory
from bookkit.book import Book, read_notebook, source_of
from bookkit.reference import Package

BOOK = Book()
LOSSES = "dlkb.losses"


@pytest.fixture
def package_of(small_book):
    """Writes files of the small book's package, and reads it."""

    def read(files=(), **notebooks):
        for name, text in dict(files).items():
            (small_book.package / name).write_text(text)
        for name, cells in notebooks.items():
            small_book.add(name, *cells)
        return Package(small_book)

    return read


FILES = {
    "losses/__init__.py": (
        "from dlkb.losses.boxes import Box, box_iou\n\n__all__ = ['Box', 'box_iou']\n"
    ),
    "losses/boxes.py": (
        "from typing import NamedTuple\n\n__all__ = ['SIDES', 'Box', 'box_iou']\nSIDES = 4\n\n"
        "def box_iou():\n    '''IoU.\n\n    More.\n    '''\n    return _iou()\n\n"
        "def _iou():\n    return 1\n\n"
        "class Box(NamedTuple):\n    '''A box.'''\n    x: float\n\n"
        "    def area(self):\n        '''Area.'''\n        return 0\n\n"
        "    def hidden(self):\n        return 0\n"
    ),
    "train.py": "__all__ = ['fit']\n\ndef fit():\n    pass\n",
}


def test_a_chapters_names_stand_under_the_chapter_and_others_under_their_module(
    package_of,
):
    package = package_of(FILES)
    names = [(e.name, e.kind, e.members) for e in package.on("losses")]
    assert names == [
        ("dlkb.losses.boxes.SIDES", "data", ()),
        ("dlkb.losses.box_iou", "function", ()),
        ("dlkb.losses.Box", "class", ("x", "area")),
    ]
    assert [e.name for e in package.on("shared")] == ["dlkb.train.fit"]


@pytest.mark.parametrize(
    "cell",
    [
        "from dlkb.losses import box_iou",
        "from dlkb.losses.boxes import box_iou as iou",
        "import dlkb.losses as ours\nours.box_iou()",
        "import dlkb.losses\ndlkb.losses.box_iou()",
        "from dlkb import losses\nlosses.box_iou()",
        "from dlkb.losses import boxes\nf = boxes.box_iou",
        "%matplotlib inline\nfrom dlkb.losses import box_iou",
        "def f():\n    from dlkb.losses import box_iou\n    return box_iou",
    ],
)
def test_a_use_is_seen_however_it_is_imported(package_of, cell):
    package = package_of(FILES, iou=[cell])
    assert package.uses == {"chapters/losses/iou": ["dlkb.losses.box_iou"]}
    assert package.used_in("dlkb.losses.box_iou") == ["chapters/losses/iou"]
    assert package.used_in("dlkb.losses.Box") == []


@pytest.mark.parametrize(
    "cell",
    [
        "from torchvision.ops import box_iou",
        "import dlkb.losses as ours",
        "box_iou = 1",
        "'from dlkb.losses import box_iou'",
        "from dlkb.losses.boxes import _iou",
    ],
)
def test_what_is_no_use_is_not_listed(package_of, cell):
    assert package_of(FILES, iou=[cell]).uses == {"chapters/losses/iou": []}


def test_the_bootstrap_cell_does_not_count(package_of, code_cell):
    cell = code_cell("from dlkb.losses import box_iou", tags=["bootstrap"])
    assert package_of(FILES, iou=[cell]).uses == {"chapters/losses/iou": []}


def test_the_source_is_shown_without_its_docstring(package_of):
    package = package_of(FILES)
    file, line, code = package.source(package.entries["dlkb.losses.box_iou"])
    assert (file.name, line) == ("boxes.py", 6)
    assert code == "def box_iou():\n    return _iou()"


# ----------------------------------------------------------------------------- the book as it stands


def test_every_public_name_has_an_entry_and_the_entry_is_what_python_finds():
    """The static reading agrees with importing: no name is missing, none is invented, none is misplaced."""
    package = Package(BOOK)
    public = set()
    for path in BOOK.package.rglob("[!_]*.py"):
        name = path.relative_to(BOOK.package.parent).with_suffix("").as_posix()
        module = importlib.import_module(name.replace("/", "."))
        public |= {(module.__name__, n) for n in module.__all__}
    assert public == {(e.module, e.short) for e in package.entries.values()}
    for entry in package.entries.values():
        owner = importlib.import_module(entry.name.rpartition(".")[0])
        value = getattr(owner, entry.short)
        assert value is getattr(importlib.import_module(entry.module), entry.short)
        kind = "data"
        if inspect.isclass(value) or inspect.isfunction(value):
            kind = "class" if inspect.isclass(value) else "function"
        assert entry.kind == kind or callable(value), entry


def test_every_notebooks_imports_are_found():
    """Against a search of the text: each name after ``from dlkb... import`` that is public."""
    package = Package(BOOK)
    assert set(package.uses) == {
        BOOK.name(p).removesuffix(".ipynb") for p in BOOK.notebooks()
    }
    for path in BOOK.notebooks():
        used = package.uses[BOOK.name(path).removesuffix(".ipynb")]
        text = "\n".join(map(source_of, read_notebook(path)["cells"]))
        for name in used:
            assert name.rpartition(".")[2] in text
        assert "dlkb.claims.check" in used


def test_the_inventory_holds_every_name_of_torch_that_the_book_mentions():
    """Else write it anew: ``python -m bookkit inventory``."""
    mentioned = {n for n in inventory.names_mentioned(BOOK) if inventory.line_for(n)}
    assert mentioned - inventory.names() == set()
    assert "torch.Tensor" in mentioned


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("torch.Tensor", "tensors.html#torch.Tensor"),
        ("torch.Tensor.view", "generated/torch.Tensor.view.html#torch.Tensor.view"),
        ("torch.dtype", "tensor_attributes.html#torch.dtype"),
        ("torch.nn.init.ones_", "nn.init.html#torch.nn.init.ones_"),
        ("torch.optim.Optimizer", "optim.html#torch.optim.Optimizer"),
        (
            "torch.nn.functional.cross_entropy",
            "generated/torch.nn.functional.cross_entropy.html#torch.nn.functional.cross_entropy",
        ),
        (
            "torch.nn.Parameter",
            "generated/torch.nn.parameter.Parameter.html#torch.nn.parameter.Parameter",
        ),
        ("torch.nn.modules.conv._ConvNd", None),
        ("torch.utils._python_dispatch.TorchDispatchMode", None),
    ],
)
def test_where_torch_documents_a_name(name, page):
    assert inventory.page_of(name) == page


@pytest.mark.parametrize(
    "name", ["torch.nothing", "torch.nn.functional", "torch.pi", "torch.float32"]
)
def test_what_torch_lacks_or_does_not_document_gets_no_line(name):
    assert inventory.line_for(name) is None


def test_the_packed_inventory_says_the_same(tmp_path):
    import sphobjinv

    inventory.pack(tmp_path / "torch.inv")
    packed = sphobjinv.Inventory(tmp_path / "torch.inv")
    assert {item.name for item in packed.objects} == inventory.names()
    [tensor] = [item for item in packed.objects if item.name == "torch.Tensor"]
    assert (tensor.domain, tensor.role, tensor.uri) == (
        "py",
        "class",
        "tensors.html#torch.Tensor",
    )
