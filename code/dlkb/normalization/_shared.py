"""What all normalizations need: statistics in at least float32, values per channel, checks of the input."""

import torch
from torch import Tensor

__all__ = []


def _spread(per_channel: Tensor, input: Tensor) -> Tensor:
    """(C,) -> (1, C, 1, ...), to be broadcast over ``input``."""
    return per_channel.view(1, -1, *[1] * (input.dim() - 2))


def _at_least_float32(input: Tensor) -> Tensor:
    return input if input.dtype == torch.float64 else input.float()


def _check_input(input: Tensor) -> None:
    if not input.is_floating_point():
        raise TypeError(
            "input must be floating point, since it is divided by a deviation: "
            f"got {input.dtype}; use .float()"
        )
    if input.dim() < 2 or input.shape[1] == 0:
        raise ValueError(
            f"input must be (N, C, *) with at least 1 channel: got shape {tuple(input.shape)}"
        )


def _check_per_channel(input: Tensor, **values: Tensor | None) -> None:
    channels = input.shape[1]
    for name, value in values.items():
        if value is not None and tuple(value.shape) != (channels,):
            raise ValueError(
                f"{name} must hold one value for each of the {channels} channels, "
                f"shape ({channels},): got {tuple(value.shape)}"
            )
