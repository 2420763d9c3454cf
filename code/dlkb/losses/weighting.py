"""Several losses at once: what each contributes, and weights that are learned."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from dlkb.losses._shared import _at_least_float32

__all__ = ["UncertaintyWeighting", "gradient_shares"]

KINDS = ("regression", "classification")


class UncertaintyWeighting(nn.Module):
    r"""Sum of several tasks' losses, each divided by a variance that is learned.

    sum_i f_i exp(-s_i) loss_i + s_i / 2, where s_i = log sigma_i^2, and f_i is 1/2 for regression, 1 for
    classification

    The variances are parameters: give them to the optimizer. At the best s, exp(s) = 2 f loss: a task of
    ten times the loss weighs a tenth.
    Conventions: the paper's, with s in place of sigma, so that the variance stays positive. Regression
    losses are squared errors, classification losses cross-entropies, means or sums alike. The sum can be
    negative. For cross-entropy it is the paper's approximation.
    Args:
        kinds: for each task ``"regression"`` or ``"classification"``.
    Parameters: ``log_variance``, (T,), zeros at first.
    Raises: ValueError: for no tasks or an unknown kind; on the call, if there is not one scalar loss a task.
    Example:
        >>> weighting = UncertaintyWeighting(["regression", "classification"])
        >>> weighting([torch.tensor(4.0), torch.tensor(1.0)])  # 4 / 2 + 1
        tensor(3., grad_fn=<SumBackward0>)

    References: Kendall, Gal & Cipolla, CVPR 2018, Sec. 3, arXiv:1705.07115.
    """

    def __init__(self, kinds: Sequence[str]) -> None:
        super().__init__()
        unknown = [kind for kind in kinds if kind not in KINDS]
        if isinstance(kinds, str) or unknown or not len(kinds):
            raise ValueError(
                f"kinds must hold 'regression' or 'classification' for each task: got {kinds!r}"
            )
        self.kinds = tuple(kinds)
        self.log_variance = nn.Parameter(torch.zeros(len(kinds)))
        factors = torch.tensor([0.5 if k == "regression" else 1.0 for k in kinds])
        self.register_buffer("factors", factors, persistent=False)

    def forward(self, losses: Sequence[Tensor]) -> Tensor:
        """(T,) or T scalars -> scalar."""
        if len(losses) != len(self.kinds) or any(loss.dim() for loss in losses):
            raise ValueError(
                f"losses must be one scalar for each of the {len(self.kinds)} tasks: "
                f"got shapes {[tuple(loss.shape) for loss in losses]}"
            )
        stacked = torch.stack(list(losses)).to(self.log_variance)
        weighted = self.factors * torch.exp(-self.log_variance) * stacked
        return (weighted + self.log_variance / 2).sum()

    @property
    def weights(self) -> Tensor:
        """(T,), what each loss is multiplied by now, detached."""
        return (self.factors * torch.exp(-self.log_variance)).detach()

    def extra_repr(self) -> str:
        return f"{list(self.kinds)}"


def gradient_shares(losses: Sequence[Tensor], parameters: Iterable[Tensor]) -> Tensor:
    r"""Share of each loss in the sum of the norms of their gradients.

    share_i = \|g_i\| / sum_k \|g_k\|, where g_i is the gradient of loss i in all the parameters together

    Conventions: give losses as they are added, weights included, and the parameters that the tasks share.
    Norms are added, so gradients that oppose each other do not cancel. The parameters' ``grad`` are left
    as they were, and the graph is kept, so that ``backward`` can follow.
    Args:
        losses: T scalars; one that is a constant counts as 0.
        parameters: that require gradients; one that a loss does not reach counts as 0.
    Returns: (T,), adds up to 1; float32, or float64 for such parameters.
    Raises: ValueError: for no losses or parameters, or if no loss has a gradient in any of them.
    Example:
        >>> w = torch.ones(1, requires_grad=True)
        >>> gradient_shares([(3 * w).sum(), (w - 1).exp().sum()], [w])
        tensor([0.7500, 0.2500])
    """
    parameters = list(parameters)
    if not len(losses) or not parameters:
        raise ValueError(
            f"give at least one loss and one parameter: got {len(losses)} and {len(parameters)}"
        )
    norms = torch.stack([_gradient_norm(loss, parameters) for loss in losses])
    if not bool(norms.sum() > 0):
        raise ValueError(
            "no loss has a gradient in these parameters, so there is nothing to share: "
            f"got norms {norms.tolist()}"
        )
    return norms / norms.sum()


def _gradient_norm(loss: Tensor, parameters: list[Tensor]) -> Tensor:
    nothing = _at_least_float32(parameters[0].detach()).new_zeros(())
    if not loss.requires_grad:
        return nothing
    gradients = torch.autograd.grad(
        loss, parameters, retain_graph=True, allow_unused=True
    )
    squares = [_at_least_float32(g).square().sum() for g in gradients if g is not None]
    return torch.stack([nothing, *squares]).sum().sqrt()
