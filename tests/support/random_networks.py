"""Random networks in which units are mixed in every way that has a rule, with
other numbers along each axis."""

import torch
from hypothesis import strategies as st
from torch import nn

CHANNELS = 2


class Branches(nn.Module):
    """Branches that meet by addition or side by side."""

    def __init__(self, branches, joined):
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.joined = joined
        if joined:
            self.mix = nn.Conv2d(CHANNELS * len(branches), CHANNELS, 1)

    def forward(self, x):
        results = [branch(x) for branch in self.branches]
        if self.joined:
            return self.mix(torch.cat(results, 1))
        total = results[0]
        for result in results[1:]:
            total = total + result
        return total


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def windows(draw):
    kernel, stride = draw(pairs(1, 4)), draw(pairs(1, 3))
    dilation = draw(pairs(1, 2))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    kind = draw(st.sampled_from(["conv", "conv", "max", "average"]))
    if kind == "max":
        return nn.MaxPool2d(kernel, stride, padding, dilation)
    if kind == "average":
        return nn.AvgPool2d(kernel, stride, padding)
    groups = draw(st.sampled_from([1, CHANNELS]))
    return nn.Conv2d(
        CHANNELS, CHANNELS, kernel, stride, padding, dilation, groups=groups
    )


@st.composite
def same_size(draw):
    """A branch that keeps the size, with its padding divided at random, so that centres differ."""
    kernel, dilation = draw(pairs(1, 4)), draw(pairs(1, 2))
    pad = []
    for k, d in reversed(list(zip(kernel, dilation, strict=True))):
        before = draw(st.integers(0, (k - 1) * d))
        pad += [before, (k - 1) * d - before]
    return nn.Sequential(
        nn.ZeroPad2d(tuple(pad)),
        nn.Conv2d(CHANNELS, CHANNELS, kernel, dilation=dilation),
        nn.BatchNorm2d(CHANNELS),
        nn.ReLU(),
    )


@st.composite
def branched(draw):
    branches = draw(st.lists(same_size(), min_size=1, max_size=3))
    if draw(st.booleans()):
        branches.append(nn.Identity())
    return Branches(branches, draw(st.booleans()))


@st.composite
def enlarging(draw):
    kind = draw(st.sampled_from(["transposed", "nearest", "bilinear", "shuffle"]))
    if kind == "transposed":
        stride = draw(pairs(1, 3))
        kernel = tuple(draw(st.integers(s, s + 2)) for s in stride)
        padding = tuple(draw(st.integers(0, k - 1)) for k in kernel)
        return nn.ConvTranspose2d(CHANNELS, CHANNELS, kernel, stride, padding)
    if kind == "shuffle":
        return nn.Sequential(nn.Conv2d(CHANNELS, CHANNELS * 4, 1), nn.PixelShuffle(2))
    return nn.Upsample(scale_factor=draw(st.integers(2, 3)), mode=kind)


@st.composite
def networks(draw):
    part = st.one_of(windows(), windows(), branched(), enlarging())
    return nn.Sequential(draw(windows()), *draw(st.lists(part, max_size=4)))
