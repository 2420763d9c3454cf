"""Which notebooks' mutations have been seen caught: kept on record, so that only what changed is tried again.

Trying a mutation runs a notebook once more; doing it for a whole book would take an hour. What was seen is
kept in ``tests/<chapter>/caught.json``, one digest for each notebook. A digest covers all that can change
the outcome: the notebook's fingerprint, its mutations, and the program that tries them. The unit tests try
every notebook whose digest is not on record; the weekly run tries all.
"""

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from bookkit import mutation
from bookkit.book import Book, read_notebook, write_text
from bookkit.fresh import Fingerprints
from bookkit.kernel import kernel_environment
from bookkit.ledger import collect_checks
from bookkit.mutation import Mutation, uncaught


def mutations_of(book: Book) -> dict[str, list[Mutation]]:
    """The mutations of each notebook's checks, by the notebook's name without .ipynb.

    Raises: ValueError: if a mutation's check is in no notebook.
    """
    notebooks: dict[str, list[Mutation]] = {}
    where = {check.key: check.notebook for check in collect_checks(book)}
    for check in where.values():
        notebooks.setdefault(check, [])
    for path in sorted((book.root / "tests").glob("*/mutations.py")):
        for own in _load(path):
            if own.check not in where:
                raise ValueError(f"no notebook has an executed check {own.check!r}")
            notebooks[where[own.check]].append(own)
    return notebooks


def not_on_record(book: Book, mutations: dict[str, list[Mutation]]) -> list[str]:
    """Names of the notebooks whose mutations, as they are now, were not yet seen caught."""
    fingerprints = Fingerprints(book)
    return [
        name
        for name, own in mutations.items()
        if _record(book, name).get(_stem(name))
        != _digest(book, fingerprints, name, own)
    ]


def mutate(book: Book, force: bool = False) -> int:
    """Try the mutations of the notebooks that are not on record (of all, with ``force``), in parallel.

    A notebook goes on record the moment all its mutations were caught. Returns: how many were not.
    """
    every = mutations_of(book)
    names = list(every) if force else not_on_record(book, every)
    fingerprints = Fingerprints(book)
    digests = {n: _digest(book, fingerprints, n, every[n]) for n in names}
    failed = 0
    with (
        kernel_environment(book),
        ThreadPoolExecutor(os.cpu_count() or 1) as pool,
    ):
        futures = {pool.submit(_try, book, name): name for name in names}
        for future in as_completed(futures):
            name = futures[future]
            if future.result():
                failed += 1
                print(f"NOT CAUGHT in {name}:\n{future.result()}", file=sys.stderr)
            else:
                _put_on_record(book, name, digests[name])
                print(f"{len(every[name]):4} caught  {name}", flush=True)
    print(f"{len(names)} notebooks tried, {failed} failed, {len(every)} in all")
    return failed


def main(root: str, name: str) -> int:
    """Try one notebook's mutations in this process; print those that no check noticed."""
    book = Book(Path(root))
    left = uncaught(book, mutations_of(book)[name])
    print("\n".join(left), end="")
    return 0


def _try(book: Book, name: str) -> str:
    """What was not caught, in words; empty if all was."""
    program = "import sys; from bookkit.caught import main; main(*sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", program, str(book.root), name],
        capture_output=True,
        text=True,
    )
    return done.stdout or (done.stderr if done.returncode else "")


def _load(path: Path) -> list[Mutation]:
    spec = importlib.util.spec_from_file_location(
        f"mutations_of_{path.parent.name}", path
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.MUTATIONS


def _digest(
    book: Book, fingerprints: Fingerprints, name: str, own: list[Mutation]
) -> str:
    path = book.root / f"{name}.ipynb"
    told = [fingerprints.of(path, read_notebook(path))]
    told += sorted(map(repr, own))
    told.append(Path(mutation.__file__).read_text("utf-8"))
    return hashlib.sha256("\0".join(told).encode()).hexdigest()[:16]


def _file(book: Book, name: str) -> Path:
    chapter = name.split("/")[1].replace(
        "-", "_"
    )  # a folder that Python can import from
    return book.root / "tests" / chapter / "caught.json"


def _stem(name: str) -> str:
    return name.rpartition("/")[2]


def _record(book: Book, name: str) -> dict[str, str]:
    file = _file(book, name)
    return json.loads(file.read_text("utf-8")) if file.is_file() else {}


def _put_on_record(book: Book, name: str, digest: str) -> None:
    record = _record(book, name) | {_stem(name): digest}
    text = json.dumps(record, indent=1, sort_keys=True) + "\n"
    write_text(_file(book, name), text)
