"""Notebooks as plain Python: every cell runs, and a broken bound or an error fails the notebook."""

import subprocess
import sys

import pytest

from bookkit.book import Book
from bookkit.plain import run
from dlkb.claims import load_claims

CHECK = "from dlkb.claims import check\ncheck('{id}', measured={value}, expected=1.0, atol=0.1, rival=2.0)"


@pytest.fixture
def book(tmp_path, small_book):
    """The small book, with the real package and claims."""
    root = Book().root
    for name in ("code/dlkb", "data/claims"):
        path = small_book.root / name
        subprocess.run(["rm", "-r", str(path)], check=True)
        subprocess.run(["cp", "-r", str(root / name), str(path)], check=True)
    return small_book


def cell(value):
    id = next(c.id for c in load_claims().values() if c.verdict != "opinion")
    return CHECK.format(id=id, value=value)


def test_checks_that_keep_their_bounds_pass_and_say_what_they_measured(book, capfd):
    book.add("good", cell(1.05))
    assert run(book, None, "cpu") == 0
    out = capfd.readouterr().out
    assert "measured 1.05; bound within 0.1 of 1; rival 2 (fails)" in out
    assert "all bounds kept" in out


@pytest.mark.parametrize("bad", [cell(1.5), "1 / 0"])
def test_a_broken_bound_or_an_error_fails_and_the_rest_still_runs(book, capfd, bad):
    book.add("bad", bad, "print('after it')")
    book.add("good", "import os\nprint(os.environ['DLKB_DEVICE'])")
    assert run(book, None, "cpu") == 1
    out = capfd.readouterr().out
    assert "cell [1]: Traceback" in out
    assert "after it" in out
    assert "\ncpu\n" in out


def test_notebooks_can_be_chosen(book, capfd):
    book.add("bad", "1 / 0")
    book.add("good", "pass")
    assert run(book, ["good"], "cpu") == 0
    with pytest.raises(ValueError, match="no notebook's name contains 'none'"):
        run(book, ["none"], "cpu")


def test_a_real_notebook_runs_without_jupyter(capfd):
    name = "02-what-does-batch-norm-compute"
    assert run(Book(), [name], "cpu") == 0
    assert "✓ normalization/bn-axes#loop" in capfd.readouterr().out


def test_it_imports_nothing_of_jupyter():
    program = (
        "import bookkit.plain, sys; "
        "print([m for m in ('papermill', 'nbformat', 'IPython', 'tqdm') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
