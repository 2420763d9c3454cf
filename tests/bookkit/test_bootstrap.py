"""A notebook alone in an empty folder, as in Colab: its bootstrap cell fetches what it needs, and no more.

The rehearsal runs in an environment of its own: it sees the packages of this one, `dlkb` and `bookkit`
apart, and pip may look at no index, so that nothing but the repository can be fetched. git takes the
repository's address from a bare clone on this disk.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from bookkit import repository
from bookkit.book import Book, code_cells, read_notebook
from bookkit.kernel import PINNED
from bookkit.ledger import records_of

BOOK = Book()
URL = "https://github.com/owner/book"
TRAINS = "01-what-does-scaling-data-change"
OWN = ("dlkb", "bookkit", "__editable__", "_dlkb", "_bookkit")
LOOK = """
import importlib.metadata, importlib.util, json
names = ("torch", "torchvision", "numpy")
spec = importlib.util.find_spec("dlkb")
versions = {name: importlib.metadata.version(name) for name in names}
print(json.dumps({"dlkb": spec and spec.origin, "versions": versions}))
"""


class Rehearsal:
    """A clean environment, an empty folder, and a remote that holds the book."""

    def __init__(self, folder: Path):
        self.folder = folder / "empty"
        self.folder.mkdir()
        self.remote = folder / "remote" / "owner" / "book.git"
        self.copy = copy_of_the_book(folder / "copy")
        repository.set_repository(Book(self.copy), URL, "main")
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit("Publish the book")
        self.git("clone", "--quiet", "--bare", str(self.copy), str(self.remote))
        self.python = environment(folder)

    def git(self, *arguments: str) -> None:
        who = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        for role in ("AUTHOR", "COMMITTER"):
            who |= {f"GIT_{role}_NAME": "owner", f"GIT_{role}_EMAIL": "owner@book"}
        subprocess.run(
            ["git", *arguments], cwd=self.copy, env=os.environ | who, check=True
        )

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def push(self, branch: str) -> None:
        """Commit what was changed in the copy, to a branch of its own."""
        self.git("switch", "--quiet", "--create", branch)
        self.commit(branch)
        self.git("push", "--quiet", str(self.remote), branch)
        self.git("switch", "--quiet", "main")

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        kept = ("PATH", "HOME", "LANG", "SYSTEMROOT", "TMPDIR")
        clean = {name: os.environ[name] for name in kept if name in os.environ}
        settings = {
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": f"url.{self.remote.parents[1].as_uri()}/.insteadOf",
            "GIT_CONFIG_VALUE_0": "https://github.com/",
            "GIT_CONFIG_KEY_1": "safe.directory",
            "GIT_CONFIG_VALUE_1": "*",
            "IPYTHONDIR": str(self.folder.parent / "ipython"),
            "PIP_NO_INDEX": "1",  # nothing but the repository can be fetched,
            "PIP_NO_BUILD_ISOLATION": "0",  # so the builder, hatchling, is this environment's
        }
        return subprocess.run(
            [str(self.python), *arguments],
            cwd=self.folder,
            env=clean | PINNED | settings,
            capture_output=True,
            text=True,
        )

    def cell(self, url: str = URL, ref: str = "main") -> subprocess.CompletedProcess:
        """Run the bootstrap cell alone."""
        return self.run("-c", repository.bootstrap(repository.Repository(url, ref)))

    def look(self) -> dict:
        """Where dlkb is, if anywhere, and what the packages are that must stay."""
        done = self.run("-c", LOOK)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def copy_of_the_book(folder: Path) -> Path:
    for name in ("chapters", "code", "data"):
        skip = shutil.ignore_patterns("__pycache__", "*.egg-info", ".ipynb_checkpoints")
        shutil.copytree(BOOK.root / name, folder / name, ignore=skip)
    for name in (*repository.BLOCKS, "LICENSE"):
        shutil.copy(BOOK.root / name, folder / name)
    return folder


def environment(folder: Path) -> Path:
    """A new environment beside this one's packages; they lie outside it, so pip could never remove them."""
    packages = folder / "packages"
    packages.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(OWN) and entry.suffix != ".pth":
            (packages / entry.name).symlink_to(entry)
    venv.create(folder / "venv", with_pip=False)
    scripts = "Scripts" if os.name == "nt" else "bin"
    python = folder / "venv" / scripts / Path(sys.executable).name
    where = [
        str(python),
        "-c",
        "import sysconfig; print(sysconfig.get_path('purelib'))",
    ]
    site = subprocess.run(where, capture_output=True, text=True, check=True).stdout
    (Path(site.strip()) / "packages.pth").write_text(f"{packages}\n")
    return python


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory):
    return Rehearsal(tmp_path_factory.mktemp("rehearsal"))


def test_a_notebook_alone_installs_dlkb_and_runs_to_its_end(rehearsal):
    before = rehearsal.look()
    assert before["dlkb"] is None  # else nothing would be rehearsed

    shutil.copy(
        next(rehearsal.copy.glob(f"chapters/*/{TRAINS}.ipynb")), rehearsal.folder
    )
    done = rehearsal.run(
        *("-m", "papermill", "--kernel", "python3", "--no-progress-bar"),
        *(f"{TRAINS}.ipynb", "done.ipynb"),
    )
    assert done.returncode == 0, done.stderr[-2000:]

    executed = read_notebook(rehearsal.folder / "done.ipynb")
    assert [cell["execution_count"] for cell in code_cells(executed)] == list(
        range(1, len(code_cells(executed)) + 1)
    )
    said = "".join(code_cells(executed)[0]["outputs"][0]["text"])
    assert said == f"Installing dlkb from {URL} at main ...\n"
    stored = records_of(read_notebook(rehearsal.folder / f"{TRAINS}.ipynb"))
    made = [record.key for record in records_of(executed)]
    assert made == [record.key for record in stored] != []
    after = rehearsal.look()
    assert after["versions"] == before["versions"]
    assert Path(after["dlkb"]).is_relative_to(rehearsal.folder.parent / "venv")

    again = rehearsal.cell(
        ref="no-such-branch"
    )  # now that dlkb is there, nothing is fetched
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


@pytest.fixture
def without_dlkb(rehearsal):
    rehearsal.run("-m", "pip", "uninstall", "--yes", "--quiet", "dlkb")
    assert rehearsal.look()["dlkb"] is None
    return rehearsal


def last_error(done):
    """What a reader sees below the traceback."""
    assert done.returncode == 1
    return done.stderr[done.stderr.rindex("Error: dlkb") - len("RuntimeXX") :]


@pytest.mark.parametrize(
    ("url", "ref", "said"),
    [
        (URL, "no-such-branch", "no-such-branch"),
        (
            "https://github.com/owner/gone",
            "main",
            "does not appear to be a git repository",
        ),
        ("https://nowhere.invalid/owner/book", "main", "nowhere.invalid"),  # no network
    ],
)
def test_what_cannot_be_fetched_is_said_with_the_address(without_dlkb, url, ref, said):
    message = last_error(without_dlkb.cell(url, ref))
    assert f"dlkb could not be installed from {url} at {ref}" in message
    assert said in message.partition("What was said:")[2]
    assert without_dlkb.look()["dlkb"] is None


def test_torch_is_never_moved(without_dlkb):
    """Where dlkb asks for a newer torch than is there, pip refuses, and says which torch it kept."""
    project = without_dlkb.copy / "pyproject.toml"
    text = project.read_text()
    assert '"torch>=2.4"' in text
    project.write_text(text.replace('"torch>=2.4"', '"torch>=99"'))
    without_dlkb.push("newer-torch")
    before = without_dlkb.look()
    message = last_error(without_dlkb.cell(ref="newer-torch"))
    assert f"goes with torch=={before['versions']['torch']}, torchvision==" in message
    assert "torch>=99" in message
    assert without_dlkb.look() == before


def test_torch_is_asked_for_by_its_own_version(tmp_path):
    """Without this, a torchvision that is missing would bring another torch."""
    import importlib.metadata

    cell = f"""
import importlib.util, subprocess
real = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name in ("dlkb", "torchvision") else real(name)
def run(command, **options):
    print(command[command.index("install"):], options["env"]["GIT_TERMINAL_PROMPT"])
    return subprocess.CompletedProcess(command, 0)
subprocess.run = run
{repository.bootstrap(repository.Repository(URL, "v1.0"))}
"""
    done = subprocess.run(
        [sys.executable, "-c", cell], capture_output=True, text=True, check=True
    )
    version = importlib.metadata.version
    kept = [f"torch=={version('torch')}", f"numpy=={version('numpy')}"]
    wanted = ["install", "--no-input", f"git+{URL}@v1.0", *kept]
    assert done.stdout.splitlines()[1] == f"{wanted} 0"


def test_without_pip_the_message_says_so(without_dlkb):
    pip = without_dlkb.folder.parent / "packages" / "pip"
    target = pip.readlink()
    pip.unlink()
    try:
        message = last_error(without_dlkb.cell())
    finally:
        pip.symlink_to(target)
    assert "It takes a network, pip, git" in message
    assert "No module named pip" in message


def test_without_an_address_the_cell_says_what_to_do(without_dlkb):
    message = last_error(without_dlkb.cell(url=""))
    assert (
        "dlkb is missing, and this notebook holds no address to get it from" in message
    )
    assert "`pip install .` in a copy of the book's repository" in message
