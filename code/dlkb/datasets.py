"""Data: small real sets from scikit-learn, generated shapes with known truth, large sets by torchvision.

Nothing is downloaded unless asked. Datasheets: ``data/README.md``.
"""

import math
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = [
    "SHAPES",
    "Images",
    "Shapes",
    "Table",
    "cifar10",
    "digits",
    "draw_shapes",
    "fashion_mnist",
    "photograph",
    "split",
    "table",
]

TABLES = ("breast_cancer", "wine")
PHOTOGRAPHS = ("china", "flower")
SHAPES = ("disk", "square", "triangle", "ring")


class Table(NamedTuple):
    """Samples in rows: ``x`` (N, F) float32 in the table's own units, ``y`` (N,) int64 classes."""

    x: Tensor
    y: Tensor
    features: tuple[str, ...]
    classes: tuple[str, ...]


class Images(NamedTuple):
    """``x`` (N, C, H, W) float32 in [0, 1], ``y`` (N,) int64 classes."""

    x: Tensor
    y: Tensor
    classes: tuple[str, ...]


class Shapes(NamedTuple):
    """Generated images with their truth.

    ``x`` (N, 1, H, W) float32 in [0, 1]; ``y`` (N,) int64, index into ``SHAPES``; ``boxes`` (N, 4) float32,
    x1, y1, x2, y2 in pixels, the tightest around the mask; ``masks`` (N, H, W) bool.
    """

    x: Tensor
    y: Tensor
    boxes: Tensor
    masks: Tensor


def table(name: str) -> Table:
    """A real table: "wine" (178 x 13, 3 cultivars) or "breast_cancer" (569 x 30, 2 diagnoses).

    Raises: ValueError: if there is no such table.
    Example:
        >>> table("wine").x.shape
        torch.Size([178, 13])

    References: UCI Machine Learning Repository, as shipped with scikit-learn.
    """
    if name not in TABLES:
        raise ValueError(f"a table is one of {', '.join(TABLES)}: got {name!r}")
    from sklearn import datasets

    data = getattr(datasets, f"load_{name}")()
    return Table(
        torch.tensor(data.data, dtype=torch.float32),
        torch.tensor(data.target, dtype=torch.int64),
        tuple(map(str, data.feature_names)),
        tuple(map(str, data.target_names)),
    )


def digits() -> Images:
    """1797 handwritten digits, (1, 8, 8), 17 grey levels scaled to [0, 1].

    Example:
        >>> digits().x.shape
        torch.Size([1797, 1, 8, 8])

    References: Alpaydin & Kaynak, UCI Machine Learning Repository, as shipped with scikit-learn.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    x = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 16  # (N, 1, 8, 8)
    return Images(x, torch.tensor(data.target, dtype=torch.int64), tuple("0123456789"))


def photograph(name: str) -> Tensor:
    """A photograph, "china" (a temple) or "flower": (3, 427, 640), uint8.

    Raises: ValueError: if there is no such photograph.
    """
    if name not in PHOTOGRAPHS:
        raise ValueError(
            f"a photograph is one of {', '.join(PHOTOGRAPHS)}: got {name!r}"
        )
    from sklearn.datasets import load_sample_image

    return (
        torch.tensor(load_sample_image(f"{name}.jpg")).permute(2, 0, 1).contiguous()
    )  # (3, H, W)


def split(
    count: int, fraction: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Random indices of ``count`` samples: a share of ``fraction``, and the rest.

    Raises: ValueError: if either part would be empty.
    Example:
        >>> train, test = split(10, 0.7, torch.Generator().manual_seed(0))
        >>> len(train), len(test)
        (7, 3)
    """
    first = round(count * fraction)
    if not 0 < first < count:
        raise ValueError(
            f"fraction must leave at least one of {count} samples on each side: got {fraction}"
        )
    order = torch.randperm(count, generator=generator)
    return order[:first], order[first:]


def draw_shapes(
    count: int,
    image_size: int = 32,
    *,
    classes: tuple[str, ...] = SHAPES,
    weights: tuple[float, ...] | None = None,
    radius: tuple[float, float] = (5.0, 10.0),
    spread: float = 1.0,
    brightness: tuple[float, float] = (0.6, 1.0),
    clutter: int = 0,
    noise: float = 0.05,
    generator: torch.Generator,
) -> Shapes:
    """Grey images of one shape each, with known class, box and mask.

    Conventions: a shape lies wholly inside its image; clutter lies behind it and touches no mask.
    Args:
        count: number of images.
        image_size: height and width, pixels.
        classes: which of ``SHAPES``.
        weights: relative frequency of each class; None for equal.
        radius: smallest and largest half extent of a shape, pixels.
        spread: how far from the middle a shape may lie, as a share of the room it has: 0 puts every shape in
            the middle, 1 anywhere.
        brightness: smallest and largest grey level of a shape; the background is 0.
        clutter: number of small bright squares behind the shape, each of 2 by 2 pixels.
        noise: standard deviation of the grey noise added everywhere, before clipping to [0, 1].
    Raises: ValueError: for an unknown class, weights that do not fit, or a range that is not within limits.
    Example:
        >>> shapes = draw_shapes(4, generator=torch.Generator().manual_seed(0))
        >>> shapes.x.shape, shapes.boxes.shape
        (torch.Size([4, 1, 32, 32]), torch.Size([4, 4]))
    """
    _check_shapes(
        count, image_size, classes, weights, radius, spread, brightness, clutter, noise
    )

    def uniform(low: float, high: float, *size: int) -> Tensor:
        return low + (high - low) * torch.rand(size, generator=generator)

    chances = torch.tensor(weights or [1.0] * len(classes), dtype=torch.float64)
    chosen = torch.multinomial(chances, count, replacement=True, generator=generator)
    y = torch.tensor([SHAPES.index(name) for name in classes])[chosen]
    r = uniform(*radius, count)
    room = image_size / 2 - r  # how far the centre can lie from the middle
    offset = uniform(-1, 1, count, 2) * spread * room[:, None]
    masks = _masks(y, image_size / 2 + offset, r, image_size)  # (N, H, W)

    x = _clutter(count, image_size, clutter, generator)  # (N, H, W)
    x = torch.where(masks, uniform(*brightness, count)[:, None, None], x)
    x = x + noise * torch.randn(x.shape, generator=generator)
    return Shapes(x.clamp(0, 1).unsqueeze(1), y, _boxes(masks), masks)


def _masks(y: Tensor, centre: Tensor, r: Tensor, image_size: int) -> Tensor:
    """(N, H, W) bool; a pixel belongs to a shape if its middle does."""
    middle = torch.arange(image_size) + 0.5
    dx = (middle[None, None, :] - centre[:, 0, None, None]) / r[
        :, None, None
    ]  # (N, 1, W)
    dy = (middle[None, :, None] - centre[:, 1, None, None]) / r[
        :, None, None
    ]  # (N, H, 1)
    distance = dx.square() + dy.square()
    inside = torch.stack(
        [
            distance <= 1,
            (dx.abs() <= 0.9) & (dy.abs() <= 0.9),
            (dy <= 0.8) & (dx.abs() <= (dy + 1) / 2),
            (distance <= 1) & (distance >= 0.35),
        ]
    )  # (4, N, H, W), in the order of SHAPES
    return inside[y, torch.arange(len(y))]


def _boxes(masks: Tensor) -> Tensor:
    columns, rows = masks.any(1).float(), masks.any(2).float()  # (N, W), (N, H)
    size = masks.shape[-1]
    first = [v.argmax(1) for v in (columns, rows)]
    last = [size - v.flip(1).argmax(1) for v in (columns, rows)]
    return torch.stack([*first, *last], dim=1).float()  # x1, y1, x2, y2


def _clutter(
    count: int, image_size: int, clutter: int, generator: torch.Generator
) -> Tensor:
    canvas = torch.zeros(count, image_size, image_size)
    if clutter:
        at = torch.randint(image_size - 1, (2, count, clutter), generator=generator)
        grey = 0.5 + 0.5 * torch.rand(count, clutter, generator=generator)
        image = torch.arange(count)[:, None]
        for down in (0, 1):
            for right in (0, 1):
                canvas[image, at[0] + down, at[1] + right] = grey
    return canvas


def _check_shapes(
    count, image_size, classes, weights, radius, spread, brightness, clutter, noise
) -> None:
    if count < 1 or clutter < 0 or not 0 <= noise < math.inf:
        raise ValueError(
            "count must be at least 1, clutter and noise finite and not negative: "
            f"got count={count}, clutter={clutter}, noise={noise}"
        )
    unknown = [name for name in classes if name not in SHAPES]
    if unknown or not classes:
        raise ValueError(
            f"classes must be among {', '.join(SHAPES)}: got {', '.join(unknown) or 'none'}"
        )
    if weights is not None and (
        len(weights) != len(classes)
        or not all(0 <= share < math.inf for share in weights)
        or sum(weights) == 0
    ):
        raise ValueError(
            f"weights must give each of the {len(classes)} classes a share, finite, not negative, not all 0: "
            f"got {weights}"
        )
    if not 2 <= radius[0] <= radius[1] <= image_size / 2:
        raise ValueError(
            f"radius must rise from 2 or more to at most half the image, {image_size / 2:g}: got {radius}"
        )
    if not 0 <= spread <= 1:
        raise ValueError(f"spread must be from 0 (the middle) to 1: got {spread}")
    if not 0 <= brightness[0] <= brightness[1] <= 1:
        raise ValueError(f"brightness must rise within [0, 1]: got {brightness}")


def fashion_mnist(
    root: str | Path, train: bool = True, download: bool = False
) -> Images:
    """Fashion-MNIST by torchvision: 60,000 or 10,000 articles of clothing, (1, 28, 28).

    Args:
        root: folder that holds, or shall hold, the files.
        download: fetch them if they are not there (30 MB; torchvision checks their integrity).
    Raises: FileNotFoundError: if the files are not there, saying how to get them.
    References: Xiao, Rasul & Vollgraf, 2017, arXiv:1708.07747.
    """
    from torchvision.datasets import FashionMNIST

    data = _torchvision(FashionMNIST, root, train, download)
    return Images(
        data.data.unsqueeze(1).float() / 255, data.targets.clone(), tuple(data.classes)
    )


def cifar10(root: str | Path, train: bool = True, download: bool = False) -> Images:
    """CIFAR-10 by torchvision: 50,000 or 10,000 photographs of 10 kinds of things, (3, 32, 32).

    Args:
        root: folder that holds, or shall hold, the files.
        download: fetch them if they are not there (170 MB; torchvision checks their integrity).
    Raises: FileNotFoundError: if the files are not there, saying how to get them.
    References: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
    """
    from torchvision.datasets import CIFAR10

    data = _torchvision(CIFAR10, root, train, download)
    x = torch.from_numpy(data.data).permute(0, 3, 1, 2).float() / 255  # (N, 3, 32, 32)
    return Images(x, torch.tensor(data.targets), tuple(data.classes))


def _torchvision(dataset: type, root: str | Path, train: bool, download: bool):
    name = dataset.__name__
    try:
        return dataset(str(root), train=train, download=download)
    except RuntimeError as error:
        if not download:
            raise FileNotFoundError(
                f"{name} is not in {root}: pass download=True where there is a network, or copy the folder "
                "from a machine that has it"
            ) from error
        raise FileNotFoundError(
            f"{name} could not be downloaded to {root}: {error}"
        ) from error
    except OSError as error:  # no network
        raise FileNotFoundError(
            f"{name} could not be downloaded to {root} ({error}): is there a network? Without one, copy the "
            "folder from a machine that has it"
        ) from error
