"""Input sizes with which a network drops no pixel."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from torch import nn

from dlkb.receptive_field.trace import _traced

__all__ = ["InputSizes", "required_input_sizes"]

MOST = 4096


class InputSizes(NamedTuple):
    """Sizes that drop no pixel: the first of each remainder, and all that lie whole periods further on.

    Example:
        >>> sizes = InputSizes((188,), 16)
        >>> 572 in sizes, 570 in sizes, sizes.upto(230)
        (True, False, [188, 204, 220])
    """

    first: tuple[int, ...]
    period: int

    def __contains__(self, size: object) -> bool:
        return any(
            size >= start and (size - start) % self.period == 0 for start in self.first
        )

    def upto(self, most: int) -> list[int]:
        """All such sizes up to and including ``most``."""
        return [size for size in range(1, most + 1) if size in self]


def required_input_sizes(
    model: nn.Module, input_size: Sequence[int] | None = None
) -> InputSizes:
    r"""Lengths n such that in an n x n input no layer leaves a remainder: every unit at the far end is seen.

    A window that slides over n units with padding p in steps of s stops before the end if one more step would
    leave the padding; up to s - 1 units are then seen by no window. Which n do so repeats with the product of
    the strides. All n are tried, on one period from the least on that can be computed.

    Args:
        model: as for ``receptive_field``.
        input_size: (C, \*), for the channels and the number of axes; None takes those of the first
            convolution.
    Raises: ValueError: if there is no convolution to take them from, or no size up to 4096 computes.
    Example:
        >>> required_input_sizes(nn.Sequential(nn.Conv2d(1, 1, 3), nn.MaxPool2d(2)))
        InputSizes(first=(4,), period=2)
    """
    channels, axes = (
        _of_first_convolution(model)
        if input_size is None
        else (input_size[0], len(input_size) - 1)
    )
    first, period, start, size = [], 1, None, 0
    while start is None or size < start + period - 1:
        size += 1
        if size > MOST:
            raise ValueError(f"no size up to {MOST} can be computed by the model")
        try:
            table = _traced(model, (channels, *[size] * axes))
        except RuntimeError:
            continue
        if start is None:
            start = size
            shifts = [r.shift for row in table for r in row.reaches if r.shift]
            period = math.lcm(*shifts)
        if not any(any(row.dropped) for row in table):
            first.append(size)
    return InputSizes(tuple(first), period)


def _of_first_convolution(model: nn.Module) -> tuple[int, int]:
    for module in model.modules():
        for axes, kind in enumerate((nn.Conv1d, nn.Conv2d, nn.Conv3d), 1):
            if isinstance(module, kind):
                return module.in_channels, axes
    raise ValueError(
        f"{type(model).__name__} has no convolution to take the channels from: give input_size"
    )
