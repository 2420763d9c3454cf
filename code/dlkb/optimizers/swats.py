"""SWATS: Adam at first, then SGD at a rate estimated from Adam's own steps."""

from typing import NamedTuple

import torch
from torch import Tensor

from dlkb.optimizers.framework import Number, Update, UpdateState, corrected, ema

__all__ = ["Switch", "projected_rate", "swats_update"]


class Switch(NamedTuple):
    """What SWATS remembers beside Adam's moments; one value for each run, but for the velocity.

    Args:
        average: of projected rates, not corrected (..., 1).
        rate: SGD's, once the run has switched; 0 before (..., 1).
        at: the step after which SGD took over; 0 before (..., 1).
        velocity: SGD's, of the parameter's shape.
    """

    average: Tensor
    rate: Tensor
    at: Tensor
    velocity: Tensor


def projected_rate(step: Tensor, grad: Tensor) -> Tensor:
    """The rate at which gradient descent's step, projected on ``step``, is ``step``.

    rate = (step * step) / -(step * grad), dot products over the last dimension

    Conventions: negative where the step ascends, 0 where it is across the gradient and no rate would do.
    Args:
        step: (..., d), what an optimizer adds to the parameters.
        grad: (..., d).
    Returns: (..., 1).
    Example:
        >>> projected_rate(torch.tensor([-1.0, -1.0]), torch.tensor([2.0, 6.0]))  # 2 / 8
        tensor([0.2500])

    References: Keskar & Socher, 2017, Sec. 3.1.
    """
    along = -(step * grad).sum(-1, keepdim=True)
    square = step.square().sum(-1, keepdim=True)
    return torch.where(along == 0, 0, square / torch.where(along == 0, 1, along))


def swats_update(
    lr: Number = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    tolerance: float = 1e-9,
) -> Update:
    """Adam until its projected rate agrees with its own average, then SGD with momentum at that average.

    The average decays by beta2 and is corrected as Adam's; a run switches after the first step, but the very
    first, at which the two differ by less than ``tolerance``. From then on:

    velocity = beta1 * velocity + grad    param = param - (1 - beta1) * average * velocity

    Conventions: the paper's, but that a run does not switch while the average is not positive. Steps across
    the gradient leave the average as it is. ``tolerance`` has the unit of a learning rate: double the loss,
    and projected rates halve.
    Args:
        lr, betas, eps: Adam's.
        tolerance: the paper's epsilon.
    Returns: ``update(state, grad)`` of the framework, on all parameters of a run as one vector, the last
        dimension; each run switches on its own, and ``state.steps`` is a ``Switch``.
    Example:
        >>> state = swats_update(0.5, eps=0)(UpdateState(torch.zeros(2)), torch.tensor([2.0, 6.0]))
        >>> state.param, state.steps.at
        (tensor([-0.5000, -0.5000]), tensor([0]))

    References: Keskar & Socher, "Improving Generalization Performance by Switching from Adam to SGD", 2017,
        arXiv:1712.07628.
    """
    beta1, beta2 = betas
    phi, psi = corrected(ema(beta1), beta1), corrected(ema(beta2), beta2)

    def update(state: UpdateState, grad: Tensor) -> UpdateState:
        count = state.step + 1
        m, first = phi(state.first, grad, count)
        V, second = psi(state.second, grad.square(), count)
        adam = -lr * m / (V.sqrt() + eps)
        rate = projected_rate(adam, grad)
        past = state.steps
        if past is None:
            zero = torch.zeros_like(rate)
            past = Switch(zero, zero, zero.long(), torch.zeros_like(adam))
        average = torch.where(
            rate == 0, past.average, beta2 * past.average + (1 - beta2) * rate
        )
        estimate = average / (1 - beta2**count)
        agree = (estimate - rate).abs() < tolerance
        switched = past.at > 0
        now = ~switched & agree & (estimate > 0) & (rate != 0) & (count > 1)
        velocity = torch.where(switched, beta1 * past.velocity + grad, past.velocity)
        descent = -(1 - beta1) * past.rate * velocity
        after = Switch(
            average,
            torch.where(now, estimate, past.rate),
            torch.where(now, count, past.at),
            velocity,
        )
        param = state.param + torch.where(switched, descent, adam)
        return UpdateState(param, count, first, second, after)

    return update
