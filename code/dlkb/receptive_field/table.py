"""The table: one row a layer, with size, jump, centre and padding along each axis."""

import difflib
import html
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from dlkb.receptive_field.arithmetic import Reach

__all__ = ["ReceptiveFields", "Row", "nearest_names"]

HEADINGS = ("layer", "kind", "output", "size", "jump", "centre", "padding", "dropped")


@dataclass(frozen=True)
class Row:
    """The fields of one layer's units. Each tuple has an entry an axis of the input, such as height.

    Conventions: pixels are counted from 0, and a whole number is the middle of a pixel.
    Attributes:
        layer: name of the module as in ``named_modules()``; of a function, that of the module which calls
            it and the function's name.
        kind: the function of torch that did it.
        output: units along each axis; None where no input size was given.
        dropped: units at the far end of this layer's input that no window reaches.
        reaches: the fields themselves; behind an enlargement, those of different units differ.
    """

    layer: str
    kind: str
    output: tuple[int | None, ...]
    reaches: tuple[Reach, ...]
    dropped: tuple[int, ...]
    changes: bool = True

    @property
    def size(self) -> tuple[float, ...]:
        """Pixels of the field, of the largest one where they differ; inf is the whole input."""
        return tuple(reach.size for reach in self.reaches)

    @property
    def jump(self) -> tuple[Fraction | int, ...]:
        """Pixels from one unit's field to the next one's."""
        return tuple(_plain(reach.jump) for reach in self.reaches)

    @property
    def centre(self) -> tuple[float | None, ...]:
        """Where the field of the first unit has its middle; None for the whole input."""
        return tuple(
            None if reach.is_whole else sum(reach.of(0)) / 2 for reach in self.reaches
        )

    @property
    def padding(self) -> tuple[float | None, ...]:
        """Pixels of padding before the image in the first unit's field (negative: pixels left out)."""
        return tuple(None if r.is_whole else -r.of(0)[0] for r in self.reaches)

    def field(self, unit: tuple[int, ...]) -> tuple[tuple[float, float], ...]:
        """First and last pixel, along each axis, of what ``unit`` sees; padding is not cut off.

        Raises: ValueError: if the unit has not one place an axis.
        """
        if len(unit) != len(self.reaches):
            raise ValueError(
                f"a unit has one place for each of {len(self.reaches)} axes: got {unit}"
            )
        return tuple(r.of(i) for r, i in zip(self.reaches, unit, strict=True))

    def cells(self) -> tuple[str, ...]:
        """The row as text, in the order of the headings."""
        numbers = (
            self.output,
            self.size,
            self.jump,
            self.centre,
            self.padding,
            self.dropped,
        )
        return (self.layer, self.kind, *(_text(values) for values in numbers))


class ReceptiveFields:
    """The rows in the order of computation; by number, or by a layer's name (of any module, containers too).

    Where a layer is used several times, its name stands for the last.
    Raises: KeyError: for a name that no layer has, with the nearest ones.
    """

    def __init__(
        self, rows: Iterable[Row], containers: Mapping[str, Row] | None = None
    ):
        self._rows = tuple(rows)
        self._named = {**(containers or {}), **{row.layer: row for row in self._rows}}

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def __getitem__(self, key: int | str) -> Row:
        if not isinstance(key, str):
            return self._rows[key]
        if key not in self._named:
            raise KeyError(nearest_names(key, self._named))
        return self._named[key]

    @property
    def last(self) -> Row:
        """Of the network's output: the last row."""
        return self._rows[-1]

    def _shown(self) -> tuple[list[tuple[str, ...]], str]:
        shown = [row for row in self._rows if row.changes]
        left_out = len(self._rows) - len(shown)
        note = f"({left_out} layers that change no field are left out)"
        return [row.cells() for row in shown], note if left_out else ""

    def __repr__(self) -> str:
        rows, note = self._shown()
        table = [HEADINGS, *rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]
        return "\n".join(lines + [note] * bool(note))

    def _repr_html_(self) -> str:
        rows, note = self._shown()

        def line(tag: str, cells: Iterable[str]) -> str:
            inside = "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells)
            return f"<tr>{inside}</tr>"

        body = "\n".join(line("td", row) for row in rows)
        head = line("th", HEADINGS)
        table = f"<table>\n<thead>{head}</thead>\n<tbody>\n{body}\n</tbody>\n</table>"
        return f"{table}\n<p>{note}</p>" if note else table


def nearest_names(name: str, names: Iterable[str]) -> str:
    """The message for a layer that does not exist."""
    known = [n for n in names if n]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known[:3]
    return f"no layer is named {name!r}; nearest names: {', '.join(map(repr, near))}"


def _plain(value: Fraction) -> Fraction | int:
    return int(value) if value.denominator == 1 else value


def _text(values: tuple) -> str:
    """One number where all axes agree, else one an axis."""
    words = [_word(value) for value in values]
    return words[0] if len(set(words)) == 1 else " x ".join(words)


def _word(value: float | Fraction | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, Fraction):
        return str(value)
    return "whole" if value == float("inf") else f"{value:g}"
