"""Controls for experiments on batch norm: its learned part alone, and its output made unsteady again."""

import torch
from torch import Tensor, nn

__all__ = ["RandomShiftScale", "ScaleShift"]


class ScaleShift(nn.Module):
    r"""The learned part of batch norm without the normalization: y = input * weight + bias, per channel.

    Conventions: ``weight`` starts at 1 and ``bias`` at 0, as in batch norm: a fresh layer changes nothing.
    Args:
        num_features: C, at least 1.
    Shape: (N, C, \*) to the same.
    Raises: ValueError: for num_features below 1, or an input that has not C channels.
    Example:
        >>> layer = ScaleShift(2)
        >>> torch.equal(layer(torch.ones(3, 2)), torch.ones(3, 2))
        True
    """

    def __init__(
        self,
        num_features: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        _check_features(num_features)
        self.num_features = num_features
        self.weight = nn.Parameter(torch.ones(num_features, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(num_features, device=device, dtype=dtype))

    def forward(self, input: Tensor) -> Tensor:
        shape = _per_channel(input, self.num_features)
        return input * self.weight.view(shape) + self.bias.view(shape)

    def extra_repr(self) -> str:
        return f"{self.num_features}"


class RandomShiftScale(nn.Module):
    r"""In training, scale and shift each channel by numbers that are drawn anew in every forward pass.

    y = input * s + m, with s uniform in [1 - scale, 1 + scale] and m uniform in [-shift, shift], one of each
    per channel and pass, the same for all samples of the batch. In evaluation: y = input.

    Conventions: put after a batch norm it gives back the unsteady distributions that batch norm takes away.
    The paper adds noise per sample as well; here all of it is per channel. Draws come from torch's global
    random state, as dropout's do, so that torch.func can vectorize it.
    Args:
        num_features: C, at least 1.
        shift: largest shift, in the input's units, at least 0.
        scale: largest relative change of scale, in [0, 1].
    Shape: (N, C, \*) to the same.
    Raises: ValueError: for an argument out of range, or an input that has not C channels.
    Example:
        >>> layer = RandomShiftScale(2, shift=1.0, scale=0.0)
        >>> output = layer(torch.zeros(3, 2))
        >>> torch.equal(output[0], output[2]), bool((output.abs() <= 1).all())
        (True, True)

    References: after Santurkar et al., NeurIPS 2018, Sec. 2.1, arXiv:1805.11604.
    """

    def __init__(self, num_features: int, shift: float, scale: float) -> None:
        super().__init__()
        _check_features(num_features)
        if not 0 <= shift < float("inf"):
            raise ValueError(f"shift must be finite and not negative: got {shift}")
        if not 0 <= scale <= 1:
            raise ValueError(
                f"scale must be in [0, 1], or it could turn the sign: got {scale}"
            )
        self.num_features, self.shift, self.scale = num_features, shift, scale

    def forward(self, input: Tensor) -> Tensor:
        shape = _per_channel(input, self.num_features)
        if not self.training:
            return input
        draws = 2 * torch.rand(2, *shape, dtype=input.dtype, device=input.device) - 1
        return input * (1 + self.scale * draws[0]) + self.shift * draws[1]

    def extra_repr(self) -> str:
        return f"{self.num_features}, shift={self.shift}, scale={self.scale}"


def _check_features(num_features: int) -> None:
    if num_features < 1:
        raise ValueError(
            f"num_features, the number of channels, must be at least 1: got {num_features}"
        )


def _per_channel(input: Tensor, num_features: int) -> tuple[int, ...]:
    """Shape (1, C, 1, ...) that broadcasts one value per channel over the input."""
    if input.dim() < 2 or input.shape[1] != num_features:
        raise ValueError(
            f"input must be (N, C, *) with num_features={num_features} channels: "
            f"got shape {tuple(input.shape)}"
        )
    return (1, num_features, *[1] * (input.dim() - 2))
