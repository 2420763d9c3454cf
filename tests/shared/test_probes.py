"""Probes against hooks written out by hand."""

import pytest
import torch
from torch import nn

from dlkb.probes import activations, dead_share, gradients, update_ratios


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(3, 4),
        nn.ReLU(),
        nn.Sequential(nn.Linear(4, 4), nn.ReLU()),
        nn.Linear(4, 2),
    )


def test_activations_are_the_modules_outputs_in_order_of_use(network):
    x = torch.randn(5, 3)
    found = activations(network, x)
    assert list(found) == ["0", "1", "2.0", "2.1", "3"]
    for name, module, last in (
        ("0", network[0], x),
        ("1", network[1], found["0"]),
        ("3", network[3], found["2.1"]),
    ):
        torch.testing.assert_close(found[name], module(last))
    assert not any(value.requires_grad for value in found.values())


def test_kinds_choose_modules(network):
    assert list(activations(network, torch.randn(5, 3), nn.ReLU)) == ["1", "2.1"]


def test_gradients_are_those_of_the_outputs(network):
    x = torch.randn(5, 3)
    found = gradients(network, x, lambda out: out.square().sum())
    hidden = network[2](network[1](network[0](x))).detach().requires_grad_()
    network[3](hidden).square().sum().backward()
    torch.testing.assert_close(found["2.1"], hidden.grad)
    torch.testing.assert_close(found["3"], 2 * network(x).detach())
    assert list(found) == ["0", "1", "2.0", "2.1", "3"]


def test_gradients_leave_the_parameters_alone(network):
    gradients(network, torch.randn(5, 3), lambda out: out.sum())
    assert all(p.grad is None for p in network.parameters())


def test_hooks_are_gone_afterwards_also_after_an_error(network):
    activations(network, torch.randn(5, 3))
    with pytest.raises(RuntimeError):
        activations(network, torch.randn(5, 7))
    assert not any(module._forward_hooks for module in network.modules())


def test_the_mode_is_kept(network):
    network.append(nn.Dropout(0.5))
    x = torch.ones(200, 3)
    assert (activations(network.train(), x)["4"] == 0).any()
    assert torch.equal(
        activations(network.eval(), x)["4"], activations(network, x)["3"]
    )


def test_update_ratios_by_hand():
    before = {"a": torch.tensor([3.0, 4.0]), "b": torch.ones(4)}
    after = {"a": torch.tensor([3.0, 3.0]), "b": torch.ones(4)}
    assert update_ratios(before, after) == {"a": pytest.approx(0.2), "b": 0.0}


def test_a_unit_is_dead_only_if_silent_everywhere():
    activation = torch.zeros(2, 4, 3)
    activation[1, 2, 1] = 0.1
    assert dead_share(activation) == 0.75


def test_bad_input(network):
    with pytest.raises(
        ValueError, match=r"no innermost module of type .*Conv2d.*: got Sequential"
    ):
        activations(network, torch.ones(1, 3), nn.Conv2d)
    with pytest.raises(ValueError, match=r"differ in \['b'\]"):
        update_ratios({"a": torch.ones(1)}, {"a": torch.ones(1), "b": torch.ones(1)})
