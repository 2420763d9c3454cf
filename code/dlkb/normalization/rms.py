"""Root-mean-square normalization: layer norm without the mean."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dlkb.normalization._shared import (
    _as_shape,
    _at_least_float32,
    _check_affine,
    _check_eps,
    _check_floating,
    _check_last_axes,
)

__all__ = ["RMSNorm", "rms_norm"]


def rms_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    r"""Divide by the root mean square over the last axes, those of ``normalized_shape``.

    y = input / sqrt(mean(input^2) + eps) * weight

    Conventions: no mean is subtracted and there is no bias; eps stands inside the root. Statistics are
    computed in at least float32.
    Args:
        input: (\*, normalized_shape), floating point.
        normalized_shape: sizes of the last axes; an int means the last one.
        weight: of shape ``normalized_shape``, or None.
        eps: added to the mean square, in units of input squared; None for the machine epsilon of the dtype
            that is computed in, float32 for the half types: 1.2e-7, or 2.2e-16 for float64.
    Returns: shape, dtype and device of ``input``.
    Raises: TypeError: if input is not floating point. ValueError: if the last axes do not have
        ``normalized_shape``, or if eps is not positive.
    Example:
        >>> rms_norm(torch.tensor([[1.0, 7.0]]), 2) * 5  # mean square (1 + 49) / 2 = 25
        tensor([[1., 7.]])

    References: Zhang & Sennrich, "Root Mean Square Layer Normalization", NeurIPS 2019, Sec. 4,
        arXiv:1910.07467.
    """
    shape = _as_shape(normalized_shape)
    _check_floating(input)
    _check_last_axes(input, shape, at_least=1)
    _check_affine(shape, weight=weight)
    x = _at_least_float32(input)
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    _check_eps(eps)
    axes = tuple(range(-len(shape), 0))
    normalized = x / torch.sqrt(x.square().mean(dim=axes, keepdim=True) + eps)
    if weight is not None:
        normalized = normalized * weight
    return normalized.to(input.dtype)


class RMSNorm(nn.Module):
    """Root-mean-square normalization; arguments, defaults and state are torch.nn.RMSNorm's.

    Parameter ``weight`` of shape ``normalized_shape``; no bias and no buffers.
    Raises: ValueError: as ``rms_norm``.
    Example:
        >>> list(RMSNorm(8).state_dict())
        ['weight']

    References: Zhang & Sennrich, NeurIPS 2019, arXiv:1910.07467.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if eps is not None:
            _check_eps(eps)
        self.normalized_shape = _as_shape(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        ones = torch.ones(self.normalized_shape, device=device, dtype=dtype)
        self.weight = nn.Parameter(ones) if elementwise_affine else None

    def forward(self, input: Tensor) -> Tensor:
        return rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}"
        )
