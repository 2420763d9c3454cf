"""What the executed notebooks prove: every check found in their stored outputs, set against the claims.

Only outputs are read, never source text: what was not executed does not count.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bookkit.book import Book, code_cells, read_notebook
from dlkb.claims import MIME, Claim, Record


@dataclass(frozen=True)
class Check:
    """One check's record, and the notebook it stands in (name within the book, without .ipynb)."""

    record: Record
    notebook: str

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def key(self) -> str:
        return self.record.key

    @property
    def label(self) -> str:
        """Name of the place in the notebook where the check stands."""
        return check_label(self.record)


def check_label(record: Record) -> str:
    return "check-" + _slug(record.key)


def claim_label(id: str) -> str:
    """Name of the claim's row in the ledger."""
    return "claim-" + _slug(id)


def collect_checks(book: Book) -> list[Check]:
    """Every check in the stored outputs, in reading order."""
    checks = []
    for path in book.notebooks():
        name = book.name(path).removesuffix(".ipynb")
        for record in records_of(read_notebook(path)):
            checks.append(Check(record, name))
    return checks


def records_of(notebook: Mapping) -> list[Record]:
    """The check records among a notebook's outputs, in order."""
    outputs = (output for cell in code_cells(notebook) for output in cell["outputs"])
    return [Record(**o["data"][MIME]) for o in outputs if MIME in o.get("data", {})]


def problems(claims: Mapping[str, Claim], checks: Iterable[Check]) -> list[str]:
    """What is wrong between the claims and the checks, in words; empty when all is well."""
    checks = list(checks)
    notebooks = defaultdict(set)
    for check in checks:
        notebooks[check.id].add(check.notebook)
    found = [
        f"claim {id} has no executed check" for id in claims if id not in notebooks
    ]
    found += [
        f"check {id} in {min(where)} has no claim"
        for id, where in notebooks.items()
        if id not in claims
    ]
    found += [
        f"claim {id} is checked in {len(where)} notebooks: {', '.join(sorted(where))}; choose one"
        for id, where in notebooks.items()
        if len(where) > 1
    ]
    keys = Counter(check.key for check in checks)
    labels = Counter(
        check_label(check.record) for check in checks if keys[check.key] == 1
    )
    found += [
        f"check {key} stands {n} times; name its parts"
        for key, n in keys.items()
        if n > 1
    ]
    found += [
        f"the address {label} stands for {n} checks; name their parts more differently"
        for label, n in labels.items()
        if n > 1
    ]
    found += [
        f"check {check.key} is stored as not passed"
        for check in checks
        if not check.record.passed
    ]
    return found


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
