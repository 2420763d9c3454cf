"""The package as readers get it: light to import, self-contained, from scratch where it says so."""

import ast
import re
import subprocess
import sys
import zipfile

import grimp
import pytest

from bookkit.book import Book

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
    modules = "dlkb.claims, bookkit.sphinx, bookkit.ledger, bookkit.fresh, bookkit.site, bookkit.__main__"
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


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(CODE).as_posix())
def test_importing_a_module_only_defines(path):
    """No call at the top of a module: no device, seed, download, log or print on import."""
    for node in ast.parse(path.read_text()).body:
        assert not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)), (
            ast.unparse(node)
        )


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(CODE).as_posix())
def test_public_names_exist_and_are_documented(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    public = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    defined = {
        n.name: n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)
    }
    for name in public:
        if name in defined:
            assert ast.get_docstring(defined[name]), (
                f"{path.name}: {name} has no docstring"
            )


# What each chapter writes from scratch, and so must not call.
SAME_JOB = {
    "normalization": {
        "batch_norm",
        "native_batch_norm",
        "BatchNorm1d",
        "BatchNorm2d",
        "GroupNorm",
        "InstanceNorm2d",
        "LayerNorm",
        "RMSNorm",
        "group_norm",
        "instance_norm",
        "layer_norm",
        "native_group_norm",
        "native_layer_norm",
        "rms_norm",
        "var",
        "std",
        "var_mean",
    }
}


def calls_of_torch(path):
    """Names called as an attribute: torch.x(...), nn.functional.x(...), tensor.x(...)."""
    calls = (
        n.func for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)
    )
    return {call.attr for call in calls if isinstance(call, ast.Attribute)}


@pytest.mark.parametrize(
    "chapter", sorted(p.parent.name for p in BOOK.package.glob("*/__init__.py"))
)
def test_from_scratch_calls_no_torch_function_of_the_same_job(chapter):
    assert chapter in SAME_JOB, f"say in SAME_JOB what {chapter} must not call"
    for path in (BOOK.package / chapter).glob("*.py"):
        assert not calls_of_torch(path) & SAME_JOB[chapter]


def test_a_call_of_torchs_own_function_would_be_found(tmp_path):
    cheat = tmp_path / "cheat.py"
    cheat.write_text(
        "def f(x):\n    return torch.nn.functional.batch_norm(x, None, None)\n"
    )
    assert calls_of_torch(cheat) & SAME_JOB["normalization"]


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
    program = (
        f"import sys; sys.path.insert(0, {str(wheel)!r}); from dlkb.claims import load_claims; import dlkb; "
        "print(dlkb.__file__)"
    )
    assert str(wheel) in python(program, tmp_path)


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
