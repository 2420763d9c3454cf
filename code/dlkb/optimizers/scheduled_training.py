"""Train many small networks at once, each with its own learning rate at every step.

A schedule is a row of numbers. ``fit_scheduled`` takes one row an arm and trains every arm with every seed in
one vectorized pass, so that a grid of peak rates for several schedules costs little more than one run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from dlkb.optimizers.framework import Update, UpdateState, sgd_update
from dlkb.train import batch_order, share_right

__all__ = ["ScheduledRuns", "cross_entropy_by_class", "fit_scheduled", "rate_rows"]


@dataclass
class ScheduledRuns:
    """What ``fit_scheduled`` found. A arms, S seeds, T steps, E evaluations, P scored parts.

    ``loss`` (A, S, T): training loss of each batch, before the step. ``accuracy`` (A, S, E, P): share of each
    scored part that is classified rightly, float64. ``part_loss`` (A, S, E, P): the mean loss of that part,
    float64. ``steps`` (E,): how many steps were done by then. All lie on the CPU.
    """

    loss: Tensor
    accuracy: Tensor
    part_loss: Tensor
    steps: Tensor

    def steps_to(self, accuracy: float, part: int = 0) -> Tensor:
        """(A, S): steps until a part's accuracy is first at least this; NaN if it never is."""
        reached = self.accuracy[..., part] >= accuracy  # (A, S, E)
        first = self.steps[reached.to(torch.int64).argmax(-1)].double()
        return first.masked_fill(~reached.any(-1), torch.nan)


def cross_entropy_by_class(output: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy, torch's number, for many small networks at once under vmap.

    Conventions: the classes are moved before the samples. Along a last dimension of 10, torch's log-softmax
    takes ten times as long on a CPU, a quarter to a third of the gradient of a small network.
    Args:
        output: (N, classes), logits.
        target: (N,), classes.
    Example:
        >>> cross_entropy_by_class(torch.zeros(2, 4), torch.tensor([0, 3]))  # ln 4
        tensor(1.3863)
    """
    return nn.functional.cross_entropy(output.T.unsqueeze(0), target.unsqueeze(0))


def rate_rows(
    schedule: Callable[[int, float], float], rates: Sequence[float], steps: int
) -> Tensor:
    """A schedule written out for several rates: (len(rates), steps), float64.

    Example:
        >>> from dlkb.optimizers.schedules import polynomial_lr
        >>> rate_rows(polynomial_lr, [1.0, 5.0], 2)
        tensor([[1.0000, 0.8000],
                [5.0000, 4.0000]], dtype=torch.float64)
    """
    rows = [[schedule(step, rate) for step in range(steps)] for rate in rates]
    return torch.tensor(rows, dtype=torch.float64)


def fit_scheduled(
    model: Callable[[], nn.Module],
    x: Tensor,
    y: Tensor,
    rates: Tensor,
    *,
    seeds: Sequence[int],
    batch_size: int,
    parts: Sequence[Sequence[Tensor]],
    rule: Callable[..., Update] = sgd_update,
    momenta: Tensor | None = None,
    evaluate_every: int | None = None,
    evaluated: Callable[[UpdateState], Tensor] = lambda state: state.param,
) -> ScheduledRuns:
    """Train a network with every row of rates and every seed, paired.

    Conventions: a seed fixes initialization, split and order of the batches for all arms. A run that diverges
    goes on as NaN beside the others.
    Args:
        model: called once a seed, with torch's random state seeded; its layers must act alike in training and
            evaluation (no batch statistics, no dropout).
        x, y: all samples and their classes, on the device to compute on.
        rates: (A, T), the learning rate of each arm at each step.
        parts: for each seed, indices of the samples that train, then of each part that is scored.
        rule: ``rule(lr)`` gives an update of the framework; with momenta, ``rule(lr, momentum)``.
        momenta: (A, T), or None for a rule that needs none.
        evaluate_every: number of steps between two evaluations; None for one, at the end. Must divide T.
        evaluated: which parameters to score, read from the rule's state, as an average of iterates.
    Returns: ``ScheduledRuns``.
    Raises: ValueError: if rates are not (A, T), momenta not of their shape, parts not one a seed, or
        evaluate_every does not divide T.
    Example:
        >>> x, y, all = torch.eye(4), torch.arange(4), torch.arange(4)
        >>> options = {"seeds": [0, 1], "batch_size": 4, "parts": [(all, all)] * 2}
        >>> runs = fit_scheduled(lambda: nn.Linear(4, 4), x, y, torch.ones(3, 20), **options)
        >>> runs.loss.shape, runs.accuracy.shape
        (torch.Size([3, 2, 20]), torch.Size([3, 2, 1, 1]))
    """
    _check(rates, momenta, seeds, parts, evaluate_every)
    arms, steps = rates.shape
    every = steps if evaluate_every is None else evaluate_every
    orders = [
        own[0][batch_order(len(own[0]), batch_size, steps, _generator(seed))]
        for own, seed in zip(parts, seeds, strict=True)
    ]
    batches = torch.stack(orders).to(x.device)  # (S, T, B)
    skeleton, state, names = _stacked(model, seeds, arms, x.device)
    shapes = [state[name].shape[1:] for name in names]

    def value_of(parameters: dict[str, Tensor], batch: Tensor, target: Tensor):
        output = functional_call(skeleton, parameters, (batch,))
        return cross_entropy_by_class(output, target)

    gradient_of = vmap(grad_and_value(value_of))
    columns = [_column(r, len(seeds), x) for r in (rates, momenta) if r is not None]
    current = UpdateState(torch.cat([state[n].flatten(1) for n in names], 1))  # (M, P)
    history, scores = [], []
    for step in range(steps):
        indices = batches[:, step].repeat(arms, 1)  # (M, B)
        parameters = _views(current.param, names, shapes)
        gradients, values = gradient_of(parameters, x[indices], y[indices])
        gradient = torch.cat([gradients[name].flatten(1) for name in names], 1)
        update = rule(*(column[:, step, None] for column in columns))
        current = update(current, gradient)
        history.append(values.detach())
        if (step + 1) % every == 0:
            views = _views(evaluated(current), names, shapes)
            scores.append(_scores(skeleton, views, x, y, parts, arms))
    accuracy, part_loss = (
        torch.stack(own, 1).view(arms, len(seeds), len(scores), -1).cpu()
        for own in zip(*scores, strict=True)
    )
    return ScheduledRuns(
        torch.stack(history, -1).view(arms, len(seeds), steps).cpu(),
        accuracy,
        part_loss,
        torch.arange(every, steps + 1, every),
    )


def _stacked(
    model: Callable[[], nn.Module],
    seeds: Sequence[int],
    arms: int,
    device: torch.device,
) -> tuple[nn.Module, dict[str, Tensor], list[str]]:
    """One module to call, the parameters of all members (arms first, then seeds), and their names."""
    members = []
    for seed in seeds:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            members.append(model().to(device))
    parameters, _ = stack_module_state(members)
    names = list(parameters)
    repeated = {
        name: p.detach().repeat(arms, *[1] * (p.dim() - 1))
        for name, p in parameters.items()
    }
    return members[0], repeated, names


def _views(flat: Tensor, names: list[str], shapes: list[torch.Size]) -> dict:
    """The rows of ``flat`` (M, P) as parameters by name, each (M, ...)."""
    sizes = [shape.numel() for shape in shapes]
    pieces = flat.split(sizes, dim=1)
    return {
        name: piece.unflatten(1, shape)
        for name, piece, shape in zip(names, pieces, shapes, strict=True)
    }


def _column(rows: Tensor, seeds: int, x: Tensor) -> Tensor:
    """(A, T) as (M, T), in the dtype and on the device of the data."""
    return rows.to(x.device, x.dtype).repeat_interleave(seeds, 0)


@torch.no_grad()
def _scores(
    skeleton: nn.Module,
    parameters: dict[str, Tensor],
    x: Tensor,
    y: Tensor,
    parts: Sequence[Sequence[Tensor]],
    arms: int,
) -> tuple[Tensor, Tensor]:
    """(M, P) float64, twice: each member's share of right answers, and its loss, in each part of its seed."""

    def score_of(own: dict[str, Tensor], batch: Tensor, target: Tensor):
        output = functional_call(skeleton, own, (batch,))
        return share_right(output, target), cross_entropy_by_class(output, target)

    score = vmap(score_of)
    found = []
    for scored in zip(*(own[1:] for own in parts), strict=True):
        indices = torch.stack(list(scored)).to(x.device).repeat(arms, 1)  # (M, H)
        found.append(score(parameters, x[indices], y[indices]))
    right, loss = (torch.stack(own, -1).double() for own in zip(*found, strict=True))
    return right, loss


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _check(rates, momenta, seeds, parts, evaluate_every) -> None:
    if rates.dim() != 2 or not rates.numel():
        raise ValueError(
            f"rates must be (arms, steps), at least one of each: got shape {tuple(rates.shape)}"
        )
    if momenta is not None and momenta.shape != rates.shape:
        raise ValueError(
            f"momenta must have the shape of rates, {tuple(rates.shape)}: got {tuple(momenta.shape)}"
        )
    if not len(seeds) or len(parts) != len(seeds):
        raise ValueError(
            f"give at least one seed, and parts for each: got {len(seeds)} seeds, {len(parts)} parts"
        )
    steps = rates.shape[1]
    if evaluate_every is not None and not (
        evaluate_every > 0 and steps % evaluate_every == 0
    ):
        raise ValueError(
            f"evaluate_every must divide the {steps} steps: got {evaluate_every}"
        )
