"""Losses of the difference to a number: absolute, squared, and absolute with a round bottom."""

import torch
from torch import Tensor

from dlkb.losses._reduction import check_reduction, reduce
from dlkb.losses._shared import (
    _at_least_float32,
    _check_at_least,
    _check_floating,
    _check_positive,
    _check_same_shape,
)

__all__ = ["huber_loss", "l1_loss", "mse_loss", "smooth_l1_loss"]


def l1_loss(
    input: Tensor,
    target: Tensor,
    *,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    r"""Absolute error, |input - target|. Its gradient is +1 or -1, and 0 where they are equal.

    Conventions: torch's; its deprecated ``size_average`` and ``reduce`` are left out, so what follows
    ``target`` must be given by name. Unlike torch, which broadcasts different shapes and warns, they are
    refused, and so are integers.
    Args:
        input, target: of one shape, floating point.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``; a weighted mean divides by the sum of the weights.
        weight: of the same shape, or None for ones.
    Returns: the shape of ``input``, or a scalar; dtype of ``input``. The mean of nothing is NaN.
    Raises: TypeError: if one of them is not floating point. ValueError: for different shapes, or an unknown
        reduction.
    Example:
        >>> import torch
        >>> l1_loss(torch.tensor([1.0, 5.0]), torch.tensor([2.0, 2.0]))
        tensor(2.)
    """
    errors = _difference(input, target, weight, reduction).abs()
    return _weighted_reduce(errors, weight, reduction).to(input.dtype)


def mse_loss(
    input: Tensor,
    target: Tensor,
    *,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    r"""Squared error, (input - target)^2. Its gradient is twice the error.

    Conventions, Args, Returns, Raises: as ``l1_loss``. Without a factor 1/2. In float16 an error above 255
    has a squared error of infinity, as in torch; its gradient is finite.
    Example:
        >>> import torch
        >>> mse_loss(torch.tensor([1.0, 5.0]), torch.tensor([2.0, 2.0]))
        tensor(5.)
    """
    errors = _difference(input, target, weight, reduction).square()
    return _weighted_reduce(errors, weight, reduction).to(input.dtype)


def smooth_l1_loss(
    input: Tensor, target: Tensor, *, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    r"""Absolute error, but a parabola below ``beta``; its gradient never exceeds 1.

    loss = d^2 / (2 beta) if |d| < beta, else |d| - beta / 2, where d = input - target

    Conventions: as ``l1_loss``. Huber's loss divided by its delta = beta; L1 if beta is 0.
    Args:
        input, target, reduction: as ``l1_loss``.
        beta: not negative, in units of the input.
    Returns: the shape of ``input``, or a scalar; dtype of ``input``.
    Raises: as ``l1_loss``; ValueError: if beta is negative.
    Example:
        >>> import torch
        >>> smooth_l1_loss(torch.tensor([0.5, 3.0]), torch.zeros(2), reduction="none")
        tensor([0.1250, 2.5000])

    References: Girshick, "Fast R-CNN", ICCV 2015, Eq. 3, arXiv:1504.08083 (beta = 1).
    """
    _check_at_least(0, beta=beta)
    errors = _difference(input, target, None, reduction).abs()
    losses = errors if beta == 0 else _huber(errors, beta)
    if beta not in (0, 1):
        losses = losses / beta
    return reduce(losses, reduction).to(input.dtype)


def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    r"""Half the squared error, but a straight line above ``delta``; its gradient never exceeds delta.

    loss = d^2 / 2 if |d| < delta, else delta (|d| - delta / 2), where d = input - target

    Conventions: torch's arguments in torch's order; as ``l1_loss``, except that a weighted mean divides by
    the number of elements, as torch's.
    Args:
        input, target, weight: as ``l1_loss``.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
        delta: positive, in units of the input.
    Returns: the shape of ``input``, or a scalar; dtype of ``input``.
    Raises: as ``l1_loss``; ValueError: if delta is not positive.
    Example:
        >>> import torch
        >>> huber_loss(torch.tensor([0.5, 3.0]), torch.zeros(2), delta=2.0, reduction="none")
        tensor([0.1250, 4.0000])

    References: Huber, Annals of Mathematical Statistics 35, 1964.
    """
    _check_positive(delta=delta)
    errors = _difference(input, target, weight, reduction).abs()
    losses = _huber(errors, delta)
    if weight is not None:
        losses = losses * weight
    return reduce(losses, reduction).to(input.dtype)


def _huber(error: Tensor, delta: float) -> Tensor:
    # With q = min(|d|, delta), both branches are q (|d| - q / 2); nothing is squared that is not small.
    q = error.clamp(max=delta)
    return q * torch.sub(error, q, alpha=0.5)


def _difference(
    input: Tensor, target: Tensor, weight: Tensor | None, reduction: str
) -> Tensor:
    check_reduction(reduction)
    _check_floating(input=input, target=target, weight=weight)
    _check_same_shape(input, target=target, weight=weight)
    return _at_least_float32(input) - _at_least_float32(target)


def _weighted_reduce(errors: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    if weight is None:
        return reduce(errors, reduction)
    weight = _at_least_float32(weight)
    if reduction == "mean":
        return (errors * weight).sum() / weight.sum()
    return reduce(errors * weight, reduction)
