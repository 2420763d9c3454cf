"""Group normalization: one mean and one variance per sample and group of channels."""

import torch
from torch import Tensor, nn

from dlkb.normalization._shared import (
    _at_least_float32,
    _check_eps,
    _check_input,
    _check_per_channel,
    _spread,
    _standardize,
)

__all__ = ["GroupNorm", "group_norm"]


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    r"""Normalize each group of C / num_groups neighbouring channels of each sample.

    y = (input - mean) / sqrt(var + eps) * weight + bias

    Conventions: the variance is biased (divide by n), as torch's; weight and bias have one value per
    channel, not per group. Statistics are computed in at least float32.
    Unlike torch, a group of a single value is refused: it would normalize to 0, whatever it was.
    Args:
        input: (N, C, \*), floating point.
        num_groups: must divide C; 1 takes all channels together, C each channel alone.
        weight, bias: (C,), or None.
        eps: added to the variance, in units of input squared.
    Returns: (N, C, \*), dtype and device of ``input``.
    Raises: TypeError: if input is not floating point. ValueError: if num_groups is below 1 or does not
        divide C, if a group has fewer than 2 values, for a wrong shape, or if eps is not positive.
    Example:
        >>> group_norm(torch.tensor([[1.0, 3.0, 10.0, 30.0]]), 2, eps=1e-12)
        tensor([[-1.,  1., -1.,  1.]])

    References: Wu & He, "Group Normalization", ECCV 2018, Sec. 3, arXiv:1803.08494.
    """
    _check_input(input)
    _check_groups(num_groups, input.shape[1])
    _check_eps(eps)
    _check_per_channel(input, weight=weight, bias=bias)
    values = input.shape[1:].numel() // num_groups
    if values < 2:
        raise ValueError(
            "a group needs at least 2 values, since a single one normalizes to 0: "
            f"got shape {tuple(input.shape)} in {num_groups} groups; use fewer groups"
        )
    groups = _at_least_float32(input).reshape(input.shape[0], num_groups, values)
    normalized = _standardize(groups, (2,), eps).reshape(input.shape)
    if weight is not None:
        normalized = normalized * _spread(weight, input)
    if bias is not None:
        normalized = normalized + _spread(bias, input)
    return normalized.to(input.dtype)


class GroupNorm(nn.Module):
    """Group normalization; arguments, defaults and state are torch.nn.GroupNorm's.

    Parameters ``weight`` and ``bias``, (C,); no buffers: training and evaluation compute the same.
    Raises: ValueError: as ``group_norm``, the number of groups already on construction.
    Example:
        >>> GroupNorm(4, 8)(torch.ones(2, 8, 5)).shape
        torch.Size([2, 8, 5])

    References: Wu & He, ECCV 2018, arXiv:1803.08494.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_channels < 1:
            raise ValueError(f"num_channels must be at least 1: got {num_channels}")
        _check_groups(num_groups, num_channels)
        _check_eps(eps)
        self.num_groups, self.num_channels = num_groups, num_channels
        self.eps, self.affine = eps, affine

        def full(value: float) -> nn.Parameter:
            return nn.Parameter(
                torch.full((num_channels,), value, device=device, dtype=dtype)
            )

        self.weight = full(1.0) if affine else None
        self.bias = full(0.0) if affine and bias else None

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() < 2 or input.shape[1] != self.num_channels:
            raise ValueError(
                f"the second dimension must have num_channels={self.num_channels} channels: "
                f"got shape {tuple(input.shape)}"
            )
        return group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, "
            f"affine={self.affine}"
        )


def _check_groups(num_groups: int, channels: int) -> None:
    if num_groups < 1:
        raise ValueError(f"num_groups must be at least 1: got {num_groups}")
    if channels % num_groups:
        divisors = [g for g in range(1, channels + 1) if channels % g == 0]
        raise ValueError(
            f"num_groups must divide the {channels} channels: got {num_groups}; "
            f"use one of {divisors}"
        )
