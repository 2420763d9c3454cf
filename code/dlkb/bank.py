"""Many small networks side by side in one module: seeds times settings, each with its own batches and rate.

``fit_many`` draws every batch at random; a ``Bank`` trains on any order of samples, one for each member.
"""

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

__all__ = ["Bank", "RecurrentBank", "accuracies", "class_order", "fit_bank"]


class Bank(nn.Module):
    """M fully connected networks: linear, normalization, ReLU, and so on, and a last linear layer.

    A normalization that treats channels alone, such as batch norm, treats members alone when their channels
    stand side by side; that is how it is called here, with (N, M * C).
    Args:
        sizes: numbers of units from the input to the output.
        seeds: one for each member; it fixes the initial weights, so members with one seed are paired.
        norm: maps a number of channels to a normalization, such as ``nn.BatchNorm1d``.
    Conventions: weights start as in nn.Linear; hidden layers have no bias, since a normalization follows.
    Raises: ValueError: if there are no layers or no members.
    Example:
        >>> bank = Bank((4, 8, 3), seeds=(0, 1), norm=nn.BatchNorm1d)
        >>> bank(torch.zeros(5, 2, 4)).shape
        torch.Size([5, 2, 3])
    """

    def __init__(
        self,
        sizes: Sequence[int],
        seeds: Sequence[int],
        norm: Callable[[int], nn.Module],
    ) -> None:
        super().__init__()
        if len(sizes) < 2 or not len(seeds):
            raise ValueError(
                f"give at least two sizes and one seed: got {tuple(sizes)} and {tuple(seeds)}"
            )
        draw = _drawing(seeds)
        pairs = list(itertools.pairwise(sizes))
        # (M, in, out) each
        self.weights = nn.ParameterList(draw(i, i, o) for i, o in pairs)
        self.bias = draw(sizes[-2], sizes[-1])  # (M, out)
        self.norms = nn.ModuleList(norm(len(seeds) * size) for size in sizes[1:-1])

    def forward(self, x: Tensor) -> Tensor:
        """(N, M, F), each member's own samples, to (N, M, classes)."""
        last = self.layer_inputs(x)[-1]
        return torch.einsum("nmi,mio->nmo", last, self.weights[-1]) + self.bias

    def layer_inputs(self, x: Tensor) -> list[Tensor]:
        """What enters each linear layer, (N, M, F) each, the first being ``x``."""
        inputs = [x]
        for weight, norm in zip(self.weights[:-1], self.norms, strict=True):
            x = torch.einsum("nmi,mio->nmo", x, weight)
            x = norm(x.flatten(1)).view_as(x).relu()  # (N, M * C) and back
            inputs.append(x)
        return inputs


class RecurrentBank(nn.Module):
    """M simple recurrent networks with a normalization inside the recurrence, and an answer at every step.

    h_t = tanh(norm_t(x_t W + h_(t-1) U) + b), answer_t = h_t V + c

    Args:
        sizes: numbers of inputs, hidden units and classes.
        seeds: one for each member, as in ``Bank``.
        norms: one normalization of (N, M * hidden) for each step; later steps use the last one. They should
            learn no scale or shift, since b follows.
    Raises: ValueError: if there are no norms or no members.
    Example:
        >>> bank = RecurrentBank((1, 4, 2), seeds=(0, 1), norms=[nn.BatchNorm1d(8, affine=False)])
        >>> bank(torch.zeros(5, 2, 7, 1)).shape
        torch.Size([5, 2, 7, 2])

    References: Elman, "Finding Structure in Time", Cognitive Science 14, 1990.
    """

    def __init__(
        self,
        sizes: tuple[int, int, int],
        seeds: Sequence[int],
        norms: Sequence[nn.Module],
    ) -> None:
        super().__init__()
        if not len(norms) or not len(seeds):
            raise ValueError(
                f"give at least one norm and one seed: got {len(norms)} norms, {len(seeds)} seeds"
            )
        inputs, hidden, classes = sizes
        draw = _drawing(seeds)
        self.inner = draw(hidden, inputs, hidden)  # (M, in, hidden)
        self.recurrent = draw(hidden, hidden, hidden)  # (M, hidden, hidden)
        self.shift = nn.Parameter(torch.zeros(len(seeds), hidden))
        self.outer = draw(hidden, hidden, classes)  # (M, hidden, classes)
        self.bias = draw(hidden, classes)  # (M, classes)
        self.norms = nn.ModuleList(norms)

    def forward(self, x: Tensor) -> Tensor:
        """(N, M, T, F), each member's own sequences, to (N, M, T, classes)."""
        state = x.new_zeros(len(x), *self.shift.shape)  # (N, M, hidden)
        states = []
        for step in range(x.shape[2]):
            sums = torch.einsum("nmi,mio->nmo", x[:, :, step], self.inner)
            sums = sums + torch.einsum("nmi,mio->nmo", state, self.recurrent)
            norm = self.norms[min(step, len(self.norms) - 1)]
            state = torch.tanh(norm(sums.flatten(1)).view_as(sums) + self.shift)
            states.append(state)
        answers = torch.einsum("nmti,mio->nmto", torch.stack(states, 2), self.outer)
        return answers + self.bias[:, None]


def fit_bank(
    bank: Bank | RecurrentBank,
    x: Tensor,
    y: Tensor,
    order: Tensor,
    lr: Tensor,
    momentum: float = 0.0,
    callback: Callable[[int, nn.Module], None] | None = None,
) -> Tensor:
    """Train all members by SGD on cross-entropy, in place.

    Args:
        x, y: all samples and their classes: (N, F) and (N,), or sequences, (N, T, F) and (N, T).
        order: (T, B, M), for each step and member the indices of its batch.
        lr: (M,), each member's learning rate.
        momentum: as in torch.optim.SGD.
        callback: called as ``callback(step, bank)`` before each step, counted from 0.
    Returns: (T, M), the loss of each batch before its step.
    Raises: ValueError: if order or lr does not fit the members.
    """
    members = len(bank.bias)
    if order.dim() != 3 or order.shape[2] != members or lr.shape != (members,):
        raise ValueError(
            f"order must be (T, B, {members}) and lr ({members},), one for each member: "
            f"got {tuple(order.shape)} and {tuple(lr.shape)}"
        )
    parameters = list(bank.parameters())
    lr = lr.to(bank.bias)
    velocity = [torch.zeros_like(p) for p in parameters]
    bank.train()
    history = []
    for step, indices in enumerate(order):
        if callback is not None:
            callback(step, bank)
        logits = bank(x[indices]).movedim(-1, 1)  # (B, classes, M, ...)
        loss = nn.functional.cross_entropy(logits, y[indices], reduction="none")
        loss = loss.transpose(0, 1).flatten(1).mean(1)  # (M,)
        gradients = torch.autograd.grad(loss.sum(), parameters)
        with torch.no_grad():
            for p, v, gradient in zip(parameters, velocity, gradients, strict=True):
                v.mul_(momentum).add_(gradient)
                p.view(members, -1).sub_(lr[:, None] * v.view(members, -1))
        history.append(loss.detach())
    return torch.stack(history)


@torch.no_grad()
def accuracies(
    bank: Bank | RecurrentBank, x: Tensor, y: Tensor, indices: Tensor
) -> Tensor:
    """Share of answers that are right, in evaluation mode, on samples of each member's own.

    Args:
        x, y: all samples and their classes, as in ``fit_bank``.
        indices: (N, M), for each member which samples.
    Returns: (M,), or for sequences (M, T), one share for each step; float64, on the CPU.
    """
    right = bank.eval()(x[indices]).argmax(-1) == y[indices]
    return right.cpu().double().mean(0)


def class_order(
    y: Tensor,
    indices: Tensor,
    classes: int,
    batch_size: int,
    steps: int,
    generator: torch.Generator,
) -> Tensor:
    """Indices of skewed batches: each holds equally many samples of a few classes, drawn anew each time.

    Args:
        y: (N,), the classes of all samples.
        indices: the samples to draw from, with replacement.
        classes: how many classes a batch holds; must divide ``batch_size``.
    Returns: (steps, batch_size), int64, a batch's samples grouped by class.
    Raises: ValueError: if there are not that many classes, or batch_size is no multiple.
    Example:
        >>> y = torch.arange(10).repeat(5)
        >>> order = class_order(y, torch.arange(50), 2, 6, 4, torch.Generator().manual_seed(0))
        >>> [len(y[batch].unique()) for batch in order]
        [2, 2, 2, 2]
    """
    own = [indices[y[indices] == c] for c in y[indices].unique()]
    if not 1 <= classes <= len(own) or batch_size < 1 or batch_size % classes:
        raise ValueError(
            f"classes must be from 1 to {len(own)} and divide batch_size: "
            f"got classes={classes}, batch_size={batch_size}"
        )
    each = batch_size // classes
    batches = []
    for _ in range(steps):
        chosen = torch.randperm(len(own), generator=generator)[:classes]
        drawn = [
            own[c][torch.randint(len(own[c]), (each,), generator=generator)]
            for c in chosen
        ]
        batches.append(torch.cat(drawn))
    return torch.stack(batches)


def _drawing(seeds: Sequence[int]) -> Callable[..., nn.Parameter]:
    """A function that draws one parameter for all members, (M, *shape), as nn.Linear starts."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def draw(fan_in: int, *shape: int) -> nn.Parameter:
        bound = fan_in**-0.5
        own = [
            torch.empty(shape).uniform_(-bound, bound, generator=g) for g in generators
        ]
        return nn.Parameter(torch.stack(own))

    return draw
