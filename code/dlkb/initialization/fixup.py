"""Residual networks without normalization: branches begin at zero, and grow by a bounded amount a step."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from dlkb.initialization.activations import relu
from dlkb.initialization.kaiming import kaiming_normal_

__all__ = ["FixupBlock", "fixup_", "fixup_scale", "zero_gamma_"]

NORMALIZES = ("num_features", "num_channels", "normalized_shape")


def fixup_scale(num_blocks: int, layers_per_branch: int) -> float:
    """By how much Fixup shrinks the weights within a branch: L^(-1 / (2m - 2)).

    Conventions: the paper's letters: L blocks, each with m layers in its branch. A step of gradient descent
    then changes the network's output by about as much as one of a shallow network.
    Args:
        num_blocks: L.
        layers_per_branch: m; the last of them is 0, so that at least one other is needed.
    Raises: ValueError: for L below 1 or m below 2.
    Example:
        >>> fixup_scale(16, 2), fixup_scale(16, 3)  # 1 / sqrt(16), 1 / sqrt(sqrt(16))
        (0.25, 0.5)

    References: Zhang et al., "Fixup Initialization", ICLR 2019, Sec. 3, arXiv:1901.09321.
    """
    if num_blocks < 1 or layers_per_branch < 2:
        raise ValueError(
            "there must be at least 1 block, and 2 layers in a branch, since the last is 0: "
            f"got {num_blocks} and {layers_per_branch}"
        )
    return num_blocks ** (-1 / (2 * layers_per_branch - 2))


class FixupBlock(nn.Module):
    """activation(x + branch(x)), with scalar biases and a scalar multiplier in place of normalization.

    branch: for each layer, h = layer(h + bias), then h + bias and the activation; after the last layer
    multiplier h + bias, and no activation.

    Conventions: the paper's: a scalar bias, 0 at first, before each layer and each activation; one scalar
    multiplier, 1 at first, for each branch. The weights are those of the layers until ``fixup_`` is called.
    Args:
        layers: 2 or more, each a linear layer or a convolution; all together they keep the shape.
        activation: elementwise.
    Raises: ValueError: for fewer than 2 layers.
    Shape: input and output (N, C, *).
    Example:
        >>> block = FixupBlock(torch.nn.Linear(4, 8, bias=False), torch.nn.Linear(8, 4, bias=False))
        >>> x = torch.rand(3, 4)
        >>> torch.equal(fixup_(block)(x), x)  # the branch begins at 0
        True

    References: Zhang et al., "Fixup Initialization", ICLR 2019, Sec. 3, arXiv:1901.09321.
    """

    def __init__(
        self, *layers: nn.Module, activation: Callable[[Tensor], Tensor] = relu
    ) -> None:
        super().__init__()
        if len(layers) < 2:
            raise ValueError(
                f"a block must have at least 2 layers, since the last begins at 0: got {len(layers)}"
            )
        weight = layers[0].weight
        self.layers = nn.ModuleList(layers)
        self.activation = activation
        self.before_layer = nn.Parameter(weight.new_zeros(len(layers)))
        self.after_layer = nn.Parameter(weight.new_zeros(len(layers)))
        self.multiplier = nn.Parameter(weight.new_ones(()))

    def forward(self, input: Tensor) -> Tensor:
        h, last = input, len(self.layers) - 1
        for index, layer in enumerate(self.layers):
            h = layer(h + self.before_layer[index])
            if index == last:
                h = self.multiplier * h + self.after_layer[index] + input
            else:
                h = h + self.after_layer[index]
            h = self.activation(h)
        return h


def fixup_(
    model: nn.Module,
    head: nn.Module | None = None,
    mode: str = "fan_in",
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Initialize every ``FixupBlock`` of a model, and its head, so that it trains without normalization.

    In each branch all weights but the last are Kaiming's, times ``fixup_scale``; the last is 0, and so is the
    head. The scalars begin anew at 0 and 1, the layers' own biases at 0. Other layers stay as they are.
    Args:
        model: altered in place.
        head: the layer that gives the logits, if any.
        mode: of ``kaiming_normal_``.
        generator: draws the weights.
    Returns: ``model``.
    Raises: ValueError: if there is no ``FixupBlock`` in it.
    Example:
        >>> layers = [torch.nn.Linear(64, 64) for _ in range(8)]
        >>> blocks = [FixupBlock(*pair) for pair in zip(layers[::2], layers[1::2])]
        >>> model = fixup_(torch.nn.Sequential(*blocks), generator=torch.Generator().manual_seed(0))
        >>> round(layers[0].weight.square().mean().item() * 64, 1)  # 2 / sqrt(4)^2, not Kaiming's 2
        0.5

    References: Zhang et al., "Fixup Initialization", ICLR 2019, Sec. 3, arXiv:1901.09321.
    """
    blocks = [module for module in model.modules() if isinstance(module, FixupBlock)]
    if not blocks:
        raise ValueError(
            f"model must hold a FixupBlock: {type(model).__name__} holds none; build its residual blocks so"
        )
    with torch.no_grad():
        for block in blocks:
            scale = fixup_scale(len(blocks), len(block.layers))
            for layer in block.layers[:-1]:
                kaiming_normal_(layer.weight, mode=mode, generator=generator)
                layer.weight.mul_(scale)
            block.layers[-1].weight.zero_()
            for layer in block.layers:
                _zero_bias(layer)
            block.before_layer.zero_()
            block.after_layer.zero_()
            block.multiplier.fill_(1)
        if head is not None:
            head.weight.zero_()
            _zero_bias(head)
    return model


def zero_gamma_(branch: nn.Module) -> nn.Module:
    """Set the scale of a branch's last normalization to 0, so that its residual block begins as the identity.

    Conventions: the last in the order in which the branch's modules were assigned; it should also run last.
    Args:
        branch: a residual branch, altered in place.
    Returns: the normalization.
    Raises: ValueError: if there is none with a scale (``affine=True``).
    Example:
        >>> branch = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4))
        >>> zero_gamma_(branch).weight.tolist()
        [0.0, 0.0, 0.0, 0.0]

    References: Goyal et al., 2017, Sec. 5.1, arXiv:1706.02677.
    """
    found = [
        module
        for module in branch.modules()
        if any(hasattr(module, name) for name in NORMALIZES)
        and getattr(module, "weight", None) is not None
    ]
    if not found:
        raise ValueError(
            f"branch must hold a normalization with a scale: {type(branch).__name__} holds none; "
            "give it affine=True"
        )
    with torch.no_grad():
        found[-1].weight.zero_()
    return found[-1]


def _zero_bias(layer: nn.Module) -> None:
    if layer.bias is not None:
        layer.bias.zero_()
