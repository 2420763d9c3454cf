"""Random networks and a small task, to see how effective fields come about."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from dlkb.receptive_field.effective import EffectiveField, effective_receptive_field

__all__ = [
    "Skip",
    "effective_fields",
    "marks",
    "random_skips",
    "random_stack",
    "reader",
]


def effective_fields(
    make: Callable[[], nn.Module], input_size: Sequence[int], seeds: Iterable[int]
) -> list[EffectiveField]:
    r"""The effective field of the middle unit of each network that ``make`` draws, one a seed.

    Conventions: a seed fixes the weights, the inputs and the mixtures of channels; all is on the CPU.
    Args:
        input_size: (C, \*), as for ``effective_receptive_field``.
    Example:
        >>> found = effective_fields(lambda: random_stack([(3, 1, 1)]), (32, 3), range(4))
        >>> [f.row.size for f in found]
        [(3,), (3,), (3,), (3,)]
    """
    found = []
    for seed in seeds:
        with torch.random.fork_rng(devices=[]):
            draws = torch.manual_seed(seed)
            field = effective_receptive_field(make(), input_size, generator=draws)
        found.append(field)
    return found


def random_stack(
    layers: Sequence[tuple],
    channels: int = 32,
    inputs: int | None = None,
    activation: Callable[[], nn.Module] = nn.ReLU,
) -> nn.Sequential:
    """Convolutions without bias or padding, He initialization, an activation behind each.

    Args:
        layers: (kernel, stride, dilation) of each; a kernel that is a pair, (rows, columns), is for images.
        inputs: channels of the input; None for as many as inside.
    """
    blocks = []
    for kernel, stride, dilation in layers:
        convolution = nn.Conv2d if isinstance(kernel, tuple) else nn.Conv1d
        conv = convolution(
            inputs or channels, channels, kernel, stride, dilation=dilation, bias=False
        )
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        blocks += [conv, activation()]
        inputs = channels
    return nn.Sequential(*blocks)


class Skip(nn.Module):
    """The input plus what a branch makes of it."""

    def __init__(self, *branch: nn.Module):
        super().__init__()
        self.branch = nn.Sequential(*branch)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def random_skips(
    depth: int, channels: int = 32, relu_last: bool = False
) -> nn.Sequential:
    """Blocks x + f(x) along a line; f is a convolution of width 3, ReLU and a 1 x 1 convolution.

    The branch returns as much squared gradient as the shortcut, in expectation.
    Args:
        relu_last: leave out the 1 x 1 convolution, so that the branch gives out nothing negative.
    """
    blocks = []
    for _ in range(depth):
        conv = nn.Conv1d(channels, channels, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        mix = nn.Conv1d(channels, channels, 1, bias=False)
        nn.init.kaiming_normal_(mix.weight, nonlinearity="linear")
        blocks.append(Skip(conv, nn.ReLU(), *([] if relu_last else [mix])))
    return nn.Sequential(*blocks)


def marks(
    count: int, distance: int, *, image_size: int = 11, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Noise with one bright pixel in the middle row, left (class 0) or right (class 1) of the middle.

    Conventions: the noise has standard deviation 1, and 4 is added to the bright pixel.
    Args:
        distance: of the bright pixel from the middle, pixels.
        image_size: height and width, odd.
    Returns: images (count, 1, image_size, image_size) and classes (count,), int64.
    Raises: ValueError: if image_size is even, or the pixel would lie outside.
    """
    middle = image_size // 2
    if image_size % 2 == 0:
        raise ValueError(f"image_size must be odd, to have a middle: got {image_size}")
    if not 0 < distance <= middle:
        raise ValueError(
            f"distance must be from 1 to {middle} in images of {image_size} pixels: got {distance}"
        )
    x = torch.randn(count, 1, image_size, image_size, generator=generator)
    y = torch.randint(2, (count,), generator=generator)
    x[torch.arange(count), 0, middle, middle + distance * (2 * y - 1)] += 4
    return x, y


def reader(classes: int = 4, depth: int = 5, channels: int = 8) -> nn.Sequential:
    """3 x 3 layers with ReLU on grey images, and logits; one unit, if images are as large as its field.

    Returns: a network from (N, 1, H, W) to (N, classes, H - 2 depth, W - 2 depth).
    """
    blocks = []
    for number in range(depth):
        conv = nn.Conv2d(channels if number else 1, channels, 3)
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        nn.init.zeros_(conv.bias)
        blocks += [conv, nn.ReLU()]
    return nn.Sequential(*blocks, nn.Conv2d(channels, classes, 1))
