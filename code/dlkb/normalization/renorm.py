"""Batch renormalization: batch norm whose output is corrected towards the running statistics."""

import torch
from torch import Tensor

from dlkb.normalization._shared import (
    _at_least_float32,
    _check_input,
    _check_per_channel,
    _spread,
)
from dlkb.normalization.batch import (
    _all_but_channels,
    _BatchNorm,
    _check_eps,
    _check_momentum,
    batch_norm,
    update_running_statistics,
)

__all__ = ["BatchRenorm1d", "BatchRenorm2d", "batch_renorm", "renorm_correction"]


def batch_renorm(
    input: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.01,
    eps: float = 1e-5,
    r_max: float = 3.0,
    d_max: float = 5.0,
) -> Tensor:
    r"""Batch norm times r plus d, where r and d lead from the batch's statistics to the running ones.

    y = ((input - mean) / sqrt(var + eps) * r + d) * weight + bias

    While r and d are within their limits, the output is what evaluation would give.
    Conventions: no gradient flows through r and d; they are taken before the running statistics move.
    State as in ``batch_norm``, so a batch norm's can be loaded: a running variance, unbiased, where the paper
    averages standard deviations; ``momentum`` weighs the new value (the paper's alpha, 0.01).
    Unlike ``batch_norm``, values are not checked to be finite, so that ``torch.func.vmap`` can train many.
    Args:
        input: (N, C, \*), floating point.
        running_mean, running_var: (C,), updated in place in training.
        weight, bias: (C,), or None.
        training: whether to use (and track) the batch's own statistics; if not, this is ``batch_norm``.
        momentum: weight of the batch in the running statistics, in [0, 1].
        eps: added to both variances, in units of input squared.
        r_max: r is kept within 1 / r_max and r_max; 1 together with d_max = 0 is batch norm.
        d_max: d is kept within -d_max and d_max, in running standard deviations.
    Returns: (N, C, \*), dtype and device of ``input``.
    Raises: TypeError, ValueError: as ``batch_norm``, for limits with r_max < 1 or d_max < 0, and for missing
        running statistics, also in training.
    Example:
        >>> x, mean, var = torch.tensor([[1.0], [3.0]]), torch.tensor([1.0]), torch.tensor([4.0])
        >>> batch_renorm(x, mean, var, training=True, momentum=0.0, eps=1e-12).flatten()  # (x - 1) / 2
        tensor([0., 1.])

    References: Ioffe, "Batch Renormalization", NIPS 2017, Alg. 1, arXiv:1702.03275.
    """
    _check_limits(r_max, d_max)
    if running_mean is None or running_var is None:
        raise ValueError(
            "batch renorm corrects towards running_mean and running_var: got None; "
            "pass both, or use batch_norm"
        )
    if not training:
        return batch_norm(input, running_mean, running_var, weight, bias, eps=eps)
    _check_input(input)
    _check_momentum(momentum)
    _check_eps(eps, training)
    _check_per_channel(input, running_mean=running_mean, running_var=running_var)
    _check_per_channel(input, weight=weight, bias=bias)

    count = input.numel() // input.shape[1]  # values per channel
    if count < 2:
        raise ValueError(
            "training needs at least 2 values per channel, since a single one normalizes to 0: "
            f"got shape {tuple(input.shape)}; use a larger batch, or eval()"
        )
    x = _at_least_float32(input)
    dims = _all_but_channels(x)
    mean = x.mean(dim=dims)
    var = (x - _spread(mean, x)).square().mean(dim=dims)
    r, d = renorm_correction(mean, var, running_mean, running_var, r_max, d_max, eps)
    update_running_statistics(running_mean, running_var, mean, var, count, momentum)

    output = (x - _spread(mean, input)) / torch.sqrt(_spread(var, input) + eps)
    output = output * _spread(r, input) + _spread(d, input)
    if weight is not None:
        output = output * _spread(weight, input)
    if bias is not None:
        output = output + _spread(bias, input)
    return output.to(input.dtype)


@torch.no_grad()
def renorm_correction(
    mean: Tensor,
    var: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    r_max: float = 3.0,
    d_max: float = 5.0,
    eps: float = 1e-5,
) -> tuple[Tensor, Tensor]:
    """The factor r and the shift d that lead from the batch's normalization to the running one, clipped.

    r = sqrt(var + eps) / sqrt(running_var + eps), d = (mean - running_mean) / sqrt(running_var + eps)

    Conventions: constants, without gradient.
    Args:
        mean, var, running_mean, running_var: (C,).
        r_max, d_max, eps: as in ``batch_renorm``.
    Returns: r within [1 / r_max, r_max] and d within [-d_max, d_max], (C,) each.
    Raises: ValueError: for limits with r_max < 1 or d_max < 0.
    Example:
        >>> mean, var = torch.tensor([3.0]), torch.tensor([16.0])
        >>> renorm_correction(mean, var, torch.tensor([1.0]), torch.tensor([4.0]), r_max=1.5)
        (tensor([1.5000]), tensor([1.0000]))

    References: Ioffe, NIPS 2017, Alg. 1, arXiv:1702.03275.
    """
    _check_limits(r_max, d_max)
    running_deviation = torch.sqrt(running_var + eps)
    r = torch.sqrt(var + eps) / running_deviation
    d = (mean - running_mean) / running_deviation
    return r.clamp(1 / r_max, r_max), d.clamp(-d_max, d_max)


class _BatchRenorm(_BatchNorm):
    """Parameters, buffers and the mode; the mathematics is ``batch_renorm``'s."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.01,
        affine: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        r_max: float = 3.0,
        d_max: float = 5.0,
    ) -> None:
        _check_limits(r_max, d_max)
        if momentum is None:
            raise ValueError(
                "momentum must be a number in [0, 1], since outputs follow the running statistics: "
                "got None; 0.01 is the default"
            )
        super().__init__(
            num_features, eps, momentum, affine, device=device, dtype=dtype
        )
        self.r_max, self.d_max = r_max, d_max

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() not in self.allowed_dims or input.shape[1] != self.num_features:
            dims = " or ".join(map(str, self.allowed_dims))
            raise ValueError(
                f"{type(self).__name__} takes {dims} dimensions, the second with "
                f"num_features={self.num_features} channels: got shape {tuple(input.shape)}"
            )
        output = batch_renorm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=self.training,
            momentum=self.momentum,
            eps=self.eps,
            r_max=self.r_max,
            d_max=self.d_max,
        )
        if self.training:  # only once the batch was accepted
            self.num_batches_tracked += 1
        return output

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, r_max={self.r_max}, d_max={self.d_max}"
        )


class BatchRenorm1d(_BatchRenorm):
    """Batch renormalization of (N, C) or (N, C, L); parameters and buffers as ``BatchNorm1d``.

    The limits are attributes: the paper starts as batch norm, ``r_max = 1`` and ``d_max = 0``, until the
    running statistics mean something, and relaxes them to 3 and 5 during training.
    Raises: ValueError: for num_features below 1, momentum None, and as ``batch_renorm``.
    Example:
        >>> layer = BatchRenorm1d(2, r_max=1.0, d_max=0.0)
        >>> layer.r_max, layer.d_max = 3.0, 5.0  # after the warm-up

    References: Ioffe, NIPS 2017, Sec. 3 for the warm-up and Sec. 4 for the limits, arXiv:1702.03275.
    """

    allowed_dims = (2, 3)


class BatchRenorm2d(_BatchRenorm):
    """Batch renormalization of (N, C, H, W); otherwise as ``BatchRenorm1d``."""

    allowed_dims = (4,)


def _check_limits(r_max: float, d_max: float) -> None:
    if not r_max >= 1:
        raise ValueError(
            f"r_max bounds a factor and its inverse, so it must be at least 1: got {r_max}; "
            "1 together with d_max=0 is batch norm"
        )
    if not d_max >= 0:
        raise ValueError(
            f"d_max bounds a shift to both sides, so it must not be negative: got {d_max}; "
            "0 together with r_max=1 is batch norm"
        )
