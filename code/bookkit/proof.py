"""Everything that CI checks, in four parts: style, unit tests, notebooks, site."""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bookkit.arithmetic import GIVEN, is_of_other_arithmetic, this_processor
from bookkit.book import Book, code_cells, read_notebook, source_of, tags_of
from bookkit.fresh import stale_notebooks
from bookkit.kernel import FOREIGN, PINNED, kernel_environment

SITE = "tests/site"
RELAXING_TAGS = ("nbval-ignore-output", "nbval-skip")


@dataclass(frozen=True)
class Relaxation:
    """A cell whose outputs are compared less strictly than the others', and why."""

    notebook: str
    cell: int
    tag: str
    reason: str


def relaxations(book: Book) -> list[Relaxation]:
    """Every cell with a tag or comment that relaxes nbval; the reason stands in the cell's metadata."""
    found = []
    for path in book.notebooks():
        for number, cell in enumerate(code_cells(read_notebook(path)), start=1):
            marks = [tag for tag in tags_of(cell) if tag in RELAXING_TAGS]
            marks += re.findall(r"#\s*((?:NBVAL|PYTEST_VALIDATE)_\w+)", source_of(cell))
            reason = cell["metadata"].get("reason", "")
            found += [
                Relaxation(book.name(path), number, mark, reason) for mark in marks
            ]
    return found


def run(book: Book, only: str | None = None) -> int:
    """Run all parts (or one), also after one has failed; return 0 if all passed.

    The site's tests are one process: they run beside the other parts, and what they print comes last.
    """
    parts = {"style": _style, "unit": _unit, "notebooks": run_notebooks}
    outcome = {}
    with contextlib.ExitStack() as stack:
        if only is None:
            parts["site"] = stack.enter_context(_site_beside(book))
        else:
            parts = {only: (parts | {"site": _site})[only]}
        for name, part in parts.items():
            print(f"\n=== {name} ===", flush=True)
            started = time.perf_counter()
            outcome[name] = part(book)
            print(f"=== {name}: {time.perf_counter() - started:.0f} s", flush=True)
    failed = [name for name, status in outcome.items() if status]
    if failed:
        print(f"\nFAILED: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


@contextlib.contextmanager
def _site_beside(book: Book) -> Iterator[Callable[[Book], int]]:
    """Start the site's tests; yields what waits for them, prints what they said, and returns their status."""
    started = time.perf_counter()
    with kernel_environment(book), tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            _pytest_command(SITE),
            cwd=book.root,
            stdout=said,
            stderr=subprocess.STDOUT,
        )

        def finish(book: Book) -> int:
            status = process.wait()
            said.seek(0)
            print(said.read(), end="")
            seconds = time.perf_counter() - started
            print(f"(begun {seconds:.0f} s ago, beside the other parts)")
            return status

        try:
            yield finish
        finally:
            process.terminate()  # does nothing where it has ended
            process.wait()


def _style(book: Book) -> int:
    return _ruff(book, "check", ".") | _ruff(book, "format", "--check", ".")


def _unit(book: Book) -> int:
    return _pytest(book, "code", "tests", f"--ignore={SITE}", "-n", _workers())


def _site(book: Book) -> int:
    return _pytest(book, SITE)


def run_notebooks(book: Book, foreign: bool = False) -> int:
    """Execute every notebook again and compare: one kernel a notebook, one notebook a core.

    Args:
        foreign: compute as another processor would; then only the bounds of the checks count.
    """
    status = 0 if foreign else _report_staleness(book) | _report_arithmetic(book)
    arguments = ["chapters", "-p", "bookkit.nbval_plugin", "--nbval-current-env"]
    arguments += [
        "--nbval-lax" if foreign else "--nbval",
        "-n",
        _workers(),
        "--dist",
        "loadscope",
    ]
    pinned = FOREIGN if foreign else PINNED | {GIVEN: this_processor()}
    return status | _pytest(book, *arguments, pinned=pinned)


def _report_staleness(book: Book) -> int:
    found = relaxations(book)
    print(
        f"{len(book.notebooks())} notebooks; {len(found)} cells compared less strictly"
    )
    for item in found:
        print(f"  {item.notebook}, cell [{item.cell}], {item.tag}: {item.reason}")
    stale = stale_notebooks(book)
    for path, reason in stale.items():
        print(
            f"STALE: {book.name(path)}: {reason}; run `make execute`", file=sys.stderr
        )
    return 1 if stale else 0


def _report_arithmetic(book: Book) -> int:
    """Say which notebooks this processor cannot compare digit by digit; that is no failure."""
    notebooks = {book.name(path): read_notebook(path) for path in book.notebooks()}
    other = [name for name, nb in notebooks.items() if is_of_other_arithmetic(nb)]
    if other:
        print(
            f"{len(other)} notebooks were executed on a processor that computes other bits than this one; "
            f"only their bounds are compared: {', '.join(other)}"
        )
    return 0


def _pytest(book: Book, *arguments: str, pinned: dict[str, str] = PINNED) -> int:
    with kernel_environment(book, pinned):
        return subprocess.call(_pytest_command(*arguments), cwd=book.root)


def _pytest_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest", "-q", *arguments]


def _ruff(book: Book, *arguments: str) -> int:
    return subprocess.call([sys.executable, "-m", "ruff", *arguments], cwd=book.root)


def _workers() -> str:
    return str(os.cpu_count() or 1)
