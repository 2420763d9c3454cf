"""The effective receptive field: how much each pixel of a unit's field weighs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dlkb.receptive_field.support import capture, middle_unit
from dlkb.receptive_field.table import Row
from dlkb.receptive_field.trace import evaluating, receptive_field

__all__ = ["EffectiveField", "effective_receptive_field"]


@dataclass(frozen=True)
class EffectiveField:
    """How strongly each pixel moves a unit, and the bell fitted to it.

    Attributes:
        weight: the shape of the input without channels; the mean squared gradient, scaled to the sum 1.
        centre, sigma: mean and standard deviation of the pixels' places under ``weight``, along each axis,
            in pixels: the bell that has the same first two moments.
        misfit: the largest distance, along each axis, between the share of the weight up to a pixel's far
            edge and the bell's share; 0 for a perfect bell, 1 at most.
        unit: the place of the unit.
        row: the unit's layer in the table, with the theoretical field.
    """

    weight: Tensor
    centre: tuple[float, ...]
    sigma: tuple[float, ...]
    misfit: tuple[float, ...]
    unit: tuple[int, ...]
    row: Row

    @property
    def width(self) -> tuple[float, ...]:
        """Pixels within 2 sigma on both sides, which hold 95 percent of a bell."""
        return tuple(4 * sigma for sigma in self.sigma)

    @property
    def share(self) -> tuple[float, ...]:
        """``width`` over the size of the theoretical field."""
        return tuple(w / s for w, s in zip(self.width, self.row.size, strict=True))

    def __repr__(self) -> str:
        width = " x ".join(f"{w:.1f}" for w in self.width)
        size = " x ".join(f"{s:g}" for s in self.row.size)
        return f"EffectiveField({self.row.layer}: {width} of {size} pixels)"


def effective_receptive_field(
    model: nn.Module,
    input_size: Sequence[int],
    layer: str | None = None,
    unit: Sequence[int] | None = None,
    samples: int = 16,
    inputs: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> EffectiveField:
    r"""The mean squared gradient of a unit with respect to each pixel.

    A random mixture of the unit's channels, with weights drawn anew for each sample, is taken back to the
    input; squares are averaged over samples and summed over the input's channels. For independent weights
    of mean 0 the expected square of a convolution's gradient is that of the layer behind it, smeared evenly
    over the kernel, so n layers of k x k give a bell of variance n (k^2 - 1) / 12 before training.

    Conventions: squares, not magnitudes as in the paper; a bell of gradients with standard deviation sigma
    has squares with sigma / sqrt(2). The model computes as in evaluation, on the device where it is.
    Args:
        input_size: (C, \*) of one sample; large enough to hold the field, or it is cut off.
        layer: name of a module whose output is a map; None for the model's output.
        unit: its place, one number an axis; None for the middle.
        samples: how many inputs are drawn, from a standard normal distribution.
        inputs: (N, C, \*), to be used instead.
        generator: for inputs and mixtures, on the model's device.
    Raises: KeyError: if there is no such layer, with the nearest names. ValueError: as ``receptive_field``;
        if the layer's output is no map; if no gradient arrives at the input.
    References: Luo, Li, Urtasun & Zemel, "Understanding the Effective Receptive Field in Deep Convolutional
        Neural Networks", NeurIPS 2016, arXiv:1701.04128.
    """
    keep = capture(model, layer)
    row = _row_of(model, input_size, layer)
    like = next(iter(model.parameters()), torch.empty(0))
    if inputs is None:
        inputs = torch.randn(
            samples,
            *input_size,
            device=like.device,
            dtype=like.dtype,
            generator=generator,
        )
    inputs = inputs.detach().requires_grad_()
    with evaluating(model), keep as found, torch.enable_grad():
        model(inputs)
    output = found[0]
    if output.dim() != inputs.dim():
        raise ValueError(
            f"layer {row.layer!r} must give out a map (N, C, *): got shape {tuple(output.shape)}"
        )
    place = middle_unit(output) if unit is None else tuple(unit)
    column = output[(slice(None), slice(None), *place)]  # (N, C)
    mixture = torch.randn(
        column.shape, device=column.device, dtype=column.dtype, generator=generator
    )
    (gradient,) = torch.autograd.grad((column * mixture).sum(), inputs)
    weight = gradient.double().square().mean(0).sum(0)
    if not weight.sum() > 0:
        raise ValueError(
            f"no gradient arrives from unit {place} of layer {row.layer!r} at the input"
        )
    weight = weight / weight.sum()
    fits = [_bell(_profile(weight, axis)) for axis in range(weight.dim())]
    return EffectiveField(weight, *zip(*fits, strict=True), place, row)


def _row_of(model: nn.Module, input_size: Sequence[int], layer: str | None) -> Row:
    table = receptive_field(model, input_size)
    return table.last if layer is None else table[layer]


def _profile(weight: Tensor, axis: int) -> Tensor:
    others = [a for a in range(weight.dim()) if a != axis]
    return weight.sum(others) if others else weight


def _bell(profile: Tensor) -> tuple[float, float, float]:
    """Centre, sigma and misfit of the bell with a profile's moments."""
    places = torch.arange(len(profile), dtype=profile.dtype, device=profile.device)
    centre = (profile * places).sum()
    sigma = (profile * (places - centre).square()).sum().sqrt()
    if sigma == 0:
        return centre.item(), 0.0, 0.0
    ahead = (places + 0.5 - centre) / (sigma * math.sqrt(2))
    misfit = (profile.cumsum(0) - (1 + torch.erf(ahead)) / 2).abs().max()
    return centre.item(), sigma.item(), misfit.item()
