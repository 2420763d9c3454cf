"""Adam whose rates, one a weight, keep within bounds: a floor alone, or two that close in (AdaBound)."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dlkb.optimizers.framework import (
    Number,
    Rate,
    Update,
    UpdateState,
    corrected,
    ema,
    of_squares,
)

__all__ = ["adabound_bounds", "adabound_update", "clipped_adam_update"]


def clipped_adam_update(
    lr: Rate = 1e-3,
    betas: tuple[Number, Number] = (0.9, 0.999),
    eps: Number = 1e-8,
    *,
    lower: Rate = 0.0,
    upper: Rate = torch.inf,
) -> Update:
    """Adam with every weight's own rate, lr / (sqrt(V) + eps), clipped to [lower, upper].

    param = param - clip(lr / (sqrt(V) + eps), lower, upper) * m

    Conventions: m and V are corrected, as in Adam, which the function equals while no bound is reached. With
    lower = upper it is SGD along the moving average of the gradients.
    Args:
        lr, betas, eps: as ``adam_update``'s.
        lower, upper: numbers, tensors that broadcast, or functions of the number of steps done.
    Returns: a function of an ``UpdateState`` and a gradient, as ``make_update`` gives.
    Example:
        >>> update = clipped_adam_update(1.0, eps=0, lower=0.5)
        >>> update(UpdateState(torch.tensor([3.0, 3.0])), torch.tensor([4.0, 1.0])).param  # rates 0.5 and 1
        tensor([1., 2.])

    References: Keskar & Socher, "Improving Generalization Performance by Switching from Adam to SGD", 2017,
        arXiv:1712.07628 (fixed bounds).
    """
    beta1, beta2 = betas
    phi, psi = corrected(ema(beta1), beta1), of_squares(corrected(ema(beta2), beta2))

    def update(state: UpdateState, grad: Tensor) -> UpdateState:
        rate, low, high = (
            torch.as_tensor(
                value(state.step) if callable(value) else value,
                dtype=grad.dtype,
                device=grad.device,
            )
            for value in (lr, lower, upper)
        )
        step = state.step + 1
        m, first = phi(state.first, grad, step)
        V, second = psi(state.second, grad, step)
        own = torch.clamp(rate / (V.sqrt() + eps), low, high)
        # where m and V are 0 and eps too, the rate may be infinite, and the step is 0
        moved = torch.where(m == 0, torch.zeros_like(m), own * m)
        return UpdateState(state.param - moved, step, first, second)

    return update


def adabound_bounds(
    final_lr: Number = 0.1, gamma: float = 1e-3
) -> tuple[Callable[[int], Any], Callable[[int], Any]]:
    """AdaBound's bounds as functions of the number of steps done: from [0, inf) they close in on final_lr.

    lower = final_lr * (1 - 1 / (gamma * t + 1))    upper = final_lr * (1 + 1 / (gamma * t))

    with t = steps done + 1.
    Raises: ValueError: if gamma is not positive.
    Example:
        >>> lower, upper = adabound_bounds(1.0, gamma=0.5)
        >>> lower(1), upper(1)
        (0.5, 2.0)

    References: Luo, Xiong, Liu & Sun, "Adaptive Gradient Methods with Dynamic Bound of Learning Rate", ICLR
        2019, arXiv:1902.09843.
    """
    if not gamma > 0:
        raise ValueError(f"gamma must be positive, to close the bounds: got {gamma}")
    return (
        lambda step: final_lr * (1 - 1 / (gamma * (step + 1) + 1)),
        lambda step: final_lr * (1 + 1 / (gamma * (step + 1))),
    )


def adabound_update(
    lr: Rate = 1e-3,
    betas: tuple[Number, Number] = (0.9, 0.999),
    final_lr: Number = 0.1,
    gamma: float = 1e-3,
    eps: Number = 1e-8,
) -> Update:
    """AdaBound: Adam at first, SGD with rate ``final_lr`` in the end.

    Conventions: names and defaults are the authors' code's. There, the correction of m is part of the rate
    that is clipped, and final_lr follows the schedule of lr; here m is corrected outside, and final_lr stays.
    Args:
        lr, betas, eps: as ``adam_update``'s.
        final_lr, gamma: as ``adabound_bounds``'s.
    Example:
        >>> update = adabound_update(1.0, final_lr=0.25, gamma=1.0, eps=0)
        >>> update(UpdateState(torch.tensor(3.0)), torch.tensor(1.0)).param  # clipped at 0.25 * 2
        tensor(2.5000)

    References: Luo et al., ICLR 2019, arXiv:1902.09843.
    """
    lower, upper = adabound_bounds(final_lr, gamma)
    return clipped_adam_update(lr, betas, eps, lower=lower, upper=upper)
