"""The race with the gradients of the DIoU authors' own program, which are not those of the losses."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from dlkb.losses.boxes import _corners_first, _Pairs, _pairs
from dlkb.losses.race import ANCHORS, _summary, race

__all__ = ["PUBLISHED", "full_published_race", "published_loss"]

PUBLISHED = ("IoU", "GIoU", "DIoU", "CIoU")


def published_loss(name: str, clip: bool = False) -> Callable[[Tensor, Tensor], Tensor]:
    r"""A function for ``race`` with the gradient of the authors' program; its value means nothing.

    Their gradients are written by hand, and differ from the losses' own, for a box of centre c and sides s:

    - IoU and both parts of GIoU: by s, twice the true one.
    - GIoU: where boxes do not meet, the intersection is the product of two differences of which one or both
      are negative, instead of 0; so |A or B| is wrong. For two boxes of one height side by side it is |C|,
      and the derivatives by x1 and x2 are 0: nothing draws them together.
    - rho^2 / c^2 of DIoU and CIoU: by the centre's x, the enclosing diagonal's change has the wrong sign, and
      each axis counts the change of both sides, width + height in place of width; so it is by s, apart from a
      box that spans its target along an axis: there its own side counts with the opposite sign.
    - the angle of CIoU: without the factor 1 / (w^2 + h^2), on purpose.

    Conventions: sides are held at 0.01 or more by ``race``; theirs may become negative.
    Args:
        name: IoU, GIoU, DIoU or CIoU.
        clip: for GIoU, make the intersection 0 where boxes do not meet, and leave all else.
    Returns: a function of predicted and target corners, (N, 4) each; (N,).
    Raises: ValueError: for another name, or for clip with another loss than GIoU.
    Example:
        >>> left, right = torch.tensor([[[0.0, 0.0, 1.0, 1.0]], [[3.0, 0.0, 4.0, 1.0]]])
        >>> value = published_loss("GIoU")(left.requires_grad_(), right)
        >>> torch.autograd.grad(value.sum(), left)[0][:, ::2].abs()  # by x1 and x2
        tensor([[0., 0.]])

    References: github.com/Zzh-tju/DIoU, the folder "simulation experiment".
    """
    if name not in PUBLISHED:
        raise ValueError(f"name must be one of {', '.join(PUBLISHED)}: got {name!r}")
    if clip and name != "GIoU":
        raise ValueError(
            f"clip=True changes GIoU alone, whose intersection is wrong: got it with {name}"
        )

    def loss(boxes1: Tensor, boxes2: Tensor) -> Tensor:
        corners1, corners2 = _corners_first(boxes1), _corners_first(boxes2)
        with torch.no_grad():
            by_centre, by_sides = _uphill(_pairs(corners1, corners2), name, clip)
        low, high = corners1.chunk(2)
        return -((low + high) / 2 * by_centre + (high - low) * by_sides).sum(0)

    return loss


def full_published_race(
    device: torch.device | str = "cpu", anchors: int = ANCHORS, steps: int = 200
) -> dict[str, Callable[[], dict]]:
    """The whole simulation with the authors' gradients, to be recorded; parts as those of ``full_race``.

    Part ``GIoU, clipped`` is theirs with the intersection put right.
    Args:
        device: where to compute.
        anchors, steps: fewer for a try.
    Returns: functions without arguments, by the part's name; each returns what JSON can hold.
    """
    losses = {name: published_loss(name) for name in PUBLISHED}
    losses["GIoU, clipped"] = published_loss("GIoU", clip=True)
    return {
        name: lambda loss=loss: _summary(race(loss, anchors, steps, device=device))
        for name, loss in losses.items()
    }


def _uphill(pairs: _Pairs, name: str, clip: bool) -> tuple[Tensor, Tensor]:
    """Where the program moves centre and sides to, (2, N) each: it adds what it calls the gradient."""
    overlap = torch.minimum(pairs.high1, pairs.high2)
    overlap = overlap - torch.maximum(pairs.low1, pairs.low2)  # not clipped at 0
    meets = (overlap > 0).all(0)
    shared = overlap.prod(0)
    by_shared = _by_corners(overlap, pairs.low1 > pairs.low2, pairs.high1 < pairs.high2)
    if clip:
        shared, by_shared = shared * meets, by_shared * meets
    whole = torch.ones_like(meets).expand_as(overlap)
    union = pairs.sides1.prod(0) + pairs.sides2.prod(0) - shared
    by_union = _by_corners(pairs.sides1, whole, whole) - by_shared
    up = meets * _by_quotient(shared, by_shared, union, by_union)

    around = torch.maximum(pairs.high1, pairs.high2)
    around = around - torch.minimum(pairs.low1, pairs.low2)
    before, after = pairs.low1 < pairs.low2, pairs.high1 > pairs.high2
    if name == "GIoU":
        area = around.prod(0)
        by_area = _by_corners(around, before, after)
        up = up + _by_quotient(union, by_union, area, by_area)
    low, high = up.chunk(2)
    centre, sides = low + high, high - low  # the chain rule would halve the sides' part
    if name in ("DIoU", "CIoU"):
        more = _from_distance(pairs, around, before, after)
        centre, sides = centre + more[0], sides + more[1]
    if name == "CIoU":
        sides = sides + _from_angle(pairs, meets * shared / union)
    return centre, sides


def _by_corners(lengths: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Of an area, by low and high corner, (4, N): the other axis' length, where the corner bounds it."""
    other = lengths.flip(0)
    return torch.cat([-other * low, other * high])


def _by_quotient(top: Tensor, by_top: Tensor, bottom: Tensor, by_bottom: Tensor):
    return (bottom * by_top - top * by_bottom) / bottom.square()


def _from_distance(
    pairs: _Pairs, around: Tensor, before: Tensor, after: Tensor
) -> tuple[Tensor, Tensor]:
    apart = ((pairs.low1 + pairs.high1) - (pairs.low2 + pairs.high2)) / 2
    square, diagonal = apart.square().sum(0), around.square().sum(0)
    by_centre = after.float() - before.float()  # of an enclosing side
    by_side = (after.float() + before.float()) / 2
    own = torch.where(before & after, -1.0, by_side)  # 1 would be right
    weight = 2 * square / diagonal.square()
    centre = -2 * apart / diagonal - weight * around.sum(0) * by_centre
    return centre, weight * (around * own + around.flip(0) * by_side)


def _from_angle(pairs: _Pairs, iou: Tensor) -> Tensor:
    (width, height), (target_width, target_height) = pairs.sides1, pairs.sides2
    angle = (target_width / target_height).atan() - (width / height).atan()
    v = 4 / math.pi**2 * angle.square()
    alpha = v / (1 - iou + v + 1e-7)
    return alpha * 8 / math.pi**2 * angle * torch.stack([height, -width])
