"""How much of a sigmoid network is saturated."""

from torch import Tensor, nn

from dlkb.probes import activations

__all__ = ["saturated_share"]


def saturated_share(
    network: nn.Module, input: Tensor, low: float = 0.05, high: float = 0.95
) -> list[float]:
    """Of each sigmoid layer: the share of outputs, over samples and units, that lie below low or above high.

    Conventions: the network stays in its mode. Of a standard normal input 0.32 percent are saturated.
    Args:
        network: has modules ``nn.Sigmoid``.
        input: one batch.
        low, high: limits of the unsaturated range, 0 < low < high < 1.
    Returns: one share per sigmoid layer, in order of use.
    Raises: ValueError: if the limits are not in order, or the network has no sigmoid.
    Example:
        >>> saturated_share(nn.Sequential(nn.Sigmoid()), Tensor([[-9], [0], [2], [9]]))
        [0.5]

    References: Glorot & Bengio, "Understanding the Difficulty of Training Deep Feedforward Neural Networks",
        AISTATS 2010.
    """
    if not 0 < low < high < 1:
        raise ValueError(f"limits must keep 0 < low < high < 1: got {low} and {high}")
    found = activations(network, input, nn.Sigmoid).values()
    return [((v < low) | (v > high)).double().mean().item() for v in found]
