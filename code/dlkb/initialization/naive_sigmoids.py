"""The sigmoid as one would write it down: three formulas that overflow, each in its own way.

They compute in the dtype that they are given, as a formula in a notebook would. ``sigmoid`` is the repair.
"""

import torch
from torch import Tensor

__all__ = ["sigmoid_from_exp", "sigmoid_from_exp_of_minus", "sigmoid_unguarded"]


def sigmoid_from_exp_of_minus(input: Tensor) -> Tensor:
    """1 / (1 + exp(-x)): the value is right everywhere, the gradient NaN where exp(-x) is infinite.

    Args:
        input: any shape, floating point.
    Returns: shape and dtype of ``input``.
    Example:
        >>> x = torch.tensor(-100.0, requires_grad=True)
        >>> y = sigmoid_from_exp_of_minus(x)
        >>> y.item(), torch.autograd.grad(y, x)[0].item()
        (0.0, nan)
    """
    return 1 / (1 + torch.exp(-input))


def sigmoid_from_exp(input: Tensor) -> Tensor:
    """exp(x) / (1 + exp(x)): the value is NaN where exp(x) is infinite.

    Args:
        input: any shape, floating point.
    Returns: shape and dtype of ``input``.
    Example:
        >>> sigmoid_from_exp(torch.tensor([-100.0, 100.0]))
        tensor([3.7835e-44,        nan])
    """
    return torch.exp(input) / (1 + torch.exp(input))


def sigmoid_unguarded(input: Tensor) -> Tensor:
    """Each formula on its own half of the line, picked by torch.where after both are computed.

    The value is right everywhere. Where the formula that is not picked overflows, its gradient is infinite or
    NaN, and 0 times that, NaN, is added to the gradient of the other.
    Args:
        input: any shape, floating point.
    Returns: shape and dtype of ``input``.
    Example:
        >>> x = torch.tensor(100.0, requires_grad=True)
        >>> y = sigmoid_unguarded(x)
        >>> y.item(), torch.autograd.grad(y, x)[0].item()
        (1.0, nan)
    """
    upper, lower = sigmoid_from_exp_of_minus(input), sigmoid_from_exp(input)
    return torch.where(input >= 0, upper, lower)
