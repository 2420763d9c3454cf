"""SWATS is Adam, then SGD, and switches where the paper's loop does."""

import math

import pytest
import torch

from dlkb.optimizers.framework import UpdateState, adam_update, sgd_update
from dlkb.optimizers.swats import projected_rate, swats_update


def drawn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.empty(shape, dtype=torch.float64).normal_(generator=generator)


def follow(update, grads, start):
    state, path = UpdateState(start), []
    for grad in grads:
        state = update(state, grad)
        path.append(state.param)
    return torch.stack(path), state


def paper(grads, lr, beta1, beta2, eps, tolerance):
    """Algorithm 1 of the paper in plain floats, one run; path and the step of the switch."""
    size = len(grads[0])
    w, m, a, v = ([0.0] * size for _ in range(4))
    mean, rate, at, path = 0.0, None, 0, []
    for k, g in enumerate(grads, start=1):
        if rate is not None:
            v = [beta1 * vi + gi for vi, gi in zip(v, g, strict=True)]
            w = [wi - (1 - beta1) * rate * vi for wi, vi in zip(w, v, strict=True)]
            path.append(w)
            continue
        m = [beta1 * mi + (1 - beta1) * gi for mi, gi in zip(m, g, strict=True)]
        a = [beta2 * ai + (1 - beta2) * gi * gi for ai, gi in zip(a, g, strict=True)]
        p = [
            -lr * mi / (1 - beta1**k) / (math.sqrt(ai / (1 - beta2**k)) + eps)
            for mi, ai in zip(m, a, strict=True)
        ]
        w = [wi + pi for wi, pi in zip(w, p, strict=True)]
        path.append(w)
        along = -sum(pi * gi for pi, gi in zip(p, g, strict=True))
        if along != 0:
            gamma = sum(pi * pi for pi in p) / along
            mean = beta2 * mean + (1 - beta2) * gamma
            estimate = mean / (1 - beta2**k)
            if k > 1 and abs(estimate - gamma) < tolerance and estimate > 0:
                rate, at = estimate, k
    return torch.tensor(path, dtype=torch.float64), at


@pytest.mark.parametrize("seed", range(6))
def test_same_path_as_the_papers_loop(seed):
    """Catches a switch at the first step, an average that is not corrected, a velocity that starts full,
    and a rate without 1 - beta1."""
    grads = drawn(300, 5, seed=seed) + 0.5
    expected, at = paper(grads.tolist(), 0.1, 0.9, 0.99, 1e-8, 3e-3)
    path, state = follow(
        swats_update(0.1, (0.9, 0.99), tolerance=3e-3), grads, grads[0] * 0
    )
    assert 1 < at < 290
    assert state.steps.at.item() == at
    torch.testing.assert_close(path, expected)


def test_runs_switch_on_their_own():
    """Catches one switch for the whole batch of runs."""
    grads = drawn(300, 4, 5) + 0.5
    update = swats_update(0.1, (0.9, 0.99), tolerance=1e-3)
    together, state = follow(update, grads, torch.zeros(4, 5).double())
    assert len(state.steps.at.unique()) > 1
    for run in range(4):
        alone, _ = follow(update, grads[:, run], torch.zeros(5).double())
        torch.testing.assert_close(together[:, run], alone)


def test_is_adam_while_nothing_agrees():
    grads = drawn(50, 5)
    path, state = follow(swats_update(0.1, tolerance=0.0), grads, drawn(5, seed=1))
    adam, _ = follow(adam_update(0.1), grads, drawn(5, seed=1))
    assert state.steps.at.item() == 0
    torch.testing.assert_close(path, adam)


def test_is_sgd_after_the_second_step_if_all_agree():
    """With an infinite tolerance the second step is the last of Adam's."""
    grads = drawn(20, 5).abs()
    path, state = follow(swats_update(0.1, tolerance=math.inf), grads, drawn(5, seed=1))
    assert state.steps.at.item() == 2
    rate = 0.1 * state.steps.rate.item()  # times 1 - beta1
    rest, _ = follow(sgd_update(rate, momentum=0.9), grads[2:], path[1])
    torch.testing.assert_close(path[2:], rest)


def test_first_projected_rate_by_hand():
    """Adam's first step is lr * sign(grad): lr^2 d / (lr sum |grad|)."""
    grad = torch.tensor([1.0, -2.0, 3.0, 10.0])
    _, state = follow(swats_update(0.5, eps=0, tolerance=0.0), [grad], torch.zeros(4))
    assert state.steps.average.item() == pytest.approx(0.001 * 0.5 / 4, rel=1e-4)


def test_projection_of_the_scaled_gradient_is_the_step():
    step, grad = drawn(7, 5), drawn(7, 5, seed=1)
    rate = projected_rate(step, grad)
    share = -(rate * grad * step).sum(-1, keepdim=True) / step.square().sum(-1, True)
    torch.testing.assert_close(share * step, step)
    torch.testing.assert_close(projected_rate(step, 4 * grad), rate / 4)


def test_steps_across_the_gradient_count_for_nothing():
    """Catches a division by 0."""
    across = projected_rate(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))
    assert across.item() == 0
    grads = [torch.zeros(3)] * 5
    path, state = follow(swats_update(0.1, tolerance=1.0), grads, torch.ones(3))
    assert torch.equal(path[-1], torch.ones(3))
    assert state.steps.at.item() == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_the_dtype(dtype):
    path, _ = follow(
        swats_update(tolerance=math.inf),
        drawn(4, 5).to(dtype),
        torch.zeros(5).to(dtype),
    )
    assert path.dtype == dtype
