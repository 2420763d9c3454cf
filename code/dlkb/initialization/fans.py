"""Fan-in and fan-out: how many terms a sum has, going forward and going back."""

import math

from torch import Tensor, nn

__all__ = ["calculate_fan_in_and_fan_out", "layer_fans"]

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """The fans of a weight, read from its shape: (size(1), size(0)), each times the kernel's positions.

    Conventions: torch's, which knows the weight alone. For groups its fan_out is too large by their number;
    for a transposed convolution, whose weight is (in, out / groups, *kernel), the two are exchanged; a stride
    is not seen. ``layer_fans`` knows the layer.
    Args:
        tensor: (out, in), or (out, in / groups, *kernel).
    Returns: fan_in, fan_out.
    Raises: ValueError: for fewer than 2 dimensions.
    Example:
        >>> calculate_fan_in_and_fan_out(nn.Conv2d(3, 16, 5).weight)  # 3 * 25, 16 * 25
        (75, 400)
    """
    if tensor.dim() < 2:
        raise ValueError(
            "tensor must have at least 2 dimensions, (out, in, *kernel), since fans are numbers of "
            f"connections: got shape {tuple(tensor.shape)}; give a bias constant values instead"
        )
    positions = math.prod(tensor.shape[2:])
    return tensor.shape[1] * positions, tensor.shape[0] * positions


def layer_fans(layer: nn.Module) -> tuple[float, float]:
    """The fans of a layer: inputs that an output sums over, and outputs that an input's gradient sums over.

    Conventions: averages over all positions, away from the border; with a stride s an input of a convolution
    is read by one in s output positions per axis only, so fan_out need not be whole.
    Args:
        layer: a linear layer, or a convolution of 1 to 3 dimensions, transposed or not.
    Returns: fan_in, fan_out.
    Raises: TypeError: for another layer.
    Example:
        >>> layer_fans(nn.Conv2d(8, 16, 3, groups=4))  # 2 * 9, 4 * 9
        (18.0, 36.0)
        >>> layer_fans(nn.Conv2d(8, 16, 3, stride=2))  # 8 * 9, 16 * 9 / 4
        (72.0, 36.0)
    """
    if isinstance(layer, nn.Linear):
        return float(layer.in_features), float(layer.out_features)
    if not isinstance(layer, CONVOLUTIONS + TRANSPOSED):
        raise TypeError(
            f"layer must be a linear layer or a convolution: got {type(layer).__name__}; "
            "call this for each layer of a network"
        )
    positions = math.prod(layer.kernel_size) / layer.groups
    strides = math.prod(layer.stride)
    into, out = layer.in_channels * positions, layer.out_channels * positions
    if isinstance(layer, TRANSPOSED):
        return into / strides, out
    return into, out / strides
