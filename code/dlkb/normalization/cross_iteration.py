"""Cross-iteration batch norm: earlier statistics, moved to the current weight by Taylor expansion."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = [
    "IterationStatistics",
    "iteration_statistics",
    "statistics_error",
    "window_statistics",
]


class IterationStatistics(NamedTuple):
    """One iteration's statistics of the outputs of a linear layer, and how they depend on its weight.

    ``mean`` and ``square`` (C,): means over the batch of each output and of its square. ``mean_gradient``
    (F,) and ``square_gradient`` (C, F): their derivatives by the output's own row of ``weight`` (C, F), the
    weight of that iteration. The derivative of the mean is the same for every row.
    """

    weight: Tensor
    mean: Tensor
    square: Tensor
    mean_gradient: Tensor
    square_gradient: Tensor


@torch.no_grad()
def iteration_statistics(
    input: Tensor, weight: Tensor, bias: Tensor | None = None
) -> IterationStatistics:
    r"""What an iteration leaves to later ones: statistics of input @ weight.T + bias and their derivatives.

    Conventions: constants, without gradient, on which later iterations normalize. ``mean`` carries the bias.
    Args:
        input: (N, F), the inputs of a linear layer.
        weight: (C, F).
        bias: (C,), or None.
    Raises: ValueError: for shapes that do not fit, or an empty batch.
    Example:
        >>> found = iteration_statistics(torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0]]))
        >>> found.mean, found.square  # outputs 2 and 6
        (tensor([4.]), tensor([20.]))

    References: Yao et al., "Cross-Iteration Batch Normalization", CVPR 2021, Sec. 3, arXiv:2002.05712.
    """
    if input.dim() != 2 or weight.dim() != 2 or input.shape[1] != weight.shape[1]:
        raise ValueError(
            "input must be (N, F) and weight (C, F): "
            f"got {tuple(input.shape)} and {tuple(weight.shape)}"
        )
    if not len(input):
        raise ValueError("a batch must hold at least 1 sample: got none")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(
            f"bias must hold one value for each of the {len(weight)} outputs: got {tuple(bias.shape)}"
        )
    output = input @ weight.T  # (N, C)
    if bias is not None:
        output = output + bias
    return IterationStatistics(
        weight.clone(),
        output.mean(0),
        output.square().mean(0),
        input.mean(0),
        2 * output.T @ input / len(input),  # (C, F)
    )


@torch.no_grad()
def window_statistics(
    window: Sequence[IterationStatistics],
    weight: Tensor,
    compensate: bool = True,
) -> tuple[Tensor, Tensor]:
    """Mean and biased variance per channel over a window of iterations, as of the current weight.

    mean = average of m_i + <dm_i, weight - weight_i>, var = average of max(s_i + <ds_i, weight - weight_i>,
    (the same mean term)^2) minus mean^2

    Conventions: first order; only the layer's own weight is followed, not the weights of layers below. A mean
    square below the squared mean, which the expansion can give, is raised to it.
    Args:
        window: what ``iteration_statistics`` gave in the last k iterations, all of one batch size.
        weight: (C, F), the current weight.
        compensate: whether to follow the weight; if not, this is the plain average of stale statistics.
    Returns: mean and variance, (C,) each.
    Raises: ValueError: if the window is empty, or a weight has another shape.
    Example:
        >>> x, then, now = torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0]]), torch.tensor([[2.5]])
        >>> window_statistics([iteration_statistics(x, then)], now)[0]  # outputs 2.5 and 7.5
        tensor([5.])

    References: Yao et al., CVPR 2021, Sec. 3, arXiv:2002.05712.
    """
    if not window:
        raise ValueError("a window must hold at least the current iteration: got none")
    for past in window:
        if past.weight.shape != weight.shape:
            raise ValueError(
                f"weight must keep its shape {tuple(past.weight.shape)} over the window: "
                f"got {tuple(weight.shape)}"
            )
    means, squares = [], []
    for past in window:
        mean, square = past.mean, past.square
        if compensate:
            change = weight - past.weight  # (C, F)
            mean = mean + change @ past.mean_gradient
            square = square + (past.square_gradient * change).sum(1)
        means.append(mean)
        squares.append(torch.maximum(square, mean.square()))
    mean = torch.stack(means).mean(0)
    return mean, torch.stack(squares).mean(0) - mean.square()


def statistics_error(
    estimate: tuple[Tensor, Tensor], truth: tuple[Tensor, Tensor]
) -> Tensor:
    """How far an estimated (mean, var) is from the truth: root mean squares over the channels.

    Args:
        estimate, truth: mean and variance, (C,) each.
    Returns: (2,): the error of the mean in true standard deviations, and the relative error of the standard
        deviation.
    Example:
        >>> estimate = torch.tensor([1.0, 1.0]), torch.tensor([4.0, 9.0])
        >>> statistics_error(estimate, (torch.tensor([3.0, 1.0]), torch.tensor([4.0, 9.0])))
        tensor([0.7071, 0.0000])
    """
    (mean, var), (true_mean, true_var) = estimate, truth
    errors = (mean - true_mean) / true_var.sqrt(), (var / true_var).sqrt() - 1
    return torch.stack(errors).square().mean(1).sqrt()
