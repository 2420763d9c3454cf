"""The one reduction that all losses share: a value per element, their mean, or their sum."""

from torch import Tensor

__all__ = ["reduce"]

REDUCTIONS = ("none", "mean", "sum")


def reduce(loss: Tensor, reduction: str) -> Tensor:
    """The losses as they are (``"none"``), their mean, or their sum.

    Conventions: torch's. The mean of no elements is NaN, their sum 0.
    Args:
        loss: any shape, floating point.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
    Returns: ``loss`` itself, or a scalar of its dtype.
    Raises: ValueError: for any other reduction.
    Example:
        >>> import torch
        >>> reduce(torch.tensor([1.0, 3.0]), "mean")
        tensor(2.)
    """
    check_reduction(reduction)
    if reduction == "mean":
        return loss.mean()
    return loss.sum() if reduction == "sum" else loss


def check_reduction(reduction: str) -> None:
    """Raise the ValueError of ``reduce``, before anything is computed."""
    if reduction not in REDUCTIONS:
        raise ValueError(
            f"reduction must be one of 'none', 'mean', 'sum': got {reduction!r}"
        )
