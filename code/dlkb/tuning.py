"""Give each arm of a comparison the same chance: a rate chosen on validation data, an error on test data."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from dlkb.train import Setting, fit_many

__all__ = ["tuned_errors"]


def tuned_errors(
    model: Callable[[], nn.Module],
    x: Tensor,
    y: Tensor,
    *,
    rates: Sequence[float],
    parts: Sequence[tuple[Tensor, Tensor, Tensor]],
    tuning_seeds: int,
    steps: int,
    batch_size: int,
) -> tuple[Tensor, float]:
    """Choose a learning rate by the first seeds' validation data, train all seeds with it, and test.

    Conventions: seed i, counted from 0, fixes initialization and order of the batches as in ``fit_many``. The
    rate with the highest mean validation accuracy wins, the first one in a tie; test data choose nothing.
    Args:
        model: as in ``dlkb.train.Setting``.
        rates: learning rates to choose from.
        parts: for each seed, indices of its training, validation and test samples.
        tuning_seeds: how many of the seeds try all rates.
    Returns: percent of the test samples classified wrongly, (S,) float64, one value per seed; and the rate.
    Raises: ValueError: if tuning_seeds is not from 1 to the number of seeds, or as ``fit_many``.
    """
    if not 1 <= tuning_seeds <= len(parts):
        raise ValueError(
            f"tuning_seeds must be from 1 to the {len(parts)} seeds: got {tuning_seeds}"
        )

    def train(rates: Sequence[float], seeds: range):
        return fit_many(
            {str(rate): Setting(model, lr=rate) for rate in rates},
            *(x, y),
            seeds=seeds,
            steps=steps,
            batch_size=batch_size,
            splits=[parts[seed][:2] for seed in seeds],
        )

    tuning = train(rates, range(tuning_seeds))
    rate = rates[int(tuning.accuracy.mean(dim=1).argmax())]
    networks = tuning.models[str(rate)]
    rest = range(tuning_seeds, len(parts))
    if rest:
        networks = networks + train([rate], rest).models[str(rate)]
    wrong = [
        _share_wrong(network, x[test], y[test])
        for network, (_, _, test) in zip(networks, parts, strict=True)
    ]
    return 100 * torch.stack(wrong), rate


@torch.no_grad()
def _share_wrong(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    guess = network.eval()(x).argmax(dim=1)
    return (guess != y).double().mean().cpu()
