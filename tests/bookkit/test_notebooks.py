"""Rules for every notebook of the book, whoever wrote it."""

import json
import re
import statistics

import pytest
import yaml

from bookkit import repository
from bookkit.book import Book, code_cells, read_notebook, source_of, tags_of
from bookkit.fresh import BOOTSTRAP, stale_notebooks
from bookkit.ledger import collect_checks, problems
from bookkit.proof import RELAXING_TAGS, relaxations
from dlkb.claims import load_claims

BOOK = Book()
NOTEBOOKS = BOOK.notebooks()
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=BOOK.name)
KNOWN_TAGS = {
    *RELAXING_TAGS,
    BOOTSTRAP,
    "parameters",
    "remove-cell",
    "hide-cell",
    "hide-input",
}


def test_there_are_notebooks():
    assert NOTEBOOKS


def test_no_stored_output_is_stale():
    stale = {BOOK.name(path): why for path, why in stale_notebooks(BOOK).items()}
    assert not stale, f"run `make execute`: {stale}"


def test_claims_and_checks_match_one_to_one():
    found = problems(load_claims(), collect_checks(BOOK))
    assert not found, "\n".join(found)


def test_tags_and_comments_that_relax_are_found(small_book, code_cell):
    small_book.add(
        "a",
        code_cell("1", tags=["nbval-ignore-output"], reason="a clock"),
        "# NBVAL_SKIP\n2",
        "x = 1  # NBVAL_IGNORE_OUTPUT",
        "3",
    )
    found = [(r.cell, r.tag, r.reason) for r in relaxations(small_book)]
    assert found == [
        (1, "nbval-ignore-output", "a clock"),
        (2, "NBVAL_SKIP", ""),
        (3, "NBVAL_IGNORE_OUTPUT", ""),
    ]


def test_each_relaxed_comparison_has_its_reason():
    found = relaxations(BOOK)
    print(f"{len(found)} cells are compared less strictly", *found, sep="\n")
    for item in found:
        assert item.reason, (
            f"{item.notebook}, cell [{item.cell}]: {item.tag} needs metadata 'reason'"
        )
        assert "skip" not in item.tag.lower(), (
            f"{item.notebook}, cell [{item.cell}]: no cell is skipped"
        )


@every_notebook
def test_each_code_cell_was_executed_in_order(path):
    """nbval does not compare a cell without a count."""
    counts = [cell["execution_count"] for cell in code_cells(read_notebook(path))]
    assert counts == list(range(1, len(counts) + 1))


@every_notebook
def test_no_output_is_an_error_a_warning_or_a_path_of_one_machine(path):
    for number, cell in enumerate(code_cells(read_notebook(path)), start=1):
        for output in cell["outputs"]:
            where = f"{BOOK.name(path)}, cell [{number}]"
            assert output["output_type"] != "error", where
            assert output.get("name") != "stderr", f"{where}: {output.get('text')}"
            text = re.sub(r'"image/\w+": "[^"]*"', "", json.dumps(output))
            assert not re.search(r"(?<![\w.])/(home|root|tmp|work|Users|mnt)/", text), (
                where
            )


@every_notebook
def test_the_first_cells_are_title_bootstrap_and_parameters(path):
    cells = read_notebook(path)["cells"]
    assert cells[0]["cell_type"] == "markdown"
    assert re.match(r"# .+\?", source_of(cells[0])), "the title is a question"
    code = code_cells(read_notebook(path))
    assert tags_of(code[0]) == [BOOTSTRAP, "remove-cell"]
    assert tags_of(code[1]) == ["parameters"]
    names = [line.split(" = ")[0] for line in source_of(code[1]).splitlines()]
    assert names == ["device", "seed", "budget"]


@every_notebook
def test_the_bootstrap_cell_is_the_same_in_every_notebook(path):
    """test_bootstrap.py rehearses it."""
    now = repository.bootstrap(repository.read(BOOK))
    assert source_of(code_cells(read_notebook(path))[0]) == now, (
        f"{BOOK.name(path)}: run `make set-repository`"
    )


@every_notebook
def test_length_is_for_one_sitting(path):
    code = [
        c for c in code_cells(read_notebook(path)) if "remove-cell" not in tags_of(c)
    ]
    assert 10 <= len(code) <= 25
    assert max(len(source_of(cell).splitlines()) for cell in code) <= 20
    assert statistics.median(len(source_of(cell).splitlines()) for cell in code) <= 10


@every_notebook
def test_cells_reach_the_package_by_import_statements_only(path):
    """What else would bring code in is not seen by the fingerprint."""
    for cell in code_cells(read_notebook(path)):
        if BOOTSTRAP not in tags_of(cell):
            assert not re.search(
                r"\bimportlib\b|__import__|\bexec\(|^\s*%(?!xmode)",
                source_of(cell),
                re.MULTILINE,
            )
    assert not list(path.parent.glob("*.py"))


@every_notebook
def test_each_check_is_announced_by_its_claim(path):
    """The text above a check names its claim."""
    said = ""
    for cell in read_notebook(path)["cells"]:
        text = source_of(cell)
        if cell["cell_type"] == "markdown":
            said += text
        for id in re.findall(
            r'check\(\s*"([^"]+)"', text if cell["cell_type"] == "code" else ""
        ):
            assert id in said, (
                f"{BOOK.name(path)}: the text above the check does not name {id}"
            )


@every_notebook
def test_each_figure_has_alt_text_a_title_and_a_sentence_after_it(path):
    cells = read_notebook(path)["cells"]
    for cell, following in zip(cells, [*cells[1:], None], strict=True):
        pictures = [
            o for o in cell.get("outputs", []) if "image/png" in o.get("data", {})
        ]
        if pictures:
            alt = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt) >= 60, (
                f"{BOOK.name(path)}: say what the figure shows: {alt!r}"
            )
            assert "title" in source_of(cell), (
                f"{BOOK.name(path)}: a figure's message is its title"
            )
            assert following["cell_type"] == "markdown", (
                f"{BOOK.name(path)}: say what to see"
            )


@every_notebook
def test_exercises_have_folded_executed_solutions(path):
    cells = read_notebook(path)["cells"]
    text = "\n".join(source_of(c) for c in cells if c["cell_type"] == "markdown")
    exercises = text.partition("## Exercises")[2]
    count = len(re.findall(r"^\*\*\d+\.\*\*", exercises, flags=re.MULTILINE))
    solutions = [
        c for c in code_cells(read_notebook(path)) if "hide-cell" in tags_of(c)
    ]
    assert 2 <= count <= 4
    assert len(solutions) == count
    assert all(cell["outputs"] for cell in solutions)


@every_notebook
def test_tags_are_known(path):
    for cell in code_cells(read_notebook(path)):
        assert set(tags_of(cell)) <= KNOWN_TAGS


@every_notebook
def test_every_notebook_is_in_the_table_of_contents(path):
    toc = (BOOK.root / "_toc.yml").read_text()
    assert BOOK.name(path).removesuffix(".ipynb") in toc


def test_nothing_is_defined_in_two_notebooks():
    homes = {}
    for path in NOTEBOOKS:
        for cell in code_cells(read_notebook(path)):
            for name in re.findall(
                r"^(?:def|class) (\w+)", source_of(cell), flags=re.MULTILINE
            ):
                homes.setdefault(name, set()).add(path.name)
    assert not {name: where for name, where in homes.items() if len(where) > 1}


def test_each_topic_has_one_name_everywhere():
    claims = {path.stem for path in BOOK.claims.glob("*.yml")}
    chapters = {path.parent.name for path in BOOK.chapters.glob("*/index.md")}
    folders = {
        path.parent.name.replace("_", "-")
        for path in BOOK.package.glob("*/__init__.py")
    }
    tests = {
        path.parent.name.replace("_", "-")
        for path in (BOOK.root / "tests").glob("*/mutations.py")
    }
    assert claims == chapters == folders == tests


def test_cited_sources_are_in_the_bibliography():
    known = set(
        re.findall(
            r"^@\w+\{([^,]+),",
            (BOOK.root / "references.bib").read_text(),
            flags=re.MULTILINE,
        )
    )
    for path in BOOK.claims.glob("*.yml"):
        for entry in yaml.safe_load(path.read_text()):
            assert set(entry["sources"]) <= known, entry["id"]
    assert {check.record.cite for check in collect_checks(BOOK)} - {None} <= known
