"""A notebook's mutations go on record when all were caught, and off it when anything that matters changes."""

import json
import shutil

import pytest

from bookkit import caught
from bookkit.book import Book, read_notebook, write_notebook
from bookkit.caught import mutate, mutations_of, not_on_record

NAME = "chapters/normalization/02-what-does-batch-norm-compute"
RECORD = "tests/normalization/caught.json"
MUTATIONS = "tests/normalization/mutations.py"


@pytest.fixture
def book(tmp_path):
    """A copy with one notebook and its mutations, nothing on record."""
    root = Book().root
    for folder in ("code/dlkb", "data", "requirements"):
        shutil.copytree(root / folder, tmp_path / folder)
    for file in ("pyproject.toml", f"{NAME}.ipynb"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / file, tmp_path / file)
    (tmp_path / MUTATIONS).parent.mkdir(parents=True)
    (tmp_path / MUTATIONS).write_text(
        f"from bookkit.mutation import Mutation\nMUTATIONS = {mutations_of(Book())[NAME]!r}\n"
    )
    return Book(tmp_path)


@pytest.fixture
def tried(monkeypatch):
    """Names that were tried; trying finds nothing uncaught."""
    names = []
    monkeypatch.setattr(caught, "_try", lambda book, name: names.append(name) or "")
    return names


def off_record(book):
    return not_on_record(book, mutations_of(book))


def test_what_was_caught_is_not_tried_again_unless_forced(book, tried):
    assert off_record(book) == [NAME]
    assert mutate(book) == 0
    assert off_record(book) == []
    assert mutate(book) == 0
    assert tried == [NAME]
    mutate(book, force=True)
    assert tried == [NAME, NAME]


def test_what_was_not_caught_stays_off_the_record(book, monkeypatch, capsys):
    monkeypatch.setattr(caught, "_try", lambda book, name: "a/b: no check noticed")
    assert mutate(book) == 1
    assert off_record(book) == [NAME]
    assert not (book.root / RECORD).exists()
    assert "a/b: no check noticed" in capsys.readouterr().err


def edit(file, old, new):
    def change(book):
        path = book.root / file
        assert old in path.read_text("utf-8")
        path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")

    return change


def edit_cell(kind):
    def change(book):
        path = book.root / f"{NAME}.ipynb"
        notebook = read_notebook(path)
        cell = [c for c in notebook["cells"] if c["cell_type"] == kind][-1]
        cell["source"] = "".join(cell["source"]) + "\n\n"
        write_notebook(path, notebook)

    return change


@pytest.mark.parametrize(
    "change",
    [
        edit(MUTATIONS, "0.1 * mean + 0.9 *", "0.2 * mean + 0.8 *"),
        edit("code/dlkb/normalization/batch.py", "count - 1", "count - 2"),
        edit_cell("code"),
    ],
    ids=["mutation", "package", "code"],
)
def test_a_change_that_matters_takes_it_off_the_record(book, tried, change):
    mutate(book)
    change(book)
    assert off_record(book) == [NAME]


def test_prose_and_other_notebooks_do_not_matter(book, tried):
    mutate(book)
    edit_cell("markdown")(book)
    path = book.root / RECORD
    path.write_text(json.dumps(json.loads(path.read_text()) | {"other": "1234"}))
    assert off_record(book) == []


def test_trying_names_what_no_check_notices(book):
    """In a process of its own, for real: one change that changes nothing."""
    mutation = (
        'Mutation("normalization/bn-axes#loop", "notebook", "per_sample = x.mean", '
        '"per_sample = 1 * x.mean")'
    )
    text = f"from bookkit.mutation import Mutation\nMUTATIONS = [{mutation}]\n"
    (book.root / MUTATIONS).write_text(text)
    assert caught._try(book, NAME).endswith("no check noticed")


def test_an_unknown_check_is_refused(book):
    edit(MUTATIONS, "bn-axes#loop", "no-such")(book)
    with pytest.raises(ValueError, match="no notebook has an executed check"):
        mutations_of(book)
