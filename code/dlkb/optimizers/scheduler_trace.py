"""What one of torch's schedulers does to an optimizer, written down step by step."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dlkb.optimizers.sgd import SGD

__all__ = ["Trace", "scheduler_trace"]


class Trace(NamedTuple):
    """The rate and the momentum with which each update was done: (steps,) each, float64."""

    lr: Tensor
    momentum: Tensor


def scheduler_trace(
    make: Callable[[torch.optim.Optimizer], Any],
    steps: int,
    lr: float = 1.0,
    momentum: float = 0.0,
) -> Trace:
    """Let a scheduler drive SGD, and note what every update is done with.

    Conventions: as in training, the optimizer steps first and the scheduler after it; so entry 0 is what the
    scheduler set up when it was made.
    Args:
        make: makes the scheduler of an optimizer, such as ``partial(StepLR, step_size=2)``.
        steps: number of updates, at least 1.
        lr, momentum: what the optimizer is given.
    Returns: ``Trace``.
    Raises: ValueError: if steps is below 1.
    Example:
        >>> from functools import partial
        >>> make = partial(torch.optim.lr_scheduler.StepLR, step_size=2, gamma=0.5)
        >>> scheduler_trace(make, 4, lr=8.0).lr.tolist()
        [8.0, 8.0, 4.0, 4.0]
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1: got {steps}")
    optimizer = SGD([torch.zeros(1)], lr=lr, momentum=momentum)
    scheduler = make(optimizer)
    used = []
    for step in range(steps):
        if step > 0:
            scheduler.step()
        group = optimizer.param_groups[0]
        used.append((float(group["lr"]), float(group["momentum"])))
        optimizer.step()
    return Trace(*torch.tensor(used, dtype=torch.float64).T)
