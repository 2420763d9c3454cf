"""Gains: by how much more than 1 / sqrt(fan) the weights must spread, for what an activation takes away."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from dlkb.initialization._shared import _check_one_of

__all__ = ["backward_gain", "calculate_gain", "forward_gain"]

GAINS = {
    "linear": 1.0,
    "conv1d": 1.0,
    "conv2d": 1.0,
    "conv3d": 1.0,
    "conv_transpose1d": 1.0,
    "conv_transpose2d": 1.0,
    "conv_transpose3d": 1.0,
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "leaky_relu": math.sqrt(2 / (1 + 0.01**2)),
    "selu": 3 / 4,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The gain that torch recommends for a nonlinearity.

    Conventions: torch's. sqrt(2) for a ReLU and sqrt(2 / (1 + slope^2)) for a leaky one are exact; 5/3 for
    tanh and 3/4 for SELU are rules of thumb; ``forward_gain`` measures what keeps the second moment. Unlike
    torch, a ``param`` for a nonlinearity that has none is refused.
    Args:
        nonlinearity: the name of a function in torch.nn.functional: "linear", a convolution, "sigmoid",
            "tanh", "relu", "leaky_relu", "selu".
        param: the negative slope of "leaky_relu", 0.01 if None.
    Returns: the factor of the weights' standard deviation.
    Raises: ValueError: for another nonlinearity, or a param that has no meaning. TypeError: for a param that
        is no number.
    Example:
        >>> calculate_gain("leaky_relu", 1.0), calculate_gain("leaky_relu", 0.0) == calculate_gain("relu")
        (1.0, True)

    References: He et al., ICCV 2015, Sec. 2.2, arXiv:1502.01852.
    """
    _check_one_of(tuple(GAINS), nonlinearity=nonlinearity)
    if param is None:
        return GAINS[nonlinearity]
    if nonlinearity != "leaky_relu":
        raise ValueError(
            f"param must be None for {nonlinearity!r}, since leaky_relu alone has one, its slope: got {param}"
        )
    if isinstance(param, bool) or not isinstance(param, int | float):
        raise TypeError(
            f"param must be a number, the slope of leaky_relu: got {param!r}"
        )
    return math.sqrt(2 / (1 + param**2))


def forward_gain(function: Callable[[Tensor], Tensor]) -> float:
    """The gain that keeps a second moment of 1 through a wide layer: 1 / sqrt(E f(z)^2), z standard normal.

    Conventions: by the midpoint rule over [-12, 12] in steps of 1/1000; for functions whose kinks are at
    multiples of that it is right to 7 digits. What it gives holds at a second moment of 1 alone, except for
    functions that scale with their input, as a ReLU.
    Args:
        function: an activation, elementwise.
    Example:
        >>> round(forward_gain(torch.relu), 4), round(forward_gain(torch.tanh), 4)  # torch: sqrt(2), 5/3
        (1.4142, 1.5925)

    References: Klambauer et al., NeurIPS 2017, arXiv:1706.02515 (the fixed point);
        He et al., ICCV 2015, arXiv:1502.01852 (the second moment).
    """
    z, density = _normal_midpoints()
    return (density * function(z).square()).sum().rsqrt().item()


def backward_gain(function: Callable[[Tensor], Tensor]) -> float:
    """The gain that keeps a gradient's second moment: 1 / sqrt(E f'(z)^2), z standard normal.

    Conventions: as ``forward_gain``. The two are equal for a ReLU; where they differ, weights keep either the
    signal or the gradient.
    Args:
        function: an activation, elementwise and differentiable by autograd.
    Example:
        >>> round(backward_gain(torch.relu), 4), round(backward_gain(torch.tanh), 4)
        (1.4142, 1.4674)

    References: as ``forward_gain``.
    """
    z, density = _normal_midpoints()
    z.requires_grad_()
    (slope,) = torch.autograd.grad(function(z).sum(), z)
    return (density * slope.square()).sum().rsqrt().item()


def _normal_midpoints() -> tuple[Tensor, Tensor]:
    """Points halfway between multiples of 1/1000, where activations have their kinks; and probabilities."""
    z = (torch.arange(-12_000, 12_000, dtype=torch.float64) + 0.5) / 1000
    return z, torch.exp(-z.square() / 2) / (math.sqrt(2 * math.pi) * 1000)
