"""Layer normalization: one mean and one variance per sample (or token), over the last axes."""

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
    _standardize,
)

__all__ = ["LayerNorm", "layer_norm"]


def layer_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    r"""Normalize over the last axes, those of ``normalized_shape``, for each index of the axes before.

    y = (input - mean) / sqrt(var + eps) * weight + bias

    Conventions: the variance is biased (divide by n), as torch's; weight and bias have one value per
    *position* of the normalized axes, not per channel. Statistics are computed in at least float32.
    Unlike torch, a normalized shape of a single value is refused: it would normalize to 0, whatever it was.
    Args:
        input: (\*, normalized_shape), floating point. (N, T, D) with ``normalized_shape=D`` is the form of
            the Transformer; (N, C, H, W) with (C, H, W) the form for images.
        normalized_shape: sizes of the last axes; an int means the last one.
        weight, bias: of shape ``normalized_shape``, or None.
        eps: added to the variance, in units of input squared.
    Returns: shape, dtype and device of ``input``.
    Raises: TypeError: if input is not floating point. ValueError: if the last axes do not have
        ``normalized_shape``, if it has fewer than 2 values, or if eps is not positive.
    Example:
        >>> layer_norm(torch.tensor([[1.0, 3.0], [10.0, 30.0]]), 2, eps=1e-12)
        tensor([[-1.,  1.],
                [-1.,  1.]])

    References: Ba, Kiros & Hinton, "Layer Normalization", 2016, Sec. 3, arXiv:1607.06450.
    """
    shape = _as_shape(normalized_shape)
    _check_floating(input)
    _check_eps(eps)
    _check_last_axes(input, shape, at_least=2)
    _check_affine(shape, weight=weight, bias=bias)
    axes = tuple(range(-len(shape), 0))
    normalized = _standardize(_at_least_float32(input), axes, eps)
    if weight is not None:
        normalized = normalized * weight
    if bias is not None:
        normalized = normalized + bias
    return normalized.to(input.dtype)


class LayerNorm(nn.Module):
    """Layer normalization; arguments, defaults and state are torch.nn.LayerNorm's.

    Parameters ``weight`` and ``bias`` of shape ``normalized_shape``; no buffers: training and evaluation
    compute the same.
    Raises: ValueError: as ``layer_norm``.
    Example:
        >>> sum(p.numel() for p in LayerNorm((3, 4, 4)).parameters())  # 2 per position, not per channel
        96

    References: Ba, Kiros & Hinton, 2016, arXiv:1607.06450.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        _check_eps(eps)
        self.normalized_shape = _as_shape(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine

        def full(value: float) -> nn.Parameter:
            shape = self.normalized_shape
            return nn.Parameter(torch.full(shape, value, device=device, dtype=dtype))

        self.weight = full(1.0) if elementwise_affine else None
        self.bias = full(0.0) if elementwise_affine and bias else None

    def forward(self, input: Tensor) -> Tensor:
        return layer_norm(
            input, self.normalized_shape, self.weight, self.bias, self.eps
        )

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}"
        )
