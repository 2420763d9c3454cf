"""Plain networks: layer upon layer, no skip connections; what depth does to signals shows there first."""

import math
from collections.abc import Callable

import torch
from torch import nn

__all__ = ["plain_network"]


def plain_network(
    in_features: int,
    width: int,
    depth: int,
    out_features: int | None = None,
    *,
    norm: Callable[[int], nn.Module] | None = None,
    activation: Callable[[], nn.Module] = nn.ReLU,
    gain: float = math.sqrt(2),
    generator: torch.Generator | None = None,
) -> nn.Sequential:
    """``depth`` hidden layers of linear map, norm and activation, and a linear map at the end if wanted.

    Conventions: weights are normal with mean 0 and standard deviation gain / sqrt(inputs of the layer),
    biases 0, the last map has gain 1; sqrt(2) is He's gain for ReLU. Layers with a norm have a bias too. The
    same random state gives the same weights whatever the norm.
    Args:
        out_features: width of the last linear map; None for none.
        norm: called with the width, as ``nn.BatchNorm1d``; None for no norm.
        activation: called without arguments, as ``nn.ReLU``.
        generator: draws the weights; None for torch's global one.
    Raises: ValueError: if a size is below 1, or gain is not positive.
    Example:
        >>> network = plain_network(4, 8, 1, 2, norm=nn.BatchNorm1d)
        >>> [type(module).__name__ for module in network]
        ['Linear', 'BatchNorm1d', 'ReLU', 'Linear']

    References: He, Zhang, Ren & Sun, "Delving Deep into Rectifiers", ICCV 2015, arXiv:1502.01852.
    """
    sizes = {"in_features": in_features, "width": width, "depth": depth}
    if out_features is not None:
        sizes["out_features"] = out_features
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1: got {size}")
    if not gain > 0:
        raise ValueError(f"gain must be positive, or no signal passes: got {gain}")
    modules: list[nn.Module] = []
    inputs = in_features
    for _ in range(depth):
        modules.append(_linear(inputs, width, gain, generator))
        if norm is not None:
            modules.append(norm(width))
        modules.append(activation())
        inputs = width
    if out_features is not None:
        modules.append(_linear(inputs, out_features, 1.0, generator))
    return nn.Sequential(*modules)


@torch.no_grad()
def _linear(
    inputs: int, outputs: int, gain: float, generator: torch.Generator | None
) -> nn.Linear:
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs)
    layer.weight.normal_(0, gain / math.sqrt(inputs), generator=generator)
    layer.bias.zero_()
    return layer
