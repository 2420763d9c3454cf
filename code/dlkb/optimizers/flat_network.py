"""Small networks as one vector of weights, so that the framework's updates train many runs at once."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from dlkb.optimizers.framework import Update, UpdateState

__all__ = ["flat_outputs", "flat_weights", "train_flat"]


def flat_weights(
    runs: int, sizes: Sequence[int], generator: torch.Generator | None = None
) -> Tensor:
    """Random weights and biases of fully connected networks, uniform up to 1 / sqrt(inputs), as nn.Linear's.

    Returns: (runs, d): for each layer, its weights (inputs by outputs), then its biases.
    Example:
        >>> flat_weights(2, (4, 3)).shape  # 4 * 3 + 3
        torch.Size([2, 15])
    """
    return torch.cat(
        [
            torch.empty(runs, fan_in * fan_out + fan_out).uniform_(
                -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in), generator=generator
            )
            for fan_in, fan_out in pairwise(sizes)
        ],
        dim=-1,
    )


def flat_outputs(w: Tensor, x: Tensor, sizes: Sequence[int]) -> Tensor:
    """Outputs of fully connected networks with ReLU between layers.

    Args:
        w: (..., d), as ``flat_weights``'.
        x: (N, sizes[0]), or one batch for each run, (..., N, sizes[0]).
        sizes: numbers of units, the inputs first.
    Returns: (..., N, sizes[-1]).
    Raises: ValueError: if ``w`` does not hold as many weights as ``sizes`` takes.
    Example:
        >>> flat_outputs(torch.tensor([2.0, 3.0, 1.0]), torch.tensor([[10.0, 1.0]]), (2, 1))  # 20 + 3 + 1
        tensor([[24.]])
    """
    layers = list(pairwise(sizes))
    lengths = [n for a, b in layers for n in (a * b, b)]
    if w.shape[-1] != sum(lengths):
        raise ValueError(
            f"units {tuple(sizes)} take {sum(lengths)} weights: got {w.shape[-1]}"
        )
    parts = w.split(lengths, dim=-1)
    for number, (layer, weight, bias) in enumerate(
        zip(layers, parts[::2], parts[1::2], strict=True)
    ):
        x = x.relu() if number else x
        x = x @ weight.unflatten(-1, layer) + bias.unsqueeze(-2)
    return x


def train_flat(
    update: Update,
    w: Tensor,
    x: Tensor,
    y: Tensor,
    batches: Tensor,
    sizes: Sequence[int],
) -> tuple[UpdateState, Tensor]:
    """Train classifiers by cross-entropy, all runs at once.

    Args:
        update: a rule of the framework; its settings may be tensors that broadcast against ``w``.
        w: (..., seeds, d), where runs start.
        x, y: (N, features) and (N,), samples and classes.
        batches: (steps, seeds, batch size), indices; each seed its own, alike for all leading dimensions.
        sizes: numbers of units.
    Returns: the last state, and each batch's loss before its step, (steps, ..., seeds).
    """
    state, losses = UpdateState(w), []
    for batch in batches:
        w = state.param.detach().requires_grad_()
        logits = flat_outputs(w, x[batch], sizes)  # (..., seeds, batch, classes)
        labels = y[batch].expand(logits.shape[:-1])
        each = cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="none")
        loss = each.view(labels.shape).mean(-1)
        (grad,) = torch.autograd.grad(loss.sum(), w)
        state = update(state._replace(param=w.detach()), grad)
        losses.append(loss.detach())
    return state, torch.stack(losses)
