"""The truncated normal distribution: no value far out, and a smaller spread than its name says."""

import math

import torch
from torch import Tensor

from dlkb.initialization._shared import _check_floating, _check_positive

__all__ = ["trunc_normal_", "truncated_std"]


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill a tensor from a normal distribution whose values outside of [a, b] are drawn again.

    Conventions: torch's: a and b are bounds of the values, not numbers of standard deviations, so std=0.02
    with the bounds of the default truncates nothing. ``std`` is that before truncation; see
    ``truncated_std``. By the inverse distribution function, in float64, so that each value takes one draw;
    the draws are not torch's, their distribution is. Unlike torch, bounds far in a tail are right too.
    Args:
        tensor: any shape, floating point; filled in place.
        mean, std: of the normal distribution.
        a, b: the smallest and the largest value.
        generator: draws the values.
    Returns: ``tensor``.
    Raises: TypeError: if it is not floating point. ValueError: if std is not positive, a is not below b, or
        the normal distribution has no mass between them that float64 can hold.
    Example:
        >>> trunc_normal_(torch.empty(1000), std=10.0).abs().max() <= 2
        tensor(True)

    References: Robert, "Simulation of truncated normal variables", 1995, arXiv:0907.4010.
    """
    _check_floating(tensor=tensor)
    low, high = _bounds(mean, std, a, b)
    # far in the upper tail probabilities are too close to 1: mirror it, so that they are close to 0
    sign = -1 if low > 0 else 1
    start, end = sorted((_probability(sign * low), _probability(sign * high)))
    draws = torch.rand(
        tensor.shape, generator=generator, dtype=torch.float64, device=tensor.device
    )
    z = sign * torch.special.ndtri(start + (end - start) * draws)
    with torch.no_grad():
        return tensor.copy_((mean + std * z).clamp(a, b))


def truncated_std(
    mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0
) -> float:
    """The standard deviation that is left after truncation: 0.88 std for bounds at two std.

    Divide ``std`` by it, bounds in proportion, to get the spread that was meant.
    Args:
        mean, std, a, b: as ``trunc_normal_``'s.
    Raises: ValueError: as ``trunc_normal_``.
    Example:
        >>> round(truncated_std(), 4)
        0.8796

    References: Johnson et al., Continuous Univariate Distributions 1, 1994, Sec. 13.10.
    """
    low, high = _bounds(mean, std, a, b)
    if low > 0:
        low, high = -high, -low
    mass = _probability(high) - _probability(low)
    density = [math.exp(-z * z / 2) / math.sqrt(2 * math.pi) for z in (low, high)]
    ends = [
        z * d if d else 0.0 for z, d in zip((low, high), density, strict=True)
    ]  # 0 at an infinite bound
    shift = (density[0] - density[1]) / mass
    return std * math.sqrt(1 + (ends[0] - ends[1]) / mass - shift**2)


def _bounds(mean: float, std: float, a: float, b: float) -> tuple[float, float]:
    """The bounds in standard deviations from the mean."""
    _check_positive(std=std)
    if not a < b:
        raise ValueError(f"a must be below b: got a={a}, b={b}")
    low, high = (a - mean) / std, (b - mean) / std
    nearer = max(low, -high)  # negative if the mean lies between them
    if _probability(-nearer) < 1e-300:
        raise ValueError(
            f"[a, b] must hold mass of the normal distribution: got [{a}, {b}], which is {nearer:.0f} "
            f"standard deviations from the mean {mean}; move the mean, or widen std={std}"
        )
    return low, high


def _probability(z: float) -> float:
    """Of a standard normal number below z; digits are kept in the lower tail."""
    return math.erfc(-z / math.sqrt(2)) / 2
