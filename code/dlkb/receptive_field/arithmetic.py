"""The recursion: where the field of each unit begins and ends, along one axis of the input."""

import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import NamedTuple

__all__ = ["PIXELS", "WHOLE", "Reach", "Window", "gather", "slide", "spread", "unite"]


class Window(NamedTuple):
    """What a convolution or a pooling slides along one axis: torch's numbers, torch's meanings.

    ``padding`` is the one before the first unit; the one behind the last only decides how many units there
    are.
    """

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1

    def checked(self, where: str = "") -> "Window":
        """This window, if it can slide. Raises: TypeError, ValueError: naming ``where`` it stands."""
        least = {"kernel": 1, "stride": 1, "padding": 0, "dilation": 1}
        for name, value in self._asdict().items():
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{where}{name} must be an int: got {value!r}")
            if value < least[name]:
                raise ValueError(
                    f"{where}{name} must be at least {least[name]}: got {value}"
                )
        return self


class Reach(NamedTuple):
    r"""The fields of all units along one axis: unit i sees the pixels from low to high, both included.

    Units repeat with a period P = len(low): unit i + P sees what unit i sees, ``shift`` pixels further on.
    P is 1 unless something was enlarged: behind an enlargement by 2, units in even and in odd places differ.

    Conventions: pixel 0 is the first of the input, and its middle is the coordinate 0; pixels before 0 and
    behind the last lie in the padding. ``low`` = inf, ``high`` = -inf is a unit that sees nothing.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    shift: int

    def of(self, unit: int) -> tuple[float, float]:
        """First and last pixel of the field of ``unit``; units that do not exist go on in the same way."""
        periods, place = divmod(unit, len(self.low))
        moved = periods * self.shift
        return self.low[place] + moved, self.high[place] + moved

    @property
    def is_whole(self) -> bool:
        """Whether each unit sees the whole axis, however long."""
        return self.low[0] == -math.inf

    @property
    def size(self) -> float:
        """Pixels of the largest field; inf for the whole input."""
        return max(
            0, *(high - low + 1 for low, high in zip(self.low, self.high, strict=True))
        )

    @property
    def jump(self) -> Fraction:
        """Pixels from one unit's centre to the next one's, on average over a period."""
        return Fraction(self.shift, len(self.low))


PIXELS = Reach((0,), (0,), 1)  # of the input itself: each pixel sees itself
WHOLE = Reach((-math.inf,), (math.inf,), 0)


def gather(
    reach: Reach, taps: Callable[[int], Iterable[int]], period: int, advance: int
) -> Reach:
    """The fields of units that look at units: each sees all that those see which it taps.

    Args:
        reach: of the units looked at.
        taps: unit -> the units that it looks at.
        period, advance: ``period`` units further on, the taps lie ``advance`` units further on.
    """
    if reach.is_whole:
        return WHOLE
    times = len(reach.low) // math.gcd(len(reach.low), advance)
    seen = [[reach.of(i) for i in taps(unit)] for unit in range(period * times)]
    return Reach(
        tuple(min((low for low, _ in fields), default=math.inf) for fields in seen),
        tuple(max((high for _, high in fields), default=-math.inf) for fields in seen),
        reach.shift * advance * times // len(reach.low),
    )


def slide(reach: Reach, window: Window) -> Reach:
    r"""Behind a convolution or a pooling: unit o looks at the units o s - p + t d, for t = 0 to k - 1.

    For units that all see alike (period 1) this is the recursion of the textbooks,

        size' = size + (k - 1) d jump,    jump' = jump s,    low' = low - p jump.

    Example:
        >>> slide(slide(PIXELS, Window(3, 2, 1)), Window(3))
        Reach(low=(-1,), high=(5,), shift=2)

    References: Araujo, Norris & Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill
        2019.
    """
    kernel, stride, padding, dilation = window

    def taps(unit: int) -> range:
        first = unit * stride - padding
        return range(first, first + kernel * dilation, dilation)

    return gather(reach, taps, 1, stride)


def spread(reach: Reach, window: Window) -> Reach:
    """Behind a transposed convolution: unit i adds to the units i s - p + t d, for t = 0 to k - 1.

    Example:
        >>> spread(slide(PIXELS, Window(2, 2)), Window(2, 2))
        Reach(low=(0, 0), high=(1, 1), shift=2)
    """
    kernel, stride, padding, dilation = window

    def taps(unit: int) -> list[int]:
        places = (unit + padding - t * dilation for t in range(kernel))
        return [place // stride for place in places if place % stride == 0]

    return gather(reach, taps, stride, 1)


def unite(*reaches: Reach) -> Reach:
    """Where branches meet, a unit sees what it sees on any of them: from the least low to the greatest high.

    Raises: ValueError: if the branches jump by different numbers of pixels, so that their units part ways.
    Example:
        >>> unite(slide(PIXELS, Window(3, 1, 1)), slide(PIXELS, Window(5)))
        Reach(low=(-1,), high=(4,), shift=1)
    """
    if any(reach.is_whole for reach in reaches):
        return WHOLE
    jumps = {reach.jump for reach in reaches}
    if len(jumps) > 1:
        found = " and ".join(str(jump) for jump in sorted(jumps))
        raise ValueError(
            f"branches that meet must jump by the same number of pixels: got {found}; "
            "give them the same product of strides"
        )
    period = math.lcm(*(len(reach.low) for reach in reaches))
    fields = [[reach.of(unit) for reach in reaches] for unit in range(period)]
    return Reach(
        tuple(min(low for low, _ in meeting) for meeting in fields),
        tuple(max(high for _, high in meeting) for meeting in fields),
        int(period * reaches[0].jump),
    )
