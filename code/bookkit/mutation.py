"""Make a small wrong change, run the notebook, and see its check raise.

A check that no wrong change can trip proves nothing. Each check has at least one mutation, in
``tests/<chapter>/mutations.py``: a text in a module of the package, or in the notebook itself (the data),
replaced by the nearest mistake.
"""

import importlib
import importlib.abc
import importlib.util
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bookkit.book import Book, code_cells, read_notebook, source_of
from bookkit.ledger import collect_checks
from dlkb.claims import CheckFailed

NOTEBOOK = "notebook"
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


def is_caught(book: Book, mutation: Mutation) -> bool:
    """Run the notebook of the check with the mutation; True if that check raises.

    The measurement must break the bound: a mutation that only spoils the rival proves nothing. Another
    check may raise before it: the run goes on with the next cell.
    Raises: ValueError: if the check is in no notebook, or the text to replace is not there exactly once.
        Whatever else a cell raises: a crash is no check.
    """
    where = {check.key: check.notebook for check in collect_checks(book)}
    if mutation.check not in where:
        raise ValueError(f"no notebook has an executed check {mutation.check!r}")
    notebook = read_notebook(book.root / f"{where[mutation.check]}.ipynb")
    cells = [source_of(cell) for cell in code_cells(notebook)]
    if mutation.target == NOTEBOOK:
        joined = "\0".join(cells)
        cells = _replace(mutation, joined).split("\0")
        return _run(cells, mutation.check)
    with _mutated_module(mutation):
        return _run(cells, mutation.check)


def _run(cells: list[str], key: str) -> bool:
    import matplotlib
    import torch
    from matplotlib import pyplot as plt

    # What a notebook sets for its own session ends with it.
    with (
        matplotlib.rc_context(),
        torch.random.fork_rng(devices=[]),
        torch.enable_grad(),
    ):
        try:
            return _raises(cells, key)
        finally:
            plt.close("all")


def _raises(cells: list[str], key: str) -> bool:
    namespace: dict = {"__name__": "__main__"}
    for number, cell in enumerate(cells, start=1):
        try:
            exec(compile(cell, f"<cell {number}>", "exec"), namespace)
        except CheckFailed as failure:
            if (failure.key, failure.reason) == (key, "measured"):
                return True
    return False


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
                setattr(sys.modules[parent], child, module)


def _take_out_package() -> dict:
    """Remove the package's modules, and the names under which their packages hold them."""
    names = [n for n in sys.modules if n.partition(".")[0] == "dlkb" and n not in KEPT]
    for name in names:
        parent, _, child = name.rpartition(".")
        if hasattr(sys.modules.get(parent), child):
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
