"""Classes that were not trained on: shifted images in pairs, an embedding, and naming by the nearest."""

import torch
from torch import Tensor, nn

__all__ = [
    "Embedding",
    "at_random_places",
    "named_by_nearest",
    "seen_and_unseen",
]


def at_random_places(images: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """(N, H, H) to (N, size * size): each image at a random place on an empty canvas of ``size`` by ``size``.

    Raises: ValueError: if the images do not fit.
    Example:
        >>> at_random_places(torch.ones(1, 2, 2), 3, torch.Generator().manual_seed(0)).sum()
        tensor(4.)
    """
    height = images.shape[-1]
    if images.shape[1:] != (height, height) or height > size:
        raise ValueError(
            f"images must be square and fit on {size} by {size}: got {tuple(images.shape[1:])}"
        )
    canvas = images.new_zeros(len(images), size, size)
    corner = torch.randint(
        size - height + 1, (2, len(images), 1, 1), generator=generator
    )
    place = corner + torch.arange(height)
    rows, columns = place[0].transpose(1, 2), place[1]
    canvas[torch.arange(len(images))[:, None, None], rows, columns] = images
    return canvas.flatten(1)


def seen_and_unseen(
    images: Tensor, y: Tensor, groups: int, generator: torch.Generator
) -> list[tuple[Tensor, Tensor]]:
    """Divide ten classes by chance: pairs of five to train on, all of two to choose by, all of three to test.

    Args:
        images: (N, 8, 8); each is put at a random place on a canvas of 12 by 12.
        y: (N,), the classes 0 to 9.
        groups: how many groups of one pair of images from each of the five classes.
    Returns: three (x, y): (groups * 5 * 2, 144) in the order group, class, pair; then two of all images.
    Example:
        >>> images, y = torch.zeros(20, 8, 8), torch.arange(20) % 10
        >>> parts = seen_and_unseen(images, y, 3, torch.Generator().manual_seed(0))
        >>> [tuple(x.shape) for x, _ in parts]
        [(30, 144), (4, 144), (6, 144)]
    """
    own = [(y == c).nonzero()[:, 0] for c in torch.randperm(10, generator=generator)]
    pairs = [
        members[torch.randint(len(members), (groups, 2), generator=generator)]
        for members in own[:5]
    ]
    drawn = [torch.stack(pairs, 1).flatten(), torch.cat(own[5:7]), torch.cat(own[7:])]
    return [(at_random_places(images[i], 12, generator), y[i]) for i in drawn]


class Embedding(nn.Module):
    """144 pixels to an embedding of 16 numbers, by ``body``, and from it logits of five classes, by ``head``.

    Example:
        >>> embedding, logits = Embedding()(torch.zeros(3, 144))
        >>> embedding.shape, logits.shape
        (torch.Size([3, 16]), torch.Size([3, 5]))
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(144, 64), nn.ReLU(), nn.Linear(64, 16))
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(*, 144) to (*, 16) and (*, 5)."""
        h = self.body(x)
        return h, self.head(h)


def named_by_nearest(features: Tensor, y: Tensor, labelled: int = 5) -> Tensor:
    """Share of images that get their class from the nearest, by cosine, of a few labelled ones of each class.

    Mean over ten choices of the labelled ones, which are not counted themselves: the first ten times
    ``labelled`` images of each class, one after another.

    Args:
        features: (N, D).
        y: (N,), the classes, on the CPU.
        labelled: how many images of each class have a label.
    Returns: a scalar, float64, on the CPU.
    Raises: ValueError: if a class has fewer than ten times ``labelled`` images.
    Example:
        >>> y = torch.arange(40) % 2
        >>> named_by_nearest(torch.eye(2)[y], y, labelled=2)
        tensor(1., dtype=torch.float64)
    """
    fewest = int(y.unique(return_counts=True)[1].min())
    if fewest < 10 * labelled:
        raise ValueError(
            f"each class needs {10 * labelled} images for ten choices: got {fewest}"
        )
    unit = nn.functional.normalize(features, dim=1).cpu()
    places = torch.stack([(y == c).nonzero()[: 10 * labelled, 0] for c in y.unique()])
    found = []
    for gallery in places.view(len(places), 10, labelled).transpose(0, 1):
        gallery = gallery.flatten()
        right = y[gallery][(unit @ unit[gallery].T).argmax(1)] == y
        right[gallery] = False
        found.append(right.double().sum() / (len(y) - len(gallery)))
    return torch.stack(found).mean()
