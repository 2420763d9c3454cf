"""The repository's address: one place, written everywhere, once and for all."""

import json
import shutil
import subprocess
import tomllib

import pytest
import yaml

from bookkit import repository
from bookkit.__main__ import main
from bookkit.book import Book, code_cells, read_notebook, source_of
from bookkit.fresh import BOOTSTRAP, Fingerprints
from bookkit.repository import Repository, parse

BOOK = Book()
URL = "https://github.com/owner/book"


@pytest.fixture
def book(tmp_path):
    """What the address is written to: four files and two notebooks."""
    (tmp_path / "chapters" / "a").mkdir(parents=True)
    for name in repository.BLOCKS:
        shutil.copy(BOOK.root / name, tmp_path / name)
    for path in BOOK.notebooks()[:2]:
        shutil.copy(path, tmp_path / "chapters" / "a")
    return Book(tmp_path)


def contents(book):
    return {p: p.read_bytes() for p in sorted(book.root.rglob("*")) if p.is_file()}


@pytest.mark.parametrize(
    "text",
    [
        *(
            URL,
            f"{URL}/",
            f"{URL}.git",
            f" {URL}\n",
            "https://www.github.com/owner/book",
        ),
        *("git@github.com:owner/book.git", "ssh://git@github.com/owner/book"),
    ],
)
def test_an_address_as_people_write_it(text):
    assert parse(text) == Repository(URL, "main")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "book",
            "owner/book",
            "github.com/owner/book",
            "https://github.com/owner",
        ),
        *(f"{URL}/tree/main", "https://gitlab.com/owner/book", "ftp://github.com/a/b"),
        *(
            f'{URL}"; import os',
            "https://github.com/-owner/book",
            "https://github.com/a/..",
        ),
    ],
)
def test_what_is_no_address_of_a_repository_is_refused(text):
    with pytest.raises(
        ValueError, match=r"address is https://github\.com/OWNER/NAME"
    ) as e:
        parse(text)
    assert f"got {text!r}" in str(e.value)


def test_a_password_in_the_address_is_refused_and_not_repeated():
    with pytest.raises(ValueError, match="without a name or password in it") as error:
        parse("https://someone:secret@github.com/owner/book")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("ref", ["", "a b", "-x", "a..b", "a/", "a.lock", 'm"', "a//b"])
def test_a_ref_that_git_would_not_take_is_refused(ref):
    with pytest.raises(ValueError, match="a ref is the name of a branch or tag"):
        parse(URL, ref)


def test_git_takes_every_ref_that_is_taken_here():
    for ref in ("main", "v1.0", "release/2.0", "a-b_c"):
        assert parse(URL, ref).ref == ref
        subprocess.run(["git", "check-ref-format", f"refs/heads/{ref}"], check=True)


@pytest.mark.parametrize(
    ("slug", "site"),
    [
        ("Owner/book", "https://owner.github.io/book/"),
        ("owner/owner.github.io", "https://owner.github.io/"),
    ],
)
def test_where_pages_serves_the_book(slug, site):
    assert parse(f"https://github.com/{slug}").site == site


def test_the_address_is_written_everywhere(book, capsys):
    assert main(["--root", str(book.root), "set-repository", f"{URL}.git"]) == 0
    shown = capsys.readouterr().out
    assert shown.endswith(f"6 files changed; address {URL}, ref main\n")
    config = yaml.safe_load((book.root / "_config.yml").read_text())
    assert config["repository"] == {"url": URL, "branch": "main"}
    project = tomllib.loads((book.root / "pyproject.toml").read_text())["project"]
    assert project["urls"] == {
        "Homepage": "https://owner.github.io/book/",
        "Repository": URL,
        "Issues": f"{URL}/issues",
    }
    assert project["dependencies"]  # the table before it is whole
    citation = yaml.safe_load((book.root / "CITATION.cff").read_text())
    assert citation["repository-code"] == URL
    readme = (book.root / "README.md").read_text()
    assert f"({URL}/actions/workflows/test.yml)" in readme
    assert (
        "(https://colab.research.google.com/github/owner/book/blob/main/chapters/"
        in readme
    )
    for path in book.notebooks():
        first = source_of(code_cells(read_notebook(path))[0])
        assert f'\nREPOSITORY = "{URL}"\nREF = "main"\n' in first
        assert (
            max(len(line) for line in first.splitlines()) <= 88
        )  # as wide as the page
        compile(first, path.name, "exec")


def test_what_readme_and_workflow_name_is_there():
    """The badges lead to a workflow and a notebook that exist."""
    badges = repository.BLOCKS["README.md"](parse(URL))
    assert (BOOK.root / ".github/workflows/test.yml").is_file()
    assert "actions/workflows/test.yml/badge.svg" in badges
    name = badges.partition("/blob/main/")[2].partition(")")[0]
    assert (BOOK.root / name).is_file()


def test_a_second_run_changes_nothing_and_a_later_address_leaves_no_trace(book):
    repository.set_repository(book, "https://github.com/owner-7/name", "branch-7")
    repository.set_repository(book, URL, "main")
    once = contents(book)
    assert repository.set_repository(book, URL, None) == []
    assert repository.set_repository(book, None, None) == []
    assert contents(book) == once
    for path, content in once.items():
        assert b"owner-7" not in content, path
        assert b"branch-7" not in content, path


def test_while_no_address_is_set_nothing_is_shown(book):
    if repository.read(book).url:
        pytest.skip("the address is set")
    before = contents(book)
    assert repository.set_repository(book, None, None) == []
    assert contents(book) == before
    assert "github.com" not in (book.root / "README.md").read_text()


def test_every_place_of_this_book_holds_the_address_that_is_set(book):
    assert repository.write(BOOK, repository.read(BOOK)) == []


def test_a_new_notebook_gets_the_cell_by_the_command_without_an_address(book):
    repository.set_repository(book, URL, "v1.0")
    path = book.notebooks()[0]
    notebook = read_notebook(path)
    code_cells(notebook)[0]["source"] = ["# an older cell"]
    path.write_text(json.dumps(notebook))
    assert repository.set_repository(book, None, None) == [path]
    now = repository.bootstrap(Repository(URL, "v1.0"))
    assert source_of(code_cells(read_notebook(path))[0]) == now


def test_the_address_is_no_part_of_a_fingerprint(book):
    """Setting it re-executes nothing, and touches nothing of a notebook but this one cell."""
    fingerprints = Fingerprints(BOOK)
    before = {path: read_notebook(path) for path in book.notebooks()}
    repository.set_repository(book, URL, "v1.0")
    for path, old in before.items():
        new, home = read_notebook(path), BOOK.chapters / "a" / path.name
        assert fingerprints.of(home, new) == fingerprints.of(home, old)
        changed = [
            cell["metadata"]["tags"]
            for cell, was in zip(new["cells"], old["cells"], strict=True)
            if cell != was
        ]
        assert changed == [[BOOTSTRAP, "remove-cell"]]
        assert new["metadata"] == old["metadata"]


def test_a_bad_address_is_one_line_and_writes_nothing(book, capsys):
    before = contents(book)
    assert main(["--root", str(book.root), "set-repository", "not-a-url"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("bookkit: the repository's address is https://github.com/")
    assert said.count("\n") == 1
    assert contents(book) == before


@pytest.mark.parametrize("name", repository.BLOCKS)
def test_a_file_without_its_markers_is_named_and_nothing_is_written(book, name):
    path = book.root / name
    begin, _ = repository._markers(name)
    path.write_text(path.read_text().replace(begin, ""))
    before = contents(book)
    with pytest.raises(ValueError, match=rf"{name} must have the line .* once"):
        repository.set_repository(book, URL, None)
    assert contents(book) == before


def test_a_notebook_without_the_cell_is_named_and_nothing_is_written(book):
    path = book.notebooks()[1]
    notebook = read_notebook(path)
    code_cells(notebook)[0]["metadata"]["tags"] = []
    path.write_text(json.dumps(notebook))
    before = contents(book)
    with pytest.raises(
        ValueError, match=rf"{path.name}: one cell has the tag 'bootstrap'"
    ):
        repository.set_repository(book, URL, None)
    assert contents(book) == before


def test_lines_between_the_markers_that_cannot_be_read_are_named(book):
    path = book.root / "_config.yml"
    path.write_text(path.read_text().replace("  branch: ", "  ref: "))
    with pytest.raises(
        ValueError, match=r"_config\.yml: between its markers stand three"
    ):
        repository.read(book)
