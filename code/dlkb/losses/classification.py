"""Cross-entropy for one class of K (softmax) and for K yes-or-no questions (sigmoid)."""

import torch
from torch import Tensor

from dlkb.losses._reduction import check_reduction, reduce
from dlkb.losses._shared import (
    _any,
    _at_least_float32,
    _check_floating,
    _check_probabilities,
    _check_same_shape,
    _first,
)

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "log_softmax",
    "nll_loss",
]


def log_softmax(input: Tensor, dim: int) -> Tensor:
    r"""Logarithms of the probabilities that softmax gives.

    log p_c = x_c - log sum_k exp(x_k)

    Conventions: computed in at least float32, from differences to the largest logit, so that exp cannot
    overflow.
    Args:
        input: logits of any shape, floating point.
        dim: the axis of the classes.
    Returns: shape and dtype of ``input``.
    Raises: TypeError: if input is not floating point.
    Example:
        >>> log_softmax(torch.tensor([1000.0, 1000.0]), 0)  # log(1/2) each
        tensor([-0.6931, -0.6931])
    """
    _check_floating(input=input)
    x = _at_least_float32(input)
    # log sum exp(x) = m + log sum exp(x - m) for any m; with m = max x no exponent is above 0. The gradient
    # does not depend on m either, hence detach.
    x = x - x.detach().amax(dim, keepdim=True)
    return (x - x.exp().sum(dim, keepdim=True).log()).to(input.dtype)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    r"""Negative log likelihood of the target classes, from log-probabilities.

    loss_n = -w_(y_n) input_(n, y_n); the mean divides by the sum of w_(y_n), as torch does.

    Conventions: torch's; its deprecated ``size_average`` and ``reduce`` are left out, so what follows
    ``weight`` must be given by name. Any integer dtype will do for the target.
    Args:
        input: (C,), (N, C) or (N, C, d1, ...), log-probabilities.
        target: class indices from 0 to C - 1, or ``ignore_index``: (), (N,) or (N, d1, ...).
        weight: (C,), or None for ones.
        ignore_index: positions with this target count neither in the sum nor in the mean's divisor.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
    Returns: the shape of ``target``, or a scalar; dtype of ``input``.
    Raises: TypeError, ValueError: as ``cross_entropy``.
    Example:
        >>> nll_loss(torch.tensor([[0.5, 0.5], [0.9, 0.1]]).log(), torch.tensor([0, 1]))  # ln 2, ln 10
        tensor(1.4979)
    """
    check_reduction(reduction)
    _check_classes(input, target, weight)
    target = _indices(input, target, ignore_index)
    log_p = _at_least_float32(input)
    losses, weights = _index_losses(log_p, target, weight, ignore_index)
    return _weighted_reduce(losses, weights, reduction).to(input.dtype)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    r"""Cross-entropy between the targets and the softmax of the logits.

    loss_n = -sum_c w_c q_(n, c) log p_(n, c), where p = softmax(input) and q is the target: 1 at the class
    index, or the given probabilities; with smoothing, (1 - s) q + s / C.

    Conventions: torch's. The mean divides by the sum of w_(y_n) for class indices, by the number of samples
    (times positions) for probabilities. torch's deprecated ``size_average`` and ``reduce`` are left out, so
    what follows ``weight`` must be given by name. Unlike torch, probabilities outside [0, 1] are refused
    (that they add up to 1 is not checked), and any integer dtype will do for indices. Inside
    torch.func.vmap values are not checked.
    Args:
        input: (C,), (N, C) or (N, C, d1, ...), logits: give no softmax.
        target: class indices, (), (N,) or (N, d1, ...), integers; or probabilities, of the shape of
            ``input``, floating point.
        weight: (C,), or None for ones.
        ignore_index: positions with this index count neither in the sum nor in the mean's divisor.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
        label_smoothing: s, in [0, 1].
    Returns: the shape of the class indices, or a scalar; dtype of ``input``. The mean of nothing is NaN.
    Raises: TypeError: for an input that is not floating point, or indices that are. ValueError: for shapes
        that do not match, a class that does not exist, probabilities outside [0, 1] or together with an
        ``ignore_index`` of 0 or more, label_smoothing outside [0, 1], or an unknown reduction.
    Example:
        >>> cross_entropy(torch.zeros(1, 10), torch.tensor([3]))  # no class preferred: ln 10
        tensor(2.3026)

    References: Szegedy et al., CVPR 2016, Sec. 7, arXiv:1512.00567 (label smoothing).
    """
    check_reduction(reduction)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must be in [0, 1]: got {label_smoothing}")
    _check_classes(input, target, weight)
    probabilities = target.shape == input.shape
    if probabilities:
        _check_target_probabilities(target, ignore_index)
    else:
        target = _indices(input, target, ignore_index)

    axis = _class_axis(input)
    log_p = log_softmax(_at_least_float32(input), axis)
    classes = input.shape[axis]
    if probabilities:
        q = (1 - label_smoothing) * _at_least_float32(target)
        q = q + label_smoothing / classes
        losses = -(_per_class(weight, log_p) * q * log_p).sum(axis)
        return reduce(losses, reduction).to(input.dtype)

    losses, weights = _index_losses(log_p, target, weight, ignore_index)
    if label_smoothing:
        uniform = -(_per_class(weight, log_p) * log_p).sum(axis) / classes
        uniform = uniform.masked_fill(target == ignore_index, 0)
        losses = (1 - label_smoothing) * losses + label_smoothing * uniform
    return _weighted_reduce(losses, weights, reduction).to(input.dtype)


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    reduction: str = "mean",
) -> Tensor:
    r"""Cross-entropy of yes-or-no targets, from probabilities.

    loss = -w (t log p + (1 - t) log(1 - p)), with each logarithm cut off at -100

    Conventions: torch's, with its cut-off, and its gradient, w (p - t) / max(p (1 - p), 1e-12), which does
    not vanish where the value is cut off (the target's gradient is cut off too, where torch's is infinite).
    Prefer ``binary_cross_entropy_with_logits``: a sigmoid that has rounded to 0 or 1 cannot be undone, and
    the gradient there, 1e12, is infinite in float16. torch's deprecated ``size_average`` and ``reduce`` are
    left out, so ``reduction`` must be given by name.
    Args:
        input: probabilities in [0, 1], of any shape.
        target: probabilities in [0, 1], of the same shape.
        weight: broadcast over ``input``, or None for ones.
        reduction: ``"none"``, ``"mean"`` (divides by the number of elements, not by weights) or ``"sum"``.
    Returns: the shape of ``input``, or a scalar; dtype of ``input``.
    Raises: TypeError: if one of them is not floating point. ValueError: for different shapes, values outside
        [0, 1], or an unknown reduction.
    Example:
        >>> binary_cross_entropy(torch.tensor([0.25, 0.0]), torch.tensor([1.0, 1.0]), reduction="none")
        tensor([  1.3863, 100.0000])
    """
    check_reduction(reduction)
    _check_floating(input=input, target=target)
    _check_same_shape(input, target=target)
    _check_probabilities(
        "input",
        input,
        "apply torch.sigmoid, or use binary_cross_entropy_with_logits",
    )
    _check_target(target)
    p, t = _at_least_float32(input), _at_least_float32(target)
    losses = _CutOffCrossEntropy.apply(p, t.to(p.dtype))
    return reduce(_times(weight, losses, "weight"), reduction).to(input.dtype)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    r"""Cross-entropy of yes-or-no targets, from logits: sigmoid and logarithm in one stable form.

    loss = -w (pos_weight t log p + (1 - t) log(1 - p)), where p = sigmoid(input)

    Conventions: torch's; its deprecated ``size_average`` and ``reduce`` are left out, so what follows
    ``weight`` must be given by name. Unlike torch, targets outside [0, 1] are refused: the loss would have
    no lower bound. Inside torch.func.vmap values are not checked.
    Args:
        input: logits of any shape.
        target: probabilities in [0, 1], of the same shape.
        weight: broadcast over ``input``, or None for ones.
        reduction: ``"none"``, ``"mean"`` (divides by the number of elements, not by weights) or ``"sum"``.
        pos_weight: weight of the positives, broadcast over ``input``: (C,) for (N, C); None for ones.
    Returns: the shape of ``input``, or a scalar; dtype of ``input``.
    Raises: TypeError: if one of them is not floating point. ValueError: for shapes that do not match,
        targets outside [0, 1], or an unknown reduction.
    Example:
        >>> x = torch.tensor([0.0, -200.0])
        >>> binary_cross_entropy_with_logits(x, torch.ones(2), reduction="none")  # ln 2, 200
        tensor([  0.6931, 200.0000])
    """
    check_reduction(reduction)
    _check_logits(input, target)
    positive, negative = _binary_losses(_at_least_float32(input))
    positive = _times(pos_weight, positive, "pos_weight")
    t = _at_least_float32(target)
    losses = t * positive + (1 - t) * negative
    return reduce(_times(weight, losses, "weight"), reduction).to(input.dtype)


def _binary_losses(x: Tensor) -> tuple[Tensor, Tensor]:
    """Loss of each logit if the target is 1, -log sigmoid(x), and if it is 0, -log(1 - sigmoid(x))."""
    # -log sigmoid(x) = log(1 + exp(-x)) = max(-x, 0) + log(1 + exp(-|x|)): no exponent is above 0.
    # torch.maximum, since its gradient at x = 0 is 1/2, as the sigmoid's; clamp's would be 1.
    tail = torch.log1p(torch.exp(-x.abs()))
    zero = torch.zeros_like(x)
    return torch.maximum(-x, zero) + tail, torch.maximum(x, zero) + tail


class _CutOffCrossEntropy(torch.autograd.Function):
    """t log p + (1 - t) log(1 - p), negated and cut off, with the gradient of what is not cut off."""

    generate_vmap_rule = True

    @staticmethod
    def forward(p: Tensor, t: Tensor) -> Tensor:
        return -(t * _cut_off_log(p) + (1 - t) * _cut_off_log(1 - p))

    @staticmethod
    def setup_context(ctx, inputs: tuple, output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor]:
        p, t = ctx.saved_tensors
        to_p = (p - t) / (p * (1 - p)).clamp(min=1e-12)
        return gradient * to_p, gradient * (_cut_off_log(1 - p) - _cut_off_log(p))


def _cut_off_log(p: Tensor) -> Tensor:
    return p.log().clamp(min=-100)


def _index_losses(
    log_p: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int
) -> tuple[Tensor, Tensor]:
    """Weighted loss and weight of each target, both 0 where it is ignored."""
    axis = _class_axis(log_p)
    ignored = target == ignore_index
    index = target.masked_fill(ignored, 0)
    picked = log_p.gather(axis, index.unsqueeze(axis)).squeeze(axis)
    weights = torch.ones_like(picked) if weight is None else weight.to(log_p)[index]
    weights = weights.masked_fill(ignored, 0)
    return (-picked * weights).masked_fill(ignored, 0), weights


def _weighted_reduce(losses: Tensor, weights: Tensor, reduction: str) -> Tensor:
    if reduction == "mean":
        return losses.sum() / weights.sum()
    return reduce(losses, reduction)


def _class_axis(input: Tensor) -> int:
    return 0 if input.dim() == 1 else 1


def _per_class(weight: Tensor | None, log_p: Tensor) -> Tensor | float:
    """(C,) -> (C, 1, ...), to be broadcast over ``log_p``."""
    if weight is None:
        return 1.0
    return weight.to(log_p).view(-1, *[1] * max(log_p.dim() - 2, 0))


def _times(weight: Tensor | None, losses: Tensor, name: str) -> Tensor:
    if weight is None:
        return losses
    _check_floating(**{name: weight})
    try:
        fits = torch.broadcast_shapes(weight.shape, losses.shape) == losses.shape
    except RuntimeError:
        fits = False
    if not fits:
        raise ValueError(
            f"{name} must be broadcastable to the shape of input, {tuple(losses.shape)}: "
            f"got {tuple(weight.shape)}"
        )
    return weight * losses


def _check_logits(input: Tensor, target: Tensor) -> None:
    """What every loss of logits and yes-or-no targets asks of them."""
    _check_floating(input=input, target=target)
    _check_same_shape(input, target=target)
    _check_target(target)


def _check_target(target: Tensor) -> None:
    _check_probabilities("target", target, "yes is 1 and no is 0")


def _check_classes(input: Tensor, target: Tensor, weight: Tensor | None) -> None:
    _check_floating(input=input, weight=weight)
    if input.dim() == 0 or input.shape[_class_axis(input)] == 0:
        raise ValueError(
            f"input must be (C,) or (N, C, *) with at least 1 class: got shape {tuple(input.shape)}"
        )
    axis = _class_axis(input)
    classes = input.shape[axis]
    indices = (*input.shape[:axis], *input.shape[axis + 1 :])
    if tuple(target.shape) not in (indices, tuple(input.shape)):
        raise ValueError(
            f"target must be {indices} for class indices, or {tuple(input.shape)} for probabilities, since "
            f"input is {tuple(input.shape)}: got {tuple(target.shape)}"
        )
    if weight is not None and tuple(weight.shape) != (classes,):
        raise ValueError(
            f"weight must hold one value for each of the {classes} classes, shape ({classes},): "
            f"got {tuple(weight.shape)}"
        )


def _indices(input: Tensor, target: Tensor, ignore_index: int) -> Tensor:
    """The target, checked, as int64: in a narrower type, ignore_index or the number of classes would wrap."""
    if target.shape == input.shape:
        raise ValueError(
            f"target must hold one class index for each sample: got the shape of input, "
            f"{tuple(input.shape)}; use .argmax over the classes"
        )
    if target.is_floating_point() or target.dtype == torch.bool:
        raise TypeError(
            f"target must hold integers, since its shape is that of class indices: got {target.dtype}; "
            "use .long()"
        )
    target = target.long()
    classes = input.shape[_class_axis(input)]
    wrong = ((target < 0) | (target >= classes)) & (target != ignore_index)
    if _any(wrong):
        raise ValueError(
            f"target must hold classes from 0 to {classes - 1}, since input has {classes} classes, "
            f"or ignore_index={ignore_index}: got {_first(target, wrong)}"
        )
    return target


def _check_target_probabilities(target: Tensor, ignore_index: int) -> None:
    if not target.is_floating_point():
        raise TypeError(
            f"target of the shape of input must hold probabilities, floating point: got {target.dtype}; "
            "use .float() for one-hot, .argmax over the classes for indices"
        )
    if ignore_index >= 0:
        raise ValueError(
            f"ignore_index has no meaning for target probabilities: got {ignore_index}; leave it out"
        )
    _check_probabilities("target", target, "divide by the sum over the classes")
