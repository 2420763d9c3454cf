"""Kaiming initialization: keeps the second moment of the signal (fan_in) or of the gradient (fan_out)."""

import math

import torch
from torch import Tensor

from dlkb.initialization._shared import _check_floating, _check_one_of
from dlkb.initialization.fans import calculate_fan_in_and_fan_out
from dlkb.initialization.gain import calculate_gain

__all__ = ["kaiming_normal_", "kaiming_uniform_", "torch_default_"]

MODES = ("fan_in", "fan_out")


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill a weight from U(-bound, bound) with bound = gain sqrt(3 / fan).

    Conventions: torch's; the variance is gain^2 / fan, as ``kaiming_normal_``'s. Fans as
    ``calculate_fan_in_and_fan_out``: for a transposed convolution fan_in and fan_out are exchanged.
    Args:
        tensor: (out, in) or (out, in / groups, *kernel), floating point; filled in place.
        a: negative slope of the leaky ReLU after this layer, 0 for a ReLU; without meaning for others.
        mode: "fan_in" keeps the signal going forward, "fan_out" the gradient going back.
        nonlinearity: as ``calculate_gain``'s.
        generator: draws the values.
    Returns: ``tensor``.
    Raises: TypeError: if it is not floating point. ValueError: for fewer than 2 dimensions, another mode, or
        another nonlinearity.
    Example:
        >>> kaiming_uniform_(torch.empty(300, 200)).abs().max() <= math.sqrt(6 / 200)
        tensor(True)

    References: He et al., ICCV 2015, Sec. 2.2, arXiv:1502.01852.
    """
    bound = math.sqrt(3) * _std(tensor, a, mode, nonlinearity)
    with torch.no_grad():
        return tensor.uniform_(-bound, bound, generator=generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill a weight from a normal distribution of mean 0 and variance gain^2 / fan: 2 / fan for a ReLU.

    Args:
        tensor, a, mode, nonlinearity, generator: as ``kaiming_uniform_``'s.
    Returns: ``tensor``.
    Raises: TypeError, ValueError: as ``kaiming_uniform_``.
    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> weight = kaiming_normal_(torch.empty(300, 200), generator=generator)
        >>> round(weight.square().mean().item() * 200 / 2, 2)
        1.0

    References: He et al., ICCV 2015, Sec. 2.2, arXiv:1502.01852.
    """
    std = _std(tensor, a, mode, nonlinearity)
    with torch.no_grad():
        return tensor.normal_(0, std, generator=generator)


def torch_default_(
    weight: Tensor,
    bias: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill weight and bias as torch's linear layers and convolutions do: both from U(-1, 1) / sqrt(fan_in).

    Conventions: torch says kaiming_uniform_ with a = sqrt(5), which looks like a leaky ReLU but is a way to
    write the older rule: the gain is sqrt(2 / (1 + 5)), the bound sqrt(3) times that, so 1. The variance of
    a weight is 1 / (3 fan_in): each layer keeps a third of the second moment, or a sixth with a ReLU.
    Args:
        weight: (out, in) or (out, in / groups, *kernel), floating point; filled in place.
        bias: (out,), filled in place, or None.
        generator: draws the values, the weight's first.
    Returns: ``weight``.
    Raises: TypeError: if one of them is not floating point. ValueError: for a weight of fewer than 2
        dimensions.
    Example:
        >>> weight, bias = torch.empty(5, 400), torch.empty(5)
        >>> torch_default_(weight, bias).abs().max() <= 0.05
        tensor(True)

    References: LeCun et al., "Efficient BackProp", 1998, Sec. 4.6 (the variance 1 / fan_in that it is a
        third of).
    """
    if bias is not None:
        _check_floating(bias=bias)
    kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)
    if bias is not None:
        fan_in, _ = calculate_fan_in_and_fan_out(weight)
        bound = 1 / math.sqrt(max(fan_in, 1))
        with torch.no_grad():
            bias.uniform_(-bound, bound, generator=generator)
    return weight


def _std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    _check_floating(tensor=tensor)
    _check_one_of(MODES, mode=mode)
    fan = calculate_fan_in_and_fan_out(tensor)[MODES.index(mode)]
    slope = a if nonlinearity == "leaky_relu" else None
    return calculate_gain(nonlinearity, slope) / math.sqrt(max(fan, 1))
