"""Probes against hooks written out by hand."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from dlkb.probes import (
    activations,
    dead_share,
    gradients,
    loss_along_gradient,
    update_ratios,
)


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


def test_loss_along_gradient_is_what_steps_of_sgd_would_give(network):
    """Fails for a step in the wrong direction, for steps that add up, for a gradient taken anew at each."""
    network.insert(1, nn.BatchNorm1d(4)).double()
    x, y = torch.randn(6, 3, dtype=torch.float64), torch.tensor([0, 1, 0, 1, 1, 0])
    steps, expected = [0.0, 0.1, 3.0, 0.5], []
    for step in steps:
        copy = deepcopy(network)
        optimizer = torch.optim.SGD(copy.parameters(), lr=step)
        nn.functional.cross_entropy(copy(x), y).backward()
        optimizer.step()
        expected.append(nn.functional.cross_entropy(copy(x), y).item())
    found = loss_along_gradient(network, x, y, steps)
    torch.testing.assert_close(
        found, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12
    )


def test_loss_along_gradient_of_a_parabola_by_hand():
    """w^2 / 2 at w = 3: a step of 1 reaches the minimum, a step of 2 the mirror image, one of 3 climbs."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 3.0)
    half_square = lambda output, target: output.square().sum() / 2
    found = loss_along_gradient(
        model, torch.ones(1, 1), torch.zeros(1), [0, 1, 2, 3], half_square
    )
    assert found.tolist() == [4.5, 0.0, 4.5, 18.0]


def test_loss_along_gradient_leaves_the_network_alone(network):
    """Fails for running statistics that the probe moves, and for gradients left behind."""
    network.append(nn.BatchNorm1d(2))
    before = deepcopy(network.state_dict())
    found = loss_along_gradient(
        network, torch.randn(6, 3), torch.zeros(6, dtype=torch.long), [0.1, 1.0]
    )
    assert not found.requires_grad
    assert all(p.grad is None and p.requires_grad for p in network.parameters())
    torch.testing.assert_close(dict(network.state_dict()), dict(before), rtol=0, atol=0)
    assert network.training


def test_loss_along_gradient_reports_a_step_out_of_range(network):
    loss = lambda output, target: (output - target).square().sum()
    found = loss_along_gradient(
        network, torch.randn(5, 3), torch.ones(5, 2), [0.0, 1e30], loss
    )
    assert found.isfinite().tolist() == [True, False]


def test_bad_input(network):
    with pytest.raises(ValueError, match="at least one step size: got none"):
        loss_along_gradient(network, torch.ones(1, 3), torch.zeros(1).long(), [])
    with pytest.raises(
        ValueError, match=r"no innermost module of type .*Conv2d.*: got Sequential"
    ):
        activations(network, torch.ones(1, 3), nn.Conv2d)
    with pytest.raises(ValueError, match=r"differ in \['b'\]"):
        update_ratios({"a": torch.ones(1)}, {"a": torch.ones(1), "b": torch.ones(1)})
