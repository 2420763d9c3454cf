"""The site, built once, strictly: whole, in a folder of its own, no warning."""

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup

from bookkit import repository
from bookkit.book import Book
from bookkit.ledger import collect_checks
from bookkit.site import html_folder

BOOK = Book()


class Site:
    def __init__(self, folder):
        self.folder = folder
        self.pages = {
            path.relative_to(folder).as_posix(): BeautifulSoup(
                path.read_text("utf-8"), "html.parser"
            )
            for path in sorted(folder.glob("**/*.html"))
            if "_static" not in path.parts  # templates, not pages
        }

    @functools.cache  # noqa: B019 one site a session
    def article(self, page):
        return self.pages[page].select_one("article")

    @functools.cache  # noqa: B019
    def places(self, page):
        """The elements of a page's article by their ids: to search for one reads the whole page."""
        return {e["id"]: e for e in self.article(page).find_all(id=True)}


def _build(root, *options):
    """Build, where importing torch leaves a trace: the site must be read from files."""
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "imported"
        spy = f"open({str(trace)!r}, 'w').close()\nraise ImportError('no torch here')\n"
        (Path(folder) / "torch.py").write_text(spy)
        path = os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")])
        command = [sys.executable, "-m", "bookkit", "--root", str(root), "book"]
        done = subprocess.run(
            [*command, *options],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": path.rstrip(os.pathsep)},
        )
        assert not trace.exists(), "building the site imported torch"
    lines = (done.stdout + done.stderr).splitlines()
    said = [
        line for line in lines if re.search(r"WARNING|ERROR|rror:|The book is at", line)
    ]
    return done.returncode, "\n".join(said)


@pytest.fixture(scope="session")
def site():
    status, out = _build(BOOK.root, "--strict")
    assert status == 0, out
    return Site(html_folder(BOOK, strict=True))


NOTEBOOK = "chapters/normalization/02-what-does-batch-norm-compute.ipynb"
FRONT = "# Front page\n\nSee the [chapter](normalization/index.md).\n"
CHAPTER = """# Normalization

A small channel has variance {claim}`0.877 <normalization/bn-definition#small channel>`, and not
{rival}`1 <normalization/bn-definition#small channel>` {cite}`wu2018group`: see the
[notebook](02-what-does-batch-norm-compute.ipynb).
"""
CONTENTS = """format: jb-book
root: chapters/index
chapters:
  - file: chapters/normalization/index
    sections:
      - file: chapters/normalization/02-what-does-batch-norm-compute
  - file: chapters/ledger
  - file: chapters/glossary
  - file: chapters/references
"""
REFERENCE = """  - file: chapters/package
    sections:
      - glob: chapters/package/*
"""


def _small_book(root, reference):
    """One chapter with one of the book's notebooks, its claims and its code, built as the book is:
    what it costs to build does not grow with the book."""
    for name in ("requirements", "_static", "code/dlkb/normalization"):
        shutil.copytree(BOOK.root / name, root / name)
    for folder in ("chapters/normalization", "chapters/package", "data/claims"):
        (root / folder).mkdir(parents=True)
    pages = [f"chapters/{page}.md" for page in ("ledger", "glossary", "references")]
    pages += ["chapters/package.md"] * reference
    modules = [BOOK.name(path) for path in BOOK.package.glob("*.py")]
    files = [NOTEBOOK, "references.bib", *repository.BLOCKS, *pages, *modules]
    for name in files:
        shutil.copy(BOOK.root / name, root / name)
    for page in ("normalization.rst", "shared.rst") * reference:
        name = f"chapters/package/{page}"
        shutil.copy(BOOK.root / name, root / name)
    (root / "chapters/index.md").write_text(FRONT, "utf-8")
    (root / "chapters/normalization/index.md").write_text(CHAPTER, "utf-8")
    (root / "_toc.yml").write_text(CONTENTS + REFERENCE * reference, "utf-8")
    book = Book(root)
    config = (root / "_config.yml").read_text("utf-8")
    assert "bookkit.package_pages, " in config
    if not reference:
        config = config.replace("bookkit.package_pages, ", "")
        (root / "_config.yml").write_text(config, "utf-8")
    checked = {check.id for check in collect_checks(book)}
    file = "normalization.yml"
    claims = yaml.safe_load((BOOK.claims / file).read_text("utf-8"))
    own = [claim for claim in claims if claim["id"] in checked]
    (book.claims / file).write_text(yaml.safe_dump(own, width=1000), "utf-8")
    record = f"{BOOK.name(BOOK.recorded)}/normalization"
    if (BOOK.root / record).is_dir():  # part of what the outputs are compared with
        shutil.copytree(BOOK.root / record, root / record)
    return book


@pytest.fixture(scope="session")
def make_small_book(tmp_path_factory):
    """Makes a book to break and rebuild; with ``reference=True``, also the package's reference,
    which takes longer than the rest."""

    def make(reference=False):
        return _small_book(tmp_path_factory.mktemp("book"), reference)

    return make


@pytest.fixture
def small_book(make_small_book):
    return make_small_book()


@pytest.fixture(scope="session")
def build():
    """``python -m bookkit book``; returns exit status and what was printed."""
    return _build
