"""Cross-entropies against torch and scikit-learn, by hand, identities, extremes and errors."""

import inspect
import math

import pytest
import torch
import torch.nn.functional as F
from comparing import close, value_and_gradients
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

import dlkb.losses
from dlkb.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    log_softmax,
    nll_loss,
)

LOSSES = [
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    nll_loss,
]
DEPRECATED = ("size_average", "reduce")
SHAPES = [(7,), (5, 4), (3, 4, 6), (2, 5, 3, 4), (4, 1), (1, 3)]
REDUCTIONS = ["none", "mean", "sum"]
HALVES = {torch.float16: 1e-3, torch.bfloat16: 8e-3}  # a unit in the last place
ANY = [*HALVES, torch.float32, torch.float64]


def named(function):
    return function.__name__


def theirs(loss):
    return getattr(F, loss.__name__)


def draw(shape, seed, dtype=torch.float64, scale=3.0):
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
    return (drawn * scale).to(dtype)


def uniform(shape, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=torch.float64).to(dtype)


def classes_of(shape):
    return shape[0] if len(shape) == 1 else shape[1]


def indices(shape, seed):
    """Class indices for logits of this shape."""
    rest = () if len(shape) == 1 else (shape[0], *shape[2:])
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(classes_of(shape), rest, generator=generator)


def distributions(shape, seed):
    return draw(shape, seed).softmax(0 if len(shape) == 1 else 1)


def all_close(found, expected, **tolerances):
    for a, b in zip(found, expected, strict=True):
        close(a, b, **tolerances)


# ------------------------------------------------------------------------------------- against torch


@pytest.mark.parametrize("loss", LOSSES, ids=named)
def test_names_order_and_defaults_are_torchs(loss):
    """Apart from the two deprecated arguments, after which ours must be named."""
    ours = list(inspect.signature(loss).parameters.values())
    torchs = list(inspect.signature(theirs(loss)).parameters.values())
    kept = [p for p in torchs if p.name not in DEPRECATED]
    assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in kept]
    first = [p.name for p in torchs].index("size_average")
    assert all(p.kind is p.KEYWORD_ONLY for p in ours[first:])
    assert all(p.kind is p.POSITIONAL_OR_KEYWORD for p in ours[:first])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_log_softmax_equals_torchs_on_every_axis(shape):
    """Fails for a maximum that is differentiated and a sum over another axis."""
    x = draw(shape, 0)
    for dim in range(-len(shape), len(shape)):
        all_close(
            value_and_gradients(log_softmax, x, dim=dim),
            value_and_gradients(F.log_softmax, x, dim=dim),
        )


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_cross_entropy_of_indices_equals_torchs(shape, weighted, smoothing, reduction):
    """Fails for a weighted mean over samples, smoothing without weights or not ignored, classes last."""
    x, target = draw(shape, 1), indices(shape, 2)
    weight = uniform(classes_of(shape), 3) + 0.2 if weighted else None
    for ignore_index in (-100, 0, -1):
        if ignore_index == -1:
            target = target.masked_fill(uniform(target.shape, 4) < 0.3, -1)
        arguments = {
            "weight": weight,
            "ignore_index": ignore_index,
            "label_smoothing": smoothing,
            "reduction": reduction,
        }
        all_close(
            value_and_gradients(cross_entropy, x, target, **arguments),
            value_and_gradients(F.cross_entropy, x, target, **arguments),
        )


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_cross_entropy_of_probabilities_equals_torchs(
    shape, weighted, smoothing, reduction
):
    """In the target's gradient too. Fails for a mean that divides by weights, or by classes as well."""
    x, target = draw(shape, 5), distributions(shape, 6)
    weight = uniform(classes_of(shape), 7) + 0.2 if weighted else None
    arguments = {
        "weight": weight,
        "label_smoothing": smoothing,
        "reduction": reduction,
    }
    all_close(
        value_and_gradients(cross_entropy, x, target, **arguments),
        value_and_gradients(F.cross_entropy, x, target, **arguments),
    )


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_nll_equals_torchs(shape, weighted, reduction):
    x, target = draw(shape, 8), indices(shape, 9)
    weight = uniform(classes_of(shape), 10) + 0.2 if weighted else None
    for ignore_index in (-100, 0):
        arguments = {
            "weight": weight,
            "ignore_index": ignore_index,
            "reduction": reduction,
        }
        all_close(
            value_and_gradients(nll_loss, x, target, **arguments),
            value_and_gradients(F.nll_loss, x, target, **arguments),
        )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weight_shape", [None, (4,), (3, 1, 4), (1,), (3, 2, 4)])
def test_binary_cross_entropy_equals_torchs(reduction, weight_shape):
    """With probabilities of exactly 0 and 1. Fails for a mean that divides by the weights."""
    p, target = uniform((3, 2, 4), 11), uniform((3, 2, 4), 12).round(decimals=1)
    p[0, 0, :2], p[1, 1, :2] = 0, 1
    target[0, 0, :2] = target[1, 1, :2] = torch.tensor([0.0, 1.0])
    weight = None if weight_shape is None else uniform(weight_shape, 13) + 0.2
    found, expected = (
        value_and_gradients(loss, p, target, weight=weight, reduction=reduction)
        for loss in (binary_cross_entropy, F.binary_cross_entropy)
    )
    close(found[0], expected[0])
    close(found[1], expected[1], rtol=1e-8, atol=1e-12)  # torch's 1e-12 is a float32
    inside = (p > 0) & (p < 1)
    close(found[2][inside], expected[2][inside])


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weight_shape", [None, (4,), (3, 1, 4)])
@pytest.mark.parametrize("pos_weight_shape", [None, (4,), (2, 4), ()])
def test_binary_cross_entropy_with_logits_equals_torchs(
    reduction, weight_shape, pos_weight_shape
):
    """Fails for pos_weight on negatives too, and for a gradient at logit 0 of 0 or 1 in place of 1/2."""
    x, target = draw((3, 2, 4), 14), uniform((3, 2, 4), 15).round(decimals=1)
    x[0] = 0
    weights = [
        None if shape is None else uniform(shape, seed) + 0.2
        for shape, seed in ((weight_shape, 16), (pos_weight_shape, 17))
    ]
    arguments = {
        "weight": weights[0],
        "pos_weight": weights[1],
        "reduction": reduction,
    }
    all_close(
        value_and_gradients(binary_cross_entropy_with_logits, x, target, **arguments),
        value_and_gradients(F.binary_cross_entropy_with_logits, x, target, **arguments),
    )


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_half_inputs_lose_no_more_than_the_last_rounding(dtype, reduction):
    """The same numbers in float64. 4096 exponentials added up in a half type would lose far more."""
    x, wide = draw((6, 4096), 18, dtype), indices((6, 4096), 19)
    mask = (uniform((6, 4096), 20) > 0.5).to(dtype)
    for loss, input, target in (
        (cross_entropy, x, wide),
        (nll_loss, x, wide),
        (binary_cross_entropy_with_logits, x, mask),
        (binary_cross_entropy, uniform((6, 4096), 21, dtype), mask),
    ):
        found = value_and_gradients(loss, input, target, reduction=reduction)
        target = target.double() if target.is_floating_point() else target
        expected = value_and_gradients(
            theirs(loss), input.double(), target, reduction=reduction
        )
        assert all(f.dtype == dtype for f in found)
        tolerance = {"rtol": 3 * HALVES[dtype], "atol": 1e-6}
        if loss is not binary_cross_entropy:  # its gradient overflows, as stated
            all_close([f.double() for f in found[:2]], expected[:2], **tolerance)
        close(found[0].double(), expected[0], **tolerance)


@pytest.mark.parametrize("dtype", HALVES)
def test_half_targets_are_computed_with_in_float32(dtype):
    """1 - t and (1 - s) t, rounded to a half type, would be wrong in the third digit."""
    target = distributions((50, 3), 22).to(dtype)
    x = draw((50, 3), 23, torch.float32)
    for loss, arguments in (
        (cross_entropy, {"label_smoothing": 0.1}),
        (binary_cross_entropy_with_logits, {}),
    ):
        found = loss(x, target, reduction="none", **arguments)
        expected = theirs(loss)(
            x.double(), target.double(), reduction="none", **arguments
        )
        assert found.dtype == torch.float32
        close(found.double(), expected, rtol=1e-5, atol=1e-6)
    p = uniform((50, 3), 24, torch.float32)
    found = binary_cross_entropy(p, target, reduction="none")
    expected = F.binary_cross_entropy(p.double(), target.double(), reduction="none")
    close(found.double(), expected, rtol=1e-5, atol=1e-6)


# ------------------------------------------------------------------ against scikit-learn, and by hand


def test_scikit_learns_log_loss_agrees():
    x, target = draw((30, 4), 25), indices((30, 4), 26)
    samples = uniform(4, 27) + 0.2
    p = x.softmax(1)
    expected = log_loss(target, p, labels=range(4))
    assert cross_entropy(x, target).item() == pytest.approx(expected, rel=1e-12)
    weighted = log_loss(target, p, labels=range(4), sample_weight=samples[target])
    assert cross_entropy(x, target, samples).item() == pytest.approx(weighted)
    yes = (target == 2).double()
    expected = log_loss(yes, x[:, 0].sigmoid(), labels=[0, 1])
    found = binary_cross_entropy_with_logits(x[:, 0], yes).item()
    assert found == pytest.approx(expected, rel=1e-12)


LOGITS = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64).log()  # p = 1/8, 2/8, 5/8


def test_cross_entropy_by_hand():
    two = LOGITS.repeat(2, 1)
    target, weight = torch.tensor([1, 2]), torch.tensor([1.0, 2.0, 4.0])
    first, second = math.log(4), math.log(8 / 5)
    each = cross_entropy(two, target, reduction="none").tolist()
    assert each == pytest.approx([first, second])
    assert cross_entropy(two, target).item() == pytest.approx((first + second) / 2)
    mean = cross_entropy(two, target, weight).item()
    assert mean == pytest.approx((2 * first + 4 * second) / 6)
    smoothed = cross_entropy(LOGITS, torch.tensor(1), label_smoothing=0.3).item()
    assert smoothed == pytest.approx(0.1 * math.log(8) + 0.8 * first + 0.1 * second)


def test_the_gradient_is_probability_less_target():
    x = LOGITS.clone().requires_grad_()
    cross_entropy(x, torch.tensor(1)).backward()
    assert x.grad.tolist() == pytest.approx([1 / 8, 2 / 8 - 1, 5 / 8])


def test_binary_cross_entropies_by_hand():
    """Logit ln 3: p = 3/4."""
    x = torch.tensor([math.log(3)] * 3, dtype=torch.float64, requires_grad=True)
    target = torch.tensor([1.0, 0.0, 0.5], dtype=torch.float64)
    yes, no = math.log(4 / 3), math.log(4)
    expected = [yes, no, (yes + no) / 2]
    each = binary_cross_entropy_with_logits(x, target, reduction="none")
    assert each.tolist() == pytest.approx(expected)
    each.sum().backward()
    assert x.grad.tolist() == pytest.approx([-1 / 4, 3 / 4, 1 / 4])
    p = torch.full((3,), 0.75, dtype=torch.float64)
    assert binary_cross_entropy(p, target, reduction="none").tolist() == pytest.approx(
        expected
    )
    heavy = binary_cross_entropy_with_logits(
        x, target, pos_weight=torch.tensor(10.0), reduction="none"
    )
    assert heavy.tolist() == pytest.approx([10 * yes, no, (10 * yes + no) / 2])


@pytest.mark.parametrize("classes", [1, 2, 10, 1000])
def test_equal_logits_cost_the_logarithm_of_the_classes(classes):
    x = torch.full((3, classes), 7.0)
    target = torch.zeros(3, dtype=torch.long)
    assert cross_entropy(x, target).item() == pytest.approx(math.log(classes), abs=1e-6)
    zero = torch.zeros(classes)
    found = binary_cross_entropy_with_logits(zero, zero).item()
    assert found == pytest.approx(math.log(2))


# ------------------------------------------------------------------------------ identities and laws


def test_nll_of_log_softmax_is_cross_entropy():
    for shape in SHAPES:
        x, target = draw(shape, 28), indices(shape, 29)
        log_p = log_softmax(x, 0 if len(shape) == 1 else 1)
        close(nll_loss(log_p, target), cross_entropy(x, target))


def test_one_hot_probabilities_are_indices():
    x, target = draw((6, 4), 30), indices((6, 4), 31)
    one_hot = F.one_hot(target, 4).double()
    for smoothing in (0.0, 0.2):
        close(
            cross_entropy(x, one_hot, label_smoothing=smoothing),
            cross_entropy(x, target, label_smoothing=smoothing),
        )


def test_two_classes_are_one_question():
    """Cross-entropy of two logits is binary cross-entropy of their difference."""
    x, target = draw((20, 2), 32), indices((20, 2), 33)
    close(
        cross_entropy(x, target, reduction="none"),
        binary_cross_entropy_with_logits(
            x[:, 1] - x[:, 0], target.double(), reduction="none"
        ),
    )


def test_logits_and_probabilities_give_one_binary_cross_entropy():
    x, target = draw((20,), 34), uniform((20,), 35)
    close(
        binary_cross_entropy(x.sigmoid(), target, reduction="none"),
        binary_cross_entropy_with_logits(x, target, reduction="none"),
    )


def test_full_smoothing_forgets_the_target_and_half_is_between():
    x, target = draw((6, 4), 36), indices((6, 4), 37)
    none, half, full = (
        cross_entropy(x, target, label_smoothing=s, reduction="none")
        for s in (0.0, 0.5, 1.0)
    )
    close(half, (none + full) / 2)
    other = cross_entropy(x, (target + 1) % 4, label_smoothing=1.0, reduction="none")
    close(full, other)
    close(full, -log_softmax(x, 1).mean(1))


def test_pos_weight_repeats_the_positives():
    x, target = draw((9,), 38), (uniform((9,), 39) > 0.5).double()
    twice = torch.cat([x, x[target == 1]])
    targets = torch.cat([target, target[target == 1]])
    close(
        binary_cross_entropy_with_logits(
            x, target, pos_weight=torch.tensor(2.0).double(), reduction="sum"
        ),
        binary_cross_entropy_with_logits(twice, targets, reduction="sum"),
    )


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), shift=st.floats(-500, 500))
def test_shift_and_order_of_the_classes_do_not_matter(seed, shift):
    """And a binary loss with its question negated is the same."""
    x, target = draw((4, 5), seed), indices((4, 5), seed + 1)
    weight, value = (
        uniform(5, seed) + 0.1,
        lambda x, t, w: cross_entropy(x, t, w, label_smoothing=0.1, reduction="none"),
    )
    expected = value(x, target, weight)
    close(value(x + shift, target, weight), expected, rtol=1e-9, atol=1e-9)
    order = torch.randperm(5, generator=torch.Generator().manual_seed(seed))
    close(value(x[:, order], order.argsort()[target], weight[order]), expected)
    t = uniform((4, 5), seed + 2)
    close(
        binary_cross_entropy_with_logits(-x, 1 - t),
        binary_cross_entropy_with_logits(x, t),
    )


def test_ignored_positions_count_nowhere():
    """Neither their logits, nor in the divisor, nor under smoothing. Dividing by all of them would show."""
    x, target = draw((6, 4), 40), indices((6, 4), 41)
    kept = cross_entropy(x[:4], target[:4], label_smoothing=0.2)
    target[4:] = -100
    close(cross_entropy(x, target, label_smoothing=0.2), kept)
    x[4:] = 1e6
    _, gradient = value_and_gradients(cross_entropy, x, target, label_smoothing=0.2)
    assert (gradient[4:] == 0).all()
    close(cross_entropy(x, target, label_smoothing=0.2), kept)
    each = cross_entropy(x, target, reduction="none", label_smoothing=0.2)
    assert each[4:].tolist() == [0, 0]


@pytest.mark.parametrize("loss", LOSSES, ids=named)
def test_gradients_are_those_of_the_value(loss):
    x = draw((3, 4), 42, scale=1.0)
    if loss is binary_cross_entropy:
        x = x.sigmoid()
    target = distributions((3, 4), 43).clamp(1e-3, 1 - 1e-3).requires_grad_()
    if loss is nll_loss:
        target = indices((3, 4), 43)
    assert torch.autograd.gradcheck(loss, (x.requires_grad_(), target))
    assert torch.autograd.gradgradcheck(loss, (x, target))


def test_the_gradient_of_indices_with_everything_at_once():
    x, target = draw((3, 4, 2), 44).requires_grad_(), indices((3, 4, 2), 45)
    target[0, 0] = -100
    weight = uniform(4, 46)
    assert torch.autograd.gradcheck(
        lambda x: cross_entropy(x, target, weight, label_smoothing=0.3), x
    )


# ------------------------------------------------------------------------------------------ extremes


@pytest.mark.parametrize("dtype", ANY)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_logits_of_ten_thousand_have_finite_values_and_gradients(dtype, smoothing):
    """Fails for the logarithm of a softmax or of a sigmoid, which is that of 0."""
    x = torch.tensor([[1e4, -1e4, 0.0], [-1e4, -1e4, 1e4]], dtype=dtype)
    for target in (torch.tensor([1, 2]), torch.tensor([[0.0, 1, 0], [0, 0, 1.0]])):
        found = value_and_gradients(
            cross_entropy, x, target, label_smoothing=smoothing, reduction="none"
        )
        assert all(f.isfinite().all() for f in found)
        if not smoothing:
            assert found[0].tolist() == pytest.approx([2e4, 0.0], rel=1e-2)
    target = torch.tensor([[0.0, 1, 1], [0, 1, 1.0]], dtype=dtype)
    value, gradient, _ = value_and_gradients(
        binary_cross_entropy_with_logits, x, target, reduction="none"
    )
    expected = [[1e4, 1e4, math.log(2)], [0, 1e4, 0]]
    close(value.double(), torch.tensor(expected).double(), rtol=1e-2, atol=0)
    assert gradient.isfinite().all()
    assert (gradient != 0).tolist() == [[True, True, True], [False, True, False]]


def test_small_losses_keep_their_digits():
    """log(1 + e^-30) by log1p: log alone gives 0 in float32."""
    x = torch.tensor([30.0])
    found = binary_cross_entropy_with_logits(x, torch.ones(1)).item()
    assert found == pytest.approx(math.exp(-30), rel=1e-5, abs=0)


def test_a_logit_of_minus_infinity_masks_a_class():
    x = torch.tensor([[0.0, -math.inf, 1.0]], dtype=torch.float64)
    for loss in (cross_entropy, F.cross_entropy):
        value, gradient = value_and_gradients(loss, x, torch.tensor([2]))
        assert value.item() == pytest.approx(math.log1p(math.exp(-1)))
        assert gradient[0, 1].item() == 0
        assert gradient.isfinite().all()


def test_the_cut_off_of_binary_cross_entropy_is_torchs():
    """The value stops at 100, the gradient does not vanish there: it is 1e12."""
    p = torch.tensor([0.0, 1.0, 1e-60, 0.0], dtype=torch.float64)
    target = torch.tensor([1.0, 0.0, 1.0, 0.0], dtype=torch.float64)
    found, expected = (
        value_and_gradients(loss, p, target, reduction="none")
        for loss in (binary_cross_entropy, F.binary_cross_entropy)
    )
    close(found[0], expected[0])
    close(found[1], expected[1], rtol=1e-8, atol=0)  # torch's 1e-12 is a float32
    assert found[2].abs().max() == 200  # 100 times the last weight; torch's is infinite
    assert expected[2].isinf().any()
    assert found[0].tolist() == [100, 100, 100, 0]
    assert found[1][0].item() == -1e12


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_nothing_is_reduced_as_torch_does(reduction):
    """A mean over an empty batch, or over ignored targets alone, is NaN, not 0."""
    x, none = torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)
    for loss in (cross_entropy, nll_loss):
        args = {"reduction": reduction}
        close(loss(x, none, **args), theirs(loss)(x, none, **args))
        ignored = torch.full((4,), -100)
        close(
            loss(torch.zeros(4, 3), ignored, **args),
            theirs(loss)(torch.zeros(4, 3), ignored, **args),
        )
    for loss in (
        cross_entropy,
        binary_cross_entropy,
        binary_cross_entropy_with_logits,
    ):
        close(
            loss(x, x, reduction=reduction),
            theirs(loss)(x, x, reduction=reduction),
        )


def test_nan_stays_in_its_sample():
    x = torch.tensor([[0.0, math.nan], [0.0, 0.0]])
    each = cross_entropy(x, torch.tensor([0, 0]), reduction="none")
    assert each.isnan().tolist() == [True, False]


# ---------------------------------------------------------------------------------- dtypes and vmap


@pytest.mark.parametrize("dtype", ANY)
def test_the_inputs_dtype_is_kept_whatever_the_others(dtype):
    x, target = draw((4, 3), 47, dtype), distributions((4, 3), 48)
    weight = uniform(3, 49)
    for other in (dtype, torch.float64, torch.float32):
        outputs = [
            log_softmax(x, 1),
            cross_entropy(x, indices((4, 3), 50), weight.to(other)),
            cross_entropy(x, target.to(other), weight.to(other)),
            nll_loss(x, indices((4, 3), 50), weight.to(other)),
            binary_cross_entropy(x.sigmoid(), target.to(other), weight.to(other)),
            binary_cross_entropy_with_logits(
                x, target.to(other), pos_weight=weight.to(other)
            ),
        ]
        assert [o.dtype for o in outputs] == [dtype] * 6
        assert [o.device for o in outputs] == [x.device] * 6


@pytest.mark.parametrize(
    "dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]
)
@pytest.mark.parametrize("classes", [3, 200])
def test_any_integers_are_indices(dtype, classes):
    """Compared in their own type, -100 is 156 as uint8, and 200 classes are -56 as int8."""
    highest = min(classes - 1, torch.iinfo(dtype).max)
    target = torch.tensor([0, 1, min(156, highest), highest], dtype=dtype)
    x = draw((4, classes), 51)
    for loss in (cross_entropy, nll_loss):
        close(
            loss(x, target, reduction="none"),
            theirs(loss)(x, target.long(), reduction="none"),
        )
    assert (cross_entropy(x, target, reduction="none") > 0).all()


def test_vmap_gives_what_a_loop_gives():
    x, target = draw((3, 5, 4), 52), indices((15, 4), 53).view(3, 5)
    q = distributions((3, 4, 5), 54).movedim(1, 2)
    for loss, input, second in (
        (cross_entropy, x, target),
        (cross_entropy, x, q),
        (nll_loss, x, target),
        (binary_cross_entropy, x.sigmoid(), q),
        (binary_cross_entropy_with_logits, x, q),
    ):
        stacked = torch.func.vmap(loss)(input, second)
        close(
            stacked,
            torch.stack([loss(a, b) for a, b in zip(input, second, strict=True)]),
        )
        gradient = torch.func.vmap(torch.func.grad(loss))(input, second)
        looped = [
            torch.func.grad(loss)(a, b) for a, b in zip(input, second, strict=True)
        ]
        close(gradient, torch.stack(looped))


def test_inputs_are_not_altered():
    x, target = draw((4, 3), 55), torch.tensor([0, 1, -100, 2])
    before = x.clone(), target.clone()
    cross_entropy(x, target, label_smoothing=0.1)
    assert torch.equal(x, before[0])
    assert torch.equal(target, before[1])


# -------------------------------------------------------------------------------------------- errors

LOGIT = torch.zeros(2, 3)
INDEX = torch.tensor([0, 2])


@pytest.mark.parametrize("loss", [cross_entropy, nll_loss], ids=named)
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            (LOGIT, torch.tensor([0, 3])),
            ValueError,
            "classes from 0 to 2, since input has 3 classes, or ignore_index=-100: got 3",
        ),
        ((LOGIT, torch.tensor([-1, 0])), ValueError, "from 0 to 2.* got -1"),
        (
            (LOGIT, INDEX.float()),
            TypeError,
            r"target must hold integers.* got torch.float32; use .long\(\)",
        ),
        ((LOGIT, INDEX.bool()), TypeError, "target must hold integers.*torch.bool"),
        (
            (LOGIT, torch.tensor([[0], [1]])),
            ValueError,
            r"target must be \(2,\) for class indices, or \(2, 3\).*got \(2, 1\)",
        ),
        (
            (torch.zeros(2, 3, 4), torch.zeros(2, 3).long()),
            ValueError,
            r"\(2, 4\).*got \(2, 3\)",
        ),
        (
            (LOGIT.long(), INDEX),
            TypeError,
            r"input must be floating point: got torch.int64; use .float\(\)",
        ),
        ((torch.zeros(()), INDEX), ValueError, r"\(C,\) or \(N, C, \*\).*shape \(\)"),
        ((torch.zeros(2, 0), INDEX), ValueError, r"at least 1 class: got shape \(2, 0"),
        (
            (LOGIT, INDEX, torch.ones(2)),
            ValueError,
            r"weight must hold one value for each of the 3 classes.* got \(2,\)",
        ),
        (
            (LOGIT, INDEX, torch.ones(3).long()),
            TypeError,
            "weight must be floating point",
        ),
    ],
)
def test_wrong_arguments_of_class_losses(loss, arguments, error, message):
    with pytest.raises(error, match=message):
        loss(*arguments)


def test_other_wrong_arguments_of_cross_entropy():
    with pytest.raises(
        TypeError, match=r"probabilities, floating point.*use .float\(\)"
    ):
        cross_entropy(LOGIT, torch.ones(2, 3).long())
    with pytest.raises(ValueError, match=r"probabilities in \[0, 1\]: got -1.0"):
        cross_entropy(LOGIT, torch.tensor([[2 / 3] * 3, [1, -1.0, 1]]))
    with pytest.raises(ValueError, match=r"target must hold probabilities.* got nan"):
        cross_entropy(LOGIT, LOGIT + math.nan)
    with pytest.raises(ValueError, match="no meaning for target probabilities: got 0"):
        cross_entropy(LOGIT, LOGIT, ignore_index=0)
    for smoothing in (-0.1, 1.1, math.nan):
        with pytest.raises(
            ValueError, match=rf"label_smoothing must be in \[0, 1\]: got {smoothing}"
        ):
            cross_entropy(LOGIT, INDEX, label_smoothing=smoothing)


def test_nll_takes_no_probabilities():
    with pytest.raises(ValueError, match=r"one class index.*use .argmax"):
        nll_loss(LOGIT, LOGIT)


def test_log_softmax_takes_no_integers():
    with pytest.raises(
        TypeError, match=r"input must be floating point: got torch\.int64"
    ):
        log_softmax(LOGIT.long(), 1)


@pytest.mark.parametrize(
    "loss", [binary_cross_entropy, binary_cross_entropy_with_logits], ids=named
)
def test_wrong_arguments_of_binary_losses(loss):
    for pair in ((LOGIT.long(), LOGIT), (LOGIT, LOGIT.long()), (LOGIT, LOGIT.bool())):
        with pytest.raises(TypeError, match=r"must be floating point: got torch\."):
            loss(*pair)
    with pytest.raises(
        ValueError, match=r"target must have the shape of input, \(2, 3\).*got \(2,\)"
    ):
        loss(LOGIT, torch.zeros(2))
    for bad in (-0.5, 1.5, math.nan):
        with pytest.raises(
            ValueError,
            match=rf"target must hold .* \[0, 1\]: got {bad}; yes is 1 and no is 0",
        ):
            loss(LOGIT, torch.full((2, 3), bad))
    with pytest.raises(
        ValueError, match=r"weight must be broadcastable.*\(2, 3\): got \(2,\)"
    ):
        loss(LOGIT, LOGIT, torch.ones(2))
    with pytest.raises(ValueError, match=r"broadcastable.*got \(5, 2, 3\)"):
        loss(LOGIT, LOGIT, torch.ones(5, 2, 3))
    with pytest.raises(TypeError, match="weight must be floating point"):
        loss(LOGIT, LOGIT, torch.ones(3).long())


def test_binary_cross_entropy_takes_no_logits():
    with pytest.raises(
        ValueError, match=r"input must hold .* got 2.0; apply torch.sigmoid, or use"
    ):
        binary_cross_entropy(LOGIT + 2, LOGIT)


def test_wrong_pos_weight():
    with pytest.raises(
        ValueError, match=r"pos_weight must be broadcastable.*got \(2,\)"
    ):
        binary_cross_entropy_with_logits(LOGIT, LOGIT, pos_weight=torch.ones(2))


def test_all_of_them_are_public():
    assert {f.__name__ for f in LOSSES} <= set(dlkb.losses.__all__)
