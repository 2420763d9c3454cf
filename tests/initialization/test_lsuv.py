"""LSUV: variances after it, its order, what it leaves alone, and when it refuses."""

import pytest
import torch
from torch import nn

import dlkb.initialization
from dlkb.initialization.lsuv import lsuv_


class Backwards(nn.Module):
    """Runs its layers in the reverse of the order in which they were assigned; one of them never."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(9, 3)
        self.unused = nn.Linear(2, 2)
        self.first = nn.Conv1d(2, 3, 2)

    def forward(self, input):
        return self.last(torch.relu(self.first(input)).flatten(1))


def chain(depth=6, width=40, dtype=torch.float32, bias=True):
    torch.manual_seed(0)
    layers = []
    for _ in range(depth):
        layers += [nn.Linear(width, width, bias, dtype=dtype), nn.Tanh()]
    return nn.Sequential(*layers)


def batch(*shape, dtype=torch.float32, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def variances(model, x):
    found = {}
    for name, layer in model.named_children():
        x = layer(x)
        if isinstance(layer, nn.Linear):
            found[name] = x.var(correction=0).item()
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_layer_ends_with_variance_one(dtype):
    """Measured here, layer by layer; before, it has fallen below 0.1. Fails for W / Var."""
    model, x = chain(dtype=dtype), 5 * batch(500, 40, dtype=dtype)
    assert variances(model, x)["10"] < 0.1
    told = lsuv_(model, x)
    found = variances(model, x)
    assert list(told) == list(found) == ["0", "2", "4", "6", "8", "10"]
    assert list(told.values()) == pytest.approx(list(found.values()), rel=1e-5)
    assert list(found.values()) == pytest.approx([1] * 6, rel=1e-4)
    assert model[0].weight.dtype == dtype
    assert model[0].weight.requires_grad


def test_weights_are_multiples_of_orthogonal_ones_and_biases_zero():
    model = chain()
    lsuv_(model, batch(300, 40), generator=torch.Generator().manual_seed(2))
    for layer in model[::2]:
        values = torch.linalg.svdvals(layer.weight.detach())
        assert (values.max() / values.min()).item() == pytest.approx(1, rel=1e-4)
        assert (layer.bias == 0).all()
    again = chain()
    lsuv_(again, batch(300, 40), generator=torch.Generator().manual_seed(2))
    assert torch.equal(again[4].weight, model[4].weight)


def test_layers_are_scaled_in_the_order_in_which_they_run():
    """Fails for the order of ``modules()``: the last layer would be scaled for an input that changes."""
    model, x = Backwards(), 10 * batch(400, 2, 4)
    before = model.unused.weight.clone()
    assert list(lsuv_(model, x)) == ["first", "last"]
    assert model.first(x).var().item() == pytest.approx(1, rel=0.01)
    assert model(x).var().item() == pytest.approx(1, rel=0.01)
    assert torch.equal(model.unused.weight, before)


def test_without_pre_initialization_weights_are_scaled_alone():
    model, x = chain(depth=1), 3 * batch(300, 40)
    weight, bias = model[0].weight.clone(), model[0].bias.clone()
    told = lsuv_(model, x, tol=1e-5, pre_initialize=False)
    ratio = model[0].weight / weight
    assert ratio.std().item() == pytest.approx(0, abs=1e-5)
    assert torch.equal(model[0].bias, bias)
    assert told["0"] == pytest.approx(1, abs=1e-5)
    assert variances(model, x)["0"] == pytest.approx(1, abs=2e-5)


def test_what_is_close_enough_is_left():
    model, x = chain(depth=1, bias=False), batch(300, 40)
    lsuv_(model, x, tol=1e-5)
    with torch.no_grad():
        model[0].weight.mul_(1.02)  # variance 1.04
    before = model[0].weight.clone()
    told = lsuv_(model, x, tol=0.05, pre_initialize=False)
    assert torch.equal(model[0].weight, before)
    assert told["0"] == pytest.approx(1.0404, rel=1e-4)


def test_modes_and_running_averages_are_left_alone():
    model = nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 4)
    )
    model[1].eval()
    modes = [m.training for m in model.modules()]
    found = lsuv_(model, batch(200, 4), tol=1e-3)
    assert list(found.values()) == pytest.approx([1, 1], rel=1e-3)  # nothing dropped
    assert [m.training for m in model.modules()] == modes
    assert (model[1].running_mean == 0).all()
    assert not any(m._forward_hooks for m in model.modules())


def test_what_cannot_be_scaled_is_refused():
    x = batch(50, 40)
    with pytest.raises(
        ValueError, match=r"output of layer '0' must vary over the batch.*is 0\.0; look"
    ):
        lsuv_(chain(), torch.zeros(50, 40))
    with pytest.raises(ValueError, match=r"must run a linear layer.*: ReLU runs none"):
        lsuv_(nn.ReLU(), x)
    for name in ("tol", "max_iterations"):
        with pytest.raises(ValueError, match=f"{name} must be positive: got 0"):
            lsuv_(chain(), x, **{name: 0})
    model = chain(depth=1)
    with torch.no_grad():
        model[0].bias.copy_(10 * batch(40, seed=3))
    with pytest.raises(
        RuntimeError,
        match=r"variance of layer '0' must come within 0\.1 of 1: got .* after 10 iter",
    ):
        lsuv_(model, x, pre_initialize=False)
    assert model.training
    assert not any(m._forward_hooks for m in model.modules())


def test_it_is_public():
    assert "lsuv_" in dlkb.initialization.__all__
