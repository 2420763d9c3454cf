"""Whether probabilities can be taken at their word."""

import torch
from torch import Tensor

__all__ = ["reliability"]


def reliability(
    confidence: Tensor, right: Tensor, bins: int = 10, least: int = 1
) -> tuple[Tensor, Tensor, Tensor]:
    """Points of a reliability diagram: samples sorted into bins by their confidence.

    The expected calibration error is the sum over bins of count * |mean - share|, divided by all samples.

    Conventions: bins of equal width over [0, 1], each with its upper edge; those with few samples left out.
    Args:
        confidence: probability of the class that came first, any shape.
        right: whether that class is right, boolean or 0 and 1, the same shape.
        least: how many samples a bin must have.
    Returns: (B,) each, float64, for the B bins kept: mean confidence, share that is right, count.
    Raises: ValueError: if the shapes differ, or a confidence is not from 0 to 1.
    Example:
        >>> mean, share, count = reliability(torch.tensor([0.75, 0.75, 1.0]), torch.tensor([1, 0, 1]))
        >>> mean.tolist(), share.tolist(), count.tolist()
        ([0.75, 1.0], [0.5, 1.0], [2.0, 1.0])

    References: Guo, Pleiss, Sun & Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, Sec. 2,
        arXiv:1706.04599.
    """
    if confidence.shape != right.shape:
        raise ValueError(
            "confidence and right must have one shape: "
            f"got {tuple(confidence.shape)} and {tuple(right.shape)}"
        )
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise ValueError(
            "confidence must be from 0 to 1, such as the largest softmax: "
            f"got {confidence.min().item():.4g} to {confidence.max().item():.4g}"
        )
    p, hit = confidence.flatten().double(), right.flatten().double()
    edges = torch.linspace(0, 1, bins + 1, dtype=p.dtype, device=p.device)[1:-1]
    bin_of = torch.bucketize(p, edges)
    count = torch.bincount(bin_of, minlength=bins)
    kept = count >= max(least, 1)
    mean, share = (
        torch.bincount(bin_of, weights=v, minlength=bins)[kept] / count[kept]
        for v in (p, hit)
    )
    return mean, share, count[kept].double()
