"""A small book to build, break and kill."""

import json
import shutil
from importlib import metadata

import pytest

from bookkit.arithmetic import GIVEN
from bookkit.book import Book

VERSIONS = {name: metadata.version(name) for name in ("numpy", "scikit-learn", "torch")}
PINS = "".join(f"{n}=={v} \\\n    --hash=sha256:0\n" for n, v in VERSIONS.items())
LOCK = PINS + "ruff==0.17.6\n"
DEPENDENCIES = '["numpy>=1", "scikit_learn>=1", "torch>=2"]'
PROJECT = f'[project]\nname = "dlkb"\ndependencies = {DEPENDENCIES}\n'
PACKAGE = {
    "__init__.py": "",
    "claims.py": "",
    "plotting.py": "import math\n",
    "losses/__init__.py": (
        "from dlkb.losses.boxes import box_iou\nfrom dlkb.losses.classes import entropy as cross_entropy\n"
    ),
    "losses/boxes.py": "from dlkb.losses.shared import reduce\n\ndef box_iou():\n    return 'iou'\n",
    "losses/classes.py": "def entropy():\n    return 'entropy'\n",
    "losses/shared.py": "def reduce():\n    pass\n",
    "losses/late.py": "def f():\n    from dlkb.losses import shared\n    return shared\n",
}


def cell(source, **metadata):
    return {
        "cell_type": "code",
        "id": f"id-{abs(hash(source))}",
        "source": source,
        "metadata": metadata,
        "outputs": [],
        "execution_count": None,
    }


def notebook(*sources):
    cells = [
        {"cell_type": "markdown", "id": "title", "source": "# Why?", "metadata": {}}
    ]
    cells += [
        source if isinstance(source, dict) else cell(source) for source in sources
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        "cells": cells,
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


@pytest.fixture(autouse=True)
def arithmetic(monkeypatch):
    """No process of a test has to compute it."""
    monkeypatch.setenv(GIVEN, "0123456789abcdef")


@pytest.fixture
def small_book(tmp_path):
    """A book with a package, no notebook yet; ``add(name, *cells)`` adds one."""
    for name, text in PACKAGE.items():
        path = tmp_path / "code" / "dlkb" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for folder in (
        "requirements",
        "chapters/losses",
        "data/claims",
        "data/recorded/losses",
    ):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "requirements" / "test.lock").write_text(LOCK)
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    book = Book(tmp_path)

    def add(name, *sources):
        path = book.chapters / "losses" / f"{name}.ipynb"
        path.write_text(json.dumps(notebook(*sources)))
        return path

    object.__setattr__(book, "add", add)
    yield book
    shutil.rmtree(tmp_path / "chapters")


@pytest.fixture
def code_cell():
    """Makes a code cell; keywords are its metadata."""
    return cell
