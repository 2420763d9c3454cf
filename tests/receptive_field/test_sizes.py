"""dlkb.receptive_field.sizes: which input sizes drop no pixel, against the gradient and the U-Net's paper."""

import pytest
import torch
from torch import nn

from dlkb.receptive_field import receptive_field, required_input_sizes


def convolutions(inputs, outputs):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3), nn.Conv2d(outputs, outputs, 3))


class UNet(nn.Module):
    """Unpadded, as published, with a channel in each map."""

    def __init__(self, depth=4):
        super().__init__()
        self.down = nn.ModuleList(convolutions(1, 1) for _ in range(depth + 1))
        self.up = nn.ModuleList(nn.ConvTranspose2d(1, 1, 2, 2) for _ in range(depth))
        self.merge = nn.ModuleList(convolutions(2, 1) for _ in range(depth))
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        kept = []
        for block in self.down[:-1]:
            kept.append(block(x))
            x = self.pool(kept[-1])
        x = self.down[-1](x)
        for up, merge in zip(self.up, self.merge, strict=True):
            x, skip = up(x), kept.pop()
            edge = (skip.shape[2] - x.shape[2]) // 2
            skip = skip[:, :, edge : edge + x.shape[2], edge : edge + x.shape[3]]
            x = merge(torch.cat([skip, x], 1))
        return x


def unseen(model, n):
    """Whether the far edge of some layer's input is seen by no unit, by gradients through each alone."""
    size, found = n, False
    for layer in model:
        x = torch.ones(1, 1, size, requires_grad=True)
        y = layer(x)
        y.sum().backward()
        found |= bool(x.grad[0, 0, -1] == 0)
        size = y.shape[2]
    return found


@pytest.mark.parametrize(
    "layers",
    [
        [(3, 2, 0), (2, 2, 0)],
        [(3, 2, 1), (3, 3, 1)],
        [(5, 3, 2), (3, 1, 1), (2, 2, 0)],
        [(3, 1, 0)],
    ],
)
def test_sizes_are_those_whose_last_pixel_has_a_gradient(layers):
    """Fails for a remainder counted without padding, and for a period shorter than the strides' product."""
    model = nn.Sequential(*(nn.Conv1d(1, 1, *layer) for layer in layers))
    for layer in model:
        nn.init.ones_(layer.weight)
    sizes = required_input_sizes(model)
    least = sizes.first[0] if sizes.first else 1
    for n in range(max(least, 10), 60):
        assert (n in sizes) != unseen(model, n), n


def test_u_net():
    """572 in, 388 out (Ronneberger, Fischer & Brox 2015); 570 and 574 leave a remainder at some pooling."""
    model = UNet()
    sizes = required_input_sizes(model)
    assert sizes == ((188,), 16)
    assert 572 in sizes
    assert 570 not in sizes
    assert 574 not in sizes
    assert receptive_field(model, (1, 572, 572)).last.output == (388, 388)
    assert sizes.upto(230) == [188, 204, 220]


def test_channels_and_axes_come_from_the_first_convolution_or_are_given():
    model = nn.Sequential(nn.Conv3d(4, 1, 3), nn.MaxPool3d(2))
    assert required_input_sizes(model) == ((4,), 2)
    pooling = nn.MaxPool2d(4)
    assert required_input_sizes(pooling, (1, 8, 8)) == ((4,), 4)
    with pytest.raises(ValueError, match="MaxPool2d has no convolution to take"):
        required_input_sizes(pooling)


def test_no_size_at_all(monkeypatch):
    monkeypatch.setattr("dlkb.receptive_field.sizes.MOST", 5)
    with pytest.raises(ValueError, match="no size up to 5 can be computed"):
        required_input_sizes(nn.Conv2d(1, 1, 7))
