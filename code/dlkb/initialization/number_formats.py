"""What low precision loses: values out of a float format's range, and rounding to a fixed grid."""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["RangeShares", "fixed_point", "range_shares", "rounding_error"]


class RangeShares(NamedTuple):
    """Shares of the values that are not 0, which sum to 1.

    ``underflow``: become 0. ``subnormal``: kept with fewer digits. ``normal``: kept with all digits.
    ``overflow``: become infinite; NaN counts here too.
    """

    underflow: float
    subnormal: float
    normal: float
    overflow: float


def range_shares(
    values: Tensor, dtype: torch.dtype = torch.float16, scale: float = 1.0
) -> RangeShares:
    """Where values end up when they are multiplied by ``scale`` and cast to a float format.

    Conventions: values that are exactly 0 are left out, since no scale can save them. The product is taken
    in at least float32, as the loss is scaled before the backward pass.
    Args:
        values: any shape, floating point, such as gradients.
        dtype: the narrow format; float16 holds normal numbers from 6.1e-5 to 65504, and down to 6.0e-8 with
            fewer and fewer digits.
        scale: of the loss, and so of its gradients; positive.
    Returns: ``RangeShares``, each NaN if all values are 0.
    Raises: TypeError: if values or dtype are not floating point. ValueError: if scale is not positive.
    Example:
        >>> range_shares(torch.tensor([1e-9, 1e-6, 0.1, 1e6, 0.0]))
        RangeShares(underflow=0.25, subnormal=0.25, normal=0.25, overflow=0.25)
        >>> range_shares(torch.tensor([1e-9, 1e-6, 0.1]), scale=2.0**16).normal
        1.0

    References: Micikevicius et al., "Mixed Precision Training", ICLR 2018, Sec. 3.2, arXiv:1710.03740.
    """
    if not (values.is_floating_point() and dtype.is_floating_point):
        raise TypeError(
            f"values and dtype must be floating point: got {values.dtype} and {dtype}"
        )
    if not scale > 0:
        raise ValueError(f"scale must be positive: got {scale}")
    present = values[values != 0]
    if not len(present):
        return RangeShares(*[float("nan")] * 4)
    wide = present if present.dtype == torch.float64 else present.float()
    cast = (wide * scale).to(dtype).double().abs()
    tiny = torch.finfo(dtype).tiny  # the smallest normal number
    kinds = [cast == 0, (cast > 0) & (cast < tiny), (cast >= tiny) & cast.isfinite()]
    shares = [kind.double().mean().item() for kind in kinds]
    return RangeShares(*shares, (~cast.isfinite()).double().mean().item())


def fixed_point(values: Tensor, high: float, bits: int = 8, low: float = 0.0) -> Tensor:
    """Round to the nearest of 2^bits evenly spaced numbers from ``low`` to ``high``; clip what lies outside.

    Args:
        values: any shape, floating point.
        high, low: ends of the grid, which are both on it. For activations behind ReLU the largest value that
            was seen; behind ReLU6, 6.
        bits: at least 1.
    Returns: shape, dtype and device of ``values``.
    Raises: TypeError: if values are not floating point. ValueError: if low is not below high, or bits is
        below 1.
    Example:
        >>> fixed_point(torch.tensor([-1.0, 0.4, 1.6, 9.0]), high=3.0, bits=2)
        tensor([0., 0., 2., 3.])

    References: Jacob et al., "Quantization and Training of Neural Networks for Efficient
        Integer-Arithmetic-Only Inference", CVPR 2018, arXiv:1712.05877.
    """
    if not values.is_floating_point():
        raise TypeError(f"values must be floating point: got {values.dtype}")
    if not low < high or bits < 1:
        raise ValueError(
            f"low must be below high, and bits at least 1: got low={low}, high={high}, bits={bits}"
        )
    step = (high - low) / (2**bits - 1)
    wide = values if values.dtype == torch.float64 else values.float()
    return (((wide.clamp(low, high) - low) / step).round() * step + low).to(
        values.dtype
    )


def rounding_error(
    values: Tensor, high: float | None = None, bits: int = 8, low: float = 0.0
) -> float:
    """Root mean square error of ``fixed_point``, in units of the values' root mean square.

    Args:
        high: None for the largest value, so that nothing is clipped above.
        values, bits, low: as for ``fixed_point``.
    Returns: 0 if nothing is lost, 1 if everything is.
    Raises: ValueError: if all values are 0, or as ``fixed_point``.
    Example:
        >>> rounding_error(torch.tensor([0.0, 1.0, 3.0]), bits=2), rounding_error(torch.ones(3), high=1e6)
        (0.0, 1.0)
    """
    wide = values.double()
    size = wide.square().mean().sqrt()
    if not size > 0:
        raise ValueError(
            f"a relative error needs values that are not all 0: got {values.numel()} with root mean square "
            f"{size.item()}"
        )
    high = wide.max().item() if high is None else high
    error = fixed_point(wide, high, bits, low) - wide
    return (error.square().mean().sqrt() / size).item()
