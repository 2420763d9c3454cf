"""Batch normalization: one mean and one variance a channel, over the batch and all positions."""

import torch
from torch import Tensor, nn

from dlkb.normalization._shared import (
    _at_least_float32,
    _check_input,
    _check_per_channel,
    _spread,
)

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "batch_norm",
    "batch_norm_backward",
    "batch_statistics",
    "update_running_statistics",
]


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    r"""Normalize each channel by the batch's statistics (training) or the running ones (evaluation).

    y = (input - mean) / sqrt(var + eps) * weight + bias

    Conventions: the variance that normalizes is biased (divide by n), the one that enters ``running_var``
    is unbiased (divide by n - 1); ``momentum`` weighs the new value (0.1 here is 0.9 in JAX and TensorFlow).
    Statistics are computed in at least float32.
    Unlike torch: a training batch that is empty, or whose variance is not finite (NaN, infinity, overflow),
    is refused, since torch would carry NaN into the running buffers, where it stays. That look at the
    values is why ``torch.func.vmap`` and full-graph compilation need torch's own layer.
    Args:
        input: (N, C, \*), floating point.
        running_mean, running_var: (C,), updated in place in training; may be None in training only.
        weight, bias: (C,), or None.
        training: whether to use (and track) the batch's own statistics.
        momentum: weight of the batch in the running statistics, in [0, 1].
        eps: added to the variance, in units of input squared.
    Returns: (N, C, \*), dtype and device of ``input``.
    Raises: TypeError: if input is not floating point. ValueError: for a wrong shape, a training batch with
        fewer than 2 values per channel or a variance that is not finite, missing running statistics in
        evaluation, momentum outside [0, 1], or eps that is negative (or 0 in training).
    Example:
        >>> x = torch.tensor([[1.0, 10.0], [3.0, 30.0]])
        >>> batch_norm(x, None, None, training=True, eps=1e-12)
        tensor([[-1., -1.],
                [ 1.,  1.]])

    References: Ioffe & Szegedy, "Batch Normalization", ICML 2015, Alg. 1 and 2, arXiv:1502.03167.
    """
    _check_input(input)
    _check_momentum(momentum)
    _check_eps(eps, training)
    _check_per_channel(input, running_mean=running_mean, running_var=running_var)
    _check_per_channel(input, weight=weight, bias=bias)
    if (running_mean is None) != (running_var is None):
        raise ValueError("give both running_mean and running_var, or neither: got one")
    if not training and running_mean is None:
        raise ValueError(
            "evaluation needs running_mean and running_var: got None; pass them, or training=True"
        )

    if training:
        mean, var = batch_statistics(input)
    else:
        mean, var = _at_least_float32(running_mean), _at_least_float32(running_var)
    centred = _at_least_float32(input) - _spread(mean, input)
    normalized = centred / torch.sqrt(_spread(var, input) + eps)
    if weight is not None:
        normalized = normalized * _spread(weight, input)
    if bias is not None:
        normalized = normalized + _spread(bias, input)

    if training:  # last, so that nothing is altered by what was refused
        count = input.numel() // input.shape[1]  # values per channel
        update_running_statistics(running_mean, running_var, mean, var, count, momentum)
    return normalized.to(input.dtype)


def batch_statistics(input: Tensor) -> tuple[Tensor, Tensor]:
    r"""Mean and biased variance of each channel over the batch and all positions.

    Conventions: two passes, since E[x^2] - E[x]^2 loses all digits when the mean is large.
    Args:
        input: (N, C, \*), floating point, finite, at least 2 values per channel.
    Returns: mean and variance, (C,) each, float32 or float64.
    Raises: TypeError, ValueError: as ``batch_norm`` in training.
    Example:
        >>> batch_statistics(torch.tensor([[1.0, 10.0], [3.0, 30.0]]))
        (tensor([ 2., 20.]), tensor([  1., 100.]))

    References: Ioffe & Szegedy, ICML 2015, Alg. 1, arXiv:1502.03167.
    """
    _check_input(input)
    if input.numel() < 2 * input.shape[1]:
        raise ValueError(
            "training needs at least 2 values per channel, since a single one normalizes to 0: "
            f"got shape {tuple(input.shape)}; use a larger batch, or eval() with running statistics"
        )
    x = _at_least_float32(input)
    dims = _all_but_channels(x)
    mean = x.mean(dim=dims)
    var = (x - _spread(mean, x)).square().mean(dim=dims)
    if not torch.isfinite(var).all():
        channels = torch.nonzero(~torch.isfinite(var)).flatten().tolist()
        raise ValueError(
            "a training batch must be finite, since NaN would stay in the running statistics: got NaN, "
            f"infinity or overflow in channels {channels}; find its origin before normalizing"
        )
    return mean, var


@torch.no_grad()
def update_running_statistics(
    running_mean: Tensor | None,
    running_var: Tensor | None,
    mean: Tensor,
    var: Tensor,
    count: int,
    momentum: float,
) -> None:
    """Move the running statistics towards the batch's, in place; None is left alone.

    running = (1 - momentum) * running + momentum * current

    Conventions: ``var`` is the biased variance; stored is the unbiased one, var * count / (count - 1).
    Args:
        running_mean, running_var: (C,), or None.
        mean, var: (C,), as returned by ``batch_statistics``.
        count: number of values per channel that ``mean`` and ``var`` were taken over, at least 2.
        momentum: weight of the new value, in [0, 1].
    Raises: ValueError: if count is below 2 or momentum outside [0, 1].
    Example:
        >>> running_var = torch.ones(1)
        >>> update_running_statistics(None, running_var, torch.zeros(1), torch.tensor([4.0]), 2, 0.5)
        >>> running_var  # (1 + 4 * 2 / 1) / 2
        tensor([4.5000])

    References: Ioffe & Szegedy, ICML 2015, Alg. 2, step 10, arXiv:1502.03167.
    """
    _check_momentum(momentum)
    if count < 2:
        raise ValueError(
            f"the unbiased variance needs at least 2 values: got count={count}"
        )
    if running_mean is not None:
        running_mean.mul_(1 - momentum).add_(momentum * mean)
    if running_var is not None:
        unbiased = var * count / (count - 1)
        running_var.mul_(1 - momentum).add_(momentum * unbiased)


def batch_norm_backward(
    grad_output: Tensor, input: Tensor, weight: Tensor | None = None, eps: float = 1e-5
) -> tuple[Tensor, Tensor, Tensor]:
    r"""The gradients of training-mode ``batch_norm``, written out.

    With g = grad_output * weight, x^ the normalized input and means over the channel:
    grad_input = (g - mean(g) - x^ * mean(g * x^)) / sqrt(var + eps)

    Args:
        grad_output: (N, C, \*), gradient of the loss with respect to the output.
        input: (N, C, \*), what was normalized.
        weight: (C,), or None for ones.
        eps: as given to ``batch_norm``.
    Returns: gradients with respect to input (N, C, \*), weight (C,) and bias (C,); the last two in at
        least float32.
    Raises: TypeError, ValueError: as ``batch_norm`` in training, and if the two shapes differ.
    Example:
        >>> input = torch.tensor([[1.0, 2.0], [3.0, 5.0], [0.0, 1.0]])
        >>> grad_input, _, _ = batch_norm_backward(torch.tensor([[1.0, 0.0]] * 3), input)
        >>> grad_input.abs().max() < 1e-6  # a constant gradient would only shift: nothing is left
        tensor(True)

    References: Ioffe & Szegedy, ICML 2015, Sec. 3, arXiv:1502.03167.
    """
    _check_input(input)
    _check_input(grad_output)
    _check_eps(eps, training=True)
    _check_per_channel(input, weight=weight)
    if grad_output.shape != input.shape:
        raise ValueError(
            f"grad_output must have the shape of input, {tuple(input.shape)}: "
            f"got {tuple(grad_output.shape)}"
        )
    mean, var = batch_statistics(input)
    scale = torch.sqrt(_spread(var, input) + eps)
    normalized = (_at_least_float32(input) - _spread(mean, input)) / scale
    grad = _at_least_float32(grad_output)
    dims = _all_but_channels(input)
    grad_weight, grad_bias = (grad * normalized).sum(dim=dims), grad.sum(dim=dims)
    if weight is not None:
        grad = grad * _spread(weight, input)
    centred = grad - grad.mean(dim=dims, keepdim=True)
    along = normalized * (grad * normalized).mean(dim=dims, keepdim=True)
    return ((centred - along) / scale).to(input.dtype), grad_weight, grad_bias


class _BatchNorm(nn.Module):
    """Parameters, buffers and the mode; the mathematics is ``batch_norm``'s."""

    allowed_dims: tuple[int, ...]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
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
        _check_momentum(0.0 if momentum is None else momentum)
        _check_eps(eps, training=False)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats

        def full(value: float) -> Tensor:
            return torch.full((num_features,), value, device=device, dtype=dtype)

        self.weight = nn.Parameter(full(1.0)) if affine else None
        self.bias = nn.Parameter(full(0.0)) if affine and bias else None
        tracked = track_running_stats
        self.register_buffer("running_mean", full(0.0) if tracked else None)
        self.register_buffer("running_var", full(1.0) if tracked else None)
        batches = torch.zeros((), dtype=torch.long, device=device)
        self.register_buffer("num_batches_tracked", batches if tracked else None)

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() not in self.allowed_dims:
            dims = " or ".join(map(str, self.allowed_dims))
            raise ValueError(
                f"{type(self).__name__} takes {dims} dimensions: got {tuple(input.shape)}"
            )
        if input.shape[1] != self.num_features:
            raise ValueError(
                f"the second dimension must have num_features={self.num_features} channels: "
                f"got shape {tuple(input.shape)}"
            )
        tracking = self.training and self.track_running_stats
        counting = tracking and self.num_batches_tracked is not None
        momentum = self.momentum
        if momentum is None:  # plain average over all batches so far
            momentum = 1 / (int(self.num_batches_tracked) + 1) if counting else 0.0
        use_buffers = tracking or not self.training
        output = batch_norm(
            input,
            self.running_mean if use_buffers else None,
            self.running_var if use_buffers else None,
            self.weight,
            self.bias,
            training=self.training or self.running_mean is None,
            momentum=momentum,
            eps=self.eps,
        )
        if counting:  # only once the batch was accepted
            self.num_batches_tracked += 1
        return output

    @torch.no_grad()
    def reset_running_stats(self) -> None:
        """Back to mean 0, variance 1 and no batches seen."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Back to weight 1, bias 0 and fresh running statistics."""
        self.reset_running_stats()
        if self.weight is not None:
            self.weight.fill_(1)
        if self.bias is not None:
            self.bias.zero_()

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    """Batch normalization of (N, C) or (N, C, L); arguments, defaults and state are torch.nn.BatchNorm1d's.

    Parameters ``weight`` and ``bias``, (C,); buffers ``running_mean``, ``running_var``, (C,), and
    ``num_batches_tracked``. With ``momentum=None`` the running statistics are plain averages over batches.
    Raises: ValueError: for num_features below 1, and as ``batch_norm``.
    References: Ioffe & Szegedy, ICML 2015, arXiv:1502.03167.
    """

    allowed_dims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalization of (N, C, H, W); otherwise as ``BatchNorm1d``.

    Example:
        >>> sorted(BatchNorm2d(3).state_dict())
        ['bias', 'num_batches_tracked', 'running_mean', 'running_var', 'weight']
    """

    allowed_dims = (4,)


class BatchNorm3d(_BatchNorm):
    """Batch normalization of (N, C, D, H, W); otherwise as ``BatchNorm1d``."""

    allowed_dims = (5,)


def _all_but_channels(input: Tensor) -> list[int]:
    return [d for d in range(input.dim()) if d != 1]


def _check_momentum(momentum: float) -> None:
    if not 0 <= momentum <= 1:
        raise ValueError(
            f"momentum weighs the new batch (torch's convention) and must be in [0, 1]: got {momentum}"
        )


def _check_eps(eps: float, training: bool) -> None:
    if not (eps > 0 or (eps == 0 and not training)):
        raise ValueError(
            "eps must be positive, since a constant channel has variance 0: "
            f"got {eps}; 1e-5 is the default"
        )
