"""Optimizers and rules must be given the same gradients, and rates be what multiplies them."""

import pytest
import torch

from dlkb.optimizers.framework import adagrad_update, rmsprop_update, sgd_update
from dlkb.optimizers.paths import (
    effective_rates,
    first_step,
    optimizer_path,
    rule_path,
)


def shaken(param, step):
    """A gradient that depends on the parameter and, in a known way, on the step."""
    return 2 * param + step


def test_an_optimizer_by_hand():
    # 8 - 8 = 0; 0 - (0 + 1) / 2 = -0.5. Would catch: steps counted from 1, or the start among the path.
    path = optimizer_path(torch.optim.SGD, shaken, torch.tensor([8.0]), 2, lr=0.5)
    assert path.tolist() == [[0.0], [-0.5]]


def test_rule_and_optimizer_walk_alike_and_leave_the_start():
    start = torch.tensor([[1.0, -2.0]], dtype=torch.float64)
    kept = start.clone()
    options = {"lr": 0.1, "momentum": 0.9}
    theirs = optimizer_path(torch.optim.SGD, shaken, start, 5, **options)
    ours = rule_path(sgd_update(0.1, momentum=0.9), shaken, start, 5)
    assert ours.shape == (5, 1, 2)
    assert ours.dtype == torch.float64
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-14)
    assert torch.equal(start, kept)


def test_an_optimizer_may_alter_the_gradient_it_is_given():
    # Would catch: one stored gradient given to every step, and altered by the first.
    stored = torch.tensor([1.0])

    class Doubling(torch.optim.SGD):
        def step(self):
            self.param_groups[0]["params"][0].grad.mul_(2)
            super().step()

    path = optimizer_path(Doubling, lambda w, t: stored, torch.zeros(1), 2, lr=1.0)
    assert stored.item() == 1
    assert path.tolist() == [[-2.0], [-4.0]]


def test_settings_that_are_tensors_make_many_paths():
    rates = torch.tensor([0.1, 0.2]).unsqueeze(1)
    path = rule_path(sgd_update(rates), lambda w, t: w, torch.ones(3), 4)
    assert path.shape == (4, 2, 3)
    torch.testing.assert_close(path[-1, :, 0], torch.tensor([0.9**4, 0.8**4]))


def test_rates_by_hand():
    # 3^2 + 4^2 = 25, + 12^2 = 169. Would catch: the rate before the step, or one with its sign turned.
    gradients = torch.tensor([[3.0], [-4.0], [12.0]])
    rates = effective_rates(adagrad_update(2.0, eps=0), gradients)
    torch.testing.assert_close(rates, torch.tensor([[2 / 3], [2 / 5], [2 / 13]]))


def test_rates_keep_relative_precision():
    # Would catch: a parameter that runs on, against whose size a step of 1e-9 is lost.
    gradients = torch.tensor([[1e6], [1e-9]])
    rates = effective_rates(sgd_update(0.5), gradients)
    torch.testing.assert_close(rates, torch.full((2, 1), 0.5), rtol=1e-6, atol=0)


def test_rates_of_a_batch_of_settings():
    alphas = torch.tensor([0.5, 0.75])
    rates = effective_rates(rmsprop_update(1.0, alphas, eps=0), torch.ones(1, 2))
    torch.testing.assert_close(rates[0], torch.tensor([2**0.5, 2.0]))


def test_the_first_step_goes_down():
    found = first_step(torch.optim.Adam, torch.tensor([3.0, -5.0]), lr=0.5, eps=0.0)
    torch.testing.assert_close(found, torch.tensor([0.5, -0.5]))


@pytest.mark.parametrize("steps", [0, -1])
def test_no_steps_are_refused(steps):
    with pytest.raises(ValueError, match=f"at least 1: got {steps}"):
        optimizer_path(torch.optim.SGD, shaken, torch.ones(1), steps)
    with pytest.raises(ValueError, match=f"at least 1: got {steps}"):
        rule_path(sgd_update(), shaken, torch.ones(1), steps)


def test_a_gradient_of_zero_has_no_rate():
    with pytest.raises(ValueError, match="got a 0 at step 1"):
        effective_rates(sgd_update(), torch.tensor([[1.0], [0.0]]))
