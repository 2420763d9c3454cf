"""Xavier initialization: a compromise between keeping the signal and keeping the gradient."""

import math

import torch
from torch import Tensor

from dlkb.initialization._shared import _check_floating
from dlkb.initialization.fans import calculate_fan_in_and_fan_out

__all__ = ["xavier_normal_", "xavier_uniform_"]


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    """Fill a weight from U(-a, a) with a = gain sqrt(6 / (fan_in + fan_out)).

    Conventions: torch's; the variance is gain^2 2 / (fan_in + fan_out), as ``xavier_normal_``'s. Fans as
    ``calculate_fan_in_and_fan_out``.
    Args:
        tensor: (out, in) or (out, in / groups, *kernel), floating point; filled in place.
        gain: of the activation before, see ``calculate_gain``.
        generator: draws the values.
    Returns: ``tensor``.
    Raises: TypeError: if it is not floating point. ValueError: for fewer than 2 dimensions.
    Example:
        >>> xavier_uniform_(torch.empty(300, 200)).abs().max() <= math.sqrt(6 / 500)
        tensor(True)

    References: Glorot & Bengio, AISTATS 2010, Eq. 16.
    """
    bound = math.sqrt(3) * _std(tensor, gain)
    with torch.no_grad():
        return tensor.uniform_(-bound, bound, generator=generator)


def xavier_normal_(
    tensor: Tensor, gain: float = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    """Fill a weight from a normal distribution of mean 0 and variance gain^2 2 / (fan_in + fan_out).

    Conventions: torch's. sqrt(2 / (fan_in + fan_out)) is the standard deviation, not the variance.
    Args:
        tensor, gain, generator: as ``xavier_uniform_``'s.
    Returns: ``tensor``.
    Raises: TypeError, ValueError: as ``xavier_uniform_``.
    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> weight = xavier_normal_(torch.empty(300, 200), generator=generator)
        >>> round(weight.square().mean().item() * (300 + 200) / 2, 2)
        1.0

    References: Glorot & Bengio, AISTATS 2010, Eq. 12.
    """
    std = _std(tensor, gain)
    with torch.no_grad():
        return tensor.normal_(0, std, generator=generator)


def _std(tensor: Tensor, gain: float) -> float:
    _check_floating(tensor=tensor)
    fan_in, fan_out = calculate_fan_in_and_fan_out(tensor)
    return gain * math.sqrt(2 / max(fan_in + fan_out, 1))
