"""A race of update rules on random quadratics, whose axes are those of the coordinates or turned."""

import torch
from torch import Tensor

from dlkb.optimizers.framework import Update, UpdateState
from dlkb.optimizers.surfaces import first_step_below

__all__ = ["race", "random_bowls", "steps_to_arrive"]


def random_bowls(
    count: int,
    turned: bool,
    dim: int = 5,
    condition_number: float = 100.0,
    *,
    seed: int,
) -> tuple[Tensor, Tensor]:
    """Hessians with curvatures from 1 to ``condition_number``, and a normal start for each.

    Curvatures are spaced evenly in their logarithm.
    Args:
        count: how many.
        turned: whether axes are random and orthogonal (Q of a normal matrix) or those of the coordinates;
            the starts are the same.
        seed: of the draws.
    Returns: (count, dim, dim) and (count, dim), of the default dtype.
    Example:
        >>> hessians, starts = random_bowls(1, turned=False, dim=2, seed=0)
        >>> hessians
        tensor([[[  1.,   0.],
                 [  0., 100.]]])
    """
    generator = torch.Generator().manual_seed(seed)
    axes = torch.linalg.qr(torch.randn(count, dim, dim, generator=generator))[0]
    axes = axes if turned else torch.eye(dim).expand_as(axes)
    starts = torch.randn(count, dim, generator=generator)
    return axes * condition_number ** torch.linspace(0, 1, dim) @ axes.mT, starts


def race(update: Update, hessian: Tensor, start: Tensor, steps: int = 600) -> Tensor:
    """Losses x.H x / 2 along runs of an update rule.

    Args:
        update: of ``dlkb.optimizers.framework``; rates (R, 1, 1) make R runs of each start.
        hessian, start: (count, dim, dim) and (count, dim).
        steps: number of updates.
    Returns: (steps + 1, ..., count), the start's loss first; NaN or infinity from where a run diverged.
    Example:
        >>> from dlkb.optimizers.framework import sgd_update
        >>> race(sgd_update(0.5), torch.eye(1)[None], torch.tensor([[2.0]]), steps=2)
        tensor([[2.0000],
                [0.5000],
                [0.1250]])
    """

    def slope(x: Tensor) -> Tensor:
        return (hessian * x.unsqueeze(-2)).sum(-1)

    shape = update(UpdateState(start), slope(start)).param.shape
    state, losses = UpdateState(start.expand(shape)), []
    for _ in range(steps + 1):
        grad = slope(state.param)
        losses.append((grad * state.param).sum(-1) / 2)
        state = update(state, grad)
    return torch.stack(losses)


def steps_to_arrive(losses: Tensor, share: float = 1e-6) -> Tensor:
    """Steps until a loss stays below a share of the first.

    Conventions: a run that never does, or whose loss once rises above the first, counts with all its steps.
    Args:
        losses: (steps + 1, ...).
        share: of the first loss.
    Returns: (...), integers.
    Example:
        >>> steps_to_arrive(torch.tensor([[8.0, 8.0], [1.0, 9.0], [3.0, 0.0], [1.0, 0.0]]), share=0.25)
        tensor([3, 3])
    """
    last = len(losses) - 1
    later = losses.flip(0).cummax(0).values.flip(0)
    taken = first_step_below(later / losses[0], share).clamp(max=last)
    return taken.where(losses.amax(0) <= losses[0], last)
