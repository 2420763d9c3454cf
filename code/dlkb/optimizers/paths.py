"""Where an optimizer goes on given gradients: torch-style optimizers and update rules, side by side."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from dlkb.optimizers.framework import Update, UpdateState

__all__ = ["effective_rates", "first_step", "optimizer_path", "rule_path"]

# (param, number of updates done) -> gradient
Gradient = Callable[[Tensor, int], Tensor]


def optimizer_path(
    optimizer: Callable[..., torch.optim.Optimizer],
    gradient: Gradient,
    start: Tensor,
    steps: int,
    **options: Any,
) -> Tensor:
    """Let an optimizer of torch's kind walk.

    Args:
        optimizer: a class, called as ``optimizer([param], **options)``.
        gradient: of the parameter and of the number of updates done, 0 at the first.
        start: any shape, left as it is.
        steps: number of updates, at least 1.
    Returns: (steps, *start.shape), the parameter after each update.
    Raises: ValueError: if steps is below 1.
    Example:
        >>> optimizer_path(torch.optim.SGD, lambda w, step: w, torch.tensor([4.0]), 2, lr=0.5)
        tensor([[2.],
                [1.]])
    """
    _check_steps(steps)
    param = torch.nn.Parameter(start.clone())
    walker = optimizer([param], **options)
    path = []
    for step in range(steps):
        param.grad = gradient(param.detach(), step).clone()
        walker.step()
        path.append(param.detach().clone())
    return torch.stack(path)


def rule_path(update: Update, gradient: Gradient, start: Tensor, steps: int) -> Tensor:
    """Let an update rule of ``dlkb.optimizers.framework`` walk.

    Args:
        update: such as ``sgd_update(0.1)``.
        gradient, start, steps: as for ``optimizer_path``.
    Returns: (steps, *), the parameter after each update; settings that are tensors may have broadcast it.
    Raises: ValueError: if steps is below 1.
    Example:
        >>> from dlkb.optimizers.framework import sgd_update
        >>> rule_path(sgd_update(0.5), lambda w, step: w, torch.tensor([4.0]), 2)
        tensor([[2.],
                [1.]])
    """
    _check_steps(steps)
    state, path = UpdateState(start), []
    for step in range(steps):
        state = update(state, gradient(state.param, step))
        path.append(state.param)
    return torch.stack(path)


def effective_rates(update: Update, gradients: Sequence[Tensor] | Tensor) -> Tensor:
    """What an update rule multiplies each gradient by: its step over the gradient, without a minus.

    Conventions: the parameter is put back to 0 before each update, so that no step is rounded to the
    parameter's precision, and weight decay does nothing.
    Args:
        update: a rule; with momentum, the step is not of this gradient alone, nor is the rate.
        gradients: (steps, *), none of them 0.
    Returns: (steps, *).
    Raises: ValueError: if a gradient is 0.
    Example:
        >>> from dlkb.optimizers.framework import adagrad_update
        >>> effective_rates(adagrad_update(1.0, eps=0), torch.tensor([3.0, 4.0]))  # 1/3, 1/5
        tensor([0.3333, 0.2000])
    """
    state, rates = None, []
    for step, gradient in enumerate(gradients):
        if (gradient == 0).any():
            raise ValueError(
                f"a rate is a step over a gradient that is not 0: got a 0 at step {step}"
            )
        zeros = torch.zeros_like(gradient)
        state = UpdateState(zeros) if state is None else state._replace(param=zeros)
        state = update(state, gradient)
        rates.append(-state.param / gradient)
    return torch.stack(rates)


def first_step(
    optimizer: Callable[..., torch.optim.Optimizer], gradient: Tensor, **options: Any
) -> Tensor:
    """How far an optimizer of torch's kind goes from 0 in its first step, against the gradient.

    Returns: of the gradient's shape; positive where the step goes down.
    Example:
        >>> first_step(torch.optim.SGD, torch.tensor([2.0, -4.0]), lr=0.5)
        tensor([ 1., -2.])
    """
    zeros = torch.zeros_like(gradient)
    return -optimizer_path(
        optimizer, lambda param, step: gradient, zeros, 1, **options
    )[0]


def _check_steps(steps: int) -> None:
    if steps < 1:
        raise ValueError(f"steps must be at least 1: got {steps}")
