"""Ghost batch normalization: batch norm whose statistics see only a part of the batch."""

import torch
from torch import Tensor

from dlkb.normalization._shared import (
    _at_least_float32,
    _check_eps,
    _check_input,
    _check_per_channel,
    _spread,
)
from dlkb.normalization.batch import (
    BatchNorm2d,
    batch_norm,
    update_running_statistics,
)

__all__ = ["GhostBatchNorm2d", "ghost_batch_norm"]


def ghost_batch_norm(
    input: Tensor,
    ghost_size: int,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    r"""Batch norm of each ``ghost_size`` samples that follow each other, as if they were a batch.

    Conventions: as ``batch_norm``; the running statistics take one step per batch, towards the average over
    its parts of mean and unbiased variance. This is what batch norm on several devices computes, with
    ``ghost_size`` samples on each and the statistics not exchanged. Values are not checked to be finite.
    Args:
        input: (N, C, \*), floating point.
        ghost_size: number of samples whose statistics are shared; must divide N in training.
        running_mean, running_var, weight, bias, training, momentum, eps: as in ``batch_norm``.
    Returns: (N, C, \*), dtype and device of ``input``.
    Raises: TypeError, ValueError: as ``batch_norm``, and if ghost_size is below 1 or does not divide N.
    Example:
        >>> x = torch.tensor([[1.0], [3.0], [10.0], [30.0]])
        >>> ghost_batch_norm(x, 2, None, None, training=True, eps=1e-12).flatten()
        tensor([-1.,  1., -1.,  1.])

    References: Hoffer, Hubara & Soudry, "Train longer, generalize better", NeurIPS 2017, Alg. 1,
        arXiv:1705.08741.
    """
    if not training:
        statistics = (running_mean, running_var)
        return batch_norm(input, *statistics, weight, bias, False, momentum, eps)
    _check_input(input)
    _check_eps(eps)
    _check_per_channel(input, running_mean=running_mean, running_var=running_var)
    _check_per_channel(input, weight=weight, bias=bias)
    if ghost_size < 1 or input.shape[0] % ghost_size:
        raise ValueError(
            f"ghost_size must be at least 1 and divide the {input.shape[0]} samples: got {ghost_size}"
        )
    count = ghost_size * input[0, 0].numel()  # values per channel in a part
    if count < 2:
        raise ValueError(
            "training needs at least 2 values per channel, since a single one normalizes to 0: "
            f"got shape {tuple(input.shape)} in parts of {ghost_size}; use a larger ghost_size"
        )
    x = _at_least_float32(input)
    parts = x.reshape(
        -1, ghost_size, *x.shape[1:]
    )  # (N / ghost_size, ghost_size, C, *)
    axes = [axis for axis in range(1, parts.dim()) if axis != 2]
    mean = parts.mean(dim=axes, keepdim=True)
    centred = parts - mean
    var = centred.square().mean(dim=axes, keepdim=True)
    averages = (v.mean(dim=0).flatten() for v in (mean, var))  # (C,) each
    update_running_statistics(running_mean, running_var, *averages, count, momentum)
    scale = torch.rsqrt(var + eps)
    if weight is not None:
        scale = scale * _spread(weight, input)
    normalized = (centred * scale).reshape(x.shape)
    if bias is not None:
        normalized = normalized + _spread(bias, input)
    return normalized.to(input.dtype)


class GhostBatchNorm2d(BatchNorm2d):
    """Batch normalization of (N, C, H, W) with the statistics of ``ghost_size`` samples each.

    State is BatchNorm2d's, so weights can be exchanged; a momentum is needed.
    Raises: ValueError: as ``ghost_batch_norm``.
    Example:
        >>> GhostBatchNorm2d(3, ghost_size=2)(torch.ones(4, 3, 2, 2)).shape
        torch.Size([4, 3, 2, 2])

    References: Hoffer, Hubara & Soudry, NeurIPS 2017, arXiv:1705.08741.
    """

    def __init__(
        self,
        num_features: int,
        ghost_size: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        super().__init__(num_features, eps, momentum)
        if ghost_size < 1:
            raise ValueError(f"ghost_size must be at least 1: got {ghost_size}")
        self.ghost_size = ghost_size

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() != 4 or input.shape[1] != self.num_features:
            raise ValueError(
                f"input must be (N, C, H, W) with C = num_features={self.num_features}: "
                f"got shape {tuple(input.shape)}"
            )
        return ghost_batch_norm(
            input,
            self.ghost_size,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=self.training,
            momentum=self.momentum,
            eps=self.eps,
        )

    def extra_repr(self) -> str:
        return f"{self.num_features}, ghost_size={self.ghost_size}, eps={self.eps}, momentum={self.momentum}"
