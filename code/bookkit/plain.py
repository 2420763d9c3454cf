"""Run notebooks as plain Python: on a machine with a GPU and without Jupyter, where only the bounds count.

    python -m bookkit plain [NAMES] --device cuda

Every cell runs, also after one has failed; each check prints what it measured there.
"""

import subprocess
import sys
import time
import traceback
from pathlib import Path

from bookkit.book import Book, code_cells, read_notebook, source_of
from bookkit.execute import choose
from bookkit.kernel import kernel_environment


def run(book: Book, names: list[str] | None, device: str) -> int:
    """Run notebooks one after the other, each in a process of its own; return how many failed.

    Args:
        names: parts of notebooks' names, to choose among them; None for all.
        device: a torch device, such as cuda.
    Raises: ValueError: if a name fits no notebook.
    """
    failed = 0
    program = "import sys; from bookkit.plain import run_cells; sys.exit(run_cells(sys.argv[1]))"
    with kernel_environment(book, {"DLKB_DEVICE": device, "MPLBACKEND": "Agg"}):
        for path in choose(book, names):
            print(f"\n=== {book.name(path)}", flush=True)
            started = time.perf_counter()
            status = subprocess.call(
                [sys.executable, "-c", program, str(path)], cwd=path.parent
            )
            failed += status != 0
            word = "FAILED" if status else "all bounds kept"
            print(f"=== {word}, {time.perf_counter() - started:.1f} s", flush=True)
    return failed


def run_cells(path: str) -> int:
    """Run the cells of one notebook in this process; print what raised, and return 1 if anything did."""
    namespace: dict = {"__name__": "__main__"}
    status = 0
    for number, cell in enumerate(code_cells(read_notebook(Path(path))), start=1):
        try:
            exec(compile(source_of(cell), f"<cell {number}>", "exec"), namespace)
        except Exception:  # the next cells may still say something
            print(f"cell [{number}]: {traceback.format_exc(limit=-1)}", flush=True)
            status = 1
    return status
