"""By which factor the distance along one axis of a quadratic changes in a step of an update rule."""

import torch
from torch import Tensor

from dlkb.optimizers.framework import Update
from dlkb.optimizers.paths import rule_path

__all__ = ["mean_factor", "settling_factor"]


def mean_factor(update: Update, steps: int = 200) -> Tensor:
    """The factor a step along an axis of curvature 1, as the geometric mean over a run from 1.

    Conventions: with momentum a point may swing through 0, so the distance is taken of the last two points
    together, sqrt(x_T^2 + x_(T-1)^2). Runs have the settings' dtype, the default one for numbers; in float32
    200 steps underflow at factors below about 0.6.
    Args:
        update: of ``dlkb.optimizers.framework``; settings that are tensors make many runs.
        steps: number of updates, at least 2.
    Returns: of the settings' shape; below 1 where the run arrives.
    Raises: ValueError: for fewer than 2 steps.
    Example:
        >>> from dlkb.optimizers.framework import sgd_update
        >>> mean_factor(sgd_update(torch.tensor([0.5, 1.0, 2.0])), steps=50)  # about |1 - rate|
        tensor([0.5081, 0.0000, 1.0070])
    """
    if steps < 2:
        raise ValueError(f"the last two points need at least 2 steps: got {steps}")
    path = rule_path(update, lambda x, step: x, torch.ones(()), steps)
    return torch.hypot(path[-1], path[-2]) ** (1 / steps)


def settling_factor(update: Update, starts: Tensor, steps: int = 200) -> float:
    """The factor a step in the long run, along an axis of curvature 1, from a fit to the logarithm.

    Fitted is a straight line through the logarithm of the distance, so that how the run begins, and swings
    through 0, hardly count. Distances are those of two points that follow each other, over all starts.
    Args:
        update: of ``dlkb.optimizers.framework``.
        starts: (n,), not 0.
        steps: number of updates, at least 3.
    Raises: ValueError: for fewer than 3 steps.
    Example:
        >>> from dlkb.optimizers.framework import sgd_update
        >>> round(settling_factor(sgd_update(0.25), torch.tensor([1.0, -2.0]), 20), 4)
        0.75
    """
    if steps < 3:
        raise ValueError(f"a fit needs at least 3 steps: got {steps}")
    path = torch.cat([starts[None], rule_path(update, lambda x, _: x, starts, steps)])
    size = torch.hypot(path[1:], path[:-1]).norm(dim=1).log()
    t = torch.arange(steps).to(size) - (steps - 1) / 2
    return (size @ t / (t @ t)).exp().item()
