"""A network with two normalized layers, whose weights are recorded, and the statistics of both layers."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from dlkb.normalization.cross_iteration import IterationStatistics, iteration_statistics

__all__ = ["TwoLayers", "two_layer_statistics"]


class TwoLayers(nn.Sequential):
    """64 inputs, twice 32 units with batch norm and ReLU, ten logits; in float64.

    Conventions: batch norm has no scale, no shift and no running statistics, the normalized layers no bias.
    Example:
        >>> TwoLayers()(torch.randn(5, 64, dtype=torch.float64)).shape
        torch.Size([5, 10])
    """

    def __init__(self) -> None:
        first, second = nn.Linear(64, 32, bias=False), nn.Linear(32, 32, bias=False)
        norms = [
            nn.BatchNorm1d(32, affine=False, track_running_stats=False)
            for _ in range(2)
        ]
        hidden = first, norms[0], nn.ReLU(), second, norms[1], nn.ReLU()
        super().__init__(*hidden, nn.Linear(32, 10))
        self.double()

    @staticmethod
    def weights_of(parameters: Mapping[str, Tensor]) -> Tensor:
        """Both weights of stacked networks, (S, 32 * 64 + 32 * 32), the first one first."""
        layers = [parameters[name].flatten(1) for name in ("0.weight", "3.weight")]
        return torch.cat(layers, dim=1)


def two_layer_statistics(
    batch: Tensor, first: Tensor, second: Tensor
) -> tuple[IterationStatistics, IterationStatistics]:
    """What one batch leaves of the outputs of both linear layers of ``TwoLayers``, with these weights.

    Args:
        batch: (N, 64).
        first, second: the weights, (32, 64) and (32, 32).
    Example:
        >>> first, second = torch.ones(32, 64), torch.ones(32, 32)
        >>> found = two_layer_statistics(torch.eye(4, 64), first, second)
        >>> found[0].mean[0], found[1].mean[0]  # all outputs of the first are 1, so normalized 0
        (tensor(1.), tensor(0.))
    """
    hidden = nn.functional.batch_norm(batch @ first.T, None, None, training=True)
    return (
        iteration_statistics(batch, first),
        iteration_statistics(hidden.relu(), second),
    )
