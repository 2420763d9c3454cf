"""A vector of weights is the network that torch would have, and trains as it would."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from dlkb.optimizers.flat_network import flat_outputs, flat_weights, train_flat
from dlkb.optimizers.framework import adam_update

SIZES = (5, 4, 3)


def as_module(w):
    """The same network of torch's layers."""
    layers, start = [], 0
    for a, b in pairwise(SIZES):
        layer = nn.Linear(a, b)
        with torch.no_grad():
            layer.weight.copy_(w[start : start + a * b].view(a, b).T)
            layer.bias.copy_(w[start + a * b : start + a * b + b])
        start += a * b + b
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def drawn(runs=2):
    generator = torch.Generator().manual_seed(0)
    w = flat_weights(runs, SIZES, generator)
    x = torch.empty(12, 5).normal_(generator=generator)
    return w, x, torch.arange(12) % 3, torch.arange(24).view(3, 2, 4) % 12


def test_outputs_are_torchs():
    """Catches weights that are not transposed, and a ReLU after the last layer."""
    w, x, _, _ = drawn()
    for run in range(2):
        expected = as_module(w[run])(x)
        torch.testing.assert_close(flat_outputs(w, x, SIZES)[run], expected)


def test_training_is_torchs():
    """Catches gradients that mix runs, and one order of batches for all."""
    w, x, y, batches = drawn()
    rates = torch.tensor([0.1, 0.01])[:, None, None]
    state, losses = train_flat(
        adam_update(rates), w.expand(2, -1, -1), x, y, batches, SIZES
    )
    assert losses.shape == (3, 2, 2)
    for run in range(2):
        model = as_module(w[run])
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for step, batch in enumerate(batches[:, run]):
            loss = cross_entropy(model(x[batch]), y[batch])
            assert loss.item() == pytest.approx(losses[step, 1, run].item(), rel=1e-4)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        found = flat_outputs(state.param[1, run], x, SIZES)
        torch.testing.assert_close(found, model(x), rtol=1e-4, atol=1e-4)


def test_weights_lie_within_their_bounds():
    w = flat_weights(2000, SIZES, torch.Generator().manual_seed(0))
    assert w.shape == (2000, 39)
    for part, fan_in in ((w[:, :24], 5), (w[:, 24:], 4)):
        bound = 1 / math.sqrt(fan_in)
        assert part.abs().max() <= bound
        assert part.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)


def test_numbers_of_weights_must_agree():
    with pytest.raises(ValueError, match="take 39 weights: got 38"):
        flat_outputs(torch.zeros(38), torch.zeros(1, 5), SIZES)
