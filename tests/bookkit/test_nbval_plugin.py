"""The plugin: claims compared by what they claim, all else literally: pytest run on notebooks."""

import copy
import json
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from bookkit.arithmetic import GIVEN
from bookkit.book import Book, code_cells, read_notebook, source_of, write_notebook
from bookkit.kernel import PINNED, kernel_environment
from bookkit.nbval_plugin import compare_records
from dlkb.claims import MIME, Record

RECORD = {
    "id": "normalization/bn-axes",
    "part": None,
    "measured": 2.30,
    "bound": {"rule": "equal", "expected": 2.3, "tolerance": 0.05},
    "rival": 3.4,
    "passed": True,
    "interval": None,
    "cite": None,
}
TIGHT = {**RECORD, "bound": {**RECORD["bound"], "tolerance": 1e-4}}
SIDE = {
    **RECORD,
    "measured": 0.9,
    "bound": {"rule": "side", "above": 0.5, "margin": 0.0},
}


@pytest.mark.parametrize(
    ("stored", "changes"),
    [
        (RECORD, {}),
        (RECORD, {"measured": 2.34}),  # within the tolerance of 0.05
        (RECORD, {"rival": 3.42}),  # within 1 percent
        (SIDE, {"measured": 0.908}),  # within 1 percent
        (
            RECORD,
            {"bound": {"rule": "equal", "expected": 2.3 + 1e-9, "tolerance": 0.05}},
        ),
    ],
)
def test_what_may_move(stored, changes):
    assert compare_records([stored], [{**stored, **changes}]) is None


@pytest.mark.parametrize(
    ("stored", "changes", "named"),
    [
        (RECORD, {"measured": 2.36}, "measured"),
        (SIDE, {"measured": 0.95}, "measured"),
        (SIDE, {"measured": "nan"}, "measured"),
        (RECORD, {"rival": 3.5}, "rival"),
        (
            TIGHT,
            {"measured": 2.3029},
            "measured",
        ),  # 1 percent is for bounds without a tolerance
        (
            RECORD,
            {"interval": {"kind": "95% t interval", "n": 8, "low": 0, "high": 1}},
            "interval",
        ),
        (RECORD, {"id": "normalization/other"}, "id"),
        (RECORD, {"part": "gradient"}, "part"),
        (RECORD, {"passed": False}, "passed"),
        (
            RECORD,
            {"bound": {"rule": "equal", "expected": 2.4, "tolerance": 0.05}},
            "bound",
        ),
        (
            RECORD,
            {"bound": {"rule": "equal", "expected": 2.3, "tolerance": 0.5}},
            "bound",
        ),
        (RECORD, {"bound": {"rule": "side", "above": 0, "margin": 0.0}}, "bound"),
    ],
)
def test_what_must_not_move(stored, changes, named):
    assert f": {named} is stored as" in compare_records(
        [stored], [{**stored, **changes}]
    )


def test_a_check_more_or_less_is_a_difference():
    assert "1 checks are stored, 0 were made" in compare_records([RECORD], [])
    assert "0 checks are stored, 1 were made" in compare_records([], [RECORD])


# ------------------------------------------------------------------------ with pytest on real notebooks


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """A notebook with a check, a print and a figure-less end, executed by papermill."""
    import papermill

    sources = [
        "from dlkb.claims import check\nimport time",
        "check('normalization/bn-axes', measured=1.0, expected=1, atol=0.1, rival=2)\nprint('beside')",
        "print('literal')",
    ]
    path = tmp_path_factory.mktemp("nbval") / "a.ipynb"
    cells = [
        {
            "cell_type": "code",
            "id": f"c{i}",
            "source": s,
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        for i, s in enumerate(sources)
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    book = {
        "cells": cells,
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(book))
    with kernel_environment(Book()):
        papermill.execute_notebook(
            path, path, progress_bar=False, shutdown_kernel="immediate"
        )
    return read_notebook(path)


def edited(notebook, edit):
    notebook = copy.deepcopy(notebook)
    edit(code_cells(notebook))
    return notebook


def _stored(cells, **changes):
    """Change the stored record, and what the page shows of it."""
    data = cells[1]["outputs"][0]["data"]
    data.update(Record(**{**data[MIME], **changes})._repr_mimebundle_())


def _moved_a_little(cells):
    _stored(cells, measured=1.05)


def _other_words(cells):
    cells[1]["outputs"][0]["data"]["text/html"] = "measured 42"


def _moved_too_far(cells):
    _stored(cells, measured=1.2)


def _rival_moved(cells):
    _stored(cells, rival=2.5)


def _other_text_beside(cells):
    cells[1]["outputs"][1]["text"] = "something else\n"


def _other_text(cells):
    cells[2]["outputs"][0]["text"] = "something else\n"


def _check_removed(cells):
    cells[1]["outputs"].pop(0)


def _code_breaks_the_bound(cells):
    cells[1]["source"] = source_of(cells[1]).replace("measured=1.0", "measured=1.5")


def _nothing(cells):
    """The notebook as it was executed."""


HERE = "0123456789abcdef"
MAY_DIFFER = (_nothing, _moved_a_little)
DIFFERS = {
    _moved_too_far: "measured is stored as 1.2, and was 1.0",
    _rival_moved: "rival is stored as 2.5, and was 2",
    _other_words: "its text/html is stored as 'measured 42'",
    _other_text_beside: "mismatch 'stdout'",
    _other_text: "mismatch 'stdout'",
    _check_removed: "0 checks are stored, 1 were made",
    _code_breaks_the_bound: "the measurement breaks its bound",
}
DIGITS = (_moved_too_far, _other_text, _rival_moved)  # and no bound
EVERY = [(edit, None) for edit in (*MAY_DIFFER, *DIFFERS)]
EVERY += [(edit, "another") for edit in (*DIGITS, _code_breaks_the_bound)]
EVERY += [(_other_text, HERE)]


@pytest.fixture(scope="module")
def said(executed, tmp_path_factory):
    """What one run of pytest said of each edited notebook: by edit and arithmetic, words for each cell, empty
    where it passed. One run, since starting pytest takes longer than such a notebook."""
    folder = tmp_path_factory.mktemp("edited")
    for number, (edit, arithmetic) in enumerate(EVERY):
        notebook = edited(executed, edit)
        if arithmetic:
            notebook["metadata"]["dlkb"] = {"arithmetic": arithmetic}
        write_notebook(folder / f"n{number}.ipynb", notebook)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "bookkit.nbval_plugin"]
    command += ["--nbval", "--nbval-current-env", "--color=no", "--junitxml=found.xml"]
    command += ["-c", str(Book().root / "pyproject.toml"), str(folder)]
    with kernel_environment(Book(), PINNED | {GIVEN: HERE}):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    found = {case: [] for case in EVERY}
    for cell in ElementTree.parse(folder / "found.xml").iter("testcase"):
        number = int(re.search(r"n(\d+)\.ipynb", cell.get("classname"))[1])
        words = "".join(part.text or "" for part in cell)
        found[EVERY[number]].append(words)
    return found


@pytest.mark.parametrize("edit", MAY_DIFFER)
def test_executed_again_it_passes_and_a_number_may_move_within_the_tolerance(
    said, edit
):
    assert said[edit, None] == ["", "", ""]


@pytest.mark.parametrize("edit", DIFFERS)
def test_what_differs_fails_and_says_so(said, edit):
    of_cells = said[edit, None]
    assert len(of_cells) == 3
    assert DIFFERS[edit] in "".join(of_cells)


@pytest.mark.parametrize("edit", DIGITS)
def test_outputs_of_another_arithmetic_are_not_compared(said, edit):
    """Fails if the plugin compares digits that this processor cannot give."""
    assert said[edit, "another"] == ["", "", ""]


def test_outputs_of_another_arithmetic_must_keep_the_bounds(said):
    first, second, third = said[_code_breaks_the_bound, "another"]
    assert (first, third) == ("", "")
    assert "the measurement breaks its bound" in second


def test_outputs_of_this_arithmetic_are_compared(said):
    first, second, third = said[_other_text, HERE]
    assert (first, second) == ("", "")
    assert "mismatch 'stdout'" in third
