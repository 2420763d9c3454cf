"""Focal and asymmetric losses, effective numbers and the first bias: references, limits, extremes, errors."""

import inspect
import math

import numpy as np
import pytest
import torch
import torchvision.ops
from comparing import close, value_and_gradients
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from dlkb.losses import (
    asymmetric_loss,
    binary_cross_entropy_with_logits,
    class_balanced_weights,
    cross_entropy,
    effective_number,
    prior_bias,
    sigmoid_focal_loss,
)

LOSSES = [sigmoid_focal_loss, asymmetric_loss]
HALVES = {torch.float16: 1e-3, torch.bfloat16: 8e-3}  # a unit in the last place
ANY = [*HALVES, torch.float32, torch.float64]


def named(function):
    return function.__name__


def draw(shape, seed, dtype=torch.float64, scale=3.0):
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
    return (drawn * scale).to(dtype)


def uniform(shape, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=torch.float64).to(dtype)


def yes_or_no(shape, seed, dtype=torch.float64):
    return (uniform(shape, seed) < 0.4).to(dtype)


def slow_asymmetric(x, t, gamma_neg, gamma_pos, clip):
    """The paper's two formulas for one logit, in Python's floats."""
    p = 1 / (1 + math.exp(-x))
    shifted = max(p - clip, 0)
    positive = -((1 - p) ** gamma_pos) * math.log(p)
    negative = -(shifted**gamma_neg) * math.log(1 - shifted)
    return t * positive + (1 - t) * negative


# --------------------------------------------------------------------------------------- focal loss


def test_focal_names_order_and_defaults_are_torchvisions():
    """reduction is "none" there, and alpha 0.25."""
    ours, theirs = (
        [(p.name, p.default) for p in inspect.signature(f).parameters.values()]
        for f in (sigmoid_focal_loss, torchvision.ops.sigmoid_focal_loss)
    )
    assert ours == theirs


@pytest.mark.parametrize("alpha", [-1, 0, 0.25, 1])
@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2, 5])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_focal_loss_equals_torchvisions(alpha, gamma, reduction):
    """Targets between 0 and 1 too. Fails for alpha on the negatives, and for p_t^gamma."""
    x = draw((6, 5), 0)
    for target in (yes_or_no((6, 5), 1), uniform((6, 5), 2)):
        arguments = {"alpha": alpha, "gamma": gamma, "reduction": reduction}
        found, expected = (
            value_and_gradients(f, x, target, **arguments)
            for f in (sigmoid_focal_loss, torchvision.ops.sigmoid_focal_loss)
        )
        for a, b in zip(found, expected, strict=True):
            close(a, b)


def test_focal_loss_by_hand():
    """p = 3/4: a positive is missed by 1/4, a negative by 3/4."""
    x = torch.full((2,), math.log(3), dtype=torch.float64)
    target = torch.tensor([1.0, 0.0], dtype=torch.float64)
    yes, no = math.log(4 / 3) / 16, math.log(4) * 9 / 16
    found = sigmoid_focal_loss(x, target, alpha=-1)
    assert found.tolist() == pytest.approx([yes, no])
    found = sigmoid_focal_loss(x, target)
    assert found.tolist() == pytest.approx([0.25 * yes, 0.75 * no])


def test_without_gamma_focal_loss_is_cross_entropy():
    x, target = draw((30,), 3), yes_or_no((30,), 4)
    plain = binary_cross_entropy_with_logits(x, target, reduction="none")
    close(sigmoid_focal_loss(x, target, alpha=-1, gamma=0), plain)
    close(sigmoid_focal_loss(x, target, alpha=0.5, gamma=0), plain / 2)
    weighted = binary_cross_entropy_with_logits(
        x,
        target,
        pos_weight=torch.tensor(0.25 / 0.75, dtype=torch.float64),
        reduction="none",
    )
    close(sigmoid_focal_loss(x, target, alpha=0.25, gamma=0), 0.75 * weighted)


@settings(max_examples=40, deadline=None)
@given(x=st.floats(-20, 20), alpha=st.integers(0, 64), gamma=st.floats(0, 6))
def test_yes_and_no_are_exchanged_with_the_sign_and_alpha(x, alpha, gamma):
    """And a larger gamma never raises the loss. Fails for an alpha_t that does not turn round."""
    alpha = alpha / 64  # 1 - alpha is exact
    logit, yes = torch.tensor([x], dtype=torch.float64), torch.ones(1).double()
    one = sigmoid_focal_loss(logit, yes, alpha, gamma)
    other = sigmoid_focal_loss(-logit, 1 - yes, 1 - alpha, gamma)
    close(one, other, rtol=1e-9, atol=1e-300)
    assert sigmoid_focal_loss(logit, yes, alpha, gamma + 1).item() <= one.item()


def test_easy_examples_keep_their_digits_in_float32():
    """1 - sigmoid(20) is 0 in float32, as torchvision has it; sigmoid(-20) is not."""
    x, yes = torch.tensor([20.0]), torch.ones(1)
    expected = math.exp(-20) ** 3  # (1 - p)^2 times about 1 - p
    found = sigmoid_focal_loss(x, yes, alpha=-1).item()
    assert found == pytest.approx(expected, rel=1e-5, abs=0)
    assert torchvision.ops.sigmoid_focal_loss(x, yes, alpha=-1).item() == 0


# ---------------------------------------------------------------------------------- asymmetric loss


@pytest.mark.parametrize("gamma_neg", [0, 1, 4])
@pytest.mark.parametrize("gamma_pos", [0, 2.5])
@pytest.mark.parametrize("clip", [0.0, 0.05, 0.6])
def test_asymmetric_loss_equals_a_slow_loop(gamma_neg, gamma_pos, clip):
    """Fails for gammas exchanged, for a logarithm of p in place of p_m, and for 1 - p raised to gamma_neg."""
    x = draw((8, 5), 5)
    for target in (yes_or_no((8, 5), 6), uniform((8, 5), 7)):
        arguments = (gamma_neg, gamma_pos, clip)
        expected = [
            slow_asymmetric(a, t, *arguments)
            for a, t in zip(
                x.flatten().tolist(), target.flatten().tolist(), strict=True
            )
        ]
        found = asymmetric_loss(x, target, *arguments, reduction="none")
        assert found.flatten().tolist() == pytest.approx(expected, rel=1e-10)
        mean = asymmetric_loss(x, target, *arguments).item()
        assert mean == pytest.approx(sum(expected) / 40)


def test_asymmetric_loss_has_the_papers_defaults():
    found = {
        p.name: p.default
        for p in inspect.signature(asymmetric_loss).parameters.values()
    }
    assert list(found)[:2] == ["input", "target"]
    assert (found["gamma_neg"], found["gamma_pos"], found["clip"]) == (4, 0, 0.05)


def test_a_negative_below_the_clip_costs_nothing_and_teaches_nothing():
    """A positive of the same logit does."""
    x = torch.tensor([0.04, 0.2]).double().logit()
    value, gradient, _ = value_and_gradients(
        asymmetric_loss, x, torch.zeros(2).double(), reduction="none"
    )
    assert (value == 0).tolist() == [True, False]
    assert (gradient == 0).tolist() == [True, False]
    assert asymmetric_loss(x[:1], torch.ones(1).double()).item() == pytest.approx(
        -math.log(0.04), rel=1e-6
    )


@pytest.mark.parametrize("gamma", [0, 2, 3.5])
def test_without_clip_and_with_equal_gammas_it_is_focal_loss(gamma):
    x, target = draw((30,), 8), yes_or_no((30,), 9)
    found, expected = (
        value_and_gradients(loss, x, target, reduction="none", **arguments)[:2]
        for loss, arguments in (
            (asymmetric_loss, {"gamma_neg": gamma, "gamma_pos": gamma, "clip": 0}),
            (sigmoid_focal_loss, {"alpha": -1, "gamma": gamma}),
        )
    )
    close(found[0], expected[0])
    close(found[1], expected[1])


# ---------------------------------------------------------------------------------- both, extremes


@pytest.mark.parametrize("loss", LOSSES, ids=named)
def test_gradients_are_those_of_the_value(loss):
    x = draw((4, 3), 10, scale=1.0).requires_grad_()
    target = uniform((4, 3), 11).clamp(0.01, 0.99).requires_grad_()
    assert torch.autograd.gradcheck(loss, (x, target))


@pytest.mark.parametrize("loss", LOSSES, ids=named)
@pytest.mark.parametrize("dtype", ANY)
@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2])
def test_logits_of_ten_thousand_have_finite_values_and_gradients(loss, dtype, gamma):
    """0^0.5 has an infinite slope; 0 times it would be NaN."""
    x = torch.tensor([1e4, -1e4, 0.0, 90, -90] * 2, dtype=dtype)
    target = torch.tensor([1.0] * 5 + [0.0] * 5, dtype=dtype)
    arguments = (
        {"gamma": gamma, "alpha": -1}
        if loss is sigmoid_focal_loss
        else {"gamma_neg": gamma, "gamma_pos": gamma, "clip": 0}
    )
    results = value_and_gradients(loss, x, target, reduction="none", **arguments)
    assert all(r.isfinite().all() for r in results)
    value = results[0].double()
    assert value[[0, 6]].tolist() == [0, 0]
    assert value[[1, 5]].tolist() == pytest.approx([1e4, 1e4], rel=1e-2)


@pytest.mark.parametrize("dtype", ANY)
def test_clipped_negatives_have_a_largest_loss(dtype):
    """-log(clip), where the logarithm of 1 - p would be that of 0."""
    x = torch.tensor([1e4, 300], dtype=dtype)
    results = value_and_gradients(
        asymmetric_loss, x, torch.zeros(2, dtype=dtype), gamma_neg=0, reduction="none"
    )
    assert all(r.isfinite().all() for r in results)
    assert results[0].tolist() == pytest.approx([-math.log(0.05)] * 2, rel=1e-2)


@pytest.mark.parametrize("loss", LOSSES, ids=named)
@pytest.mark.parametrize("dtype", HALVES)
def test_half_inputs_lose_no_more_than_the_last_rounding(loss, dtype):
    x, target = draw((4096,), 12, dtype), yes_or_no((4096,), 13, dtype)
    for reduction in ("none", "mean"):
        found, expected = (
            value_and_gradients(loss, x.to(d), target.to(d), reduction=reduction)
            for d in (dtype, torch.float64)
        )
        assert all(f.dtype == dtype for f in found)
        for a, b in zip(found[:2], expected[:2], strict=True):
            close(a.double(), b, rtol=3 * HALVES[dtype], atol=1e-6)


@pytest.mark.parametrize("loss", LOSSES, ids=named)
@pytest.mark.parametrize("dtype", HALVES)
def test_half_targets_are_computed_with_in_float32(loss, dtype):
    """alpha = 0.3 and 1 - t, rounded to a half type, would be wrong in the third digit."""
    x, target = draw((50,), 14, torch.float32), uniform((50,), 15, dtype)
    arguments = {"alpha": 0.3} if loss is sigmoid_focal_loss else {}
    for t in (target, target.round()):
        found = loss(x, t, reduction="none", **arguments)
        expected = loss(x.double(), t.double(), reduction="none", **arguments)
        assert found.dtype == torch.float32
        close(found.double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("loss", LOSSES, ids=named)
@pytest.mark.parametrize("dtype", ANY)
def test_the_inputs_dtype_is_kept_and_nothing_is_reduced_as_torch_does(loss, dtype):
    x, target = draw((4,), 16, dtype), yes_or_no((4,), 17)
    assert loss(x, target).dtype == dtype
    assert loss(x, target).device == x.device
    nothing = x[:0]
    assert loss(nothing, nothing, reduction="none").shape == (0,)
    assert loss(nothing, nothing, reduction="sum").item() == 0
    assert loss(nothing, nothing, reduction="mean").isnan()


@pytest.mark.parametrize("loss", LOSSES, ids=named)
def test_vmap_gives_what_a_loop_gives(loss):
    x, target = draw((3, 5), 18), yes_or_no((3, 5), 19)
    looped = torch.stack([loss(a, b) for a, b in zip(x, target, strict=True)])
    close(torch.func.vmap(loss)(x, target), looped)


# --------------------------------------------------------------- effective numbers and class weights


@pytest.mark.parametrize("beta", [0.0, 1e-12, 0.3, 0.9, 0.9999, 1 - 1e-8])
def test_effective_numbers_are_sums_of_powers(beta):
    """Fails for an exponent of n - 1, and for 1 - beta^n, which has lost digits where beta is near 1."""
    counts = [1, 2, 3, 10, 57]
    expected = [math.fsum(beta**k for k in range(n)) for n in counts]
    assert effective_number(counts, beta).tolist() == pytest.approx(expected, rel=1e-12)


def test_limits_of_the_effective_number():
    """1 for beta 0, 1 / (1 - beta) for many, n for beta near 1."""
    counts = torch.tensor([1, 5, 1000])
    assert effective_number(counts, 0.0).tolist() == [1, 1, 1]
    many = effective_number([10**9], 0.999).item()
    assert many == pytest.approx(1000, rel=1e-12)
    beta = 1 - 2.0**-50
    assert effective_number(counts, beta).tolist() == pytest.approx([1, 5, 1000])


def test_the_effective_number_rises_and_stays_below_both_bounds():
    n = torch.arange(1, 200)
    for beta in (0.1, 0.9, 0.99):
        number = effective_number(n, beta)
        assert (number.diff() >= 0).all()
        assert (number <= n + 1e-9).all()
        assert (number <= 1 / (1 - beta) + 1e-9).all()
        assert number.dtype == torch.float64


def test_class_weights_by_hand():
    """beta = 0.5, counts 1 and 2: E = 1 and 1.5, inverses 1 and 2/3, times 2 / (5/3)."""
    assert class_balanced_weights([1, 2], 0.5).tolist() == pytest.approx([1.2, 0.8])


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.999, 1 - 1e-12])
def test_class_weights_add_up_to_the_number_of_classes(beta):
    counts = [5, 50, 500, 5000]
    weights = class_balanced_weights(counts, beta)
    assert weights.sum().item() == pytest.approx(4)
    assert weights.dtype == torch.get_default_dtype()
    assert (weights.diff() <= 0).all()
    order = [2, 0, 3, 1]
    shuffled = class_balanced_weights([counts[i] for i in order], beta)
    close(shuffled, weights[order], rtol=1e-6, atol=0)


def test_near_1_class_weights_are_scikit_learns_balanced_ones():
    """Inverse frequencies; only the sum of theirs is another."""
    labels = [0] * 5 + [1] * 50 + [2] * 500
    theirs = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    found = class_balanced_weights([5, 50, 500], 1 - 1e-12).tolist()
    assert found == pytest.approx((theirs * 3 / theirs.sum()).tolist(), rel=1e-5)


def test_class_weights_fit_cross_entropy():
    weights = class_balanced_weights([9, 1], 0.99)
    x, target = torch.zeros(10, 2), torch.tensor([0] * 9 + [1])
    assert cross_entropy(x, target, weights).item() == pytest.approx(math.log(2))


# -------------------------------------------------------------------------------------- first bias


@pytest.mark.parametrize("share", [1e-300, 1e-6, 0.01, 0.3, 0.5, 0.99, 1 - 1e-12])
def test_the_sigmoid_of_the_bias_is_the_share(share):
    """Fails for the bias of the negatives, whose sign is the other one."""
    found = torch.tensor(prior_bias(share), dtype=torch.float64).sigmoid().item()
    assert found == pytest.approx(share, rel=1e-9, abs=0)


def test_biases_by_hand():
    assert prior_bias(0.5) == 0
    assert prior_bias(0.75) == pytest.approx(math.log(3))
    assert prior_bias(0.25) == pytest.approx(-math.log(3))


# -------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("loss", LOSSES, ids=named)
def test_wrong_tensors(loss):
    x = torch.zeros(2, 3)
    for pair in ((x.long(), x), (x, x.long()), (x, x.bool())):
        with pytest.raises(TypeError, match=r"must be floating point: got torch\."):
            loss(*pair)
    with pytest.raises(ValueError, match=r"target must have the shape.*got \(2,\)"):
        loss(x, torch.zeros(2))
    for bad in (-1.0, 2.0, math.nan):
        with pytest.raises(
            ValueError, match=rf"target must hold .* \[0, 1\]: got {bad}; yes is 1"
        ):
            loss(x, torch.full((2, 3), bad))


def test_wrong_numbers():
    x = torch.zeros(3)
    for alpha in (-0.5, 1.5, math.nan):
        with pytest.raises(
            ValueError, match=rf"alpha must be in \[0, 1\], or -1 .*: got {alpha}"
        ):
            sigmoid_focal_loss(x, x, alpha=alpha)
    for gamma in (-1, math.nan):
        with pytest.raises(ValueError, match=f"gamma must be at least 0: got {gamma}"):
            sigmoid_focal_loss(x, x, gamma=gamma)
        for name in ("gamma_neg", "gamma_pos"):
            with pytest.raises(ValueError, match=f"{name} must be at least 0: got"):
                asymmetric_loss(x, x, **{name: gamma})
    for clip in (-0.1, 1.0, math.nan):
        with pytest.raises(
            ValueError, match=rf"clip must be in \[0, 1\): got {clip}; 0.05"
        ):
            asymmetric_loss(x, x, clip=clip)


@pytest.mark.parametrize("function", [effective_number, class_balanced_weights])
def test_wrong_counts_and_betas(function):
    for counts in ([3, 0], [-1], [math.nan], [[1, 2]], 5):
        with pytest.raises(
            ValueError, match=r"counts must hold at least 1 sample .*; leave empty"
        ):
            function(counts, 0.9)
    for beta in (-0.1, 1.0, math.nan):
        with pytest.raises(
            ValueError, match=rf"beta must be in \[0, 1\): got {beta}; 0 gives equal"
        ):
            function([1, 2], beta)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.1, math.nan])
def test_wrong_shares(share):
    with pytest.raises(
        ValueError, match=f"share must be above 0 and below 1.*: got {share}"
    ):
        prior_bias(share)
