"""Train many networks at once by SGD, with gradients clipped or normalized, and watch every layer."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from dlkb.train import Loss

__all__ = ["Watched", "fit_watched", "working_rates"]


@dataclass
class Watched:
    """What ``fit_watched`` saw. S networks, T steps, L parameters, in the order of ``names``.

    ``loss`` (S, T): before each step. ``gradients`` (S, T, L): norm of each parameter's gradient, before any
    limit. ``steps`` (S, T): length of the step that was taken, all parameters together. ``weights``
    (S, T, L): norm of each parameter before the step; of the parameters named by ``spectral`` the largest
    singular value. ``moved`` (S, T, L): how far each parameter is from its start, after the step.
    ``models``: the trained networks.
    """

    names: tuple[str, ...]
    loss: Tensor
    gradients: Tensor
    steps: Tensor
    weights: Tensor
    moved: Tensor
    models: list[nn.Module] = field(repr=False)

    @property
    def gradient(self) -> Tensor:
        """(S, T): norm of the whole gradient."""
        return _norm(self.gradients)

    def __getitem__(self, name: str) -> int:
        """Index of a parameter, for use in the tensors: ``run.gradients[..., run["0.weight"]]``."""
        if name not in self.names:
            raise KeyError(f"no parameter {name!r}; there are {', '.join(self.names)}")
        return self.names.index(name)


def fit_watched(
    models: Sequence[nn.Module],
    x: Tensor,
    y: Tensor,
    orders: Sequence[Tensor],
    *,
    lr: float | Sequence[float],
    max_norm: float | None = None,
    normalize: bool = False,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    spectral: Sequence[str] = (),
    loss: Loss = nn.functional.cross_entropy,
) -> Watched:
    """Train networks of one architecture in place, stacked, each with its own batches and gradient norm.

    Conventions: as ``dlkb.train.fit``; clipping and normalizing act on the loss's gradient, before weight
    decay and momentum. They are ``clip_grad_norm_`` and ``normalize_grad_`` of ``dlkb.initialization``, for
    each network apart; a norm that is not finite leaves the gradient as it is, so that a run that has
    diverged shows.
    Args:
        models: S, that differ in their parameters and buffers only.
        x, y: all samples and their targets.
        orders: for each network, (T, B) indices of its batches.
        lr: of all networks, or one for each.
        max_norm: limit of the norm of each network's whole gradient; None for no limit.
        normalize: give every gradient norm 1.
        momentum, weight_decay: as in torch.optim.SGD.
        spectral: names of matrices whose largest singular value is wanted in ``weights``.
    Returns: ``Watched``.
    Raises: ValueError: if orders or rates are not one for each network, max_norm is not positive, clipping
        and normalizing are both asked for, or a name in ``spectral`` is no matrix of the network.
    Example:
        >>> x, y = torch.eye(4), torch.arange(4)
        >>> order = torch.arange(4).expand(20, 4)
        >>> run = fit_watched([nn.Linear(4, 4)], x, y, [order], lr=1.0, normalize=True)
        >>> round(run.steps[0, -1].item(), 3)  # every step is as long as lr
        1.0

    References: Pascanu, Mikolov & Bengio, "On the Difficulty of Training Recurrent Neural Networks", ICML
        2013, arXiv:1211.5063.
    """
    rates = [lr] * len(models) if isinstance(lr, int | float) else list(lr)
    _check(models, orders, rates, max_norm, normalize, spectral)
    parameters, buffers = stack_module_state(list(models))
    parameters = {name: p.detach() for name, p in parameters.items()}
    skeleton = models[0].train()
    trained = [name for name, p in skeleton.named_parameters() if p.requires_grad]
    buffers |= {n: parameters.pop(n) for n in list(parameters) if n not in trained}
    rate = torch.tensor(rates, dtype=x.dtype, device=x.device)
    batches = torch.stack(list(orders)).to(x.device)  # (S, T, B)

    def value_of(parameters, buffers, batch, target):
        return loss(functional_call(skeleton, (parameters, buffers), (batch,)), target)

    step_of = vmap(grad_and_value(value_of), randomness="different")
    velocity = {name: torch.zeros_like(p) for name, p in parameters.items()}
    start = {name: p.clone() for name, p in parameters.items()}
    losses, gradient_norms, lengths, weights, moved = [], [], [], [], []
    for indices in batches.unbind(1):
        gradients, values = step_of(parameters, buffers, x[indices], y[indices])
        norms = torch.stack([_norm(gradients[n].flatten(1)) for n in trained], dim=1)
        factor = _factor(_norm(norms), max_norm, normalize)
        losses.append(values.detach())
        gradient_norms.append(norms)
        weights.append(_sizes(parameters, spectral))
        squares = torch.zeros_like(factor)
        for name, p in parameters.items():
            own = (-1, *[1] * (p.dim() - 1))
            gradient = gradients[name] * factor.view(own) + weight_decay * p
            velocity[name].mul_(momentum).add_(gradient)
            step = rate.view(own) * velocity[name]
            squares += step.flatten(1).square().sum(1)
            p.sub_(step)
        lengths.append(squares.sqrt())
        moves = [_norm((parameters[n] - start[n]).flatten(1)) for n in trained]
        moved.append(torch.stack(moves, dim=1))
    _write_back(models, parameters | buffers)
    seen = (losses, gradient_norms, lengths, weights, moved)
    return Watched(tuple(trained), *(torch.stack(v, 1) for v in seen), list(models))


def working_rates(
    rates: Sequence[float], loss: Tensor, limit: float | Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Learning rates that train: first and last of an unbroken run of them, and how many decades it spans.

    Of several such runs the longest counts, the first one in a tie. A run that reaches an end of the grid is
    wider than what is said: take a wider grid.

    Args:
        rates: R of them, rising.
        loss: (\\*, R), the loss that each arrived at; NaN and infinite do not train.
        limit: the loss to reach, at most; a number or (\\*, 1).
    Returns: first and last rate, (\\*), NaN where none trains, and log10(last / first), NaN there too.
    Raises: ValueError: if rates are not positive and rising, or are not as many as losses.
    Example:
        >>> loss = torch.tensor([[2.0, 0.5, 0.4, 0.6, float("nan")]])
        >>> [round(found.item(), 3) for found in working_rates([0.001, 0.01, 0.1, 1.0, 10.0], loss, 1.0)]
        [0.01, 1.0, 2.0]
    """
    grid = torch.tensor(rates, dtype=torch.float64, device=loss.device)
    if len(grid) != loss.shape[-1] or not (grid > 0).all() or (grid.diff() <= 0).any():
        raise ValueError(
            f"rates must be positive, rising and one for each loss: got {list(rates)} for {loss.shape[-1]}"
        )
    length = torch.zeros_like(loss[..., 0], dtype=torch.int64)
    best, end = length.clone(), length.clone()
    for index, works in enumerate((loss <= limit).unbind(-1)):
        length = torch.where(works, length + 1, 0)
        longer = length > best
        best, end = torch.where(longer, length, best), torch.where(longer, index, end)
    first, last = grid[(end - best + 1).clamp(max=len(grid) - 1)], grid[end]
    none = best == 0
    found = (first, last, torch.log10(last / first))
    return tuple(v.masked_fill(none, torch.nan) for v in found)


def _norm(values: Tensor) -> Tensor:
    return torch.linalg.vector_norm(values, dim=-1)


def _factor(norm: Tensor, max_norm: float | None, normalize: bool) -> Tensor:
    """(S,): what each network's gradient is multiplied by."""
    if normalize:
        factor = 1 / torch.where(norm == 0, 1, norm)
    elif max_norm is not None:
        factor = (max_norm / (norm + 1e-6)).clamp(max=1)
    else:
        factor = torch.ones_like(norm)
    return torch.where(norm.isfinite(), factor, 1)


def _sizes(parameters: dict[str, Tensor], spectral: Sequence[str]) -> Tensor:
    """(S, L): norm of each parameter, the largest singular value where asked for."""
    sizes = []
    for name, p in parameters.items():
        flat = _norm(p.flatten(1))
        if name in spectral:
            finite = flat.isfinite()  # the decomposition refuses others
            safe = torch.where(finite[:, None, None], p, 0)
            largest = torch.linalg.matrix_norm(safe, 2)
            flat = torch.where(finite, largest, torch.nan)
        sizes.append(flat)
    return torch.stack(sizes, dim=1)


@torch.no_grad()
def _write_back(models: Sequence[nn.Module], state: dict[str, Tensor]) -> None:
    for index, model in enumerate(models):
        for name, own in [*model.named_parameters(), *model.named_buffers()]:
            own.copy_(state[name][index])


def _check(models, orders, rates, max_norm, normalize, spectral) -> None:
    if not len(models) or not len(models) == len(orders) == len(rates):
        raise ValueError(
            "give at least one network, and one order and rate for each: "
            f"got {len(models)} networks, {len(orders)} orders and {len(rates)} rates"
        )
    if max_norm is not None and (normalize or not max_norm > 0):
        raise ValueError(
            "max_norm must be positive, and either it or normalize be given: "
            f"got max_norm={max_norm}, normalize={normalize}"
        )
    matrices = [n for n, p in models[0].named_parameters() if p.dim() == 2]
    wrong = [name for name in spectral if name not in matrices]
    if wrong:
        raise ValueError(
            f"spectral must name matrices of the network, {', '.join(matrices)}: got {', '.join(wrong)}"
        )
