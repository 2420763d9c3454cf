"""The site, built once, strictly: whole, in a folder of its own, no warning."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

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


@pytest.fixture
def copy_with_the_reference(tmp_path):
    """The whole book, to break and rebuild."""
    for name in ("chapters", "code", "data", "requirements", "_static"):
        shutil.copytree(BOOK.root / name, tmp_path / name)
    for name in ("_toc.yml", "references.bib", *repository.BLOCKS):
        shutil.copy(BOOK.root / name, tmp_path / name)
    return Book(tmp_path)


@pytest.fixture
def copy_of_the_book(copy_with_the_reference):
    """The same without the package's reference, which takes two thirds of the time to build."""
    root = copy_with_the_reference.root
    for name, part in (
        ("_config.yml", "bookkit.package_pages, "),
        (
            "_toc.yml",
            "      - file: chapters/package\n        sections:\n          - glob: chapters/package/*\n",
        ),
    ):
        text = (root / name).read_text("utf-8")
        assert part in text
        (root / name).write_text(text.replace(part, ""), "utf-8")
    return copy_with_the_reference


@pytest.fixture(scope="session")
def build():
    """``python -m bookkit book``; returns exit status and what was printed."""
    return _build
