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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bookkit.book import Book, code_cells, read_notebook, source_of, write_notebook
from bookkit.fresh import Fingerprints, stale_notebooks

# One thread and one instruction set, so that other processors give the same bits.
PINNED = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OPENBLAS_CORETYPE": "Haswell",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_CBWR": "AVX2,STRICT",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "PYTHONHASHSEED": "0",
    "DLKB_DEVICE": "cpu",
}
# An older processor: even the draws of randn differ.
FOREIGN = PINNED | {
    "OPENBLAS_CORETYPE": "Nehalem",
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
}


ANSI = re.compile(r"\x1b\[[0-9;]*m")


@contextmanager
def kernel_environment(pinned: dict[str, str]) -> Iterator[dict[str, str]]:
    """Within the block, kernels start with these variables and without the user's own IPython profile,
    whose history would cost a lock and whose start-up files would change results."""
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder) / "profile_default"
        profile.mkdir()
        settings = "c.HistoryManager.enabled = False\nc.IPKernelApp.log_level = 40\n"
        (profile / "ipython_kernel_config.py").write_text(settings)
        environment = {**pinned, "IPYTHONDIR": folder}
        before = {name: os.environ.get(name) for name in environment}
        os.environ.update(environment)
        try:
            yield environment
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


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
    chosen = _choose(book, names)
    stale = set(chosen) if force else set(stale_notebooks(book)) & set(chosen)
    if not stale:
        print(f"{len(chosen)} notebooks, none stale: nothing to execute")
        return 0
    seconds_before = {path: _seconds(path) for path in stale}
    queue = sorted(stale, key=lambda path: (-seconds_before[path], path))

    fingerprints = Fingerprints(book)
    failures = []
    from tqdm import tqdm

    with (
        kernel_environment(PINNED),
        ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool,
        tqdm(total=len(queue), unit="notebook", file=sys.stderr) as bar,
    ):
        futures = {
            pool.submit(execute_one, book, path, fingerprints): path for path in queue
        }
        for future in as_completed(futures):
            path = futures[future]
            try:
                bar.write(
                    f"{future.result():6.1f} s  {book.name(path)}", file=sys.stderr
                )
            except CellError as error:
                failures.append(str(error))
                bar.write(f"FAILED    {book.name(path)}", file=sys.stderr)
            bar.update()
    seconds = time.perf_counter() - started
    print(
        f"{len(queue) - len(failures)} executed, {len(failures)} failed, {seconds:.1f} s"
    )
    for failure in failures:
        print(f"\n{failure}", file=sys.stderr)
    return len(failures)


def execute_one(book: Book, path: Path, fingerprints: Fingerprints) -> float:
    """Execute one notebook and store what came out; return its seconds, kernel start included.

    Raises: CellError: if a cell raises; the notebook then stays as it was.
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
        if source_of(cell) != source_of(done):
            raise RuntimeError(
                f"cell [{count}] was executed with another source: a fault of this program"
            )
        cell["outputs"] = [_clean(output, count) for output in done["outputs"]]
        cell["execution_count"] = count
    notebook["metadata"]["dlkb"] = {
        "fingerprint": fingerprint,
        "executed": datetime.date.today().isoformat(),
        "seconds": round(seconds, 1),
        "device": os.environ["DLKB_DEVICE"],
        "python": platform.python_version(),
        "torch": _version("torch"),
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


def _choose(book: Book, names: list[str] | None) -> list[Path]:
    every = book.notebooks()
    if not names:
        return every
    for name in names:
        if not any(name in book.name(path) for path in every):
            raise ValueError(
                f"no notebook's name contains {name!r}; there are {[book.name(p) for p in every]}"
            )
    return [path for path in every if any(name in book.name(path) for name in names)]
