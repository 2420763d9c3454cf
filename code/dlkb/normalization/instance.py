"""Instance normalization: one mean and one variance per sample and channel."""

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
from dlkb.normalization.batch import batch_norm, update_running_statistics

__all__ = ["InstanceNorm2d", "instance_norm"]


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    r"""Normalize each channel of each sample over its positions.

    y = (input - mean) / sqrt(var + eps) * weight + bias

    Conventions: the variance that normalizes is biased. Running statistics, if given, move towards the
    average over the samples of mean and *unbiased* variance; they are used only without
    ``use_input_stats``, and then as in batch norm. Statistics are computed in at least float32.
    Args:
        input: (N, C, \*), floating point, with at least 2 positions.
        running_mean, running_var: (C,), updated in place with ``use_input_stats``, or None.
        weight, bias: (C,), or None.
        use_input_stats: whether to normalize by each sample's own statistics.
        momentum: weight of the batch in the running statistics, in [0, 1].
        eps: added to the variance, in units of input squared.
    Returns: (N, C, \*), dtype and device of ``input``.
    Raises: TypeError: if input is not floating point. ValueError: for a wrong shape, fewer than 2
        positions, missing running statistics where they are needed, momentum outside [0, 1], or eps that is
        not positive.
    Example:
        >>> instance_norm(torch.tensor([[[1.0, 3.0], [10.0, 30.0]]]), eps=1e-12)
        tensor([[[-1.,  1.],
                 [-1.,  1.]]])

    References: Ulyanov, Vedaldi & Lempitsky, "Instance Normalization", 2016, Sec. 2, arXiv:1607.08022.
    """
    if not use_input_stats:
        statistics = (running_mean, running_var)
        return batch_norm(input, *statistics, weight, bias, False, momentum, eps)
    _check_input(input)
    _check_eps(eps)
    _check_per_channel(input, running_mean=running_mean, running_var=running_var)
    _check_per_channel(input, weight=weight, bias=bias)
    count = input.shape[2:].numel() if input.dim() > 2 else 1
    if count < 2:
        raise ValueError(
            "instance norm needs at least 2 positions per channel, since a single value normalizes to 0: "
            f"got shape {tuple(input.shape)}; use group or layer norm"
        )
    x = _at_least_float32(input)
    positions = tuple(range(2, x.dim()))
    if running_mean is not None or running_var is not None:
        mean = x.mean(dim=positions)  # (N, C)
        squares = (x - x.mean(dim=positions, keepdim=True)).square()
        var = squares.mean(dim=positions)
        averages = mean.mean(dim=0), var.mean(dim=0)
        update_running_statistics(running_mean, running_var, *averages, count, momentum)
    normalized = _standardize(x, positions, eps)
    if weight is not None:
        normalized = normalized * _spread(weight, input)
    if bias is not None:
        normalized = normalized + _spread(bias, input)
    return normalized.to(input.dtype)


class InstanceNorm2d(nn.Module):
    """Instance normalization of (N, C, H, W) or (C, H, W); arguments, defaults and state are torch's.

    Conventions: unlike batch norm, by default nothing is learned or tracked, and evaluation computes the
    same as training. With ``momentum=None`` the running statistics stay as they are, as in torch.
    Unlike torch, which only warns without ``affine``, an input with other than ``num_features`` channels is
    refused.
    Raises: ValueError: as ``instance_norm``, for num_features below 1, and for a wrong number of channels.
    Example:
        >>> len(InstanceNorm2d(3).state_dict())
        0

    References: Ulyanov, Vedaldi & Lempitsky, 2016, arXiv:1607.08022.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_features < 1:
            raise ValueError(
                f"num_features, the number of channels, must be at least 1: got {num_features}"
            )
        _check_eps(eps)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats

        def full(value: float) -> Tensor:
            return torch.full((num_features,), value, device=device, dtype=dtype)

        self.weight = nn.Parameter(full(1.0)) if affine else None
        self.bias = nn.Parameter(full(0.0)) if affine and bias else None
        tracked = track_running_stats
        self.register_buffer("running_mean", full(0.0) if tracked else None)
        self.register_buffer("running_var", full(1.0) if tracked else None)
        batches = torch.zeros((), dtype=torch.long, device=device)  # torch never counts
        self.register_buffer("num_batches_tracked", batches if tracked else None)

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() not in (3, 4) or input.shape[-3] != self.num_features:
            raise ValueError(
                f"input must be (N, C, H, W) or (C, H, W) with C = num_features={self.num_features}: "
                f"got shape {tuple(input.shape)}"
            )
        batch = input if input.dim() == 4 else input.unsqueeze(0)
        output = instance_norm(
            batch,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            use_input_stats=self.training or not self.track_running_stats,
            momentum=0.0 if self.momentum is None else self.momentum,
            eps=self.eps,
        )
        return output if input.dim() == 4 else output.squeeze(0)

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )
