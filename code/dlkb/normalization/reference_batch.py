"""A fixed batch beside every training batch: batch statistics with hardly any noise."""

import torch
from torch import Tensor, nn

__all__ = ["ReferenceBatch"]


class ReferenceBatch(nn.Module):
    """Run a network in training on its batch together with fixed samples, and return the batch's outputs.

    Batch statistics are then taken over both, so they hardly depend on the batch. In evaluation the network
    runs as it is.

    Conventions: unlike virtual batch norm, the whole batch is in the statistics, not one sample at a time,
    and gradients flow through the fixed samples too. ``reference`` is a buffer, saved with the network.
    Args:
        network: any module.
        reference: (R, *), the fixed samples, shaped as the inputs.
    Raises: ValueError: in training, if the samples of input and reference differ in shape.
    Example:
        >>> network = ReferenceBatch(nn.BatchNorm1d(1), torch.tensor([[-1.0], [1.0]] * 500))
        >>> network(torch.ones(2, 1)).round(decimals=2).flatten().tolist()  # alone: [0, 0]
        [1.0, 1.0]

    References: Salimans et al., "Improved Techniques for Training GANs", NeurIPS 2016, Sec. 3.5,
        arXiv:1606.03498.
    """

    def __init__(self, network: nn.Module, reference: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("reference", reference)

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return self.network(input)
        if input.shape[1:] != self.reference.shape[1:]:
            raise ValueError(
                "a sample of input must have the shape of a reference sample, "
                f"{tuple(self.reference.shape[1:])}: got {tuple(input.shape[1:])}"
            )
        return self.network(torch.cat([input, self.reference]))[: len(input)]
