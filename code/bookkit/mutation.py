"""Make a small wrong change, run the notebook, and see its check raise.

A check that no wrong change can trip proves nothing. Each check has at least one mutation, in
``tests/<chapter>/mutations.py``: a text in a module of the package, or in the notebook itself (the data),
replaced by the nearest mistake.
"""

import importlib
import importlib.abc
import importlib.util
import io
import multiprocessing
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bookkit.book import Book, code_cells, read_notebook, source_of
from bookkit.ledger import collect_checks
from dlkb.claims import CheckFailed

NOTEBOOK = "notebook"
CAUGHT = "caught"
STARTS_PROCESSES = "run_processes"
KEPT = (
    "dlkb",
    "dlkb.claims",
)  # claims are not mutated: their exception must stay the same class


@dataclass(frozen=True)
class Mutation:
    """A wrong change and the check that must notice it.

    ``check`` is ``chapter/claim`` or ``chapter/claim#part``; ``target`` a module of the package, or
    ``notebook``; ``old`` must stand there exactly once.
    """

    check: str
    target: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.check}: {self.old!r} -> {self.new!r}"


def uncaught(book: Book, mutations: Iterable[Mutation]) -> list[str]:
    """The mutations that no check notices, in words; empty if all are caught.

    The measurement must break the bound: a mutation that only spoils the rival proves nothing. Another check
    may raise before it: the run goes on with the next cell. Whatever else a cell raises is no check.
    A notebook runs once for all mutations of its own text: each is tried in a fork of the process, at the
    cell that it changes, so that what was trained before it is not trained again.
    Raises: ValueError: if a check is in no notebook, or the text to replace is not there exactly once.
    """
    where = {check.key: check.notebook for check in collect_checks(book)}
    texts: dict[str, list[Mutation]] = {}
    found = []
    for mutation in mutations:
        if mutation.check not in where:
            raise ValueError(f"no notebook has an executed check {mutation.check!r}")
        name = where[mutation.check]
        if mutation.target == NOTEBOOK:
            texts.setdefault(name, []).append(mutation)
        else:
            cells = _cells(book, name)
            with _mutated_module(mutation):
                found.append(
                    (
                        mutation,
                        _apart(lambda cells=cells, m=mutation: _raises(cells, m.check)),
                    )
                )
    for name, own in texts.items():
        found += _try_texts(_cells(book, name), own)
    return [
        f"{mutation}: {outcome}" for mutation, outcome in found if outcome != CAUGHT
    ]


def _cells(book: Book, name: str) -> list[str]:
    return [
        source_of(cell)
        for cell in code_cells(read_notebook(book.root / f"{name}.ipynb"))
    ]


def _try_texts(
    cells: list[str], mutations: list[Mutation]
) -> list[tuple[Mutation, str]]:
    """Run the notebook in a process of its own; fork at each cell that a mutation changes."""
    at: dict[int, list[tuple[Mutation, str]]] = {}
    found = []
    for mutation in mutations:
        changed = _replace(mutation, "\0".join(cells)).split("\0")
        number = next(
            i
            for i, (old, new) in enumerate(zip(cells, changed, strict=True))
            if old != new
        )
        last = max(
            i
            for i, cell in enumerate(cells)
            if mutation.check.partition("#")[0] in cell
        )
        if any(STARTS_PROCESSES in cell for cell in cells[number : last + 1]):
            # A fork of a process that has started others cannot wait for them: from the beginning, then.
            found.append(
                (mutation, _apart(lambda c=changed, m=mutation: _raises(c, m.check)))
            )
        else:
            at.setdefault(number, []).append((mutation, changed[number]))

    def run() -> list[tuple[Mutation, str]]:
        namespace: dict = {"__name__": "__main__"}
        tried = []
        for number, cell in enumerate(cells):
            for mutation, text in at.get(number, []):
                rest = [text, *cells[number + 1 :]]
                outcome = _apart(
                    lambda rest=rest, m=mutation: _raises(rest, m.check, namespace)
                )
                tried.append((mutation, outcome))
            _execute(cell, number + 1, namespace)
        return tried

    forked = _apart(run)
    if isinstance(forked, str):
        forked = [(m, f"without it: {forked}") for own in at.values() for m, _ in own]
    return found + forked


def _apart(action: Callable[[], Any]) -> Any:
    """The result of ``action``, run in a fork of this process, which is left as it was; or what it raised."""
    receive, send = multiprocessing.get_context("fork").Pipe(duplex=False)
    child = os.fork()
    if child == 0:
        import matplotlib

        matplotlib.use("Agg")
        sys.stdout = io.StringIO()
        warnings.simplefilter("ignore")  # a notebook's stored outputs show its warnings
        try:
            send.send(action())
        except (
            BaseException
        ) as error:  # it ends this process, and is reported by the other
            send.send(f"{type(error).__name__}: {error}")
        os._exit(0)
    send.close()
    try:
        return receive.recv()
    except EOFError:
        return "the process died"
    finally:
        os.waitpid(child, 0)


def _raises(cells: list[str], key: str, namespace: dict | None = None) -> str:
    """CAUGHT if the measurement of check ``key`` breaks its bound, or what happened instead."""
    namespace = {"__name__": "__main__"} if namespace is None else namespace
    last = max(
        number for number, cell in enumerate(cells) if key.partition("#")[0] in cell
    )
    for number, cell in enumerate(cells[: last + 1]):
        try:
            _execute(cell, number, namespace)
        except CheckFailed as failure:
            if (failure.key, failure.reason) == (key, "measured"):
                return CAUGHT
    return "no check noticed"


def _execute(cell: str, number: int, namespace: dict) -> None:
    exec(compile(cell, f"<cell {number}>", "exec"), namespace)


def _replace(mutation: Mutation, text: str) -> str:
    times = text.count(mutation.old)
    if times != 1:
        raise ValueError(
            f"{mutation}: the text must stand in {mutation.target} once, and stands {times} times"
        )
    return text.replace(mutation.old, mutation.new)


@contextmanager
def _mutated_module(mutation: Mutation) -> Iterator[None]:
    """Within the block, importing the package gives the mutated module; afterwards all is as before."""
    origin = Path(importlib.util.find_spec(mutation.target).origin)
    text = _replace(mutation, origin.read_text("utf-8"))
    saved = _take_out_package()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / origin.name
        file.write_text(text, "utf-8")
        finder = _OneModule(mutation.target, file)
        sys.meta_path.insert(0, finder)
        try:
            yield
        finally:
            sys.meta_path.remove(finder)
            _take_out_package()
            sys.modules.update(saved)
            for name, module in saved.items():
                parent, _, child = name.rpartition(".")
                if parent not in saved:
                    setattr(sys.modules[parent], child, module)


def _take_out_package() -> dict:
    """Remove the package's modules, and the names under which what stays holds them. (A chapter, itself
    removed, stays as it is: its name for a module may by now be that of a function.)"""
    names = [n for n in sys.modules if n.partition(".")[0] == "dlkb" and n not in KEPT]
    for name in names:
        parent, _, child = name.rpartition(".")
        if parent not in names and hasattr(sys.modules.get(parent), child):
            delattr(sys.modules[parent], child)
    return {name: sys.modules.pop(name) for name in names}


class _OneModule(importlib.abc.MetaPathFinder):
    """Finds one module in the file given."""

    def __init__(self, name: str, file: Path):
        self.name, self.file = name, file

    def find_spec(self, fullname, path=None, target=None):
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(fullname, self.file)
