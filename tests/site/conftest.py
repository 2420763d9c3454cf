"""The site, built once, strictly: whole, in a folder of its own, no warning."""

import re
import shutil
import subprocess
import sys

import pytest
from bs4 import BeautifulSoup

from bookkit import repository
from bookkit.book import Book
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

    def article(self, page):
        return self.pages[page].select_one("article")


def _build(root, *options):
    command = [sys.executable, "-m", "bookkit", "--root", str(root), "book", *options]
    done = subprocess.run(command, capture_output=True, text=True)
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


@pytest.fixture
def copy_of_the_book(tmp_path):
    """Something to break and rebuild."""
    for name in ("chapters", "code", "data", "requirements", "_static"):
        shutil.copytree(BOOK.root / name, tmp_path / name)
    for name in ("_toc.yml", "references.bib", *repository.BLOCKS):
        shutil.copy(BOOK.root / name, tmp_path / name)
    return Book(tmp_path)


@pytest.fixture(scope="session")
def build():
    """``python -m bookkit book``; returns exit status and what was printed."""
    return _build
