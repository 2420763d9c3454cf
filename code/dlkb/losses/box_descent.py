"""Boxes that descend to a target by the gradient of a loss, and how many steps they need."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from dlkb.losses.boxes import box_iou_loss

__all__ = [
    "descend_boxes",
    "draw_starts",
    "first_overlap",
    "from_centre",
    "steps_to_iou",
]

SHORTEST = 0.01  # no side gets shorter


def from_centre(box: Tensor) -> Tensor:
    r"""Corners (x1, y1, x2, y2) of boxes given by centre and sides, (x, y, w, h).

    Args:
        box: (\*, 4).
    Returns: (\*, 4).
    Example:
        >>> from_centre(torch.tensor([3.0, 0.0, 2.0, 4.0]))
        tensor([ 2., -2.,  4.,  2.])
    """
    centre, half = box[..., :2], box[..., 2:] / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def descend_boxes(
    loss: Callable[[Tensor, Tensor], Tensor],
    start: Tensor,
    target: Tensor,
    steps: int,
    rate: float | Tensor = 0.1,
) -> Tensor:
    """Plain gradient descent of each box for itself, on its centre and sides.

    box <- box - rate dloss/dbox, for box = (x, y, w, h)

    Conventions: sides stay at or above 0.01. The gradient has no factor 2 - IoU, which ``race`` has.
    Args:
        loss: of predicted and target corners, (N, 4) each; (N,).
        start: (N, 4), centre and sides.
        target: (N, 4), likewise.
        steps: how many.
        rate: one for all, or (N, 1).
    Returns: (steps + 1, N, 4), centre and sides after each step; the first is ``start``.
    Raises: ValueError: if steps is negative, or start and target are not (N, 4) both.
    Example:
        >>> start, target = torch.tensor([[[3.0, 0.0, 1.0, 1.0]], [[0.0, 0.0, 1.0, 1.0]]])
        >>> descend_boxes(box_iou_loss, start, target, steps=2)[-1]  # apart, IoU has no gradient
        tensor([[3., 0., 1., 1.]])
    """
    if steps < 0:
        raise ValueError(f"steps must be 0 or more: got {steps}")
    if start.shape != target.shape or start.shape[1:] != (4,):
        raise ValueError(
            "start and target must be (N, 4) both, centre and sides: got "
            f"{tuple(start.shape)} and {tuple(target.shape)}"
        )
    goal, path = from_centre(target), [start.detach()]
    for _ in range(steps):
        box = path[-1].clone().requires_grad_()
        total = loss(from_centre(box), goal).sum()
        box = box.detach() - rate * torch.autograd.grad(total, box)[0]
        path.append(torch.cat([box[:, :2], box[:, 2:].clamp(min=SHORTEST)], dim=1))
    return torch.stack(path)


def first_overlap(path: Tensor, target: Tensor) -> Tensor:
    """The first step of a descent at which a box and its target share an area.

    Args:
        path: (steps + 1, N, 4), centre and sides, as ``descend_boxes`` returns them.
        target: (N, 4), likewise.
    Returns: (N,), int64; steps + 1 for a box that never meets its target.
    Example:
        >>> path = torch.tensor([[[3.0, 0.0, 1.0, 1.0]], [[1.0, 0.0, 1.0, 1.0]], [[0.5, 0.0, 1.0, 1.0]]])
        >>> first_overlap(path, torch.tensor([[0.0, 0.0, 1.0, 1.0]]))  # to touch is not to overlap
        tensor([2])
    """
    apart = (path[..., :2] - target[:, :2]).abs()
    overlap = (apart < (path[..., 2:] + target[:, 2:]) / 2).all(-1)
    never = torch.ones_like(overlap[:1])  # as if they met one step after the last
    return torch.cat([overlap, never]).byte().argmax(0)


def steps_to_iou(
    loss: Callable[[Tensor, Tensor], Tensor],
    start: Tensor,
    target: Tensor,
    rates: Tensor,
    iou: float = 0.95,
    most: int = 400,
) -> Tensor:
    """Steps of descent until the IoU with the target is first ``iou`` or more, for each of several rates.

    Conventions: all descend at once. Counted is the first time: later steps may lead away again.
    Args:
        loss: of predicted and target corners, (N, 4) each; (N,).
        start, target: (N, 4), centre and sides.
        rates: (R,).
        iou: the finish.
        most: when to give up.
    Returns: (R, N), int64; most + 1 where the finish was not reached.
    Raises: ValueError: if start and target are not (N, 4) both.
    Example:
        >>> box = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
        >>> steps_to_iou(box_iou_loss, box, box, rates=torch.tensor([0.1, 0.2]))
        tensor([[0],
                [0]])
    """
    box, goal = start.repeat(len(rates), 1), target.repeat(len(rates), 1)
    rate = rates.repeat_interleave(len(start))[:, None]
    needed = torch.full((len(box),), most + 1, device=box.device)
    for step in range(most + 1):
        there = box_iou_loss(from_centre(box), from_centre(goal)) <= 1 - iou
        needed = torch.where(there, needed.clamp(max=step), needed)
        box = descend_boxes(loss, box, goal, 1, rate)[1]
    return needed.view(len(rates), len(start))


def draw_starts(count: int, generator: torch.Generator | None = None) -> Tensor:
    """Random boxes apart from, inside and around the unit square at the origin, ``count`` of each.

    ======  =======================  ==============  ==================
    kind    centre                   area            width over height
    ======  =======================  ==============  ==================
    apart   2 to 3 from the origin   0.5 to 2        1/3 to 3
    inside  anywhere inside          0.05 to 0.2     1/3 to 3
    around  anywhere around          5 to 10         0.72 to 1.39
    ======  =======================  ==============  ==================

    Conventions: areas, distances and directions are uniform, ratios uniform in their logarithm. Of the boxes
    around, both sides are longer than 1, or they would not hold the square.
    Args:
        count: of each kind.
        generator: on the CPU.
    Returns: (3 * count, 4), float64, centre and sides: first all apart, then inside, then around.
    Example:
        >>> draw_starts(20).shape
        torch.Size([60, 4])
    """

    def between(low: float, high: float) -> Tensor:
        draws = torch.rand(3, count, generator=generator, dtype=torch.float64)
        return low + (high - low) * draws

    ratio = between(-math.log(3), math.log(3)).exp()  # (kind, count)
    areas = [between(low, high)[0] for low, high in ((0.5, 2), (0.05, 0.2), (5, 10))]
    area = torch.stack(areas)
    ratio[2] = ratio[2] ** 0.3
    sides = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()])
    centres = (sides - 1).abs() / 2 * torch.stack([between(-1, 1), between(-1, 1)])
    distance, turn = between(2, 3)[0], between(0, 2 * math.pi)[0]
    centres[:, 0] = distance * torch.stack([turn.cos(), turn.sin()])
    return torch.cat([centres, sides]).flatten(1).T
