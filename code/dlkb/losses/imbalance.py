"""Losses, weights and a first bias for classes of very different size."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from dlkb.losses._reduction import check_reduction, reduce
from dlkb.losses._shared import _at_least_float32, _check_at_least
from dlkb.losses.classification import _binary_losses, _check_logits

__all__ = [
    "asymmetric_loss",
    "class_balanced_weights",
    "effective_number",
    "prior_bias",
    "sigmoid_focal_loss",
]


def sigmoid_focal_loss(
    inputs: Tensor,
    targets: Tensor,
    alpha: float = 0.25,
    gamma: float = 2,
    reduction: str = "none",
) -> Tensor:
    r"""Binary cross-entropy that counts an example the less, the better it is classified.

    loss = -alpha_t (1 - p_t)^gamma log p_t, where p = sigmoid(inputs), p_t = p and alpha_t = alpha for
    target 1, and p_t = 1 - p and alpha_t = 1 - alpha for target 0

    Conventions: torchvision's, with ``reduction="none"`` by default; alpha weighs the positives, and -1 means
    no weights. RetinaNet divides the sum by the number of positives (anchors that match an object), which
    no ``reduction`` does. 1 - p_t is computed without a difference, so it keeps its digits near 0.
    Args:
        inputs: logits of any shape.
        targets: of the same shape, 1 for positive, 0 for negative; values between mix p_t and alpha_t.
        alpha: in [0, 1], or -1.
        gamma: not negative; 0 gives (weighted) cross-entropy.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
    Returns: the shape of ``inputs``, or a scalar; dtype of ``inputs``.
    Raises: TypeError: if one of them is not floating point. ValueError: for different shapes, targets outside
        [0, 1], alpha or gamma outside their range, or an unknown reduction.
    Example:
        >>> x = torch.tensor([0.9]).logit()  # p = 0.9: 0.1^2 = 0.01 of cross-entropy, 0.1054
        >>> sigmoid_focal_loss(x, torch.ones(1), alpha=-1)
        tensor([0.0011])

    References: Lin et al., ICCV 2017, Sec. 3, arXiv:1708.02002.
    """
    check_reduction(reduction)
    if not (0 <= alpha <= 1 or alpha == -1):
        raise ValueError(f"alpha must be in [0, 1], or -1 for no weights: got {alpha}")
    _check_at_least(0, gamma=gamma)
    _check_logits(inputs, targets)
    x, t = _at_least_float32(inputs), _at_least_float32(targets)
    positive, negative = _binary_losses(x)
    losses = t * positive + (1 - t) * negative
    missed = t * torch.sigmoid(-x) + (1 - t) * torch.sigmoid(x)  # 1 - p_t
    losses = losses * _power(missed, gamma)
    if alpha >= 0:
        losses = (alpha * t + (1 - alpha) * (1 - t)) * losses
    return reduce(losses, reduction).to(inputs.dtype)


def asymmetric_loss(
    input: Tensor,
    target: Tensor,
    gamma_neg: float = 4,
    gamma_pos: float = 0,
    clip: float = 0.05,
    reduction: str = "mean",
) -> Tensor:
    r"""Focal loss with an exponent for each kind of target, which forgets negatives that are easy.

    target 1: -(1 - p)^gamma_pos log p; target 0: -p_m^gamma_neg log(1 - p_m), where p = sigmoid(input) and
    p_m = max(p - clip, 0)

    Conventions: the defaults are the paper's for many labels (gamma_pos 0, gamma_neg 4, clip 0.05); the
    authors' code has gamma_pos 1, cuts logarithms off at 1e-8, and returns the sum.
    Args:
        input: logits of any shape.
        target: of the same shape, 1 for positive, 0 for negative; values between mix both losses.
        gamma_neg, gamma_pos: not negative.
        clip: probability below which a negative costs nothing, in [0, 1); 0 and equal gammas give focal loss.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
    Returns: the shape of ``input``, or a scalar; dtype of ``input``.
    Raises: TypeError: if one of them is not floating point. ValueError: for different shapes, targets outside
        [0, 1], gammas or clip outside their range, or an unknown reduction.
    Example:
        >>> x = torch.tensor([0.04, 0.55]).logit()  # p_m = 0 and 0.5: 0, and 0.5^4 ln 2
        >>> asymmetric_loss(x, torch.zeros(2), reduction="none")
        tensor([0.0000, 0.0433])

    References: Ridnik et al., ICCV 2021, Sec. 2, arXiv:2009.14119.
    """
    check_reduction(reduction)
    _check_at_least(0, gamma_neg=gamma_neg, gamma_pos=gamma_pos)
    if not 0 <= clip < 1:
        raise ValueError(f"clip must be in [0, 1): got {clip}; 0.05 is the usual value")
    _check_logits(input, target)
    x, t = _at_least_float32(input), _at_least_float32(target)
    positive, negative = _binary_losses(x)
    positive = positive * _power(torch.sigmoid(-x), gamma_pos)
    shifted = torch.relu(torch.sigmoid(x) - clip)
    if clip > 0:
        # 1 - shifted >= clip > 0: no logarithm of 0
        negative = -torch.log1p(-shifted)
    negative = negative * _power(shifted, gamma_neg)
    losses = t * positive + (1 - t) * negative
    return reduce(losses, reduction).to(input.dtype)


def effective_number(counts: Sequence[int] | Tensor, beta: float) -> Tensor:
    r"""Samples that count, if each further one adds beta times what the one before added.

    E_n = 1 + beta + ... + beta^(n - 1) = (1 - beta^n) / (1 - beta)

    Args:
        counts: (C,), samples of each class, at least 1.
        beta: in [0, 1); 0 gives 1, and beta near 1 gives n. 1 / (1 - beta) is the largest possible number.
    Returns: (C,), float64.
    Raises: ValueError: for a count below 1, more than one axis, or beta outside [0, 1).
    Example:
        >>> effective_number([1, 2, 1000], 0.5)
        tensor([1.0000, 1.5000, 2.0000], dtype=torch.float64)

    References: Cui et al., CVPR 2019, Sec. 3, arXiv:1901.05555.
    """
    n = torch.as_tensor(counts, dtype=torch.float64)
    if n.dim() != 1 or not bool((n >= 1).all()):
        raise ValueError(
            f"counts must hold at least 1 sample for each class, shape (C,): got {n.tolist()}; "
            "leave empty classes out"
        )
    if not 0 <= beta < 1:
        raise ValueError(
            f"beta must be in [0, 1): got {beta}; 0 gives equal weights, near 1 inverse frequency"
        )
    if beta == 0:
        return torch.ones_like(n)
    # 1 - beta^n = -expm1(n log beta), which keeps its digits when beta is near 1
    return -torch.expm1(n * math.log(beta)) / (1 - beta)


def class_balanced_weights(counts: Sequence[int] | Tensor, beta: float) -> Tensor:
    r"""Weights for classes by the inverse of their effective number of samples.

    w_c = C / E_(n_c) / sum_k 1 / E_(n_k), where E_n = (1 - beta^n) / (1 - beta)

    Conventions: the weights add up to the number of classes, as in the paper.
    Args, Raises: as ``effective_number``.
    Returns: (C,), of torch's default dtype: for ``weight`` of ``cross_entropy``.
    Example:
        >>> class_balanced_weights([90, 10], 0.0), class_balanced_weights([90, 10], 0.999999)
        (tensor([1., 1.]), tensor([0.2000, 1.8000]))

    References: Cui et al., CVPR 2019, Sec. 4, arXiv:1901.05555.
    """
    inverse = 1 / effective_number(counts, beta)
    return (inverse * len(inverse) / inverse.sum()).to(torch.get_default_dtype())


def prior_bias(share: float) -> float:
    r"""Bias of the last layer with which a sigmoid starts at the share of positives.

    b = log(share / (1 - share)), so that sigmoid(b) = share

    Conventions: RetinaNet's, where ``share`` is 0.01 for all classes.
    Args:
        share: of positives, in (0, 1).
    Raises: ValueError: if share is 0, 1 or outside.
    Example:
        >>> round(prior_bias(0.01), 3)
        -4.595

    References: Lin et al., ICCV 2017, Sec. 3.3 and 4.1, arXiv:1708.02002.
    """
    if not 0 < share < 1:
        raise ValueError(
            f"share must be above 0 and below 1, since its logit is infinite there: got {share}"
        )
    return math.log(share) - math.log1p(-share)


def _power(base: Tensor, exponent: float) -> Tensor:
    """base^exponent for base >= 0, with a gradient that is finite at 0 for exponents below 1 too."""
    return base.clamp(min=torch.finfo(base.dtype).tiny) ** exponent
