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

from dlkb.environment import describe_here, describe_recorded, how_to_report

__all__ = [
    "MIME",
    "VERDICTS",
    "CheckFailed",
    "Claim",
    "Record",
    "check",
    "check_opinion",
    "describe_bound",
    "load_claims",
    "show",
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
    Raises: ValueError: if there is no such file; naming file, entry and field, if one is malformed.
    """
    folder = Path(folder) if folder is not None else _claims_folder()
    if not any(folder.glob("*.yml")):
        raise ValueError(
            f"claims are read from a folder with *.yml files: got {folder}"
        )
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
    """A measurement is out of its bound (``reason`` "measured"), or its rival is within ("rival")."""

    def __init__(self, message: str, key: str, reason: str):
        super().__init__(message)
        self.key, self.reason = key, reason


@dataclass(frozen=True)
class Record:
    """What a check leaves in the notebook. JSON types only; NaN and infinity are text."""

    id: str
    part: str | None
    measured: Any
    bound: dict
    rival: Any
    passed: bool
    interval: dict | None = None
    cite: str | None = None

    @property
    def key(self) -> str:
        """``chapter/claim`` or ``chapter/claim#part``: how prose and mutations name the check."""
        return f"{self.id}#{self.part}" if self.part else self.id

    def facts(self) -> list[tuple[str, str]]:
        """What was found and how it was judged, as pairs of name and value; the first is the measurement."""
        of = self.bound.get("of", "measured" if self.interval is None else "mean")
        found = [(of, show(self.measured))]
        if self.interval:
            low, high, n = (
                show(self.interval["low"]),
                show(self.interval["high"]),
                self.interval["n"],
            )
            found.append((self.interval["kind"], f"{low} to {high} (n = {n})"))
        if self.bound:
            found.append(("bound", describe_bound(self.bound)))
        if self.rival is not None:
            found.append(("rival", f"{show(self.rival)} (fails)"))
        if self.cite:
            found.append(("see", self.cite))
        return found

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {
            MIME: asdict(self),
            "text/html": self._html(),
            "text/plain": self._text(),
        }

    def _text(self) -> str:
        return f"✓ {self.key}: " + "; ".join(
            f"{name} {value}" for name, value in self.facts()
        )

    def _html(self) -> str:
        facts = " · ".join(
            f"{html.escape(name)} <b>{html.escape(value)}</b>"
            for name, value in self.facts()
        )
        return (
            '<div style="border-left:4px solid #009E73;padding-left:.7em">'
            f"✓ <code>{html.escape(self.key)}</code> {facts}</div>"
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
    (one number per seed; the mean and its Student t interval are reported, and the whole interval must keep
    the bound). Give the bound as ``expected`` (with ``atol`` and ``rtol``), or as ``above`` and/or ``below``
    (to be passed by at least ``margin``).

    Conventions: an array is compared by its largest absolute difference from ``expected``; the tolerance is
    ``atol + rtol * max|expected|``, and the bound is inclusive. ``above`` and ``below`` are strict when
    ``margin`` is 0. NaN passes no bound. With ``samples``, ``rival`` may be samples too: then their
    interval must break the bound, and their mean lie further out than the measured one, so that a rival
    does not fail for being noisy alone.

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
        ✓ normalization/bn-parameters: measured 6; bound equal to 6; rival 12 (fails)
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
    if samples is None:
        found, passed = _compare(id, measured, expected, bound)
        against, rival_passes = _compare(id, rival, expected, bound, is_rival=True)
    else:
        if "of" in bound or _is_text(expected):
            raise TypeError(
                f"{id}: samples= are bounded by one number: got expected={expected!r}"
            )
        interval = _student_interval(id, samples, confidence)
        found, passed = (
            interval.pop("mean"),
            _within(interval["low"], interval["high"], bound),
        )
        if _is_listlike(rival):
            other = _student_interval(id, rival, confidence)
            against = other["mean"]
            better = _distance(against, bound) <= _distance(found, bound)
            rival_passes = better or _within(other["low"], other["high"], bound)
        else:
            against, rival_passes = _compare(id, rival, expected, bound, is_rival=True)

    record = Record(id, part, found, bound, against, passed, interval)
    if not passed:
        raise CheckFailed(
            _failure(record, "the measurement breaks its bound"), record.key, "measured"
        )
    if rival_passes:
        raise CheckFailed(_failure(record, "its rival would pass"), record.key, "rival")
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
    seen = _plain(id, measured)
    if not _is_text(seen) and not _finite(_array(id, measured)):
        raise ValueError(f"{id}: measured must be finite: got {measured!r}")
    _display(Record(id, part, seen, {}, None, True, cite=cite))


# ---------------------------------------------------------------------------- bounds and comparisons


def describe_bound(bound: Mapping) -> str:
    """A bound in words, as the book prints it."""
    if not bound:
        return "none: an opinion"
    if bound["rule"] == "equal":
        if "of" in bound:
            return f"at most {show(bound['tolerance'])}"
        if bound["tolerance"]:
            return f"within {show(bound['tolerance'])} of {show(bound['expected'])}"
        return f"equal to {show(bound['expected'])}"
    margin = f" by {show(bound['margin'])} or more" if bound["margin"] else ""
    sides = [
        f"{side} {show(bound[side])}" for side in ("above", "below") if side in bound
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


def _compare(
    id: str, value: Any, expected: Any, bound: dict, is_rival: bool = False
) -> tuple[Any, bool]:
    """(what to report of ``value``, whether it keeps ``bound``)."""
    if bound["rule"] == "equal" and _is_text(expected):
        value = _plain(id, value)
        return value, value == bound["expected"]
    found = _array(id, value)
    if bound["rule"] == "side" or "of" not in bound:
        if found.ndim:
            raise TypeError(
                f"{id}: this bound is for one number, or samples=: got shape {found.shape}"
            )
        return _json(found.item()), _within(found.item(), found.item(), bound)
    target = _array(id, expected)
    if found.shape != target.shape:
        if is_rival:
            raise ValueError(
                f"{id}: a rival of another shape proves nothing: got {found.shape}, "
                f"expected has {target.shape}"
            )
        return f"shape {found.shape} instead of {target.shape}", False
    difference = float(abs(found - target).max())
    return _json(difference), difference <= bound["tolerance"]


def _within(low: float, high: float, bound: dict) -> bool:
    """Whether all from ``low`` to ``high`` keeps a bound for one number."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return False
    if bound["rule"] == "equal":
        expected, tolerance = bound["expected"], bound["tolerance"]
        slack = (
            4 * 2.0**-52 * abs(expected) if tolerance else 0
        )  # 1.1 is within 0.1 of 1
        return max(abs(low - expected), abs(high - expected)) <= tolerance + slack
    gaps = []
    if "above" in bound:
        gaps.append(low - bound["above"])
    if "below" in bound:
        gaps.append(bound["below"] - high)
    margin = bound["margin"]
    return min(gaps) >= margin * (1 - 4 * 2.0**-52) if margin else min(gaps) > 0


def _distance(mean: float, bound: dict) -> float:
    """How far out a mean lies, to compare two: from ``expected``, or towards the open side's limit."""
    if bound["rule"] == "equal":
        return abs(mean - bound["expected"])
    outside = [
        bound[side] - mean if side == "above" else mean - bound[side]
        for side in ("above", "below")
        if side in bound
    ]
    return max(outside)


def _student_interval(id: str, samples: Any, confidence: float) -> dict:
    if not 0 < confidence < 1:
        raise ValueError(f"{id}: confidence must be between 0 and 1: got {confidence}")
    values = _array(id, samples)
    if values.ndim != 1 or values.size < 3 or not _finite(values):
        raise ValueError(
            f"{id}: samples must be a row of at least 3 finite numbers, one per seed: got {samples!r}"
        )
    from scipy.special import stdtrit  # a fifth of the import time of scipy.stats

    mean = float(values.mean())
    error = float(values.std(ddof=1)) / math.sqrt(values.size)
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
    """``value`` as a float64 or int64 NumPy array; booleans, text and integers beyond 2**53 are refused."""
    import numpy as np

    def plain(
        value: Any,
    ) -> Any:  # torch tensors, also inside lists, without importing torch
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            return (value.double() if value.is_floating_point() else value).numpy()
        return [plain(v) for v in value] if isinstance(value, list | tuple) else value

    try:
        array = np.asarray(plain(value))
    except (ValueError, TypeError, NotImplementedError, RuntimeError) as error:
        raise TypeError(f"{id}: numbers are needed here: got {value!r}") from error
    nested = isinstance(value, list | tuple) and any(isinstance(v, bool) for v in value)
    if array.dtype == bool or nested:
        raise TypeError(
            f"{id}: give the compared values, not the result of a comparison: {value!r}"
        )
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{id}: numbers are needed here: got {value!r}")
    if (
        array.dtype.kind != "f"
        and array.size
        and max(abs(int(array.min())), int(array.max())) > 2**53
    ):
        raise ValueError(f"{id}: integers are compared up to 2**53: got {value!r}")
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


def show(value: Any) -> str:
    """A number, text or list as the book prints it."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return "[" + ", ".join(show(v) for v in value) + "]"
    return str(value)


def _failure(record: Record, reason: str) -> str:
    facts = [f"measured {_exactly(record.measured)}"]
    if record.interval:
        low, high = _exactly(record.interval["low"]), _exactly(record.interval["high"])
        facts.append(
            f"{record.interval['kind']} over {record.interval['n']} samples {low} to {high}"
        )
    of = f"{record.bound['of']} " if "of" in record.bound else ""
    facts += [
        f"bound {of}{describe_bound(record.bound)}",
        f"rival {_exactly(record.rival)}",
    ]
    said = f"{record.key}: {reason}: " + "; ".join(facts)
    # Bounds are set to hold on any machine: a failure elsewhere is news, with both machines named.
    said += f"\nstored outputs: {describe_recorded()}\nhere: {describe_here()}"
    return f"{said}\n{how_to_report(record.key, said)}"


def _exactly(value: Any) -> str:
    """Digits enough to see why a value near its bound failed."""
    return f"{value:.10g}" if isinstance(value, float) else show(value)


def _display(record: Record) -> None:
    """Show the record as a cell's output; outside a notebook, print it."""
    import sys

    if "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None:
        sys.modules["IPython"].display.display(record)
    else:
        print(record._text())
