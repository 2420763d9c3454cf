"""The simulation of the DIoU paper: every loss descends from the same 1,715,000 boxes, many at once."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dlkb.losses.boxes import (
    _iou,
    _pairs,
    box_iou_loss,
    complete_box_iou_loss,
    control_distance_box_iou_loss,
    distance_box_iou_loss,
    efficient_box_iou_loss,
    generalized_box_iou_loss,
)
from dlkb.losses.regression import smooth_l1_loss

__all__ = ["RACERS", "Race", "full_race", "race", "race_anchors"]

CENTRE, RADIUS, ANCHORS = 10.0, 3.0, 5000
RATIOS = (1 / 4, 1 / 3, 1 / 2, 1.0, 2.0, 3.0, 4.0)  # width over height
SCALES = (0.5, 0.67, 0.75, 1.0, 1.33, 1.5, 2.0)  # area over the target's, which is 1
CASES = len(RATIOS) ** 2 * len(SCALES)  # an anchor point
CONVERGED = 0.95  # IoU
SHORTEST = 0.01  # no side gets shorter
RATES = (0.025, 0.05, 0.1, 0.2, 0.4)
CELLS = 24  # of the map, a side


def _smooth_l1(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """Over the four coordinates, summed; beta = 1."""
    return smooth_l1_loss(boxes1, boxes2, reduction="none").sum(-1)


RACERS = {
    "smooth L1": _smooth_l1,
    "IoU": box_iou_loss,
    "GIoU": generalized_box_iou_loss,
    "DIoU": distance_box_iou_loss,
    "CIoU": complete_box_iou_loss,
    "CDIoU": control_distance_box_iou_loss,
    "EIoU": efficient_box_iou_loss,
}


@dataclass(frozen=True)
class Race:
    """What a race found. Errors are |dx| + |dy| + |dw| + |dh|; a target's area is 1. Step 0 is the start.

    anchors: (A, 2), the points.
    error: (steps + 1,), mean over all cases.
    converged: (steps + 1,), share of cases with IoU >= 0.95.
    anchor_error, anchor_converged: (A,), the same after the last step, over a point's 343 cases.
    shortest: share of cases in which a side was ever held at its least length, 0.01.
    """

    anchors: Tensor
    error: Tensor
    converged: Tensor
    anchor_error: Tensor
    anchor_converged: Tensor
    shortest: float


def race_anchors(count: int = ANCHORS, seed: int = 0) -> Tensor:
    """Points drawn uniformly from the disk of radius 3 around (10, 10): 5000, or a stratified part of them.

    The 5000 are sorted into ``count`` blocks of equally many near points: rings by radius, each cut by angle.
    One point is drawn from each block. So a part is spread as all are, in radius and in angle.
    Args:
        count: a divisor of 5000.
        seed: of the 5000 and of the choice.
    Returns: (count, 2), float64.
    Raises: ValueError: if count does not divide 5000.
    Example:
        >>> race_anchors(100).shape
        torch.Size([100, 2])

    References: Zheng et al., AAAI 2020, Sec. 3, arXiv:1911.08287.
    """
    if count < 1 or ANCHORS % count:
        raise ValueError(
            f"count must divide {ANCHORS}, so that blocks are equal: got {count}; 100 is 1/50"
        )
    generator = torch.Generator().manual_seed(seed)
    draws = torch.rand(2, ANCHORS, generator=generator, dtype=torch.float64)
    radius, angle = RADIUS * draws[0].sqrt(), 2 * torch.pi * draws[1]
    rings = max(n for n in range(1, count + 1) if count % n == 0 and n * n <= count)
    order = radius.argsort().view(rings, -1)  # (rings, points of a ring)
    order = order.gather(1, angle[order].argsort(dim=1)).view(count, -1)
    chosen = torch.randint(order.shape[1], (count, 1), generator=generator)
    points = order.gather(1, chosen).squeeze(1)
    x, y = angle[points].cos(), angle[points].sin()
    return CENTRE + radius[points, None] * torch.stack([x, y], dim=1)


def race(
    loss: Callable[[Tensor, Tensor], Tensor],
    anchors: int = 100,
    steps: int = 200,
    rate: float = 0.1,
    seed: int = 0,
    device: torch.device | str = "cpu",
    cases_at_once: int = 14_000,
) -> Race:
    """Descend by ``loss`` from boxes of 7 areas and 7 aspect ratios at each anchor point to 7 targets.

    box <- box - rate_t (2 - IoU) dloss/dbox, for box = (x, y, w, h), centre and sides

    Targets have area 1, lie at (10, 10) and have the aspect ratios 1:4, 1:3, 1:2, 1:1, 2:1, 3:1, 4:1; so have
    the boxes, with 0.5, 0.67, 0.75, 1, 1.33, 1.5 and 2 times the area.

    Conventions: rate_t is ``rate`` for the first 8 tenths of the steps, then a tenth, in the last tenth a
    hundredth of it, as in the authors' program. The gradient is the loss's own. Theirs, written by hand, is
    not: in w and h it is twice that of IoU and of GIoU's other term, in DIoU and CIoU the enclosing diagonal
    depends on the box in another way, and CIoU lacks its factor 1 / (w^2 + h^2). So curves may differ. Sides
    stay at or above 0.01, where theirs may become negative. Computed in float32.
    Args:
        loss: of predicted and target boxes, (N, 4) corners each; (N,).
        anchors: number of points, a divisor of 5000; 343 cases each. 100 are a stratified 1/50 of all.
        steps: 200 in the paper.
        rate: 0.1 in the paper.
        seed: of the anchor points.
        device: where to compute.
        cases_at_once: as many as fit a processor's cache; a GPU wants more. Only rounding depends on it.
    Raises: ValueError: if anchors does not divide 5000 or steps is not positive.
    Example:
        >>> race(box_iou_loss, anchors=1, steps=3).error.shape
        torch.Size([4])

    References: Zheng et al., AAAI 2020, Sec. 3 and Alg. 1, arXiv:1911.08287; github.com/Zzh-tju/DIoU.
    """
    if steps < 1:
        raise ValueError(f"steps must be 1 or more: got {steps}")
    points = race_anchors(anchors, seed)
    per_anchor = max(1, cases_at_once // CASES)
    error = torch.zeros(steps + 1, dtype=torch.float64)
    converged, shortest = torch.zeros_like(error), 0.0
    last_errors, last_shares = [], []
    for chunk in points.split(per_anchor):
        run = _descend(loss, *_cases(chunk, device), steps, rate)
        error += run.error * len(chunk) / anchors
        converged += run.converged * len(chunk) / anchors
        shortest += run.shortest * len(chunk) / anchors
        last_errors.append(run.last_error.view(len(chunk), CASES).mean(1))
        last_shares.append(run.last_converged.view(len(chunk), CASES).mean(1))
    return Race(
        points,
        error,
        converged,
        torch.cat(last_errors),
        torch.cat(last_shares),
        shortest,
    )


def full_race(
    device: torch.device | str = "cpu", anchors: int = ANCHORS, steps: int = 200
) -> dict[str, Callable[[], dict]]:
    """The whole simulation, to be recorded: a part a loss, and one of equal grids of rates on a tenth of it.

    Conventions: the part of a loss holds ``error`` and ``converged`` by step, ``cases``, ``shortest``; as
    ``final`` mean and standard error over the anchor points of both after the last step; as ``map`` the mean
    final error in each of 24 x 24 cells of the square around the disk, row by row from low y, None where no
    anchor lies.
    Part ``rates`` holds ``final`` by loss and rate.
    Args:
        device: where to compute.
        anchors, steps: fewer for a try.
    Returns: functions without arguments, by the part's name; each returns what JSON can hold.
    """

    def of_loss(loss: Callable[[Tensor, Tensor], Tensor]) -> dict:
        return _summary(race(loss, anchors, steps, device=device))

    def rates() -> dict:
        return {
            name: [
                _final(race(loss, anchors // 10, steps, rate, device=device))
                | {"rate": rate}
                for rate in RATES
            ]
            for name, loss in RACERS.items()
        }

    parts = {name: lambda loss=loss: of_loss(loss) for name, loss in RACERS.items()}
    return {**parts, "rates": rates}


def _summary(run: Race) -> dict:
    x, y = (
        ((run.anchors - CENTRE + RADIUS) / (2 * RADIUS) * CELLS)
        .long()
        .clamp(max=CELLS - 1)
        .T
    )
    cell = y * CELLS + x
    counts = torch.zeros(CELLS**2, dtype=torch.float64)
    sums = counts.clone().index_add_(0, cell, run.anchor_error)
    counts.index_add_(0, cell, torch.ones_like(run.anchor_error))
    means = (sums / counts.clamp(min=1)).tolist()
    return {
        "cases": len(run.anchors) * CASES,
        "error": _rounded(run.error),
        "converged": _rounded(run.converged),
        "shortest": round(run.shortest, 6),
        "final": _final(run),
        "map": [
            round(m, 4) if n else None
            for m, n in zip(means, counts.tolist(), strict=True)
        ],
    }


def _final(run: Race) -> dict:
    """Mean and standard error over anchor points."""
    found = {}
    for name, values in (
        ("error", run.anchor_error),
        ("converged", run.anchor_converged),
    ):
        mean = values.mean()
        spread = (values - mean).square().sum() / max(len(values) - 1, 1)
        found[name] = round(mean.item(), 6)
        found[f"{name}_standard_error"] = round((spread / len(values)).sqrt().item(), 6)
    return found


def _rounded(values: Tensor) -> list[float]:
    return [round(value, 6) for value in values.tolist()]


def _cases(points: Tensor, device: torch.device | str) -> tuple[Tensor, Tensor, Tensor]:
    """Centres and sides of all boxes at the points, and their targets' sides: (2, cases) each."""
    ratio, scale = torch.tensor(RATIOS).double(), torch.tensor(SCALES).double()
    targets, areas, ratios = torch.meshgrid(ratio, scale, ratio, indexing="ij")
    sides = torch.stack([(areas * ratios).sqrt(), (areas / ratios).sqrt()]).view(2, -1)
    target = torch.stack([targets.sqrt(), 1 / targets.sqrt()]).view(2, -1)
    centres = points.T.repeat_interleave(CASES, dim=1)
    every = (centres, sides.repeat(1, len(points)), target.repeat(1, len(points)))
    return tuple(t.float().to(device) for t in every)


@dataclass(frozen=True)
class _Descent:
    error: Tensor
    converged: Tensor
    last_error: Tensor
    last_converged: Tensor
    shortest: float


def _descend(
    loss: Callable[[Tensor, Tensor], Tensor],
    centres: Tensor,
    sides: Tensor,
    target_sides: Tensor,
    steps: int,
    rate: float,
) -> _Descent:
    target = torch.cat([CENTRE - target_sides / 2, CENTRE + target_sides / 2])
    held = torch.zeros_like(sides[0], dtype=torch.bool)
    errors, shares = [], []
    for step in range(steps + 1):
        corners = torch.cat([centres - sides / 2, centres + sides / 2])  # (4, cases)
        iou = _iou(_pairs(corners, target), 0.0)
        error = (centres - CENTRE).abs().sum(0) + (sides - target_sides).abs().sum(0)
        errors.append(error.mean())
        shares.append((iou >= CONVERGED).float().mean())
        if step == steps:
            break
        corners.requires_grad_()
        total = loss(corners.movedim(0, -1), target.movedim(0, -1)).sum()
        low, high = torch.autograd.grad(total, corners)[0].chunk(2)
        factor = _rate(step, steps, rate) * (2 - iou)
        centres = centres - factor * (low + high)
        sides = sides - factor * (high - low) / 2
        held |= (sides < SHORTEST).any(dim=0)
        sides = sides.clamp(min=SHORTEST)
    return _Descent(
        torch.stack(errors).double().cpu(),
        torch.stack(shares).double().cpu(),
        error.double().cpu(),
        (iou >= CONVERGED).double().cpu(),
        held.double().mean().item(),
    )


def _rate(step: int, steps: int, rate: float) -> float:
    if 10 * step < 8 * steps:
        return rate
    return rate / 10 if 10 * step < 9 * steps else rate / 100
