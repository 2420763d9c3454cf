"""A least-squares problem that adaptive methods learn by heart."""

import torch
from torch import Tensor

__all__ = ["draw_learned_by_heart"]


def draw_learned_by_heart(
    runs: int,
    count: int,
    majority: float = 0.75,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Samples with three features in common and some of their own, and labels of 1 and -1.

    Feature 0 is the label; features 1 and 2 are 1. Of five places of its own, a sample labelled 1 has the
    first set to 1, one labelled -1 all five; in the others' places it is 0.
    Args:
        runs: number of independent problems.
        count: samples of each.
        majority: probability of the label 1.
        generator: for the labels.
    Returns: features (runs, count, 3 + 5 * count) and labels (runs, count).
    Raises: ValueError: for a majority outside (0.5, 1), as the construction needs one.
    Example:
        >>> x, y = draw_learned_by_heart(1, 2, generator=torch.Generator().manual_seed(0))
        >>> y
        tensor([[ 1., -1.]])
        >>> x[0].int().tolist()
        [[1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], [-1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]]

    References: Wilson et al., "The Marginal Value of Adaptive Gradient Methods in Machine Learning", NeurIPS
        2017, Sec. 3.3, arXiv:1705.08292.
    """
    if not 0.5 < majority < 1:
        raise ValueError(f"majority must be in (0.5, 1): got {majority}")
    drawn = torch.empty(runs, count).uniform_(generator=generator)
    y = torch.where(drawn < majority, 1.0, -1.0).to(drawn)
    x = torch.zeros(runs, count, 3 + 5 * count).to(drawn)
    x[..., 0], x[..., 1:3] = y, 1
    own = x[..., 3:].view(runs, count, count, 5).diagonal(dim1=1, dim2=2)
    own[:, 0], own[:, 1:] = 1, (y < 0).to(x).unsqueeze(1)  # own: (runs, 5, count)
    return x, y
