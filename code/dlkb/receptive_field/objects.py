"""Pictures of objects whose class takes the whole object to see."""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Brackets", "draw_brackets"]

# A loose piece as pixels (down, right) from its corner: a foot of 4 pixels with a tick of 2 on it.
PIECE = ((0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (2, 0))


class Brackets(NamedTuple):
    """Pictures ``x`` (N, 1, S, S) and classes ``y`` (N,), both on the CPU."""

    x: Tensor
    y: Tensor


def draw_brackets(
    lengths: Tensor,
    image_size: int,
    *,
    y: Tensor | None = None,
    stroke: int = 1,
    shift: Tensor | None = None,
    pieces: int = 0,
    noise: float = 0.1,
    generator: torch.Generator,
) -> Brackets:
    """Level bars with a tick at each end; the class says which ticks point up.

    Class 0: none, 1: the right one, 2: the left one, 3: both. Each end tells one of the class's two bits, so
    who sees one end alone is right half the time, and who sees none a quarter of the time.

    Conventions: objects are 1 on a background of 0, in the middle of the picture. A pixel belongs to what its
    middle lies in, so whole strokes take an odd (even) image with an odd (even) length over stroke. A tick
    reaches 2 strokes beyond the bar.
    Args:
        lengths: (N,), of the bars with both ends, pixels, at least 3 strokes.
        y: (N,), the classes; None to draw them.
        stroke: thickness of bar and ticks, pixels.
        shift: (N, 2), how far down and to the right of the middle each object lies; None for nowhere.
        pieces: number of loose pieces in each picture, shaped like a corner of an object with stroke 1 and
            turned at random; none lies on the object's box or on the pixels next to it.
        noise: standard deviation of what is added to each pixel.
    Raises: ValueError: if a bar is too short for its ticks, or a class is not from 0 to 3.
    Example:
        >>> x, y = draw_brackets(torch.tensor([3, 5]), 9, generator=torch.Generator().manual_seed(0))
        >>> x.shape, y.shape
        (torch.Size([2, 1, 9, 9]), torch.Size([2]))
    """
    count = len(lengths)
    if not (lengths >= 3 * stroke).all():
        raise ValueError(
            f"lengths must be at least 3 strokes of {stroke}: got {lengths.min().item()}; "
            "draw thinner or longer objects"
        )
    if y is None:
        y = torch.randint(4, (count,), generator=generator)
    if not ((y >= 0) & (y < 4)).all():
        raise ValueError(f"classes must be from 0 to 3: got {y.unique().tolist()}")
    shift = torch.zeros(count, 2) if shift is None else shift
    middle = torch.arange(image_size) + 0.5 - image_size / 2
    down = middle[None, :, None] - shift[:, 0, None, None]  # (N, H, 1)
    right = middle[None, None, :] - shift[:, 1, None, None]  # (N, 1, W)
    half = lengths[:, None, None] / 2

    within = right.abs() < half  # (N, 1, W)
    bar = within & (down.abs() < stroke / 2)
    is_up = torch.where(right < 0, y[:, None, None] // 2, y[:, None, None] % 2)
    along = torch.where(is_up == 1, -down, down)  # (N, H, W): from the bar to the tick
    tick = (along > 0) & (along < 2.5 * stroke)
    shape = bar | (within & (right.abs() > half - stroke) & tick)

    x = shape.float()
    if pieces:
        near = (right.abs() < half + 1) & (down.abs() < 2.5 * stroke + 1)
        loose = _loose_pieces(count, image_size, pieces, generator)
        x = torch.where(near, x, loose)
    x = x + noise * torch.randn(x.shape, generator=generator)
    return Brackets(x.unsqueeze(1), y)


def _loose_pieces(
    count: int, image_size: int, pieces: int, generator: torch.Generator
) -> Tensor:
    """(N, H, W): corners anywhere in the picture, cut off by its edge."""
    edge = 4  # a piece reaches 3 pixels from its corner
    corner = torch.randint(image_size, (count, pieces, 1, 2), generator=generator)
    turn = 2 * torch.randint(2, (count, pieces, 1, 2), generator=generator) - 1
    places = corner + turn * torch.tensor(PIECE) + edge  # (N, pieces, 6, 2)
    picture = torch.arange(count)[:, None, None].expand(places.shape[:3])
    x = torch.zeros(count, image_size + 2 * edge, image_size + 2 * edge)
    x[picture, places[..., 0], places[..., 1]] = 1.0
    return x[:, edge:-edge, edge:-edge]
