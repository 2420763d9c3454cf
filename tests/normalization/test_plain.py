"""Plain networks: what is in them, and what the gain does."""

import math

import pytest
import torch
from torch import nn

from dlkb.normalization import plain_network
from dlkb.probes import activations


def generator():
    return torch.Generator().manual_seed(0)


def test_layers_are_in_order():
    """Would catch a norm behind the activation, or an activation behind the last map."""
    network = plain_network(3, 5, 2, 4, norm=nn.BatchNorm1d, activation=nn.Tanh)
    kinds = [nn.Linear, nn.BatchNorm1d, nn.Tanh] * 2 + [nn.Linear]
    assert [type(module) for module in network] == kinds
    assert [tuple(p.shape) for n, p in network.named_parameters() if "weight" in n] == [
        *((5, 3), (5,), (5, 5), (5,), (4, 5))
    ]


def test_without_norm_and_without_a_last_map():
    assert [type(m) for m in plain_network(3, 5, 2)] == [nn.Linear, nn.ReLU] * 2


@pytest.mark.parametrize(("gain", "inputs"), [(0.5, 400), (2.0, 100)])
def test_weights_have_the_standard_deviation_of_the_gain(gain, inputs):
    """Would catch the number of outputs in place of the inputs, or the variance in place of its root."""
    network = plain_network(inputs, 900, 1, 50, gain=gain, generator=generator())
    assert network[0].weight.std().item() == pytest.approx(
        gain / math.sqrt(inputs), rel=0.02
    )
    assert network[2].weight.std().item() == pytest.approx(1 / math.sqrt(900), rel=0.02)
    assert not network[0].bias.any()
    assert not network[2].bias.any()


def test_hes_gain_keeps_the_mean_square_of_relu_networks():
    """Would catch gain 1, which halves it in every layer."""
    shared = (
        generator()
    )  # drawn from a second one with this seed, weights would equal data
    x = torch.randn(256, 512, generator=shared)
    found = activations(plain_network(512, 512, 8, generator=shared), x, nn.ReLU)
    assert found["15"].square().mean().item() == pytest.approx(1.0, rel=0.25)


def test_the_norm_changes_no_weight():
    """Arms paired by seed start from the same weights, by a generator or by the global state."""
    plain = plain_network(4, 6, 3, 2, generator=generator())
    normed = plain_network(4, 6, 3, 2, norm=nn.BatchNorm1d, generator=generator())
    with torch.random.fork_rng():
        torch.manual_seed(1)
        third = plain_network(4, 6, 3, 2)
        torch.manual_seed(1)
        fourth = plain_network(4, 6, 3, 2, norm=nn.BatchNorm1d)
    for one, other in ((plain, normed), (third, fourth)):
        weights = [
            [m.weight for m in network if isinstance(m, nn.Linear)]
            for network in (one, other)
        ]
        for a, b in zip(*weights, strict=True):
            assert torch.equal(a, b)


def test_a_generator_leaves_the_global_state_alone():
    state = torch.get_rng_state()
    plain_network(4, 6, 3, generator=generator())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", ["in_features", "width", "depth", "out_features"])
def test_a_size_below_1_is_refused(name):
    sizes = {"in_features": 2, "width": 3, "depth": 1, "out_features": 2, name: 0}
    with pytest.raises(ValueError, match=f"{name} must be at least 1: got 0"):
        plain_network(**sizes)


@pytest.mark.parametrize("gain", [0.0, -1.0, math.nan])
def test_a_gain_that_is_not_positive_is_refused(gain):
    with pytest.raises(ValueError, match="gain must be positive"):
        plain_network(2, 3, 1, gain=gain)
