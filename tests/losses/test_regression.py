"""L1, squared, smooth L1 and Huber losses against torch, by hand, at their limits and extremes; errors."""

import inspect
import math

import pytest
import torch
import torch.nn.functional as F
from comparing import close, value_and_gradients
from hypothesis import given, settings
from hypothesis import strategies as st

import dlkb.losses
from dlkb.losses import huber_loss, l1_loss, mse_loss, smooth_l1_loss

LOSSES = [l1_loss, mse_loss, smooth_l1_loss, huber_loss]
DEPRECATED = ("size_average", "reduce")
SHAPES = [(), (5,), (4, 3), (2, 3, 2, 2), (1, 1)]
HALVES = {torch.float16: 1e-3, torch.bfloat16: 8e-3}  # a unit in the last place


def named(function):
    return function.__name__


def theirs(loss):
    return getattr(F, loss.__name__)


def draw(shape, seed, dtype=torch.float64, scale=2.0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(shape, generator=generator, dtype=torch.float64) * scale).to(
        dtype
    )


# ------------------------------------------------------------------------------------- against torch


@pytest.mark.parametrize("loss", LOSSES, ids=named)
def test_names_order_and_defaults_are_torchs(loss):
    """Apart from the two deprecated arguments, after which ours must be named."""
    ours = list(inspect.signature(loss).parameters.values())
    torchs = list(inspect.signature(theirs(loss)).parameters.values())
    kept = [p for p in torchs if p.name not in DEPRECATED]
    drawn = [(p.name, p.default) for p in ours]
    expected = [(p.name, p.default) for p in kept]
    if loss is smooth_l1_loss:
        expected = [e for e in expected if e[0] != "weight"]
    assert drawn == expected
    first = next((p.name for p in torchs if p.name in DEPRECATED), None)
    if first is not None:
        position = [p.name for p in torchs].index(first)
        assert all(p.kind is p.KEYWORD_ONLY for p in ours[position:])


@pytest.mark.parametrize("loss", LOSSES, ids=named)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_values_and_gradients_equal_torchs(loss, shape, reduction):
    """Fails for squares halved, means over the batch alone, and targets that are taken for constants."""
    pair = draw(shape, 0), draw(shape, 1)
    found, expected = (
        value_and_gradients(f, *pair, reduction=reduction) for f in (loss, theirs(loss))
    )
    for a, b in zip(found, expected, strict=True):
        close(a, b)


@pytest.mark.parametrize("size", [0.0, 0.03, 0.5, 1.0, 1.7, 30.0])
def test_the_thresholds_mean_what_torchs_mean(size):
    """Fails for beta and delta exchanged, and for a smooth L1 that is not divided by beta."""
    pair = draw((40,), 2), draw((40,), 3)
    cases = [(smooth_l1_loss, {"beta": size})]
    if size:
        cases.append((huber_loss, {"delta": size}))
    for loss, arguments in cases:
        found, expected = (
            value_and_gradients(f, *pair, reduction="none", **arguments)
            for f in (loss, theirs(loss))
        )
        for a, b in zip(found, expected, strict=True):
            close(a, b)


@pytest.mark.parametrize("loss", [l1_loss, mse_loss, huber_loss], ids=named)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_weights_are_torchs(loss, reduction):
    """Huber's weighted mean divides by the number of elements, the others' by the sum of the weights."""
    pair, weight = (draw((3, 4), 4), draw((3, 4), 5)), draw((3, 4), 6).abs()
    found, expected = (
        value_and_gradients(f, *pair, reduction=reduction, weight=weight)
        for f in (loss, theirs(loss))
    )
    for a, b in zip(found, expected, strict=True):
        close(a, b)


def test_the_weighted_means_differ_as_they_say():
    zero, ones = torch.zeros(2), torch.ones(2)
    weight = torch.tensor([3.0, 1.0])
    assert l1_loss(zero, ones, weight=weight).item() == 1.0  # 4 / 4
    assert mse_loss(zero, ones, weight=weight).item() == 1.0
    assert huber_loss(zero, ones, weight=weight).item() == 1.0  # 4 / 2 halves


@pytest.mark.parametrize("loss", LOSSES, ids=named)
@pytest.mark.parametrize("dtype", HALVES)
def test_half_types_lose_no_more_than_the_last_rounding(loss, dtype):
    """A sum of 4096 squares in a half type would lose far more."""
    pair = draw((4096,), 7, dtype), draw((4096,), 8, dtype)
    for reduction in ("none", "mean"):
        found = value_and_gradients(loss, *pair, reduction=reduction)
        expected = value_and_gradients(
            theirs(loss), *(t.double() for t in pair), reduction=reduction
        )
        for a, b in zip(found, expected, strict=True):
            assert a.dtype == dtype
            close(a.double(), b, rtol=2 * HALVES[dtype], atol=1e-6)


def test_what_overflows_before_the_mean_is_computed_in_float32():
    """In float16 the difference 120000 and the square of 400 are infinite, their means over 4 are not."""
    far = torch.tensor([6e4, 0, 0, 0], dtype=torch.float16)
    assert l1_loss(far, -far).item() == pytest.approx(3e4, rel=1e-3)
    assert smooth_l1_loss(far, -far).item() == pytest.approx(3e4, rel=1e-3)
    error, zero = far / 150, torch.zeros_like(far)
    assert mse_loss(error, zero).item() == pytest.approx(4e4, rel=1e-3)
    huber = huber_loss(error, zero, delta=1000.0).item()
    assert huber == pytest.approx(2e4, rel=1e-3)


# ------------------------------------------------------------------------------- by hand and limits


@pytest.mark.parametrize(
    ("loss", "arguments", "values", "gradients"),
    [
        (l1_loss, {}, [0.5, 2.0, 0.0], [1.0, -1.0, 0.0]),
        (mse_loss, {}, [0.25, 4.0, 0.0], [1.0, -4.0, 0.0]),
        (smooth_l1_loss, {"beta": 1.0}, [0.125, 1.5, 0.0], [0.5, -1.0, 0.0]),
        (smooth_l1_loss, {"beta": 4.0}, [1 / 32, 0.5, 0.0], [0.125, -0.5, 0.0]),
        (huber_loss, {"delta": 1.0}, [0.125, 1.5, 0.0], [0.5, -1.0, 0.0]),
        (huber_loss, {"delta": 0.25}, [0.09375, 0.46875, 0.0], [0.25, -0.25, 0.0]),
    ],
)
def test_by_hand(loss, arguments, values, gradients):
    """Errors of 1/2, -2 and 0."""
    input = torch.tensor([1.5, 1.0, 3.0], dtype=torch.float64, requires_grad=True)
    target = torch.tensor([1.0, 3.0, 3.0], dtype=torch.float64)
    output = loss(input, target, reduction="none", **arguments)
    output.sum().backward()
    assert output.tolist() == values
    assert input.grad.tolist() == gradients


def test_at_beta_the_two_branches_meet_in_value_and_slope():
    """Fails for |d| - beta above it, which jumps."""
    for beta in (0.2, 1.0, 5.0):
        at = torch.tensor([beta - 1e-9, beta, beta + 1e-9], dtype=torch.float64)
        zero = torch.zeros_like(at)
        smooth = value_and_gradients(
            smooth_l1_loss, at, zero, beta=beta, reduction="sum"
        )
        close(smooth[1], torch.ones(3).double(), rtol=0, atol=1e-8)
        each = smooth_l1_loss(at, zero, beta=beta, reduction="none")
        close(each, torch.full((3,), beta / 2, dtype=torch.float64), rtol=0, atol=2e-9)
        huber = huber_loss(at, zero, delta=beta, reduction="none")
        close(
            huber, torch.full((3,), beta**2 / 2, dtype=torch.float64), rtol=0, atol=1e-8
        )


def test_huber_is_beta_times_smooth_l1():
    pair = draw((30,), 9), draw((30,), 10)
    for beta in (0.3, 1.0, 2.5):
        smooth = smooth_l1_loss(*pair, beta=beta, reduction="none")
        close(huber_loss(*pair, delta=beta, reduction="none"), beta * smooth)


def test_limits_are_l1_and_half_the_square():
    """Smooth L1 goes to L1 for small beta, Huber to d^2 / 2 for large delta; neither does the other's."""
    pair = draw((30,), 11), draw((30,), 12)
    one, square = l1_loss(*pair, reduction="none"), mse_loss(*pair, reduction="none")
    close(smooth_l1_loss(*pair, beta=0, reduction="none"), one)
    close(smooth_l1_loss(*pair, beta=1e-9, reduction="none"), one, rtol=0, atol=1e-9)
    close(huber_loss(*pair, delta=1e9, reduction="none"), square / 2)
    close(
        huber_loss(*pair, delta=1e-6, reduction="none") / 1e-6, one, rtol=0, atol=1e-6
    )
    assert smooth_l1_loss(*pair, beta=1e9).item() < 1e-8


number = st.floats(-100, 100)


@settings(max_examples=60, deadline=None)
@given(a=number, b=number, shift=number, scale=st.floats(0.01, 100))
def test_exchange_shift_and_scale(a, b, shift, scale):
    """Scale multiplies L1 and smooth L1 (with beta), squares the others (with delta)."""
    one, other = (torch.tensor([v], dtype=torch.float64) for v in (a, b))
    for loss, size, power in (
        (l1_loss, None, 1),
        (mse_loss, None, 2),
        (smooth_l1_loss, "beta", 1),
        (huber_loss, "delta", 2),
    ):
        value = loss(one, other)
        scaled = loss(one * scale, other * scale, **({size: scale} if size else {}))
        close(loss(other, one), value)
        close(loss(one + shift, other + shift), value, rtol=1e-9, atol=1e-9)
        close(scaled, value * scale**power, rtol=1e-9, atol=1e-12)
        assert value.item() >= 0


@pytest.mark.parametrize("loss", LOSSES, ids=named)
def test_gradients_are_those_of_the_value(loss):
    pair = [draw((4, 3), s).requires_grad_() for s in (13, 14)]
    assert torch.autograd.gradcheck(loss, pair)


# ------------------------------------------------------------------------------------------ extremes


@pytest.mark.parametrize("loss", LOSSES, ids=named)
@pytest.mark.parametrize(
    ("dtype", "largest"),
    [(torch.float16, 1.5e4), (torch.bfloat16, 5e37), (torch.float32, 5e37)],
)
def test_gradients_are_finite_where_squares_are_not(loss, dtype, largest):
    """Values too, except squares beyond the largest number, as in torch."""
    input = torch.tensor([largest, -largest, 0.0, 1e-7], dtype=dtype)
    zero = torch.zeros_like(input)
    value, *gradients = value_and_gradients(loss, input, zero, reduction="none")
    assert all(g.isfinite().all() for g in gradients)
    finite = value.isfinite().tolist()
    assert finite == ([False, False, True, True] if loss is mse_loss else [True] * 4)


def test_bounded_gradients_reach_their_bound_and_stay():
    far = torch.tensor([-1e30, -5.0, 5.0, 1e30])
    zero = torch.zeros(4)
    for loss, arguments, bound in (
        (l1_loss, {}, 1),
        (smooth_l1_loss, {"beta": 0.5}, 1),
        (huber_loss, {"delta": 3.0}, 3),
    ):
        input = far.clone().requires_grad_()
        loss(input, zero, reduction="sum", **arguments).backward()
        assert input.grad.tolist() == [-bound, -bound, bound, bound]


@pytest.mark.parametrize("loss", LOSSES, ids=named)
def test_infinite_errors_and_nan_are_what_torch_makes_of_them(loss):
    input = torch.tensor([math.inf, -math.inf, math.nan, 1.0])
    found, expected = (
        value_and_gradients(f, input, torch.zeros(4), reduction="none")[:2]
        for f in (loss, theirs(loss))
    )
    for a, b in zip(found, expected, strict=True):
        close(a, b)


@pytest.mark.parametrize("loss", LOSSES, ids=named)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_nothing_is_reduced_as_torch_does(loss, reduction):
    nothing = torch.zeros(0, 3)
    close(
        loss(nothing, nothing, reduction=reduction),
        theirs(loss)(nothing, nothing, reduction=reduction),
    )


@pytest.mark.parametrize("loss", LOSSES, ids=named)
@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64]
)
def test_the_inputs_dtype_is_kept_whatever_the_targets(loss, dtype):
    for other in (dtype, torch.float64, torch.float32):
        output = loss(torch.ones(3, dtype=dtype), torch.zeros(3, dtype=other))
        assert output.dtype == dtype
        assert output.device.type == "cpu"


def test_a_tiny_difference_of_doubles_survives_beside_a_float_input():
    """Both are computed in the wider type: in float32 the difference would be 0."""
    target = torch.tensor([1 + 1e-9], dtype=torch.float64)
    assert l1_loss(torch.ones(1), target).item() == pytest.approx(1e-9)


# -------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("loss", LOSSES, ids=named)
def test_wrong_tensors(loss):
    good = torch.zeros(3, 2)
    with pytest.raises(
        ValueError,
        match=r"target must have the shape of input, \(3, 2\).*got \(3,\); use .reshape",
    ):
        loss(good, torch.zeros(3))
    with pytest.raises(ValueError, match=r"\(3, 2\).*broadcast: got \(1, 2\)"):
        loss(good, torch.zeros(1, 2))
    for name, pair in (
        ("input", (good.long(), good)),
        ("target", (good, good.long())),
    ):
        with pytest.raises(
            TypeError,
            match=rf"{name} must be floating point: got torch.int64; use .float\(\)",
        ):
            loss(*pair)


@pytest.mark.parametrize("loss", [l1_loss, mse_loss, huber_loss], ids=named)
def test_wrong_weights(loss):
    good = torch.zeros(3, 2)
    with pytest.raises(ValueError, match=r"weight must have the shape.*got \(2,\)"):
        loss(good, good, weight=torch.ones(2))
    with pytest.raises(TypeError, match="weight must be floating point"):
        loss(good, good, weight=torch.ones(3, 2).long())


@pytest.mark.parametrize("size", [-1.0, math.nan])
def test_wrong_thresholds(size):
    good = torch.zeros(3)
    with pytest.raises(ValueError, match=f"beta must be at least 0: got {size}"):
        smooth_l1_loss(good, good, beta=size)
    with pytest.raises(ValueError, match=f"delta must be positive: got {size}"):
        huber_loss(good, good, delta=size)


def test_huber_needs_a_positive_delta():
    with pytest.raises(ValueError, match="delta must be positive: got 0"):
        huber_loss(torch.zeros(3), torch.zeros(3), delta=0)


def test_all_of_them_are_public():
    assert {f.__name__ for f in LOSSES} <= set(dlkb.losses.__all__)
