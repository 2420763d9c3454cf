"""The repository's address: set in one place, ``_config.yml``, and written from there everywhere else.

    python -m bookkit set-repository https://github.com/OWNER/NAME [--ref main]
    python -m bookkit set-repository          write the address that is set again, as into a new notebook

What is written: the bootstrap cell of each notebook, and in the files of ``BLOCKS`` the lines between two
markers. Nothing else of a file changes, and a second run changes nothing at all. Workflows, Binder and the
dev container need no address: they run inside the repository.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bookkit.book import (
    Book,
    code_cells,
    read_notebook,
    source_of,
    tags_of,
    write_notebook,
    write_text,
)
from bookkit.fresh import BOOTSTRAP

RULE = "the repository's address is https://github.com/OWNER/NAME or git@github.com:OWNER/NAME.git"
WHY = "(GitHub, since Colab, Pages and the workflows work from there)"


@dataclass(frozen=True)
class Repository:
    """Where readers find the book: ``url``, or "" while there is none, and a branch or tag."""

    url: str = ""
    ref: str = "main"

    @property
    def slug(self) -> str:
        """OWNER/NAME."""
        return self.url.removeprefix("https://github.com/")

    @property
    def site(self) -> str:
        """Where GitHub Pages serves the built book."""
        owner, name = self.slug.split("/")
        host = f"{owner.lower()}.github.io"
        return f"https://{host}/" if name.lower() == host else f"https://{host}/{name}/"

    def file(self, name: str) -> str:
        """Where one file of the repository is shown."""
        return f"{self.url}/blob/{self.ref}/{name}"

    def colab(self, name: str) -> str:
        """Where Colab opens one notebook of the repository."""
        return f"https://colab.research.google.com/github/{self.slug}/blob/{self.ref}/{name}"

    @property
    def binder(self) -> str:
        """Where Binder opens the notebooks."""
        return f"https://mybinder.org/v2/gh/{self.slug}/{self.ref}?urlpath=lab/tree/chapters"


def parse(url: str, ref: str = "main") -> Repository:
    """An address as people write it, in the one form that the book uses.

    Raises: ValueError: if ``url`` is no address of a repository on GitHub, or carries a password; if git
        would not take ``ref`` as the name of a branch or tag.
    Example:
        >>> parse("git@github.com:owner/book.git").url
        'https://github.com/owner/book'
    """
    text = url.strip()
    if re.match(r"https?://[^/]*@", text):
        raise ValueError(
            f"{RULE}, without a name or password in it, since every notebook shows it"
        )
    name = r"(?P<owner>[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)/(?P<name>[\w.-]+?)(?:\.git)?/?"
    start = r"(?:https://(?:www\.)?github\.com/|(?:ssh://)?git@github\.com[:/])"
    match = re.fullmatch(start + name, text, flags=re.ASCII | re.IGNORECASE)
    if match is None or match["name"] in (".", ".."):
        raise ValueError(f"{RULE} {WHY}: got {url!r}")
    if not re.fullmatch(r"[\w][\w./-]*", ref, flags=re.ASCII) or re.search(
        r"\.\.|//|/$|\.$|\.lock$|/\.", ref
    ):
        raise ValueError(f"a ref is the name of a branch or tag, as main: got {ref!r}")
    return Repository(f"https://github.com/{match['owner']}/{match['name']}", ref)


def read(book: Book) -> Repository:
    """The address that ``_config.yml`` holds.

    Raises: ValueError: if it holds none that can be read, or one that is no address.
    """
    text = (book.root / "_config.yml").read_text(encoding="utf-8")
    lines = _inside(text, "_config.yml")
    match = re.fullmatch(
        r'repository:\n  url: "(.*)"\n  branch: "?([^"\n]*)"?\n', lines
    )
    if match is None:
        raise ValueError(
            f'_config.yml: between its markers stand three lines, repository:, url: "..." and branch: ...: '
            f"got {lines!r}"
        )
    return parse(*match.groups()) if match[1] else Repository("", match[2])


def write(book: Book, repository: Repository) -> list[Path]:
    """Write an address everywhere; return the files that changed, the one place first.

    All is worked out before anything is written, so that a malformed file leaves the others alone.
    """
    texts = {}
    for name, lines in BLOCKS.items():
        path = book.root / name
        before = path.read_text(encoding="utf-8")
        after = before.replace(
            _inside(before, name, whole=True), _block(name, lines(repository))
        )
        if after != before:
            texts[path] = after
    notebooks = {}
    for path in book.notebooks():
        notebook = read_notebook(path)
        cell = _bootstrap_cell(book, path, notebook)
        if source_of(cell) != bootstrap(repository):
            cell["source"] = bootstrap(repository).splitlines(keepends=True)
            notebooks[path] = notebook
    for path, text in texts.items():
        write_text(path, text)
    for path, notebook in notebooks.items():
        write_notebook(path, notebook)
    return [*texts, *notebooks]


def set_repository(book: Book, url: str | None, ref: str | None) -> list[Path]:
    """Set the address and ref, or keep what is set where None is given; return the files that changed.

    Raises: ValueError: if ``url`` or ``ref`` is none, or a file lacks the place to write to.
    """
    now = read(book)
    ref = now.ref if ref is None else ref
    if url is None and not now.url:
        parse("https://github.com/owner/name", ref)  # is ref one, at least?
        return write(book, Repository("", ref))
    return write(book, parse(now.url if url is None else url, ref))


# ------------------------------------------------------------------------------ what stands in each file


def bootstrap(repository: Repository) -> str:
    """The text of every notebook's bootstrap cell."""
    now = f'REPOSITORY = "{repository.url}"\nREF = "{repository.ref}"\n'
    return CELL.replace('REPOSITORY = ""\nREF = "main"\n', now)


# What moves torch is a package that needs another one: torchvision, if it is absent or replaced. So what is
# there is asked for by its own version: then pip keeps it, or says why it cannot, and changes nothing.
CELL = """\
# Does nothing where dlkb is installed. Elsewhere, as in Colab, it installs dlkb from
# the notebook's repository; torch and numpy stay as they are.
import importlib.util

# written by `python -m bookkit set-repository URL`:
REPOSITORY = ""
REF = "main"
if importlib.util.find_spec("dlkb") is None:
    import importlib.metadata
    import os
    import subprocess
    import sys

    if not REPOSITORY:
        raise ModuleNotFoundError(
            "dlkb is missing, and this notebook holds no address to get it from: run "
            "`pip install .` in a copy of the book's repository, then this cell again"
        )
    kept = [n for n in ("torch", "torchvision", "numpy") if importlib.util.find_spec(n)]
    kept = [f"{name}=={importlib.metadata.version(name)}" for name in kept]
    pip = [sys.executable, "-m", "pip", "install", "--no-input"]
    print(f"Installing dlkb from {REPOSITORY} at {REF} ...")
    done = subprocess.run(
        [*pip, f"git+{REPOSITORY}@{REF}", *kept],
        env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},  # never wait for a password
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        said = [s for s in done.stdout.splitlines() if "already satisfied" not in s]
        raise RuntimeError(
            f"dlkb could not be installed from {REPOSITORY} at {REF}, and nothing was "
            "changed. It takes a network, pip, git, that address, and a dlkb that goes "
            f"with {', '.join(kept) or 'a new torch'}. What was said:\\n"
            + "\\n".join(said[-25:])
        )
    importlib.invalidate_caches()"""


def _config(repository: Repository) -> str:
    return f'repository:\n  url: "{repository.url}"\n  branch: {repository.ref}\n'


def _badges(repository: Repository) -> str:
    if not repository.url:
        return ""
    workflow = f"{repository.url}/actions/workflows/test.yml"
    first = "chapters/normalization/02-what-does-batch-norm-compute.ipynb"
    badges = [
        ("tested", f"{workflow}/badge.svg?branch={repository.ref}", workflow),
        (
            "open in Colab",
            "https://colab.research.google.com/assets/colab-badge.svg",
            repository.colab(first),
        ),
        (
            "open in Binder",
            "https://mybinder.org/badge_logo.svg",
            repository.binder,
        ),
    ]
    lines = [f"[![{text}]({image})]({target})\n" for text, image, target in badges]
    return f"\n{''.join(lines)}\nRead it at <{repository.site}>.\n\n"


def _citation(repository: Repository) -> str:
    if not repository.url:
        return ""
    return f'url: "{repository.site}"\nrepository-code: "{repository.url}"\n'


def _project(repository: Repository) -> str:
    if not repository.url:
        return ""
    return (
        f'[project.urls]\nHomepage = "{repository.site}"\nRepository = "{repository.url}"\n'
        f'Issues = "{repository.url}/issues"\n'
    )


BLOCKS: dict[str, Callable[[Repository], str]] = {
    "_config.yml": _config,
    "README.md": _badges,
    "CITATION.cff": _citation,
    "pyproject.toml": _project,
}


def _markers(name: str) -> tuple[str, str]:
    if name.endswith(".md"):
        return "<!-- set-repository writes: -->\n", "<!-- end -->\n"
    return "# What `python -m bookkit set-repository URL` writes:\n", "# end\n"


def _block(name: str, lines: str) -> str:
    return lines.join(_markers(name))


def _inside(text: str, name: str, whole: bool = False) -> str:
    """What stands between a file's markers; with ``whole``, the markers too."""
    begin, end = _markers(name)
    match = re.search(re.escape(begin) + r"(.*?)" + re.escape(end), text, re.DOTALL)
    if match is None or text.count(begin) != 1:
        raise ValueError(
            f"{name} must have the line {begin.strip()!r} once, and {end.strip()!r} below it, "
            "around what set-repository writes: put them back"
        )
    return match[0] if whole else match[1]


def _bootstrap_cell(book: Book, path: Path, notebook: dict) -> dict:
    cells = [cell for cell in code_cells(notebook) if BOOTSTRAP in tags_of(cell)]
    if len(cells) != 1:
        raise ValueError(
            f"{book.name(path)}: one cell has the tag {BOOTSTRAP!r}: got {len(cells)}; "
            "copy the cell from another notebook, with its tags"
        )
    return cells[0]
