"""dlkb.receptive_field.trials: what is drawn is what is said."""

import math

import pytest
import torch
from torch import nn

from dlkb.receptive_field import effective_receptive_field, receptive_field
from dlkb.receptive_field.trials import (
    Skip,
    effective_fields,
    marks,
    random_skips,
    random_stack,
    reader,
)


def test_a_stack_has_the_layers_that_were_named():
    """Catches strides and dilations that are swapped, and an input that is not the first layer's alone."""
    net = random_stack([(3, 2, 1), (5, 1, 4)], 6, inputs=2, activation=nn.Tanh)
    first, second = net[0], net[2]
    assert (first.kernel_size, first.stride, first.dilation) == ((3,), (2,), (1,))
    assert (second.kernel_size, second.stride, second.dilation) == ((5,), (1,), (4,))
    assert (first.in_channels, second.in_channels, second.out_channels) == (2, 6, 6)
    assert first.bias is None
    assert isinstance(net[1], nn.Tanh)
    assert receptive_field(net, (2, 64)).last.size == (1 + 2 + 4 * 4 * 2,)


def test_kernels_that_are_pairs_make_layers_for_images():
    net = random_stack([((3, 7), 1, 1)] * 2, 4)
    assert net(torch.zeros(1, 4, 9, 20)).shape == (1, 4, 5, 8)


def test_weights_have_the_variance_of_he():
    """2 / fan-in: without an activation the mean square doubles; torch's default would divide it by 3."""
    torch.manual_seed(0)
    x = torch.randn(8, 128, 41)
    y = random_stack([(3, 1, 1)] * 4, 128, activation=nn.Identity)(x)
    growth = (y.square().mean() / x.square().mean()).item()
    assert growth ** (1 / 4) == pytest.approx(2, rel=0.1)


def test_a_seed_fixes_everything_and_leaves_the_random_state():
    def make():
        return random_stack([(3, 1, 1)] * 2, 4)

    before = torch.get_rng_state()
    one, two = effective_fields(make, (4, 5), [3, 4])
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(effective_fields(make, (4, 5), [4])[0].weight, two.weight)
    assert not torch.equal(one.weight, two.weight)
    draws = torch.manual_seed(3)
    direct = effective_receptive_field(make(), (4, 5), generator=draws)
    torch.set_rng_state(before)
    assert torch.equal(direct.weight, one.weight)


@pytest.mark.parametrize("relu_last", [False, True])
def test_a_skip_adds_its_input(relu_last):
    torch.manual_seed(0)
    net = random_skips(1, 4, relu_last)
    conv, *rest = net[0].branch
    x = torch.randn(2, 4, 9)
    y = nn.functional.relu(conv(x))
    assert len(rest) == (1 if relu_last else 2)
    assert torch.allclose(net(x), x + (y if relu_last else rest[1](y)))
    assert torch.equal(Skip(nn.Identity())(x), 2 * x)


def test_a_branch_returns_as_much_squared_gradient_as_the_shortcut():
    """Then the mean square of a gradient doubles with each block; half as much would give 1.5."""
    torch.manual_seed(0)
    net = random_skips(4, 256)
    x = torch.randn(4, 256, 33, requires_grad=True)
    y = net(x)
    given = torch.randn(4, 256)
    y[..., 16].backward(given)
    growth = x.grad.square().sum() / given.square().sum()
    assert growth ** (1 / 4) == pytest.approx(2, rel=0.05)


def test_marks_lie_where_the_class_says():
    x, y = marks(400, 3, generator=torch.Generator().manual_seed(0))
    assert x.shape == (400, 1, 11, 11)
    mean = torch.stack([x[y == c, 0].mean(0) for c in (0, 1)])
    bright = (mean > 2).nonzero().tolist()
    assert bright == [[0, 5, 2], [1, 5, 8]]
    assert (x.std() - math.sqrt(1 + 16 / 121)).abs() < 0.05


@pytest.mark.parametrize(
    ("distance", "image_size", "said"),
    [(1, 10, "must be odd"), (0, 11, "from 1 to 5"), (6, 11, "from 1 to 5")],
)
def test_marks_that_do_not_fit(distance, image_size, said):
    with pytest.raises(ValueError, match=said):
        marks(2, distance, image_size=image_size, generator=torch.Generator())


def test_a_reader_is_one_unit_that_sees_the_image():
    net = reader(3)
    assert net(torch.zeros(2, 1, 11, 11)).shape == (2, 3, 1, 1)
    assert receptive_field(net, (1, 11, 11)).last.size == (11, 11)
    assert all((layer.bias == 0).all() for layer in net[:-1:2])
