"""nbval, with claims compared by what they claim.

Text in a notebook's outputs is compared literally by nbval (pictures are not: what is behind a picture
belongs in a check or a printed table). A check's record is compared by meaning: claim, part, bound and
verdict must be the same; the measured number may move within the bound's own tolerance, or by 1 percent
where it has none; the interval and the rival by that or 1 percent. What the page shows of it must be what
the record gives. A notebook executed where the arithmetic was another (``bookkit.arithmetic``) is not
compared: there, only the bounds count, since a check that breaks its bound raises.
Use: ``pytest -p bookkit.nbval_plugin --nbval ...``.
"""

import math

import pytest
from nbval.plugin import IPyNbCell, IPyNbFile

from bookkit.arithmetic import is_of_other_arithmetic
from dlkb.claims import MIME, Record


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
        if is_of_other_arithmetic(self.parent.nb):
            return True
        difference = compare_records(_records(ref), _records(test)) or shown_otherwise(
            ref
        )
        if difference:
            self.comparison_traceback = [difference]
            return False
        return super().compare_outputs(_others(test), _others(ref), skip_compare)


def compare_records(stored: list[dict], now: list[dict]) -> str | None:
    """What differs between two lists of check records, or None."""
    if len(stored) != len(now):
        return f"{len(stored)} checks are stored, {len(now)} were made"
    for old, new in zip(stored, now, strict=True):
        tolerance = old["bound"].get("tolerance", 0)
        allowed = dict.fromkeys(("id", "part", "bound", "passed", "cite"), (1e-6, 0))
        allowed |= dict.fromkeys(("interval", "rival"), (0.01, tolerance))
        allowed["measured"] = (0, tolerance) if tolerance else (0.01, 0)
        for key, (relative, absolute) in allowed.items():
            if not _alike(old.get(key), new.get(key), relative, absolute):
                return f"{old['id']}: {key} is stored as {old.get(key)}, and was {new.get(key)}"
    return None


def shown_otherwise(outputs) -> str | None:
    """Whether a stored check shows other words or numbers than its record, or None."""
    for output in outputs:
        data = output.get("data", {})
        if MIME in data:
            record = Record(**data[MIME])
            for kind, shown in record._repr_mimebundle_().items():
                if kind != MIME and data.get(kind) != shown:
                    return f"{record.key}: its {kind} is stored as {data.get(kind)!r}, not {shown!r}"
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
