"""Claims and the checks that prove them.

A claim is an entry of ``data/claims/<chapter>.yml``; a check is one call in a notebook. The call raises
when the measurement is out of its bound, and also when its rival, the value that the nearest wrong answer
would have given, lies within: a check that a wrong answer passes proves nothing.
"""

import difflib
import functools
import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "MIME",
    "VERDICTS",
    "CheckFailed",
    "Claim",
    "check",
    "check_opinion",
    "load_claims",
]

MIME = "application/vnd.dlkb.claim+json"
VERDICTS = ("holds", "conditional", "wrong", "opinion")
REQUIRED = ("id", "statement", "verdict", "sources")
FIELDS = (*REQUIRED, "stands")


# --------------------------------------------------------------------------------------- the claims


@dataclass(frozen=True)
class Claim:
    """One entry of a claims file.

    ``statement`` is what is said; ``stands`` is what the book asserts instead (``wrong``), the condition
    under which it holds (``conditional``) or where the matter rests (``opinion``).
    """

    id: str
    statement: str
    verdict: str
    sources: tuple[str, ...]
    stands: str = ""


@functools.cache
def load_claims(folder: str | Path | None = None) -> dict[str, Claim]:
    """Read all claims, in the order of the files.

    Args:
        folder: where the ``<chapter>.yml`` files lie; None for those that belong to this package.
    Returns: claims by full id, ``chapter/name``.
    Raises: ValueError: naming file, entry and field, if a file is malformed.
    """
    folder = Path(folder) if folder is not None else _claims_folder()
    claims: dict[str, Claim] = {}
    for path in sorted(folder.glob("*.yml")):
        for entry in _read_entries(path):
            claim = _parse_entry(path, entry)
            if claim.id in claims:
                raise ValueError(
                    f"{path.name}: {claim.id!r} is there twice; ids are unique"
                )
            claims[claim.id] = claim
    return claims


def _claims_folder() -> Path:
    shipped = Path(__file__).parent / "_claims"  # in a wheel
    return (
        shipped if shipped.is_dir() else Path(__file__).parents[2] / "data" / "claims"
    )


def _read_entries(path: Path) -> list:
    import yaml

    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path.name} is not YAML: {error}") from error
    if not isinstance(entries, list):
        raise ValueError(
            f"{path.name} must be a list of claims: got {type(entries).__name__}"
        )
    return entries


def _parse_entry(path: Path, entry: Any) -> Claim:
    name = entry.get("id", entry) if isinstance(entry, Mapping) else entry
    where = f"{path.name}, entry {name!r}"
    if not isinstance(entry, Mapping):
        raise ValueError(f"{where}: a claim is a mapping with {', '.join(FIELDS)}")
    for field in REQUIRED:
        if field not in entry:
            raise ValueError(f"{where}: field {field!r} is missing")
    for field, value in entry.items():
        if field not in FIELDS:
            raise ValueError(
                f"{where}: unknown field {field!r}; fields are {', '.join(FIELDS)}"
            )
        kind = list if field == "sources" else str
        if not isinstance(value, kind) or (kind is str and not value.strip()):
            raise ValueError(
                f"{where}: field {field!r} must be a {kind.__name__}: got {value!r}"
            )
    if entry["verdict"] not in VERDICTS:
        raise ValueError(
            f"{where}: verdict must be one of {', '.join(VERDICTS)}: got {entry['verdict']!r}"
        )
    if not entry["id"].startswith(f"{path.stem}/"):
        raise ValueError(f"{where}: field 'id' must start with {path.stem + '/'!r}")
    if entry["verdict"] != "holds" and "stands" not in entry:
        raise ValueError(
            f"{where}: field 'stands' is missing; {entry['verdict']!r} needs it"
        )
    return Claim(**{**entry, "sources": tuple(entry["sources"])})


# --------------------------------------------------------------------------------------- the checks


class CheckFailed(AssertionError):
    """A measurement is out of its bound, or its rival is within."""

    def __init__(self, message: str, id: str, part: str | None):
        super().__init__(message)
        self.id, self.part = id, part


@dataclass(frozen=True)
class _Record:
    """What a check leaves in the notebook. JSON types only."""

    id: str
    part: str | None
    measured: Any
    bound: dict
    rival: Any
    passed: bool
    interval: dict | None = None
    cite: str | None = None

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {
            MIME: asdict(self),
            "text/html": self._html(),
            "text/plain": self._text(),
        }

    def _facts(self) -> list[tuple[str, str]]:
        facts = [("measured", _show(self.measured))]
        if self.interval:
            facts.append(
                (
                    f"{self.interval['kind']}, n = {self.interval['n']}",
                    _span(self.interval),
                )
            )
        if self.bound:
            facts.append(("bound", describe_bound(self.bound)))
        if self.rival is not None:
            facts.append(("rival", f"{_show(self.rival)} (would fail)"))
        if self.cite:
            facts.append(("see", self.cite))
        return facts

    def _name(self) -> str:
        return f"{self.id} ({self.part})" if self.part else self.id

    def _text(self) -> str:
        return f"✓ {self._name()}: " + "; ".join(
            f"{key} {value}" for key, value in self._facts()
        )

    def _html(self) -> str:
        facts = " · ".join(
            f"{html.escape(key)} <b>{html.escape(value)}</b>"
            for key, value in self._facts()
        )
        return (
            '<div style="border-left:4px solid #009E73;padding-left:.7em">'
            f"✓ <code>{html.escape(self._name())}</code> {facts}</div>"
        )


def check(
    id: str,
    *,
    rival: Any,
    measured: Any = None,
    samples: Any = None,
    expected: Any = None,
    atol: float = 0.0,
    rtol: float = 0.0,
    above: float | None = None,
    below: float | None = None,
    margin: float = 0.0,
    confidence: float = 0.95,
    part: str | None = None,
) -> None:
    """Prove a claim, or raise.

    Give what was found as ``measured`` (a number, an array, a string or a list of strings) or as ``samples``
    (one number a seed; the mean and its Student t interval are reported, and the whole interval must keep
    the bound). Give the bound as ``expected`` (with ``atol`` and ``rtol``), or as ``above`` and/or ``below``
    (to be passed by at least ``margin``).

    Conventions: an array is compared by its largest absolute difference from ``expected``; the tolerance is
    ``atol + rtol * max|expected|``, and the bound is inclusive. ``above`` and ``below`` are strict when
    ``margin`` is 0. NaN passes no bound. With ``samples``, ``rival`` may be samples too.

    Args:
        id: full id of a claim in ``data/claims``.
        rival: what the nearest wrong answer would give; must NOT keep the bound.
        part: names one of several measurements of the same claim.
    Raises:
        CheckFailed: if the measurement breaks the bound, or the rival keeps it.
        KeyError: if the id is unknown (the message has the nearest ones).
        TypeError, ValueError: if the arguments make no check.
    Example:
        >>> check("normalization/bn-parameters", measured=6, expected=6, rival=12)
        ✓ normalization/bn-parameters: measured 6; bound equal to 6; rival 12 (would fail)
    """
    claim = _find(id)
    if claim.verdict == "opinion":
        raise ValueError(
            f"{id} is an opinion, which no bound settles: use check_opinion"
        )
    if (measured is None) == (samples is None):
        raise TypeError(f"{id}: give either measured= or samples=")
    if rival is None:
        raise TypeError(f"{id}: give rival=, what the nearest wrong answer would give")
    bound = _make_bound(id, expected, atol, rtol, above, below, margin)

    interval = None
    if samples is not None:
        if "of" in bound or _is_text(expected):
            raise TypeError(
                f"{id}: samples= are bounded by one number: got expected={expected!r}"
            )
        interval = _student_interval(id, samples, confidence)
        found, passed = interval["mean"], _interval_passes(interval, bound)
        if _is_listlike(rival):
            rival_interval = _student_interval(id, rival, confidence)
            against, rival_passes = (
                rival_interval["mean"],
                _interval_passes(rival_interval, bound),
            )
        else:
            against, rival_passes = _compare(id, rival, expected, bound)
    else:
        found, passed = _compare(id, measured, expected, bound)
        against, rival_passes = _compare(id, rival, expected, bound)

    record = _Record(id, part, found, bound, against, passed, interval)
    if not passed or rival_passes:
        reason = (
            "the measurement breaks its bound" if not passed else "its rival would pass"
        )
        raise CheckFailed(_failure(record, reason), id, part)
    _display(record)


def check_opinion(
    id: str, *, measured: Any, cite: str, part: str | None = None
) -> None:
    """State what was seen here on a matter that no experiment of this size settles, and who says what.

    Args:
        measured: what was seen: a number, a string, or a list of strings.
        cite: key in ``references.bib`` of the source that argues it.
    Raises: KeyError: if the id is unknown. ValueError: if the claim is no opinion, or ``cite`` is empty.
    """
    claim = _find(id)
    if claim.verdict != "opinion":
        raise ValueError(f"{id} has the verdict {claim.verdict!r}: prove it with check")
    if not isinstance(cite, str) or not cite.strip():
        raise ValueError(f"{id}: cite= must be a key of references.bib: got {cite!r}")
    _display(_Record(id, part, _plain(id, measured), {}, None, True, cite=cite))


# ---------------------------------------------------------------------------- bounds and comparisons


def describe_bound(bound: Mapping) -> str:
    """A bound in words, as the book prints it."""
    if not bound:
        return "none: an opinion"
    of = f"{bound['of']} " if "of" in bound else ""
    if bound["rule"] == "equal":
        if "of" in bound:
            return f"{of}at most {_show(bound['tolerance'])}"
        if bound["tolerance"]:
            return f"within {_show(bound['tolerance'])} of {_show(bound['expected'])}"
        return f"equal to {_show(bound['expected'])}"
    margin = f" by {_show(bound['margin'])} or more" if bound["margin"] else ""
    sides = [
        f"{side} {_show(bound[side])}" for side in ("above", "below") if side in bound
    ]
    return " and ".join(sides) + margin


def _make_bound(id, expected, atol, rtol, above, below, margin) -> dict:
    for name, value in (("atol", atol), ("rtol", rtol), ("margin", margin)):
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(
                f"{id}: {name} must be finite and not negative: got {value}"
            )
    if (expected is None) == (above is None and below is None):
        raise TypeError(
            f"{id}: give a bound: either expected=, or above= and/or below="
        )
    if expected is None:
        if atol or rtol:
            raise TypeError(
                f"{id}: atol and rtol go with expected=; above= and below= take margin="
            )
        sides = {"above": above, "below": below}
        sides = {key: float(value) for key, value in sides.items() if value is not None}
        if not all(map(math.isfinite, sides.values())):
            raise ValueError(f"{id}: a limit must be finite: got {sides}")
        return {"rule": "side", **sides, "margin": float(margin)}
    if margin:
        raise TypeError(
            f"{id}: margin goes with above= and below=; expected= takes atol= and rtol="
        )
    if _is_text(expected):
        if atol or rtol:
            raise TypeError(
                f"{id}: atol and rtol are for numbers; text is compared exactly"
            )
        return {"rule": "equal", "expected": _plain(id, expected), "tolerance": 0}
    values = _array(id, expected)
    if values.size == 0 or not _finite(values):
        raise ValueError(
            f"{id}: expected must be finite and not empty: got {expected!r}"
        )
    tolerance = float(atol + rtol * abs(values).max())
    if values.ndim:
        return {
            "rule": "equal",
            "of": f"largest difference over {values.size} values",
            "tolerance": tolerance,
        }
    return {"rule": "equal", "expected": values.item(), "tolerance": tolerance}


def _compare(id: str, value: Any, expected: Any, bound: dict) -> tuple[Any, bool]:
    """(what to report of ``value``, whether it keeps ``bound``)."""
    if bound["rule"] == "equal" and _is_text(expected):
        value = _plain(id, value)
        return value, value == bound["expected"]
    found = _array(id, value)
    if bound["rule"] == "equal":
        target = _array(id, expected)
        if found.shape != target.shape:
            return f"shape {tuple(found.shape)} instead of {tuple(target.shape)}", False
        difference = float(abs(found - target).max())
        report = difference if target.ndim else found.item()
        return _json(report), difference <= bound["tolerance"]
    if found.ndim:
        raise TypeError(
            f"{id}: above= and below= bound one number, or samples=: got shape {tuple(found.shape)}"
        )
    return _json(found.item()), _keeps_sides(found.item(), found.item(), bound)


def _keeps_sides(low: float, high: float, bound: dict) -> bool:
    margin = bound["margin"]
    passed = math.isfinite(low) and math.isfinite(high)
    if "above" in bound:
        gap = low - bound["above"]
        passed = passed and (gap >= margin if margin else gap > 0)
    if "below" in bound:
        gap = bound["below"] - high
        passed = passed and (gap >= margin if margin else gap > 0)
    return passed


def _interval_passes(interval: dict, bound: dict) -> bool:
    low, high = interval["low"], interval["high"]
    if bound["rule"] == "equal":
        reach = max(abs(low - bound["expected"]), abs(high - bound["expected"]))
        return reach <= bound["tolerance"]
    return _keeps_sides(low, high, bound)


def _student_interval(id: str, samples: Any, confidence: float) -> dict:
    if not 0 < confidence < 1:
        raise ValueError(f"{id}: confidence must be between 0 and 1: got {confidence}")
    values = _array(id, samples)
    if values.ndim != 1 or values.size < 3 or not _finite(values):
        raise ValueError(
            f"{id}: samples must be a row of at least 3 finite numbers, one a seed: got {samples!r}"
        )
    from scipy.special import stdtrit  # a fifth of the import time of scipy.stats

    mean, error = (
        float(values.mean()),
        float(values.std(ddof=1)) / math.sqrt(values.size),
    )
    reach = error * float(stdtrit(values.size - 1, (1 + confidence) / 2))
    kind = f"{100 * confidence:g}% t interval"
    return {
        "kind": kind,
        "n": values.size,
        "mean": mean,
        "low": mean - reach,
        "high": mean + reach,
    }


# ------------------------------------------------------------------------------------------- helpers


def _find(id: str) -> Claim:
    claims = load_claims()
    if id not in claims:
        near = difflib.get_close_matches(str(id), claims, n=3, cutoff=0.4)
        hint = f"the nearest are {', '.join(near)}" if near else "none is near"
        raise KeyError(f"no claim {id!r} in data/claims: {hint}")
    return claims[id]


def _array(id: str, value: Any):
    """``value`` as a float64 or integer NumPy array; booleans and text are refused."""
    import numpy as np

    if hasattr(value, "detach"):  # a torch tensor, without importing torch
        value = value.detach().cpu()
        value = value.double() if value.is_floating_point() else value
    array = np.asarray(value)
    if array.dtype == bool:
        raise TypeError(
            f"{id}: give the compared values, not the result of a comparison: {value!r}"
        )
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{id}: numbers are needed here: got {value!r}")
    return (
        array.astype(np.float64) if array.dtype.kind == "f" else array.astype(np.int64)
    )


def _finite(values) -> bool:
    import numpy as np

    return bool(np.isfinite(values).all())


def _is_listlike(value: Any) -> bool:
    return getattr(value, "ndim", 0) > 0 or isinstance(value, (list, tuple))


def _is_text(value: Any) -> bool:
    if isinstance(value, str):
        return True
    return (
        isinstance(value, Sequence)
        and len(value) > 0
        and all(isinstance(v, str) for v in value)
    )


def _json(value: float | int) -> float | int | str:
    """JSON has no NaN and no infinity: they become text."""
    return value if math.isfinite(value) else str(value)


def _plain(id: str, value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence) and all(isinstance(v, str) for v in value):
        return list(value)
    return _array(id, value).tolist()


def _show(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return "[" + ", ".join(_show(v) for v in value) + "]"
    return str(value)


def _span(interval: dict) -> str:
    return f"{_show(interval['low'])} to {_show(interval['high'])}"


def _failure(record: _Record, reason: str) -> str:
    facts = [f"measured {_show(record.measured)}"]
    if record.interval:
        facts.append(
            f"{record.interval['kind']} over {record.interval['n']} samples {_span(record.interval)}"
        )
    facts += [f"bound {describe_bound(record.bound)}", f"rival {_show(record.rival)}"]
    return f"{record._name()}: {reason}: " + "; ".join(facts)


def _display(record: _Record) -> None:
    """Show the record as a cell's output; outside a notebook, print it."""
    import sys

    if "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None:
        sys.modules["IPython"].display.display(record)
    else:
        print(record._text())
