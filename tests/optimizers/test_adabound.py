"""Clipped Adam and AdaBound against a slow loop, their limits, extremes, errors."""

import math

import pytest
import torch

from dlkb.optimizers.adabound import (
    adabound_bounds,
    adabound_update,
    clipped_adam_update,
)
from dlkb.optimizers.framework import UpdateState, adam_update


def run(update, gradients, start):
    state, path = UpdateState(start), []
    for gradient in gradients:
        state = update(state, gradient)
        path.append(state.param)
    return torch.stack(path)


def gradients_of(steps=30, count=5, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(steps, count, generator=generator, dtype=torch.float64)
    return (noise * torch.logspace(-3, 3, count, dtype=torch.float64)).to(dtype)


def test_adabound_equals_a_slow_loop_over_plain_numbers():
    """Fails for bounds that count steps from 0, clip the step instead of the rate, or skip a correction."""
    gradients = gradients_of()
    path = run(
        adabound_update(0.02, (0.8, 0.95), 0.1, gamma=0.05),
        gradients,
        torch.ones(5, dtype=torch.float64),
    )
    for column in range(5):
        w, m, v = 1.0, 0.0, 0.0
        for t, g in enumerate(gradients[:, column].tolist(), start=1):
            m, v = 0.8 * m + 0.2 * g, 0.95 * v + 0.05 * g * g
            rate = 0.02 / (math.sqrt(v / (1 - 0.95**t)) + 1e-8)
            low, high = 0.1 - 0.1 / (0.05 * t + 1), 0.1 + 0.1 / (0.05 * t)
            w -= min(max(rate, low), high) * m / (1 - 0.8**t)
            assert path[t - 1, column].item() == pytest.approx(w, rel=1e-12, abs=1e-12)


def test_without_bounds_it_is_adam():
    gradients, start = gradients_of(), torch.ones(5, dtype=torch.float64)
    ours = run(clipped_adam_update(0.02), gradients, start)
    torch.testing.assert_close(ours, run(adam_update(0.02), gradients, start))


def test_equal_bounds_make_it_sgd_along_the_average():
    """Linear in the gradients, as Adam is not."""
    gradients, start = gradients_of(), torch.zeros(5, dtype=torch.float64)
    update = clipped_adam_update(0.02, lower=0.3, upper=0.3)
    once, twice = (run(update, k * gradients, start) for k in (1, 2))
    torch.testing.assert_close(2 * once, twice)
    torch.testing.assert_close(once[0], -0.3 * gradients[0])


def test_a_lower_bound_leaves_larger_rates_alone():
    """Fails where the floor replaces every rate."""
    gradients, start = gradients_of(), torch.ones(5, dtype=torch.float64)
    plain = run(adam_update(0.02), gradients, start)
    floored = run(clipped_adam_update(0.02, lower=0.1), gradients, start)
    same = (plain == floored).all(0)
    assert same.tolist() == [True, True, False, False, False]


def test_bounds_may_differ_from_run_to_run():
    gradients = gradients_of(10, 3)
    finals = torch.tensor([0.01, 0.1, 1.0], dtype=torch.float64)
    start = torch.ones(3, dtype=torch.float64)
    together = run(adabound_update(0.02, final_lr=finals), gradients, start)
    for column, final in enumerate(finals.tolist()):
        own = slice(column, column + 1)
        alone = run(
            adabound_update(0.02, final_lr=final), gradients[:, own], start[own]
        )
        torch.testing.assert_close(together[:, own], alone)


def test_bounds_close_in():
    lower, upper = adabound_bounds(0.5, 1e-3)
    assert lower(0) == pytest.approx(0.5 * 0.001 / 1.001)
    assert upper(0) == pytest.approx(0.5 * 1001)
    assert lower(10**9) == pytest.approx(0.5, rel=1e-5)
    assert upper(10**9) == pytest.approx(0.5, rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_stays_and_extremes_are_finite(dtype):
    gradient = torch.tensor([0.0, 1e-18, 1e18], dtype=dtype)
    for eps in (1e-8, 0.0):
        update = clipped_adam_update(1e-3, eps=eps, lower=1e-4)
        param = update(UpdateState(torch.ones(3, dtype=dtype)), gradient).param
        assert param.dtype == dtype
        assert param.isfinite().all()
        assert param[0] == 1


@pytest.mark.parametrize("gamma", [0.0, -1.0, math.nan])
def test_gamma_must_be_positive(gamma):
    with pytest.raises(ValueError, match=r"gamma must be positive.*got"):
        adabound_bounds(0.1, gamma)
