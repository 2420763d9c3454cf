"""Transfer at the size of a page: digits as source and target, networks that keep, freeze or cut layers."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from dlkb.datasets import Images, digits

__all__ = [
    "CHANGES",
    "HEADS",
    "TransferNetwork",
    "digit_task",
    "few_shot_split",
    "fine_tuned",
]

CHANGES = ("inverted", "rotated", "permuted")
HEADS = ("linear", "connected")
IMAGE_SIZE = 8


def digit_task(
    classes: Sequence[int],
    change: str | None = None,
    *,
    generator: torch.Generator | None = None,
) -> Images:
    """scikit-learn's digits of some classes, relabelled from 0, as they are or made unlike.

    Args:
        classes: digits, such as range(5).
        change: "inverted" (dark on light), "rotated" (a quarter turn, to the left), "permuted" (one random
            order of the 64 pixels for all images, which leaves no edges), or None.
        generator: draws the order of the pixels, for "permuted" only.
    Returns: ``Images``: x (N, 1, 8, 8) in [0, 1], y (N,) from 0, in the order of ``classes``.
    Raises: ValueError: if there are fewer than two classes, one is twice there or no digit, or change is not
        on the list; or if generator is missing, or given where nothing is drawn.
    Example:
        >>> task = digit_task([7, 3], "inverted")
        >>> task.x.shape, task.classes, task.y.unique()
        (torch.Size([362, 1, 8, 8]), ('7', '3'), tensor([0, 1]))
    """
    classes = list(classes)
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise ValueError(f"classes must be two or more, all different: got {classes}")
    if not set(classes) <= set(range(10)):
        raise ValueError(f"classes must be digits from 0 to 9: got {classes}")
    if change is not None and change not in CHANGES:
        raise ValueError(f"change must be one of {', '.join(CHANGES)}: got {change!r}")
    if (change == "permuted") != (generator is not None):
        raise ValueError(
            'give a generator for "permuted", and for nothing else: '
            f"got change={change!r} and {'no ' if generator is None else 'a '}generator"
        )
    everything = digits()
    label = torch.full((10,), -1)
    label[torch.tensor(classes)] = torch.arange(len(classes))
    y = label[everything.y]
    x, y = everything.x[y >= 0], y[y >= 0]
    if change == "inverted":
        x = 1 - x
    elif change == "rotated":
        x = x.rot90(1, (-2, -1))
    elif change == "permuted":
        order = torch.randperm(IMAGE_SIZE**2, generator=generator)
        x = x.flatten(1)[:, order].view_as(x)
    return Images(x.contiguous(), y, tuple(str(c) for c in classes))


def few_shot_split(
    y: Tensor, per_class: int, generator: torch.Generator, held_out: int | None = None
) -> tuple[Tensor, Tensor]:
    """Random indices of ``per_class`` training samples of each class, and of held-out ones.

    Conventions: with one random state, more training samples include the fewer, and the ``held_out`` samples
    are the same for any number of them: arms that differ in the number are paired.
    Args:
        y: (N,), classes.
        per_class: training samples of each class, at least 1.
        held_out: number of held-out samples, from the end of the random order; None for all that are left.
    Returns: indices for training (classes * per_class,), sorted by class, and held out.
    Raises: ValueError: if a class has too few samples beside the held-out ones, or held_out is out of range.
    Example:
        >>> y = torch.arange(3).repeat(10)
        >>> train, test = few_shot_split(y, 2, torch.Generator().manual_seed(0))
        >>> y[train], len(test)
        (tensor([0, 0, 1, 1, 2, 2]), 24)
    """
    if held_out is not None and not 1 <= held_out < len(y):
        raise ValueError(
            f"held_out must be from 1 to {len(y) - 1} of the {len(y)} samples: got {held_out}"
        )
    order = torch.randperm(len(y), generator=generator)
    candidates = order[: len(y) - (held_out or 0)]
    own = [candidates[y[candidates] == c] for c in y.unique()]
    most = min(len(part) for part in own) - (held_out is None)  # one is left to test
    if not 1 <= per_class <= most:
        raise ValueError(
            f"per_class must be from 1 to {most}, what the rarest class has beside the held-out samples: "
            f"got {per_class}"
        )
    train = torch.cat([part[:per_class] for part in own])
    left = order[~torch.isin(order, train)]
    return train, left if held_out is None else order[-held_out:]


class TransferNetwork(nn.Module):
    r"""3 x 3 convolutions in blocks, and a head: what can be kept, frozen, cut or replaced in transfer.

    A block is convolution, norm if wanted, ReLU, and behind the first one 2 x 2 maximum pooling; dropout
    before the convolution, but not in the first block.

    Conventions: ``blocks[i]`` is block i, and its convolution is ``blocks[i].conv``, which starts with He's
    normal weights and biases 0; heads start as torch's layers do. The lowest ``frozen``
    blocks stay as they are in training: their parameters require no gradient, and their norms use and keep
    the running statistics.
    Args:
        classes: number of outputs.
        depth: number of blocks, at least 1.
        channels: of each block.
        head: "linear", a linear map of the mean over positions; or "connected", a fully connected layer of
            all positions with ReLU and a linear map.
        hidden: units of the "connected" head.
        norm: called with the channels, as ``nn.BatchNorm2d``; None for no norm.
        activation: called without arguments.
        dropout: probability that a value is 0 in training.
    Shape: (N, 1, 8, 8) to (N, classes).
    Raises: ValueError: if depth is below 1 or head is not on the list.
    Example:
        >>> network = TransferNetwork(5, depth=3)
        >>> network(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 5])

    References: Yosinski et al., "How Transferable Are Features in Deep Neural Networks?", NeurIPS 2014,
        arXiv:1411.1792.
    """

    def __init__(
        self,
        classes: int,
        *,
        depth: int = 4,
        channels: int = 16,
        head: str = "linear",
        hidden: int = 64,
        norm: Callable[[int], nn.Module] | None = None,
        activation: Callable[[], nn.Module] = nn.ReLU,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if depth < 1:
            raise ValueError(f"depth must be at least 1: got {depth}")
        self.channels, self.hidden = channels, hidden
        self.norm, self.activation, self.dropout = norm, activation, dropout
        self.frozen = 0
        self.blocks = nn.Sequential(*map(self.new_block, range(depth)))
        self.head = self.new_head(head, classes)

    @torch.no_grad()
    def new_block(self, index: int) -> nn.Sequential:
        """A fresh block for this place, with names for its parts."""
        inputs = self.channels if index else 1
        conv = nn.Conv2d(inputs, self.channels, 3, padding=1)
        conv.weight.normal_(0, math.sqrt(2 / (inputs * 9)))
        conv.bias.zero_()
        block = nn.Sequential()
        if index:
            block.add_module("dropout", nn.Dropout(self.dropout))
        block.add_module("conv", conv)
        if self.norm is not None:
            block.add_module("norm", self.norm(self.channels))
        block.add_module("activation", self.activation())
        if index == 0:
            block.add_module("pool", nn.MaxPool2d(2))
        return block

    def new_head(self, head: str, classes: int) -> nn.Sequential:
        """A fresh head of this kind.

        Raises: ValueError: if head is not on the list.
        """
        if head not in HEADS:
            raise ValueError(f"head must be one of {', '.join(HEADS)}: got {head!r}")
        if head == "linear":
            pool = nn.AdaptiveAvgPool2d(1)
            return nn.Sequential(pool, nn.Flatten(), nn.Linear(self.channels, classes))
        positions = (IMAGE_SIZE // 2) ** 2
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(self.channels * positions, self.hidden),
            self.activation(),
            nn.Linear(self.hidden, classes),
        )

    def freeze(self, frozen: int) -> "TransferNetwork":
        """Train no parameter of the lowest blocks from now on, in place; returns the network.

        Raises: ValueError: if there are not that many blocks.
        """
        _check_count("frozen", frozen, len(self.blocks))
        self.frozen = frozen
        for index, block in enumerate(self.blocks):
            block.requires_grad_(index >= frozen)
        return self.train(self.training)

    def train(self, mode: bool = True) -> "TransferNetwork":
        """As every module's, but frozen blocks stay in evaluation mode, since their norms must not change."""
        super().train(mode)
        for block in self.blocks[: self.frozen]:
            block.eval()
        return self

    def forward(self, input: Tensor) -> Tensor:
        return self.head(self.blocks(input))


def fine_tuned(
    pretrained: Mapping[int, TransferNetwork],
    classes: int,
    *,
    kept: int | None = None,
    frozen: int = 0,
    cut: bool = False,
    head: str = "linear",
    dropout: float | None = None,
) -> Callable[[], TransferNetwork]:
    """What makes, for each seed, a network for a new task out of the one that was pretrained with that seed.

    Conventions: give it to ``dlkb.train.Setting`` as ``model``. It reads the seed from torch's random state,
    which ``fit_many`` and ``fit_tuned`` seed before each call. What is fresh is drawn from there. The
    pretrained networks stay as they are.
    Args:
        pretrained: by seed, such as dict(zip(runs.seeds, runs.models["source"])).
        classes: of the new task; the head is always fresh.
        kept: how many blocks, from the lowest, keep what they learned; None for all.
        frozen: how many blocks, from the lowest, are not trained.
        cut: whether the blocks that are not kept are left out; else they start afresh.
        head: as in ``TransferNetwork``.
        dropout: probability in all blocks but the first; None for what it was.
    Raises: ValueError: if there are not that many blocks, or nothing is kept of a cut network.
        KeyError: when called with a seed that has no pretrained network.
    Example:
        >>> make = fine_tuned({0: TransferNetwork(5, depth=3)}, 2, kept=2, cut=True, frozen=2)
        >>> _ = torch.manual_seed(0)
        >>> network = make()
        >>> len(network.blocks), [p.requires_grad for p in network.blocks.parameters()]
        (2, [False, False, False, False])
    """
    depth = min(len(network.blocks) for network in pretrained.values())
    kept = depth if kept is None else kept
    _check_count("kept", kept, depth)
    _check_count("frozen", frozen, kept if cut else depth)
    if cut and kept == 0:
        raise ValueError("a cut network must keep at least one block: got kept=0")

    def make() -> TransferNetwork:
        seed = torch.initial_seed()
        if seed not in pretrained:
            raise KeyError(f"no network was pretrained with seed {seed}")
        network = copy.deepcopy(pretrained[seed])
        if cut:
            network.blocks = network.blocks[:kept]
        for index in range(kept, len(network.blocks)):
            network.blocks[index] = network.new_block(index)
        network.head = network.new_head(head, classes)
        if dropout is not None:
            network.dropout = dropout  # of blocks made later
            for module in network.modules():
                if isinstance(module, nn.Dropout):
                    module.p = dropout
        return network.freeze(frozen)

    return make


def _check_count(name: str, count: int, blocks: int) -> None:
    if not 0 <= count <= blocks:
        raise ValueError(f"{name} must be from 0 to the {blocks} blocks: got {count}")
