"""Races of several seeds, descended together: small tensors spend most of their time between operations."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dlkb.losses.boxes import _iou, _pairs
from dlkb.losses.race import CENTRE, CONVERGED, Race, _cases, _descend, race_anchors

__all__ = ["race_seeds"]


def race_seeds(
    loss: Callable[[Tensor, Tensor], Tensor],
    seeds: Sequence[int],
    anchors: int = 20,
    steps: int = 200,
    rate: float = 0.1,
    device: torch.device | str = "cpu",
) -> list[Race]:
    """What ``race`` finds for each seed, but for rounding, in about half the time where anchors are few.

    Args:
        loss, anchors, steps, rate, device: as in ``race``; ``anchors`` are those of one seed.
        seeds: of the anchor points, one race each.
    Returns: one ``Race`` a seed, in order; ``shortest`` is that of all seeds together.
    Raises: ValueError: if there is no seed, anchors does not divide 5000 or steps is not positive.
    Example:
        >>> from dlkb.losses import box_iou_loss
        >>> [len(run.anchors) for run in race_seeds(box_iou_loss, [0, 1], anchors=2, steps=3)]
        [2, 2]
    """
    if not len(seeds):
        raise ValueError("give at least one seed: got none")
    if steps < 1:
        raise ValueError(f"steps must be 1 or more: got {steps}")
    points = torch.stack([race_anchors(anchors, seed) for seed in seeds])  # (S, A, 2)
    centres, sides, target_sides = _cases(points.flatten(0, 1), device)
    errors, shares = [], []

    def watched(boxes: Tensor, targets: Tensor) -> Tensor:
        """The loss; on the way it keeps each seed's error and share before the step."""
        corners = boxes.detach().movedim(-1, 0)
        low, high = corners.chunk(2)
        error = ((low + high) / 2 - CENTRE).abs() + (high - low - target_sides).abs()
        iou = _iou(_pairs(corners, targets.movedim(-1, 0)), 0.0)
        errors.append(error.sum(0).view(len(seeds), -1).mean(1))
        shares.append((iou >= CONVERGED).float().view(len(seeds), -1).mean(1))
        return loss(boxes, targets)

    run = _descend(watched, centres, sides, target_sides, steps, rate)
    by_anchor = (len(seeds), anchors, -1)
    last_error = run.last_error.view(by_anchor).mean(2)  # (S, A)
    last_share = run.last_converged.view(by_anchor).mean(2)
    error, share = (torch.stack(kept, 1).double().cpu() for kept in (errors, shares))
    error = torch.cat([error, last_error.mean(1, keepdim=True)], 1)  # (S, T + 1)
    share = torch.cat([share, last_share.mean(1, keepdim=True)], 1)
    return [
        Race(*own, shortest=run.shortest)
        for own in zip(points, error, share, last_error, last_share, strict=True)
    ]
