"""dlkb.optimizers.range_test: rates by hand, the edge of stability on a quadratic, and what is suggested."""

import math

import pytest
import torch

from dlkb.optimizers.range_test import lr_range_test, smooth_losses, suggest_lr


def quadratic_step(curvature=1.0, start=1.0):
    """Gradient descent on curvature * x^2 / 2: stable below 2 / curvature."""
    x = [start]

    def train_step(lr):
        loss = curvature * x[0] ** 2 / 2
        x[0] -= lr * curvature * x[0]
        return loss

    return train_step


def test_rates_grow_by_a_constant_factor_from_start_to_end():
    """Linear growth, or an end that is not reached, would differ."""
    seen = []
    test = lr_range_test(lambda lr: seen.append(lr) or 1.0, 1e-4, 10.0, 6)
    assert seen == test.lrs == pytest.approx([1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0])
    assert test.losses == [1.0] * 6
    assert not test.diverged
    defaults = lr_range_test(lambda lr: 1.0)
    assert len(defaults.lrs) == 100
    assert (defaults.lrs[0], defaults.lrs[-1]) == pytest.approx((1e-7, 10.0))


def test_losses_are_those_of_the_steps():
    test = lr_range_test(quadratic_step(), 0.1, 0.4, 3)
    expected, x = [], 1.0
    for lr in (0.1, 0.2, 0.4):
        expected.append(x * x / 2)
        x *= 1 - lr
    assert test.losses == pytest.approx(expected)


@pytest.mark.parametrize("curvature", [0.1, 1.0, 50.0])
def test_it_stops_beyond_the_edge_of_stability(curvature):
    """Beyond 2 / curvature, by the few steps that a growing loss needs to show; long before the end."""
    edge = 2 / curvature
    test = lr_range_test(quadratic_step(curvature), 1e-3 * edge, 1e3 * edge, 200)
    assert test.diverged
    assert edge < test.lrs[-1] < 10 * edge
    onward = lr_range_test(
        quadratic_step(curvature), 1e-3 * edge, 10 * edge, 200, explosion=math.inf
    )
    assert not onward.diverged
    assert len(onward.lrs) == 200


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_it_stops_at_a_loss_that_is_not_finite(bad):
    losses = iter([3.0, 2.0, bad, 1.0])
    test = lr_range_test(lambda lr: torch.tensor(next(losses)), 0.1, 1.0, 4)
    assert test.diverged
    assert len(test.lrs) == len(test.losses) == 3


def test_a_single_bad_batch_does_not_stop_it():
    """The smoothed loss is compared: six times the lowest, once, is an average of about one and a half."""
    losses = [1.0] * 20 + [6.0] + [1.0] * 20
    steps = iter(losses)
    test = lr_range_test(lambda lr: next(steps), 0.1, 1.0, len(losses))
    assert not test.diverged


def test_losses_below_zero_do_not_count_as_an_explosion():
    steps = iter([-1.0, -2.0, -1.5, -1.0])
    test = lr_range_test(lambda lr: next(steps), 0.1, 1.0, 4)
    assert not test.diverged


def test_smoothing():
    """A constant stays, from the first value on: without the division it would start at a tenth."""
    assert smooth_losses([3.0] * 5) == pytest.approx([3.0] * 5)
    losses = [4.0, 1.0, 7.0]
    assert smooth_losses(losses, beta=0.0) == losses
    weights = [0.9**2, 0.9, 1.0]
    by_hand = sum(w * y for w, y in zip(weights, losses, strict=True)) / sum(weights)
    assert smooth_losses(losses)[-1] == pytest.approx(by_hand)
    assert smooth_losses([]) == []


LRS = [10.0**k for k in range(-6, 2)]
LOSSES = [9.0, 8.9, 8.5, 5.0, 1.8, 1.6, 1.5, 50.0]


@pytest.mark.parametrize(
    ("method", "expected"),
    [("steepest", 1e-3), ("valley", 1e-3), ("minimum", 0.1)],
)
def test_what_is_suggested(method, expected):
    """By hand: slopes over two neighbours are steepest at 1e-3; the fall runs from 1e-6 to 1."""
    assert suggest_lr(LRS, LOSSES, method, beta=0.0) == pytest.approx(expected)


def test_the_default_is_a_tenth_of_the_rate_with_the_lowest_loss():
    """Not one of the two others, which agree on 1e-3 here."""
    assert suggest_lr(LRS, LOSSES, beta=0.0) == pytest.approx(0.1)


def test_the_fall_may_be_steepest_at_an_end():
    """Over one neighbour there, so half the distance: differences alone would choose the next rate."""
    first = [9.0, 4.0, 3.5, 3.4, 3.3, 3.2, 3.1, 3.0]
    last = [9.0, 8.9, 8.8, 8.7, 8.6, 8.5, 8.0, 3.0]
    assert suggest_lr(LRS, first, "steepest", beta=0.0) == LRS[0]
    assert suggest_lr(LRS, last, "steepest", beta=0.0) == LRS[-1]


def test_the_valley_is_the_longest_fall_not_the_first():
    losses = [9.0, 8.0, 8.5, 7.0, 6.0, 5.0, 5.5, 5.2]
    assert suggest_lr(LRS, losses, "valley", beta=0.0) == pytest.approx(
        math.sqrt(1e-4 * 0.1)
    )


def test_what_comes_after_the_lowest_loss_does_not_count():
    """A steeper fall back from an explosion would mislead."""
    losses = [9.0, 8.0, 3.0, 2.0, 1.0, 90.0, 5.0, 4.0]
    assert suggest_lr(LRS, losses, "steepest", beta=0.0) == pytest.approx(1e-5)
    broken = [9.0, 8.0, 3.0, 2.0, 1.0, math.nan, 0.0, 0.0]
    assert suggest_lr(LRS, broken, "minimum", beta=0.0) == pytest.approx(1e-3)


def test_the_loss_scale_does_not_matter_and_the_rate_scale_does():
    scaled = [100 * y for y in LOSSES]
    moved = [30 * lr for lr in LRS]
    for method in ("steepest", "valley", "minimum"):
        plain = suggest_lr(LRS, LOSSES, method)
        assert suggest_lr(LRS, scaled, method) == pytest.approx(plain)
        assert suggest_lr(moved, LOSSES, method) == pytest.approx(30 * plain)


@pytest.mark.parametrize("method", ["steepest", "valley", "minimum"])
def test_a_suggestion_is_stable(method):
    test = lr_range_test(quadratic_step(), 1e-5, 1e3, 200)
    assert 1e-3 < suggest_lr(test.lrs, test.losses, method) < 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: lr_range_test(float, 0.0, 1.0),
            "0 < start_lr < end_lr: got 0.0 and 1",
        ),
        (lambda: lr_range_test(float, 1.0, 0.1), "got 1.0 and 0.1"),
        (
            lambda: lr_range_test(float, num_iter=1),
            "num_iter must be at least 2: got 1",
        ),
        (
            lambda: lr_range_test(float, explosion=1.0),
            "explosion must be above 1: got 1",
        ),
        (lambda: smooth_losses([1.0], beta=1.0), r"beta must be in \[0, 1\): got 1"),
        (lambda: suggest_lr([1.0, 2.0], [1.0]), "equally many: got 2 and 1"),
        (lambda: suggest_lr([2.0, 1.0], [2.0, 1.0]), r"positive and rise: got \[2"),
        (lambda: suggest_lr([-1.0, 1.0], [2.0, 1.0]), r"positive and rise: got \[-1"),
        (lambda: suggest_lr([], []), "positive and rise"),
        (lambda: suggest_lr([1.0, 2.0], [1.0, 2.0]), "got none below the first"),
        (lambda: suggest_lr([1.0, 2.0], [math.nan, 2.0]), "got none below the first"),
        (
            lambda: suggest_lr([1.0, 2.0], [2.0, 1.0], "best"),
            "one of steepest, valley, minimum: got 'best'",
        ),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
