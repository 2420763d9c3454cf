"""nbval, with claims compared by what they claim.

Everything in a notebook's outputs is compared literally by nbval, except a check's record: there the claim,
its part, bound and verdict must be the same, and the measured number may move within the bound's own
tolerance, or by 1 percent where the bound has none. Use: ``pytest -p bookkit.nbval_plugin --nbval ...``.
"""

import math

import pytest
from nbval.plugin import IPyNbCell, IPyNbFile

MIME = "application/vnd.dlkb.claim+json"


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path, parent):
    collected = yield
    return [
        BookNotebook.from_parent(parent, path=file_path)
        if isinstance(c, IPyNbFile)
        else c
        for c in collected
    ]


class BookNotebook(IPyNbFile):
    def collect(self):
        for cell in super().collect():
            yield BookCell.from_parent(
                self,
                name=cell.name,
                cell_num=cell.cell_num,
                cell=cell.cell,
                options=cell.options,
            )


class BookCell(IPyNbCell):
    def compare_outputs(self, test, ref, skip_compare=None):
        now, stored = _records(test), _records(ref)
        difference = compare_records(stored, now)
        if difference:
            self.comparison_traceback = [difference]
            return False
        return super().compare_outputs(_others(test), _others(ref), skip_compare)


def compare_records(stored: list[dict], now: list[dict]) -> str | None:
    """What differs between two lists of check records, or None."""
    if len(stored) != len(now):
        return f"{len(stored)} checks are stored, {len(now)} were made"
    for old, new in zip(stored, now, strict=True):
        for key in ("id", "part", "bound", "passed", "cite"):
            if not _alike(old.get(key), new.get(key), relative=1e-6):
                return f"{old['id']}: {key} is stored as {old.get(key)}, and was {new.get(key)}"
        tolerance = old["bound"].get("tolerance", 0)
        if not _alike(
            old["measured"], new["measured"], relative=0.01, absolute=tolerance
        ):
            return f"{old['id']}: measured is stored as {old['measured']}, and was {new['measured']}"
    return None


def _alike(a, b, relative: float, absolute: float = 0) -> bool:
    """Equal, with numbers inside compared to a tolerance."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(
            _alike(a[k], b[k], relative, absolute) for k in a
        )
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(
            _alike(x, y, relative, absolute) for x, y in zip(a, b, strict=True)
        )
    if isinstance(a, int | float) and isinstance(b, int | float):
        return math.isclose(a, b, rel_tol=relative, abs_tol=absolute)
    return a == b


def _records(outputs) -> list[dict]:
    return [o["data"][MIME] for o in outputs if MIME in o.get("data", {})]


def _others(outputs) -> list:
    return [o for o in outputs if MIME not in o.get("data", {})]
