"""The package as readers get it: light to import, self-contained, from scratch where it says so."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
import zipfile

import grimp
import pytest

from bookkit.book import Book
from dlkb.claims import load_claims

BOOK = Book()
CODE = BOOK.root / "code"
MODULES = sorted(BOOK.package.glob("**/*.py"))


def python(program, cwd):
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=cwd, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_folder_code_is_no_package():
    """With an __init__.py it would shadow Python's own module ``code``, which debuggers import."""
    assert not (CODE / "__init__.py").exists()
    assert (
        python("import code; print(hasattr(code, 'InteractiveConsole'))", BOOK.root)
        == "True"
    )


def test_importing_the_package_imports_nothing_else(tmp_path):
    program = "import sys; before = set(sys.modules); import dlkb; print(sorted(set(sys.modules) - before))"
    assert python(program, tmp_path) == "['dlkb']"


def test_claims_and_the_builders_tools_need_no_torch(tmp_path):
    """``make book`` installs no torch."""
    modules = "dlkb.claims, bookkit.sphinx, bookkit.package_pages, "
    modules += "bookkit.ledger, bookkit.fresh, bookkit.site, bookkit.__main__"
    assert (
        python(f"import sys, {modules}; print('torch' in sys.modules)", tmp_path)
        == "False"
    )
    lock = (BOOK.root / "requirements" / "book.lock").read_text()
    assert not re.search(r"^(torch|torchvision|nvidia-\S+)==", lock, flags=re.MULTILINE)


def test_the_package_never_imports_the_builders_tools():
    graph = grimp.build_graph("dlkb", "bookkit", cache_dir=None)
    assert graph.find_modules_that_directly_import("bookkit") == set()
    assert not graph.chain_exists("dlkb", "bookkit", as_packages=True)
    assert graph.chain_exists(
        "bookkit", "dlkb", as_packages=True
    )  # so the graph is not empty


def name_of(path):
    return path.relative_to(CODE).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_importing_a_module_only_defines(path):
    """At the top of a module: a docstring, imports, definitions, and constants made by no call of torch."""
    allowed = (
        ast.Import
        | ast.ImportFrom
        | ast.FunctionDef
        | ast.ClassDef
        | ast.Assign
        | ast.Expr
    )
    for node in ast.parse(path.read_text()).body:
        if ast.unparse(node).startswith("if __name__ == '__main__':"):
            continue  # a command: not done on import
        if ast.unparse(node).startswith("if TYPE_CHECKING:"):
            continue  # for annotations: not done on import either
        assert isinstance(node, allowed), ast.unparse(node)
        if isinstance(node, ast.Expr):
            assert isinstance(node.value, ast.Constant), ast.unparse(node)
        if isinstance(node, ast.Assign):
            calls = [
                ast.unparse(n.func)
                for n in ast.walk(node.value)
                if isinstance(n, ast.Call)
            ]
            assert not [
                c for c in calls if c.startswith(("torch.", "print", "open"))
            ], ast.unparse(node)


@pytest.mark.parametrize(
    "path", sorted(BOOK.package.glob("*/__init__.py")), ids=name_of
)
def test_a_chapters_public_list_does_nothing_but_import(path):
    """The fingerprint follows its imports and does not read it otherwise."""
    body = ast.parse(path.read_text()).body
    assert ast.get_docstring(ast.parse(path.read_text()))
    kinds = [type(node) for node in body[1:]]
    assert set(kinds[:-1]) == {ast.ImportFrom}
    assert kinds[-1] is ast.Assign
    imported = [alias.name for node in body[1:-1] for alias in node.names]
    assert sorted(imported) == sorted(ast.literal_eval(body[-1].value))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_code_is_reached_by_import_statements_only(path):
    """What else would bring code in is not seen by the fingerprint. (``record`` runs experiments by name; of
    them notebooks read data alone, which the fingerprint does see.)"""
    other = r"\bimportlib\b(?!\.metadata\b)|__import__|\bexec\(|\bresolve_name\b"
    assert bool(re.search(other, path.read_text())) == (path.name == "record.py")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_public_names_exist_and_are_documented(path):
    module = importlib.import_module(
        name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    )
    assert module.__doc__
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isfunction(value) or inspect.isclass(value):
            assert value.__doc__, f"{path.name}: {name} has no docstring"


# What each chapter writes from scratch, and so must neither call, nor import, nor inherit.
SAME_JOB = {
    "normalization": {
        *(
            "batch_norm",
            "native_batch_norm",
            "BatchNorm1d",
            "BatchNorm2d",
            "BatchNorm3d",
        ),
        *(
            "layer_norm",
            "native_layer_norm",
            "LayerNorm",
            "instance_norm",
            "InstanceNorm2d",
        ),
        *("group_norm", "native_group_norm", "GroupNorm", "rms_norm", "RMSNorm"),
        *(
            "fuse_conv_bn_eval",
            "fuse_conv_bn_weights",
            "fuse_linear_bn_eval",
            "SyncBatchNorm",
        ),
        *("var", "std", "var_mean", "std_mean"),
    },
    "losses": {
        *("box_area", "box_iou", "generalized_box_iou", "distance_box_iou"),
        *("complete_box_iou", "generalized_box_iou_loss", "distance_box_iou_loss"),
        *("complete_box_iou_loss", "box_convert"),
        *("cross_entropy", "cross_entropy_loss", "CrossEntropyLoss"),
        *("nll_loss", "nll_loss_nd", "NLLLoss", "kl_div", "KLDivLoss"),
        *("log_softmax", "softmax", "LogSoftmax", "Softmax", "logsumexp"),
        *("logaddexp", "log_sigmoid", "logsigmoid", "LogSigmoid", "softplus"),
        *("binary_cross_entropy", "BCELoss"),
        *("binary_cross_entropy_with_logits", "BCEWithLogitsLoss"),
        *("multilabel_soft_margin_loss", "soft_margin_loss", "hinge_embedding_loss"),
        *("sigmoid_focal_loss", "l1_loss", "L1Loss", "mse_loss", "MSELoss"),
        *("smooth_l1_loss", "SmoothL1Loss", "huber_loss", "HuberLoss"),
        *("triplet_margin_loss", "TripletMarginLoss", "pairwise_distance"),
        *("triplet_margin_with_distance_loss", "cosine_similarity", "cdist"),
    },
    "initialization": {
        *("sigmoid", "Sigmoid", "expit", "tanh", "Tanh", "relu", "ReLU", "relu6"),
        *("ReLU6", "hardtanh", "Hardtanh", "leaky_relu", "LeakyReLU", "prelu", "elu"),
        *("ELU", "celu", "selu", "SELU", "softplus", "Softplus", "logsigmoid"),
        *("silu", "SiLU", "hardsigmoid", "Hardsigmoid", "hardswish", "Hardswish"),
        *("gelu", "GELU", "mish", "Mish", "logaddexp", "calculate_gain"),
        *("_calculate_fan_in_and_fan_out", "_calculate_correct_fan"),
        *("xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_"),
        *("orthogonal_", "orthogonal", "trunc_normal_", "eye_", "dirac_"),
        *("reset_parameters", "clip_grad_norm_", "clip_grad_value_"),
        *("get_total_norm", "clip_grads_with_norm_"),
    },
    "receptive_field": set(),  # torch has no such functions
    "optimizers": {
        *("LambdaLR", "MultiplicativeLR", "ConstantLR", "StepLR", "MultiStepLR"),
        *("ExponentialLR", "PolynomialLR", "LinearLR", "CosineAnnealingLR"),
        *("CosineAnnealingWarmRestarts", "CyclicLR", "OneCycleLR", "SequentialLR"),
        *("ChainedScheduler", "ReduceLROnPlateau", "LBFGS"),
        *("SGD", "Adagrad", "RMSprop", "Adadelta", "Adam", "AdamW", "NAdam", "RAdam"),
        *("Adamax", "SparseAdam", "ASGD", "Rprop", "Adafactor", "Muon"),
        *("sgd", "adagrad", "rmsprop", "adadelta", "adam", "adamw", "nadam", "radam"),
        *("adamax", "sparse_adam", "asgd", "rprop", "adafactor", "muon"),
    },
}


def taken_from_elsewhere(path):
    """Names that are called or inherited, as an attribute (torch.x, tensor.x) or imported from outside the
    package. (To name a class of torch's, for isinstance, is no job done by it.)"""
    tree = ast.parse(path.read_text())
    outside = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and not node.module.startswith("dlkb")
        for alias in node.names
    }
    used = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    used += [
        base
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for base in node.bases
    ]
    names = {node.attr for node in used if isinstance(node, ast.Attribute)}
    return names | {
        outside[n.id] for n in used if isinstance(n, ast.Name) and n.id in outside
    }


# Networks that are watched, made of torch's own layers; nothing in them is written from scratch.
MADE_OF_TORCHS = {"two_layers.py", "recurrent_cells.py"}


@pytest.mark.parametrize(
    "chapter", sorted(p.parent.name for p in BOOK.package.glob("*/__init__.py"))
)
def test_from_scratch_uses_no_torch_function_of_the_same_job(chapter):
    assert chapter in SAME_JOB, f"say in SAME_JOB what {chapter} must not use"
    for path in (BOOK.package / chapter).glob("*.py"):
        if path.name in MADE_OF_TORCHS:
            continue
        assert not taken_from_elsewhere(path) & SAME_JOB[chapter], path.name


@pytest.mark.parametrize(
    "cheat",
    [
        "def f(x):\n    return torch.nn.functional.batch_norm(x, None, None)\n",
        "from torch.nn.functional import batch_norm as ours\n\ndef f(x):\n    return ours(x)\n",
        "class Ours(torch.nn.BatchNorm2d):\n    pass\n",
        "def f(x):\n    return x.var(0)\n",
    ],
)
def test_torchs_own_function_would_be_found(tmp_path, cheat):
    (tmp_path / "cheat.py").write_text(cheat)
    assert taken_from_elsewhere(tmp_path / "cheat.py") & SAME_JOB["normalization"]


def test_the_wheel_holds_package_claims_and_nothing_else(tmp_path):
    command = [
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "-t",
        "wheel",
        "-d",
        str(tmp_path),
    ]
    subprocess.run(command, cwd=BOOK.root, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"dlkb", "dlkb-0.1.0.dist-info"}
    assert "dlkb/normalization/batch.py" in names
    claims = {path.name for path in BOOK.claims.glob("*.yml")}
    assert {
        n.removeprefix("dlkb/_claims/") for n in names if n.startswith("dlkb/_claims/")
    } == claims
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); import dlkb; "
        "from dlkb.claims import load_claims; print(dlkb.__file__, len(load_claims()))"
    )
    file, count = python(program, tmp_path).split()
    assert file.startswith(str(tmp_path))
    assert int(count) == len(load_claims())


def test_requirements_have_lower_bounds_only():
    import tomllib

    project = tomllib.loads((BOOK.root / "pyproject.toml").read_text())["project"]
    for requirement in project["dependencies"]:
        assert re.fullmatch(r"[\w-]+>=[\d.]+", requirement), (
            f"{requirement}: would move the reader's own"
        )


def test_one_version():
    import tomllib

    import dlkb

    project = tomllib.loads((BOOK.root / "pyproject.toml").read_text())["project"]
    citation = (BOOK.root / "CITATION.cff").read_text()
    assert project["version"] == dlkb.__version__
    assert f"version: {dlkb.__version__}\n" in citation
