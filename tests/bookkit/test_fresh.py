"""What makes a notebook stale, and what must not."""

import json

import pytest

from bookkit import fresh
from bookkit.book import read_notebook, write_notebook
from bookkit.fresh import Fingerprints, runtime_pins, stale_notebooks


@pytest.fixture
def book(small_book):
    small_book.add("boxes", "from dlkb.losses import box_iou\nbox_iou()")
    small_book.add(
        "classes", "from dlkb.losses import cross_entropy\nimport dlkb.plotting"
    )
    small_book.add("none", "1 + 1")
    return small_book


def prints(book):
    """Fingerprint of each notebook, with the package read anew."""
    fingerprints = Fingerprints(book)
    return {
        path.stem: fingerprints.of(path, read_notebook(path))
        for path in book.notebooks()
    }


def changed_by(book, change):
    before = prints(book)
    change()
    after = prints(book)
    return {name for name in before if before[name] != after[name]}


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("file", "reached_by"),
    [
        ("losses/boxes.py", {"boxes"}),
        ("losses/shared.py", {"boxes"}),  # through boxes.py
        ("losses/classes.py", {"classes"}),  # through a renaming in the public list
        ("plotting.py", {"classes"}),
        ("losses/late.py", set()),
        ("claims.py", set()),
    ],
)
def test_an_edit_of_a_module_concerns_just_the_notebooks_that_reach_it(
    book, file, reached_by
):
    path = book.package / file
    assert (
        changed_by(book, lambda: path.write_text(path.read_text() + "\nX = 1\n"))
        == reached_by
    )


def test_late_imports_inside_functions_are_seen(book):
    book.add("late", "from dlkb.losses.late import f")
    assert changed_by(
        book, lambda: edit(book.package / "losses/shared.py", "pass", "return 1")
    ) == {
        "late",
        "boxes",
    }


@pytest.mark.parametrize(
    "statement",
    [
        "from dlkb.losses.boxes import box_iou",
        "from dlkb.losses import boxes",
        "import dlkb.losses.boxes as b",
        "from dlkb.losses.boxes import *",
        "def f():\n    from dlkb.losses import box_iou",
        "import dlkb.losses",
        "from dlkb import losses",
        "%matplotlib inline\nfrom dlkb.losses import box_iou",
        "if True:\n    %time 1\n    from dlkb.losses import box_iou",
    ],
)
def test_each_way_to_import_is_seen(book, statement):
    book.add("imports", statement)
    changed = changed_by(
        book, lambda: edit(book.package / "losses/boxes.py", "'iou'", "'giou'")
    )
    assert changed == {"imports", "boxes"}


def test_the_public_list_matters_only_where_it_gives_another_function(book):
    listing = book.package / "losses/__init__.py"
    assert (
        changed_by(
            book, lambda: listing.write_text(listing.read_text() + "# a comment\n")
        )
        == set()
    )
    move = lambda: edit(listing, "dlkb.losses.boxes", "dlkb.losses.late")
    assert changed_by(book, move) == {"boxes"}


def test_code_cells_matter_prose_and_outputs_and_the_bootstrap_cell_do_not(book):
    path = book.chapters / "losses" / "none.ipynb"

    def alter(kind, **fields):
        notebook = read_notebook(path)
        next(c for c in notebook["cells"] if c["cell_type"] == kind).update(fields)
        write_notebook(path, notebook)

    assert changed_by(book, lambda: alter("markdown", source="# Other")) == set()
    assert (
        changed_by(book, lambda: alter("code", outputs=[{"output_type": "stream"}]))
        == set()
    )
    assert changed_by(book, lambda: alter("code", source="1 + 2")) == {"none"}
    assert changed_by(
        book, lambda: alter("code", metadata={"tags": ["bootstrap"]})
    ) == {"none"}
    assert changed_by(book, lambda: alter("code", source="another address")) == set()


def test_claims_matter_to_nothing_and_recorded_runs_to_their_chapter(book):
    assert (
        changed_by(book, lambda: (book.claims / "losses.yml").write_text("- id: x"))
        == set()
    )
    record = book.recorded / "losses" / "race.json"
    assert changed_by(book, lambda: record.write_text("{}")) == {
        "boxes",
        "classes",
        "none",
    }
    (book.recorded / "losses" / "deep").mkdir()
    table = book.recorded / "losses" / "deep" / "curve.csv"
    assert changed_by(book, lambda: table.write_text("1,2")) == {
        "boxes",
        "classes",
        "none",
    }
    (book.recorded / "other").mkdir()
    assert (
        changed_by(book, lambda: (book.recorded / "other" / "a.json").write_text("{}"))
        == set()
    )


def test_pins_of_the_runtime_matter_and_those_of_tools_do_not(book):
    lock = book.root / "requirements" / "test.lock"
    pins = runtime_pins(
        book
    )  # under the names of PEP 503: pyproject.toml says scikit_learn
    assert [pin.split("==")[0] for pin in pins] == ["numpy", "scikit-learn", "torch"]
    torch = pins[-1]
    assert changed_by(book, lambda: edit(lock, "ruff==0.17.6", "ruff==0.18.0")) == set()
    assert changed_by(book, lambda: edit(lock, torch, "torch==99.0")) == {
        "boxes",
        "classes",
        "none",
    }


def test_the_pinned_processor_matters(book, monkeypatch):
    change = lambda: monkeypatch.setitem(fresh.PINNED, "OMP_NUM_THREADS", "2")
    assert changed_by(book, change) == {"boxes", "classes", "none"}


def test_a_moved_boundary_between_cells_matters(book):
    book.add("cells", "a = 1", "b = 2")
    first = prints(book)["cells"]
    book.add("cells", "a = 1\nb = 2")
    assert prints(book)["cells"] != first


def test_a_cell_that_is_not_python_is_named(book):
    book.add("broken", "x = 1b")
    with pytest.raises(ValueError, match=r"losses/broken\.ipynb, cell \[1\]: invalid"):
        prints(book)


def test_an_import_of_what_is_not_there_is_named(book):
    book.add("broken", "1", "from dlkb.typo import x")
    with pytest.raises(
        ValueError, match=r"broken\.ipynb, cell \[2\]: there is no module dlkb\.typo"
    ):
        prints(book)


def test_the_last_binding_in_a_public_list_counts(book):
    listing = book.package / "losses/__init__.py"
    listing.write_text(
        listing.read_text() + "from dlkb.losses.late import f as box_iou\n"
    )
    edit_late = lambda: edit(
        book.package / "losses/late.py", "return shared", "return 1"
    )
    assert changed_by(book, edit_late) == {"boxes"}


def test_stale_says_why(book):
    path = book.chapters / "losses" / "none.ipynb"
    notebook = read_notebook(path)
    assert "never executed" in stale_notebooks(book)[path]
    notebook["metadata"]["dlkb"] = {"fingerprint": "0"}
    path.write_text(json.dumps(notebook))
    assert "has changed" in stale_notebooks(book)[path]
    notebook["metadata"]["dlkb"] = {"fingerprint": prints(book)["none"]}
    path.write_text(json.dumps(notebook))
    assert path not in stale_notebooks(book)


def test_what_is_said_only_where_a_check_fails_makes_nothing_stale(book):
    """A failed check is never stored, so its message may be reworded freely."""
    claims = book.package / "claims.py"
    claims.write_text("from dlkb.environment import describe\n")
    said = book.package / "environment.py"
    said.write_text("def describe():\n    return 'here'\n")
    book.add("checks", "import dlkb.claims")
    assert changed_by(book, lambda: edit(said, "here", "there")) == set()
    assert changed_by(book, lambda: edit(claims, "describe", "describe as d")) == {
        "checks"
    }
