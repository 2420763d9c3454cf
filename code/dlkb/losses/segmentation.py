"""Overlap of a predicted and a true mask as a loss: Tversky, with Dice and Jaccard inside, and Lovasz."""

import torch
from torch import Tensor

from dlkb.losses._reduction import check_reduction, reduce
from dlkb.losses._shared import (
    _at_least_float32,
    _check_at_least,
    _check_binary,
    _check_floating,
    _check_probabilities,
    _check_same_shape,
)

__all__ = ["dice_loss", "jaccard_loss", "lovasz_hinge", "tversky_loss"]


def tversky_loss(
    input: Tensor,
    target: Tensor,
    alpha: float = 0.5,
    beta: float = 0.5,
    smooth: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    r"""1 - Tversky index of each sample's mask; alpha weighs false positives, beta false negatives.

    loss = 1 - (TP + smooth) / (TP + alpha FP + beta FN + smooth), where TP = sum p t, FP = sum p (1 - t),
    FN = sum (1 - p) t

    Conventions: FP is what is predicted and not true, FN what is true and not predicted, so a larger beta
    raises recall. Other code exchanges alpha and beta. alpha = beta = 0.5 is Dice, 1 and 1 Jaccard; with
    alpha + beta = 1 the index is F_b, b^2 = beta / alpha. One index for each sample of the batch: for one
    over the batch use ``.flatten()[None]`` on both, for one a class ``.flatten(0, 1)``. ``smooth`` is 0,
    as in the paper: then a mask that is truly empty gives loss 1 and no gradient, unless the prediction
    is exactly empty too (loss 0). A positive ``smooth`` (1 is common) teaches from empty masks. Where an
    alpha or beta of 0 leaves 0 / 0, the loss is 0.
    Args:
        input: (N, \*), probabilities in [0, 1]: apply torch.sigmoid to logits.
        target: of the same shape, in [0, 1].
        alpha, beta: not negative.
        smooth: not negative, in pixels.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``, over the samples.
    Returns: (N,), or a scalar; dtype of ``input``.
    Raises: TypeError: if one of them is not floating point. ValueError: for different shapes, no axis, values
        outside [0, 1], negative alpha, beta or smooth, or an unknown reduction.
    Example:
        >>> p, t = torch.tensor([[1.0, 1.0, 0.0, 0.0]]), torch.tensor([[1.0, 0.0, 1.0, 1.0]])
        >>> tversky_loss(p, t, alpha=0.2, beta=0.8)  # TP 1, FP 1, FN 2: 1 - 1 / 2.8
        tensor(0.6429)

    References: Salehi, Erdogmus & Gholipour, MLMI 2017, Sec. 2, arXiv:1706.05721.
    """
    check_reduction(reduction)
    _check_at_least(0, alpha=alpha, beta=beta, smooth=smooth)
    _check_masks(input, target)
    _check_probabilities("input", input, "apply torch.sigmoid to logits")
    _check_probabilities("target", target, "inside is 1 and outside 0")
    p, t = _at_least_float32(input).flatten(1), _at_least_float32(target).flatten(1)
    overlap = (p * t).sum(1)  # (N,), as the next two
    false_positive = (p * (1 - t)).sum(1)
    false_negative = ((1 - p) * t).sum(1)
    whole = overlap + alpha * false_positive + beta * false_negative + smooth
    nothing = whole == 0  # nothing was to find, or nothing that counts was wrong
    index = (overlap + smooth) / torch.where(nothing, 1, whole)
    return reduce(1 - torch.where(nothing, 1, index), reduction).to(input.dtype)


def dice_loss(
    input: Tensor, target: Tensor, smooth: float = 0.0, reduction: str = "mean"
) -> Tensor:
    r"""1 - Dice coefficient of each sample's mask, which is F1 of its pixels.

    loss = 1 - (2 TP + 2 smooth) / (sum p + sum t + 2 smooth)

    Conventions: as ``tversky_loss`` with alpha = beta = 0.5. V-Net squares p and t in the denominator, which
    is the same for binary masks only.
    Args, Returns, Raises: as ``tversky_loss``.
    Example:
        >>> p, t = torch.tensor([[1.0, 1.0, 0.0, 0.0]]), torch.tensor([[1.0, 0.0, 1.0, 1.0]])
        >>> dice_loss(p, t)  # 1 - 2 / 5
        tensor(0.6000)

    References: Milletari, Navab & Ahmadi, 3DV 2016, Sec. 3, arXiv:1606.04797.
    """
    return tversky_loss(input, target, 0.5, 0.5, smooth, reduction)


def jaccard_loss(
    input: Tensor, target: Tensor, smooth: float = 0.0, reduction: str = "mean"
) -> Tensor:
    r"""1 - Jaccard index (intersection over union) of each sample's mask.

    loss = 1 - (TP + smooth) / (sum p + sum t - TP + smooth)

    Conventions: as ``tversky_loss`` with alpha = beta = 1.
    Args, Returns, Raises: as ``tversky_loss``.
    Example:
        >>> p, t = torch.tensor([[1.0, 1.0, 0.0, 0.0]]), torch.tensor([[1.0, 0.0, 1.0, 1.0]])
        >>> jaccard_loss(p, t)  # 1 - 1 / 4
        tensor(0.7500)
    """
    return tversky_loss(input, target, 1.0, 1.0, smooth, reduction)


def lovasz_hinge(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    r"""Lovasz extension of the Jaccard loss of each sample's mask, at the hinge errors of its logits.

    loss = sum_i max(e_(i), 0) (J_i - J_(i-1)), where e = 1 - input (2 target - 1), sorted to fall, and J_i is
    the Jaccard loss if the first i pixels of that order were wrong and the others right

    Conventions: convex and piecewise linear in the logits; the Jaccard loss itself, at the thresholded mask,
    where each error is 0 or 1. One loss for each sample, as ``per_image=True`` of the authors' code.
    Args:
        input: (N, \*), logits.
        target: of the same shape, floating point, 0 and 1 only.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``, over the samples.
    Returns: (N,), or a scalar; dtype of ``input``.
    Raises: TypeError: if one of them is not floating point. ValueError: for different shapes, no axis, other
        targets, or an unknown reduction.
    Example:
        >>> lovasz_hinge(torch.tensor([[2.0, 0.5, -1.0]]), torch.tensor([[1.0, 1.0, 0.0]]))  # 0.5 (1 - 1/2)
        tensor(0.2500)

    References: Berman, Triki & Blaschko, CVPR 2018, Sec. 2 and 3, arXiv:1705.08790.
    """
    check_reduction(reduction)
    _check_masks(input, target)
    _check_binary("target", target)
    x, t = _at_least_float32(input).flatten(1), _at_least_float32(target).flatten(1)
    errors, order = torch.sort(1 - x * (2 * t - 1), dim=1, descending=True)
    t = t.gather(1, order)
    # The first i pixels wrong: those with t = 1 are missing from the intersection, those with t = 0 join
    # the union. So J = 1 - I / U rises by 1 / U, or by I / (U - 1) - I / U = I / (U (U - 1)); the first
    # pixel of an empty mask takes it from 0 to 1. A difference of the J would lose what many pixels add.
    true = t.sum(1, keepdim=True)
    intersection, union = true - t.cumsum(1), true + (1 - t).cumsum(1)
    joined = intersection / (union * (union - 1).clamp(min=1))
    steps = torch.where((t == 1) | (union == 1), 1 / union, joined)
    return reduce((torch.relu(errors) * steps).sum(1), reduction).to(input.dtype)


def _check_masks(input: Tensor, target: Tensor) -> None:
    _check_floating(input=input, target=target)
    if input.dim() < 2:
        raise ValueError(
            f"input must be (N, *), one mask for each sample: got shape {tuple(input.shape)}; "
            "use [None] for a single one"
        )
    _check_same_shape(input, target=target)
