"""Overlap losses against loops, scikit-learn and the Lovasz extension's definition; empty masks; errors."""

import inspect
import itertools
import math

import pytest
import torch
from comparing import close, value_and_gradients
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, fbeta_score, jaccard_score

from dlkb.losses import dice_loss, jaccard_loss, lovasz_hinge, tversky_loss

OVERLAPS = [tversky_loss, dice_loss, jaccard_loss]
HALVES = {torch.float16: 1e-3, torch.bfloat16: 8e-3}  # a unit in the last place
ANY = [*HALVES, torch.float32, torch.float64]


def named(function):
    return function.__name__


def uniform(shape, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=torch.float64).to(dtype)


def mask(shape, seed, share=0.4, dtype=torch.float64):
    return (uniform(shape, seed) < share).to(dtype)


def draw(shape, seed, dtype=torch.float64, scale=1.5):
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
    return (drawn * scale).to(dtype)


def slow_tversky(p, t, alpha, beta, smooth):
    """One mask, pixel by pixel; torch only to differentiate."""
    true_positive = false_positive = false_negative = 0
    for a, b in zip(p.flatten(), t.flatten(), strict=True):
        true_positive = true_positive + a * b
        false_positive = false_positive + a * (1 - b)
        false_negative = false_negative + (1 - a) * b
    wrong = alpha * false_positive + beta * false_negative
    return 1 - (true_positive + smooth) / (true_positive + wrong + smooth)


# ------------------------------------------------------------------------------------ against loops


@pytest.mark.parametrize("shape", [(3, 7), (2, 4, 5), (2, 1, 3, 2)], ids=str)
@pytest.mark.parametrize(
    ("alpha", "beta"), [(0.5, 0.5), (1, 1), (0.3, 0.7), (2.0, 0.1), (0, 1), (1, 0)]
)
@pytest.mark.parametrize("smooth", [0.0, 1.0])
def test_tversky_equals_a_slow_loop_in_value_and_gradient(shape, alpha, beta, smooth):
    """Fails for alpha and beta exchanged, for one index over the batch, for smooth below the line alone."""
    p = uniform(shape, 0)
    for t in (mask(shape, 1), uniform(shape, 2)):
        found = value_and_gradients(
            tversky_loss, p, t, alpha=alpha, beta=beta, smooth=smooth, reduction="none"
        )
        expected = value_and_gradients(
            lambda p, t: torch.stack(
                [
                    slow_tversky(a, b, alpha, beta, smooth)
                    for a, b in zip(p, t, strict=True)
                ]
            ),
            p,
            t,
        )
        for a, b in zip(found, expected, strict=True):
            close(a, b)


def test_scikit_learns_scores_of_binary_masks():
    """Fails for b^2 = alpha / beta, and for Jaccard in place of Dice."""
    for seed in range(5):
        p, t = mask((40,), seed), mask((40,), seed + 10)
        one, other = p[None], t[None]
        assert dice_loss(one, other).item() == pytest.approx(1 - f1_score(t, p))
        assert jaccard_loss(one, other).item() == pytest.approx(1 - jaccard_score(t, p))
        for b in (0.5, 2.0):
            alpha, beta = 1 / (1 + b**2), b**2 / (1 + b**2)
            assert tversky_loss(one, other, alpha, beta).item() == pytest.approx(
                1 - fbeta_score(t, p, beta=b)
            )


def test_signatures():
    defaults = [
        [(p.name, p.default) for p in inspect.signature(f).parameters.values()][2:]
        for f in (tversky_loss, dice_loss, jaccard_loss, lovasz_hinge)
    ]
    last = [("smooth", 0.0), ("reduction", "mean")]
    assert defaults[0] == [("alpha", 0.5), ("beta", 0.5), *last]
    assert defaults[1] == defaults[2] == last
    assert defaults[3] == last[1:]


# -------------------------------------------------------------------------- by hand, limits and laws

P = torch.tensor([[1.0, 1, 0, 0, 0]], dtype=torch.float64)
T = torch.tensor([[1.0, 0, 1, 1, 0]], dtype=torch.float64)  # TP 1, FP 1, FN 2


@pytest.mark.parametrize(
    ("loss", "arguments", "expected"),
    [
        (dice_loss, {}, 1 - 2 / 5),
        (dice_loss, {"smooth": 1.0}, 1 - 4 / 7),
        (jaccard_loss, {}, 1 - 1 / 4),
        (jaccard_loss, {"smooth": 1.0}, 1 - 2 / 5),
        (tversky_loss, {}, 1 - 2 / 5),
        (tversky_loss, {"alpha": 0.3, "beta": 0.7}, 1 - 1 / 2.7),
        (tversky_loss, {"alpha": 0.7, "beta": 0.3}, 1 - 1 / 2.3),
        (tversky_loss, {"alpha": 1, "beta": 0}, 1 - 1 / 2),  # precision
        (tversky_loss, {"alpha": 0, "beta": 1}, 1 - 1 / 3),  # recall
    ],
)
def test_by_hand(loss, arguments, expected):
    assert loss(P, T, **arguments).item() == pytest.approx(expected)


def test_the_gradient_of_dice_by_hand():
    """p = t = 1/2 for 2 pixels, of which 1 is true: Dice 2 (1/2) / 2; its slopes are 3/4 and -1/4."""
    p = torch.tensor([[0.5, 0.5]], dtype=torch.float64, requires_grad=True)
    dice_loss(p, torch.tensor([[1.0, 0.0]]).double()).backward()
    assert p.grad.tolist() == [pytest.approx([-0.75, 0.25])]


@pytest.mark.parametrize("smooth", [0.0, 2.0])
def test_dice_and_jaccard_are_tverskys(smooth):
    p, t = uniform((3, 9), 3), mask((3, 9), 4)
    close(dice_loss(p, t, smooth), tversky_loss(p, t, 0.5, 0.5, smooth))
    close(jaccard_loss(p, t, smooth), tversky_loss(p, t, 1, 1, smooth))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), alpha=st.floats(0, 3), beta=st.floats(0, 3))
def test_order_exchange_range_and_dice_from_jaccard(seed, alpha, beta):
    """p and t are exchanged with alpha and beta; J = D / (2 - D); more alpha is never less loss."""
    p, t = uniform((2, 6), seed) + 1e-3, mask((2, 6), seed + 1)
    p, t = p.clamp(max=1), torch.cat([t, torch.ones(2, 1).double()], 1)
    p = torch.cat([p, p[:, :1]], 1)
    value = tversky_loss(p, t, alpha, beta, reduction="none")
    close(tversky_loss(t, p, beta, alpha, reduction="none"), value)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(seed))
    close(tversky_loss(p[:, order], t[:, order], alpha, beta, reduction="none"), value)
    assert (value >= -1e-12).all()
    assert (value <= 1).all()
    more = tversky_loss(p, t, alpha + 1, beta, reduction="none")
    assert (more >= value - 1e-12).all()
    dice = 1 - dice_loss(p, t, reduction="none")
    close(1 - jaccard_loss(p, t, reduction="none"), dice / (2 - dice))


@pytest.mark.parametrize("loss", OVERLAPS, ids=named)
def test_pixels_outside_both_masks_do_not_matter(loss):
    """Accuracy would rise with them."""
    p, t = uniform((2, 5), 5), mask((2, 5), 6)
    zeros = torch.zeros(2, 100, dtype=torch.float64)
    close(loss(torch.cat([p, zeros], 1), torch.cat([t, zeros], 1)), loss(p, t))


@pytest.mark.parametrize("loss", [*OVERLAPS, lovasz_hinge], ids=named)
def test_each_sample_has_its_loss_and_the_batch_another(loss):
    p, t = uniform((3, 4, 2), 7), mask((3, 4, 2), 8)
    each = loss(p, t, reduction="none")
    assert each.shape == (3,)
    for i in range(3):
        close(each[i : i + 1], loss(p[i : i + 1], t[i : i + 1], reduction="none"))
    close(loss(p, t), each.mean())
    close(loss(p, t, reduction="sum"), each.sum())
    whole = loss(p.flatten()[None], t.flatten()[None])
    assert (whole - each.mean()).abs() > 1e-4


# -------------------------------------------------------------------------------------- empty masks


@pytest.mark.parametrize("loss", OVERLAPS, ids=named)
def test_empty_masks_as_stated(loss):
    """Fails for 0 / 0, and for a loss of 1 where nothing was to find and nothing was found."""
    zero = torch.zeros(1, 4, dtype=torch.float64)
    value, gradient, _ = value_and_gradients(loss, zero, zero)
    assert value.item() == 0
    assert gradient.isfinite().all()
    value, gradient, _ = value_and_gradients(loss, zero + 0.1, zero)
    assert value.item() == 1
    assert (gradient == 0).all()
    assert loss(zero, zero + 1).item() == 1
    assert loss(zero + 1, zero + 1).item() == 0


@pytest.mark.parametrize("loss", OVERLAPS, ids=named)
def test_with_smooth_empty_masks_teach(loss):
    zero = torch.zeros(1, 4, dtype=torch.float64)
    assert loss(zero, zero, smooth=1.0).item() == 0
    value, gradient, _ = value_and_gradients(loss, zero + 0.5, zero, smooth=1.0)
    assert 0 < value.item() < 1
    assert (gradient > 0).all()


@pytest.mark.parametrize(("alpha", "beta"), [(1, 0), (0, 1), (0, 0)])
def test_where_a_weight_of_0_leaves_0_divided_by_0_the_loss_is_0(alpha, beta):
    """Precision of nothing predicted, recall where nothing is true: nothing that counts was wrong."""
    zero, some = torch.zeros(1, 4), torch.full((1, 4), 0.5)
    if alpha == 0:
        assert tversky_loss(some, zero, alpha, beta).item() == 0
    if beta == 0:
        assert tversky_loss(zero, some, alpha, beta).item() == 0


# ------------------------------------------------------------------------------------- Lovasz hinge


def jaccard_of_errors(wrong, true):
    """The Jaccard loss of a mask in which the pixels of ``wrong`` are wrong; by sets."""
    predicted = (true - wrong) | (wrong - true)
    union = predicted | true
    return 1 - len(predicted & true) / len(union) if union else 0.0


def lovasz_by_levels(errors, true):
    """The Lovasz extension as an integral: over levels, of the set function of what lies above."""
    levels = sorted({0.0, *(max(e, 0.0) for e in errors)})
    return math.fsum(
        (high - low)
        * jaccard_of_errors({i for i, e in enumerate(errors) if e >= high}, true)
        for low, high in itertools.pairwise(levels)
    )


def lovasz_by_orders(errors, true):
    """The same as the largest over all orders, since the Jaccard loss is submodular in what is wrong."""
    best = -math.inf
    for order in itertools.permutations(range(len(errors))):
        wrong, last, total = set(), 0.0, 0.0
        for i in order:
            wrong = wrong | {i}
            value = jaccard_of_errors(wrong, true)
            total += max(errors[i], 0) * (value - last)
            last = value
        best = max(best, total)
    return best


def cases(count, pixels):
    for seed in range(count):
        x = draw((pixels,), seed)
        t = mask((pixels,), seed + 100, share=(seed % 5) / 4)  # none to all true
        errors = (1 - x * (2 * t - 1)).tolist()
        yield x, t, errors, {i for i, v in enumerate(t.tolist()) if v}


@pytest.mark.parametrize("pixels", [1, 2, 5, 30])
def test_lovasz_hinge_is_the_integral_over_levels(pixels):
    """Fails for errors that rise, J_(i-1) - J_i, a hinge of 0, and intersections that are not cut."""
    for x, t, errors, true in cases(20, pixels):
        expected = lovasz_by_levels(errors, true)
        assert lovasz_hinge(x[None], t[None]).item() == pytest.approx(expected)


def test_lovasz_hinge_is_the_largest_over_all_orders():
    for x, t, errors, true in cases(10, 5):
        expected = lovasz_by_orders(errors, true)
        assert lovasz_hinge(x[None], t[None]).item() == pytest.approx(expected)


def test_lovasz_hinge_by_hand():
    """Errors 1.5, 0.5, -1 (true, true, not): J = 1/2, 1, 1; so 1.5 / 2 + 0.5 / 2; slopes 1/2, 1/2, 0."""
    x = torch.tensor([[-0.5, 0.5, -2.0]], dtype=torch.float64)
    t = torch.tensor([[1.0, 1.0, 0.0]], dtype=torch.float64)
    x.requires_grad_()
    loss = lovasz_hinge(x, t)
    loss.backward()
    assert loss.item() == 1.0
    assert x.grad.tolist() == [[-0.5, -0.5, 0.0]]


def test_where_every_error_is_0_or_1_it_is_the_jaccard_loss():
    """A logit of 0 is an error of 1, one of the right sign and size 1 none."""
    for seed in range(10):
        t, right = mask((1, 12), seed), mask((1, 12), seed + 50, share=0.6)
        sign = 2 * t - 1
        predicted = torch.where(right == 1, t, 1 - t)
        expected = jaccard_loss(predicted, t)
        close(lovasz_hinge(sign * right, t), expected)


def test_lovasz_hinge_is_convex_and_positive():
    t = mask((20, 8), 9)
    one, other = draw((20, 8), 10), draw((20, 8), 11)
    ends, middle = (
        (lovasz_hinge(one, t, "none") + lovasz_hinge(other, t, "none")) / 2,
        lovasz_hinge((one + other) / 2, t, "none"),
    )
    assert (middle <= ends + 1e-12).all()
    assert (middle < ends - 1e-3).any()
    assert (middle >= 0).all()


def test_beyond_the_margin_lovasz_hinge_is_0_without_gradient():
    t = mask((2, 9), 12)
    value, gradient = value_and_gradients(
        lambda x: lovasz_hinge(x, t), (2 * t - 1) * 1.5
    )
    assert value.item() == 0
    assert (gradient == 0).all()


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_empty_and_full_masks_under_lovasz_hinge(share):
    """Nothing true: the largest error alone counts. All true: the mean of the errors."""
    x = torch.tensor([[0.5, -3.0, 2.0]], dtype=torch.float64)
    t = torch.full_like(x, share)
    value, gradient = value_and_gradients(lambda x: lovasz_hinge(x, t), x)
    assert value.item() == pytest.approx(3.0 if share == 0 else (0.5 + 4.0) / 3)
    expected = [[0, 0, 1]] if share == 0 else [[-1 / 3, -1 / 3, 0]]
    close(gradient, torch.tensor(expected, dtype=torch.float64))


def test_equal_errors_may_come_in_any_order():
    x = torch.zeros(1, 6, dtype=torch.float64)
    t = mask((1, 6), 13)
    found = lovasz_hinge(x, t).item()
    assert found == pytest.approx(1.0)  # all wrong, by 1 each


def test_steps_of_a_million_pixels_keep_their_digits():
    """Differences of the Jaccard losses, each near 1, are wrong by 2 % in float32."""
    x, t = draw((1, 2**20), 14, torch.float32), mask((1, 2**20), 15, 0.3, torch.float32)
    _, found = value_and_gradients(lambda x: lovasz_hinge(x, t), x)
    _, expected = value_and_gradients(lambda x: lovasz_hinge(x, t.double()), x.double())
    apart = (found.double() - expected).norm() / expected.norm()
    assert apart < 1e-5
    assert (found != 0).sum() > 2**19


# ------------------------------------------------------------------------------ all, extremes, dtypes


@pytest.mark.parametrize("loss", OVERLAPS, ids=named)
def test_gradients_are_those_of_the_value(loss):
    p = uniform((2, 3, 2), 16).clamp(0.05, 0.95).requires_grad_()
    t = uniform((2, 3, 2), 17).clamp(0.05, 0.95).requires_grad_()
    assert torch.autograd.gradcheck(loss, (p, t))
    assert torch.autograd.gradcheck(lambda p, t: loss(p, t, smooth=1.0), (p, t))


def test_the_gradient_of_lovasz_hinge_is_that_of_the_value():
    x, t = draw((2, 7), 18).requires_grad_(), mask((2, 7), 19)
    assert torch.autograd.gradcheck(lambda x: lovasz_hinge(x, t), x)


@pytest.mark.parametrize("dtype", ANY)
def test_logits_of_ten_thousand_have_finite_values_and_gradients(dtype):
    x = torch.tensor([[1e4, -1e4, 0.0], [-1e4, -1e4, 1e4]], dtype=dtype)
    t = torch.tensor([[0.0, 1, 1], [0, 0, 0]], dtype=dtype)
    for loss, input in (
        *((f, x.double().sigmoid().to(dtype)) for f in OVERLAPS),
        (lovasz_hinge, x),
    ):
        found = value_and_gradients(loss, input, t, reduction="none")
        assert all(f.isfinite().all() for f in found), loss


@pytest.mark.parametrize("loss", [*OVERLAPS, lovasz_hinge], ids=named)
@pytest.mark.parametrize("dtype", HALVES)
def test_half_inputs_lose_no_more_than_the_last_rounding(loss, dtype):
    """Of 400 x 400 pixels: a sum of so many ones stops at 2048 in float16, and 160000 is infinite."""
    p, t = uniform((1, 400, 400), 20, dtype), mask((1, 400, 400), 21, 0.9, dtype)
    found = loss(p, t)
    assert found.dtype == dtype
    expected = loss(p.double(), t.double())
    close(found.double(), expected, rtol=2 * HALVES[dtype], atol=0)


@pytest.mark.parametrize("loss", [*OVERLAPS, lovasz_hinge], ids=named)
@pytest.mark.parametrize("dtype", ANY)
def test_the_inputs_dtype_is_kept_and_nothing_is_reduced_as_torch_does(loss, dtype):
    p, t = uniform((2, 5), 22, dtype), mask((2, 5), 23)
    for other in (dtype, torch.float64, torch.float32):
        output = loss(p, t.to(other))
        assert output.dtype == dtype
        assert output.device == p.device
    nothing = p[:0]
    assert loss(nothing, nothing, reduction="none").shape == (0,)
    assert loss(nothing, nothing, reduction="sum").item() == 0
    assert loss(nothing, nothing).isnan()


@pytest.mark.parametrize("loss", [*OVERLAPS, lovasz_hinge], ids=named)
def test_samples_without_pixels_have_no_loss(loss):
    assert loss(torch.zeros(2, 0), torch.zeros(2, 0), reduction="none").tolist() == [
        0,
        0,
    ]


@pytest.mark.parametrize("loss", [*OVERLAPS, lovasz_hinge], ids=named)
def test_vmap_gives_what_a_loop_gives(loss):
    p, t = uniform((3, 2, 5), 24), mask((3, 2, 5), 25)
    looped = torch.stack([loss(a, b) for a, b in zip(p, t, strict=True)])
    close(torch.func.vmap(loss)(p, t), looped)


# -------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("loss", [*OVERLAPS, lovasz_hinge], ids=named)
def test_wrong_tensors(loss):
    p = torch.zeros(2, 3)
    for pair in ((p.long(), p), (p, p.long()), (p, p.bool())):
        with pytest.raises(TypeError, match=r"must be floating point: got torch\."):
            loss(*pair)
    with pytest.raises(
        ValueError,
        match=r"input must be \(N, \*\), .*: got shape \(3,\); use \[None\]",
    ):
        loss(p[0], p[0])
    with pytest.raises(
        ValueError, match=r"target must have the shape of input, \(2, 3\).*got \(2, 1"
    ):
        loss(p, p[:, :1])


@pytest.mark.parametrize("loss", OVERLAPS, ids=named)
def test_what_is_no_probability(loss):
    p = torch.zeros(2, 3)
    for bad in (-0.5, 1.5, math.nan):
        with pytest.raises(
            ValueError,
            match=rf"input must hold .* got {bad}; apply torch.sigmoid to logits",
        ):
            loss(p + bad, p)
        with pytest.raises(
            ValueError,
            match=rf"target must hold .* got {bad}; inside is 1 and outside 0",
        ):
            loss(p, p + bad)
    with pytest.raises(ValueError, match="smooth must be at least 0: got -1"):
        loss(p, p, smooth=-1)


def test_wrong_weights():
    p = torch.zeros(2, 3)
    for name in ("alpha", "beta"):
        for bad in (-0.1, math.nan):
            with pytest.raises(ValueError, match=f"{name} must be at least 0: got"):
                tversky_loss(p, p, **{name: bad})


def test_lovasz_hinge_takes_binary_masks_alone():
    for bad in (0.5, -1.0, math.nan):
        with pytest.raises(
            ValueError, match=f"target must hold 0 and 1 only: got {bad}; threshold it"
        ):
            lovasz_hinge(torch.zeros(2, 3), torch.full((2, 3), bad))
