"""Drawings: a unit with its field on an image, and the cone of units behind one unit."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dlkb.plotting import COLORS, INK
from dlkb.receptive_field.arithmetic import Window
from dlkb.receptive_field.effective import EffectiveField
from dlkb.receptive_field.table import Row
from dlkb.receptive_field.trace import receptive_field

__all__ = ["cone", "draw", "draw_cone"]


def draw(
    image: np.ndarray,
    row: Row,
    unit: Sequence[int] | None = None,
    effective: EffectiveField | None = None,
    axis: Any = None,
) -> Any:
    """Put a unit, its field and, if given, its effective field on an image.

    The unit is a dot at the centre of its field; the field a box, which may leave the image; the effective
    field an ellipse at 2 sigma.

    Args:
        image: (H, W) or (H, W, 3).
        row: of a table made for two axes, height and width.
        unit: its row and column in the layer's map; None for the middle one.
        axis: of matplotlib; None makes one.
    Raises: ValueError: if the table has not two axes, or the unit is outside the map.
    """
    from matplotlib import pyplot as plt
    from matplotlib.patches import Ellipse, Rectangle

    if len(row.size) != 2:
        raise ValueError(f"an image has two axes: got fields along {len(row.size)}")
    unit = tuple(n // 2 for n in row.output) if unit is None else tuple(unit)
    if not all(0 <= i < n for i, n in zip(unit, row.output, strict=True)):
        raise ValueError(f"the map of {row.layer!r} is {row.output}: got unit {unit}")
    if axis is None:
        _, axis = plt.subplots(figsize=(4, 4))
    height, width = image.shape[:2]
    axis.imshow(image, cmap="gray" if image.ndim == 2 else None)
    (top, bottom), (left, right) = (
        (max(low, -1e6), min(high, 1e6)) for low, high in row.field(unit)
    )
    if row.reaches[0].is_whole:
        top, bottom, left, right = 0, height - 1, 0, width - 1
    axis.add_patch(
        Rectangle(
            (left - 0.5, top - 0.5),
            right - left + 1,
            bottom - top + 1,
            fill=False,
            lw=2,
            color=COLORS["orange"],
            label="field",
        )
    )
    axis.plot((left + right) / 2, (top + bottom) / 2, "o", color=INK, label="centre")
    if effective is not None:
        axis.add_patch(
            Ellipse(
                effective.centre[::-1],
                *effective.width[::-1],
                fill=False,
                lw=2,
                ls="--",
                color=COLORS["blue"],
                label="effective field",
            )
        )
    axis.set(
        xlim=(min(left, 0) - 1, max(right, width) + 1),
        ylim=(max(bottom, height) + 1, min(top, 0) - 1),
        xlabel="column, pixels",
        ylabel="row, pixels",
    )
    return axis


def cone(layers: Sequence[Sequence[int]], unit: int = 0) -> list[list[int]]:
    """The units that one unit of the last layer depends on, layer by layer, from the pixels up to itself.

    Args:
        layers: (kernel, stride, padding, dilation) from input to output, as for ``receptive_field``.
        unit: place in the last layer.
    Returns: one sorted list a layer; places in the padding are below 0 or behind the last.
    Example:
        >>> cone([(3,), (2, 2)], 1)
        [[2, 3, 4, 5], [2, 3], [1]]
    """
    levels = [[unit]]
    for number, layer in reversed(list(enumerate(layers, 1))):
        kernel, stride, padding, dilation = Window(*layer).checked(f"layer {number}: ")
        taps = {
            place * stride - padding + t * dilation
            for place in levels[0]
            for t in range(kernel)
        }
        levels.insert(0, sorted(taps))
    return levels


def draw_cone(
    layers: Sequence[Sequence[int]],
    unit: int,
    input_size: int,
    axis: Any = None,
) -> Any:
    """Draw the units of each layer in a line, pixels below, and the cone behind one unit of the last.

    Each unit stands above the centre of its field; units of the cone are filled, padding is hollow.
    Raises: ValueError: as ``receptive_field``.
    """
    from matplotlib import pyplot as plt

    table = receptive_field(layers, (input_size,))
    if axis is None:
        _, axis = plt.subplots()
    centres = [lambda i: i]
    centres += [lambda i, r=row.reaches[0]: sum(r.of(i)) / 2 for row in table]
    lengths = [input_size, *(row.output[0] for row in table)]
    levels = cone(layers, unit)
    for height, (place, length, seen) in enumerate(
        zip(centres, lengths, levels, strict=True)
    ):
        axis.plot(
            [place(i) for i in range(length)],
            [height] * length,
            "o",
            ms=4,
            color=INK,
            mfc="none",
            lw=0,
        )
        real = [i for i in seen if 0 <= i < length]
        beyond = [i for i in seen if i not in real]
        axis.plot(
            [place(i) for i in real],
            [height] * len(real),
            "o",
            ms=6,
            color=COLORS["orange"],
            lw=0,
        )
        axis.plot(
            [place(i) for i in beyond],
            [height] * len(beyond),
            "s",
            ms=6,
            color=COLORS["orange"],
            mfc="none",
            lw=0,
        )
        if height:
            kernel, stride, padding, dilation = Window(*layers[height - 1])
            for i in real:
                for t in range(kernel):
                    tap = i * stride - padding + t * dilation
                    ends = [centres[height - 1](tap), place(i)]
                    axis.plot(
                        ends,
                        [height - 1, height],
                        "-",
                        color=COLORS["blue"],
                        lw=0.8,
                        alpha=0.6,
                    )
    names = ["pixels", *(f"layer {n}" for n in range(1, len(lengths)))]
    axis.set_yticks(range(len(lengths)), names)
    axis.set_xlabel("place in the input, pixels")
    return axis
