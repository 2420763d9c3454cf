"""What all normalizations need: statistics in at least float32, values per channel, checks of the input."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = []


def _spread(per_channel: Tensor, input: Tensor) -> Tensor:
    """(C,) -> (1, C, 1, ...), to be broadcast over ``input``."""
    return per_channel.view(1, -1, *[1] * (input.dim() - 2))


def _at_least_float32(input: Tensor) -> Tensor:
    return input if input.dtype == torch.float64 else input.float()


def _check_floating(input: Tensor) -> None:
    if not input.is_floating_point():
        raise TypeError(
            "input must be floating point, since it is divided by a standard deviation: "
            f"got {input.dtype}; use .float()"
        )


def _check_input(input: Tensor) -> None:
    _check_floating(input)
    if input.dim() < 2 or input.shape[1] == 0:
        raise ValueError(
            f"input must be (N, C, *) with at least 1 channel: got shape {tuple(input.shape)}"
        )


def _check_per_channel(input: Tensor, **values: Tensor | None) -> None:
    channels = input.shape[1]
    for name, value in values.items():
        if value is None:
            continue
        if tuple(value.shape) != (channels,):
            raise ValueError(
                f"{name} must hold one value for each of the {channels} channels, "
                f"shape ({channels},): got {tuple(value.shape)}"
            )
        if not value.is_floating_point():
            raise TypeError(f"{name} must be floating point: got {value.dtype}")
        if value.device != input.device:
            raise ValueError(
                f"{name} must be on the input's device, {input.device}: got {value.device}"
            )


def _standardize(x: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
    """(x - mean) / sqrt(var + eps) over the axes, in two passes, with the biased variance."""
    centred = x - x.mean(dim=axes, keepdim=True)
    return centred / torch.sqrt(centred.square().mean(dim=axes, keepdim=True) + eps)


def _as_shape(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    if isinstance(normalized_shape, int):
        return (normalized_shape,)
    return tuple(normalized_shape)


def _check_last_axes(input: Tensor, shape: tuple[int, ...], at_least: int) -> None:
    if not shape or tuple(input.shape[-len(shape) :]) != shape:
        raise ValueError(
            f"the last axes of input must have normalized_shape={shape}: got shape {tuple(input.shape)}"
        )
    if math.prod(shape) < at_least:
        raise ValueError(
            f"normalized_shape must hold at least {at_least} values"
            f"{', since a single one normalizes to 0' if at_least > 1 else ''}: got {shape}"
        )


def _check_affine(shape: tuple[int, ...], **values: Tensor | None) -> None:
    for name, value in values.items():
        if value is not None and tuple(value.shape) != shape:
            raise ValueError(
                f"{name} must have normalized_shape={shape}: got shape {tuple(value.shape)}"
            )


def _check_eps(eps: float) -> None:
    if not eps > 0:
        raise ValueError(
            f"eps must be positive, since constant input has variance 0: got {eps}; 1e-5 is the usual value"
        )
