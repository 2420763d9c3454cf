"""The law against its limit, against itself in the published form, and against a network."""

import math

import pytest
import torch
from torch import nn

from dlkb.normalization import plain_network, relu_gradient_growth
from dlkb.probes import gradients


def test_the_limit_is_that_of_an_infinite_batch():
    """Would catch the rate of the square, 1.467, given as that of the norm."""
    assert relu_gradient_growth(1e6) == pytest.approx(relu_gradient_growth(), abs=1e-5)
    assert relu_gradient_growth() == pytest.approx(1.2112, abs=1e-4)


def test_the_limit_is_slope_over_spread_of_a_relu():
    """E[relu'(z)^2] / Var[relu(z)] for a standard normal z, by numerical integration."""
    z = torch.linspace(-12, 12, 400_001, dtype=torch.float64)
    density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)
    mean, square, slope = (
        torch.trapezoid(v * density, z).item()
        for v in (z.relu(), z.relu().square(), (z > 0).double())
    )
    rate = math.sqrt(slope / (square - mean**2))
    assert relu_gradient_growth() == pytest.approx(rate, rel=1e-4)


@pytest.mark.parametrize("size", [4, 5, 16, 300])
def test_the_published_form_for_homogeneous_activations_at_degree_1(size):
    alpha, c = 1, -1 / (size - 1)
    angle = math.acos(c)
    slope = (math.pi - angle) / math.pi
    kernel = (math.sin(angle) + (math.pi - angle) * c) / math.pi
    above = (size - 3 + 2 * alpha) * ((2 * alpha - 1) * slope + alpha**2 * (size - 1))
    below = (2 * alpha - 1) * (size - 3) * (size - 1) * (1 - kernel)
    published = above / below - alpha**2 / (size - 3)
    assert relu_gradient_growth(size) ** 2 == pytest.approx(published, rel=1e-12)


def test_smaller_batches_grow_faster():
    rates = [relu_gradient_growth(size) for size in (4, 8, 16, 64, math.inf)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] > 1


@pytest.mark.parametrize("size", [8, 64])
def test_a_network_follows(size):
    generator = torch.Generator().manual_seed(0)
    x, top = torch.randn(2, size, 128, generator=generator)
    network = plain_network(128, 128, 60, norm=nn.BatchNorm1d, generator=generator)
    found = gradients(network, x, lambda out: (out * top).sum(), nn.Linear)
    norms = [g.double().norm().item() for g in found.values()]
    rate = (norms[1] / norms[-1]) ** (1 / (len(norms) - 2))
    assert rate == pytest.approx(relu_gradient_growth(size), abs=0.02)


@pytest.mark.parametrize("size", [3, 0, -1, math.nan])
def test_batches_without_a_finite_rate_are_refused(size):
    with pytest.raises(ValueError, match="batch_size must be above 3"):
        relu_gradient_growth(size)
