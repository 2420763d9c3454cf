"""Execute stale notebooks in parallel and store their outputs.

papermill runs a scratch copy; outputs and execution counts alone are copied back, with the fingerprint,
seconds, device and versions. A notebook is written beside and renamed the moment it is done, so nothing
finished is lost and nothing half-done is kept, whenever the run is interrupted.
"""

import datetime
import os
import platform
import re
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from bookkit.arithmetic import this_processor
from bookkit.book import Book, code_cells, read_notebook, write_notebook
from bookkit.fresh import Fingerprints, runtime_pins, stale_notebooks
from bookkit.kernel import kernel_environment

ANSI = re.compile(r"\x1b\[[0-9;]*m")


class CellError(Exception):
    """A cell raised: which notebook, which cell, what."""


def execute(
    book: Book,
    names: list[str] | None = None,
    force: bool = False,
    jobs: int | None = None,
) -> int:
    """Execute the stale notebooks (all, with ``force``), longest first; return the number that failed.

    Args:
        names: parts of notebooks' names, to choose among them; None for all.
        jobs: kernels at once; None for one a core.
    Raises: ValueError: if a name fits no notebook.
    """
    started = time.perf_counter()
    chosen = choose(book, names)
    fingerprints = Fingerprints(book)
    stale = (
        set(chosen) if force else set(stale_notebooks(book, fingerprints)) & set(chosen)
    )
    if not stale:
        print(f"{len(chosen)} notebooks, none stale: nothing to execute")
        return 0
    check_installed(book)
    seconds_before = {path: _seconds(path) for path in stale}
    queue = sorted(stale, key=lambda path: (-seconds_before[path], path))

    failures = []
    from tqdm import tqdm

    with (
        kernel_environment(book),
        ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool,
        tqdm(total=len(queue), unit="notebook", file=sys.stderr) as bar,
    ):
        futures = {
            pool.submit(execute_one, book, path, fingerprints): path for path in queue
        }
        for future in as_completed(futures):
            name = book.name(futures[future])
            try:
                bar.write(f"{future.result():6.1f} s  {name}", file=sys.stderr)
            except Exception as error:  # one bad notebook must not hide the others
                failures.append(
                    str(error) if isinstance(error, CellError) else f"{name}: {error!r}"
                )
                bar.write(f"FAILED    {name}", file=sys.stderr)
            bar.update()
    seconds = time.perf_counter() - started
    print(
        f"{len(queue) - len(failures)} executed, {len(failures)} failed, {seconds:.1f} s"
    )
    for failure in failures:
        print(f"\n{failure}", file=sys.stderr)
    return len(failures)


def check_installed(book: Book) -> None:
    """The outputs of a notebook belong to the pinned versions: refuse others.

    Raises: ValueError: naming what is installed, what is pinned, and the command that repairs it.
    """
    pins: dict[str, list[str]] = {}  # a lock may pin one version for each Python
    for pin in runtime_pins(book):
        name, version = pin.split("==")
        pins.setdefault(name, []).append(version)
    wrong = [
        f"{name} {_version(name)} instead of {' or '.join(versions)}"
        for name, versions in pins.items()
        if _version(name) not in versions
    ]
    if wrong:
        found = ", ".join(wrong)
        raise ValueError(
            f"outputs are made with the pinned versions: got {found}; run `make execute`"
        )


def execute_one(book: Book, path: Path, fingerprints: Fingerprints) -> float:
    """Execute one notebook and store what came out; return its seconds, kernel start included.

    Raises: CellError: if a cell raises or the notebook stops early; it then stays as it was.
    """
    import papermill

    fingerprint = fingerprints.of(path, read_notebook(path))
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / path.name
        started = time.perf_counter()
        try:
            papermill.execute_notebook(
                *(path, copy),
                kernel_name="python3",
                cwd=path.parent,
                progress_bar=False,
                log_output=False,
                # Asked politely, ipykernel 7 takes 2.6 s to stop, every other time.
                shutdown_kernel="immediate",
            )
        except papermill.PapermillExecutionError as error:
            traceback = ANSI.sub("", "\n".join(error.traceback))
            message = f"{error.ename}: {error.evalue}"
            shown = (
                message if error.ename == "CheckFailed" else f"{traceback}\n{message}"
            )
            raise CellError(
                f"{book.name(path)}, cell [{error.exec_count}]:\n{error.source}\n{shown}"
            ) from error
        seconds = time.perf_counter() - started
        executed = read_notebook(copy)
    unfinished = [
        n
        for n, c in enumerate(code_cells(executed), start=1)
        if not c["execution_count"]
    ]
    if unfinished:
        raise CellError(
            f"{book.name(path)} stopped before cell [{unfinished[0]}], without an error"
        )
    notebook = read_notebook(path)  # prose may have been edited meanwhile
    if fingerprints.of(path, notebook) != fingerprint:
        raise CellError(
            f"{book.name(path)} was edited while it was executed: execute it again"
        )
    _store(notebook, executed, fingerprint, seconds)
    write_notebook(path, notebook)
    return seconds


def _store(notebook: dict, executed: dict, fingerprint: str, seconds: float) -> None:
    # papermill adds no code cell of its own, since no parameter is passed.
    pairs = zip(code_cells(notebook), code_cells(executed), strict=True)
    for count, (cell, done) in enumerate(pairs, start=1):
        cell["outputs"] = [_clean(output, count) for output in done["outputs"]]
        cell["execution_count"] = count
    notebook["metadata"]["dlkb"] = {
        "fingerprint": fingerprint,
        "executed": datetime.date.today().isoformat(),
        "seconds": round(seconds, 1),
        "device": os.environ["DLKB_DEVICE"],
        "python": platform.python_version(),
        "torch": _version("torch"),
        "arithmetic": this_processor(),
    }


def _clean(output: dict[str, Any], count: int) -> dict[str, Any]:
    if output["output_type"] == "execute_result":
        output["execution_count"] = count
    return output


def _version(package: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"


def _seconds(path: Path) -> float:
    return read_notebook(path)["metadata"].get("dlkb", {}).get("seconds", float("inf"))


def choose(book: Book, names: list[str] | None) -> list[Path]:
    """The notebooks whose names contain one of ``names``; all if none is given.

    Raises: ValueError: if a name fits no notebook.
    """
    every = book.notebooks()
    if not names:
        return every
    for name in names:
        if not any(name in book.name(path) for path in every):
            raise ValueError(
                f"no notebook's name contains {name!r}; there are {[book.name(p) for p in every]}"
            )
    return [path for path in every if any(name in book.name(path) for name in names)]
