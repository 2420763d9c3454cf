"""Logistic regression on features that are there in some samples only, where one rate for all is poor."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from dlkb.optimizers.framework import Update, UpdateState

__all__ = ["RareFeatures", "TunedRate", "draw_rare_features"]


class TunedRate(NamedTuple):
    """What ``RareFeatures.tuned`` found. S sets, R rates, d features; the first ``tune`` sets choose.

    Args:
        curve: (S, R), the divergence of each set with each rate.
        best: index of the rate with the least mean divergence over the sets that choose.
        loss: (S - tune,), the divergence with that rate of the sets that report.
        error: (S - tune, d), squared distances of their weights from the truth, over the truth's square.
    """

    curve: Tensor
    best: int
    loss: Tensor
    error: Tensor


@dataclass(frozen=True)
class RareFeatures:
    """S data sets with known truth, each with samples to train on, in order, and new ones to judge by.

    Args:
        truth: (S, 1, d), the weights from which labels are drawn.
        x: (S, N, d), features, 0 or 1.
        y: (S, N), labels, 0 or 1.
        new_x: (S, M, d), features of new samples.
        new_p: (S, M), their true probabilities of label 1.
    """

    truth: Tensor
    x: Tensor
    y: Tensor
    new_x: Tensor
    new_p: Tensor

    def train(self, update: Update, rates: int = 1, batch_size: int = 4) -> Tensor:
        """Weights from 0, after one pass over the samples with each of several rates.

        Args:
            update: a rule of ``dlkb.optimizers.framework``; its settings broadcast against the weights.
            rates: R, how many runs each data set gets.
            batch_size: samples a step; the last batch may be smaller.
        Returns: (S, R, d).
        """
        state = UpdateState(torch.zeros_like(self.truth).repeat(1, rates, 1))
        batches = zip(
            self.x.split(batch_size, 1), self.y.split(batch_size, 1), strict=True
        )
        for rows, labels in batches:
            wrong = torch.sigmoid(state.param @ rows.mT) - labels.unsqueeze(1)
            state = update(state, wrong @ rows / rows.shape[1])  # (S, R, d)
        return state.param

    def divergence(self, weights: Tensor) -> Tensor:
        """Mean Kullback-Leibler divergence from the true probabilities, on the new samples, in nats.

        Args:
            weights: (S, R, d).
        Returns: (S, R), 0 for the true weights and positive for others.
        """
        logits, true_logits = weights @ self.new_x.mT, self.truth @ self.new_x.mT
        # KL(p || q) of a coin, with p log p + ... written by the true logits: no difference of logarithms
        excess = softplus(logits) - softplus(true_logits)
        return (excess - self.new_p.unsqueeze(1) * (logits - true_logits)).mean(-1)

    def tuned(
        self, update: Update, rates: int, tune: int, batch_size: int = 4
    ) -> TunedRate:
        """Train with several rates; choose one by the first sets, and report on the others.

        Args:
            update, rates, batch_size: as for ``train``.
            tune: how many sets choose, from 1 to S - 1.
        Raises: ValueError: if none would choose, or none report.
        Example:
            >>> from dlkb.optimizers.framework import sgd_update
            >>> data = draw_rare_features(3, torch.tensor([0.5, 0.1]), samples=20)
            >>> data.tuned(sgd_update(torch.tensor([[0.0], [0.5]])), rates=2, tune=1).error.shape
            torch.Size([2, 2])
        """
        if not 1 <= tune < len(self.truth):
            raise ValueError(
                f"tune must be from 1 to {len(self.truth) - 1}, one less than the sets: got {tune}"
            )
        weights = self.train(update, rates, batch_size)
        curve = self.divergence(weights)
        best = int(curve[:tune].mean(0).argmin())
        truth = self.truth[tune:, 0]
        error = ((weights[tune:, best] - truth) / truth).square()
        return TunedRate(curve, best, curve[tune:, best], error)


def draw_rare_features(
    sets: int,
    frequency: Tensor,
    *,
    size: float = 1.5,
    samples: int = 2000,
    new: int = 1000,
    generator: torch.Generator | None = None,
) -> RareFeatures:
    """Draw data sets: each feature is there independently, with its own frequency; weights have one size.

    Args:
        sets: number of data sets.
        frequency: (d,), from 0 to 1.
        size: absolute value of all true weights; their signs are random, and there is no bias.
        samples, new: how many samples to train on, and to judge by.
    Returns: ``RareFeatures``, with dtype and device of ``frequency``.
    Raises: ValueError: if a frequency is outside [0, 1].
    Example:
        >>> data = draw_rare_features(3, torch.tensor([0.5, 0.01]), samples=20)
        >>> data.x.shape, data.divergence(data.truth).tolist()
        (torch.Size([3, 20, 2]), [[0.0], [0.0], [0.0]])
    """
    if not ((frequency >= 0) & (frequency <= 1)).all():
        raise ValueError(
            f"frequencies are from 0 to 1: got {frequency.min().item()} to {frequency.max().item()}"
        )
    like = {"dtype": frequency.dtype, "device": frequency.device}
    at_random = {**like, "generator": generator}
    coins = torch.rand(sets, 1, len(frequency), **at_random)
    truth = torch.where(coins < 0.5, -size, size).to(frequency.dtype)

    def sample(count: int) -> tuple[Tensor, Tensor]:
        drawn = torch.rand(sets, count, len(frequency), **at_random)
        x = (drawn < frequency).to(frequency.dtype)
        return x, torch.sigmoid((x @ truth.mT).squeeze(-1))

    x, p = sample(samples)
    y = (torch.rand(p.shape, **at_random) < p).to(frequency.dtype)
    return RareFeatures(truth, x, y, *sample(new))
