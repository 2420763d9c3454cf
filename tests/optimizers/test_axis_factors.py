"""Factors along an axis must be the sizes of the recursion's roots, which are known."""

import math

import pytest
import torch

from dlkb.optimizers.axis_factors import mean_factor, settling_factor
from dlkb.optimizers.framework import sgd_update

STARTS = torch.tensor([1.0, -2.0, 0.3, 5.0], dtype=torch.float64)


def test_a_mean_factor_by_hand():
    """1, -1, 1, -1 at rate 2: sqrt(2)^(1/3). Catches the last point alone, or a curvature that is not 1."""
    assert mean_factor(sgd_update(2.0), 3).item() == pytest.approx(2 ** (1 / 6))


def test_a_long_mean_factor_is_the_root():
    """|1 - rate| without momentum, sqrt(mu) with it. Catches a mean over points that swing through 0."""
    rates = torch.tensor([0.3, 1.0, 1.7, 2.4], dtype=torch.float64)
    plain = mean_factor(sgd_update(rates), 1000)
    torch.testing.assert_close(plain, (1 - rates).abs(), rtol=2e-3, atol=0)
    swinging = mean_factor(sgd_update(rates[:3], momentum=0.5), 1000)
    expected = torch.full_like(swinging, math.sqrt(0.5))
    torch.testing.assert_close(swinging, expected, rtol=2e-3, atol=0)


@pytest.mark.parametrize("rate", [0.3, 1.5])
def test_without_momentum_a_fit_is_exact(rate):
    """Catches a fit with a wrong number of points, and a line through the origin."""
    found = settling_factor(sgd_update(rate), STARTS, 50)
    assert found == pytest.approx(abs(1 - rate), rel=1e-12)


def test_a_fit_forgets_how_the_run_began():
    """Polyak's sqrt(mu), within a thousandth after 200 steps; the mean over the run is worse."""
    update, expected = sgd_update(0.9, momentum=0.9), math.sqrt(0.9)
    found = settling_factor(update, STARTS)
    assert found == pytest.approx(expected, rel=1e-3)
    assert abs(found - expected) < abs(mean_factor(update).item() - expected)


def test_too_few_steps_are_refused():
    with pytest.raises(ValueError, match="at least 2 steps: got 1"):
        mean_factor(sgd_update(0.5), 1)
    with pytest.raises(ValueError, match="at least 3 steps: got 2"):
        settling_factor(sgd_update(0.5), STARTS, 2)
