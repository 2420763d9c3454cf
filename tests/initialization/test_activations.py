"""Activations against torch in value, slope and curvature, by hand, at extremes; naive sigmoids."""

import inspect
import math

import pytest
import torch
import torch.nn.functional as F
from comparing import close, value_and_gradients
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from dlkb.initialization import activations
from dlkb.initialization.activations import (
    elu,
    gelu,
    hardsigmoid,
    hardswish,
    leaky_relu,
    mish,
    quick_gelu,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softplus,
    swish,
    tanh,
)
from dlkb.initialization.naive_sigmoids import (
    sigmoid_from_exp,
    sigmoid_from_exp_of_minus,
    sigmoid_unguarded,
)

ALL = [getattr(activations, name) for name in activations.__all__]
OURS_ALONE = {swish, quick_gelu}
PARITY = [f for f in ALL if f not in OURS_ALONE]
SMOOTH = [sigmoid, tanh, softplus, silu, gelu, mish]
NAIVE = [sigmoid_from_exp, sigmoid_from_exp_of_minus, sigmoid_unguarded]
ANY = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
# a kink lies between these, and 0, where slopes are given by convention, is among them
POINTS = torch.cat(
    [
        torch.linspace(-40, 40, 802, dtype=torch.float64),
        torch.linspace(-7.013, 7.013, 401, dtype=torch.float64),
        torch.zeros(1, dtype=torch.float64),
    ]
)


def double(*values):
    return torch.tensor(values, dtype=torch.float64)


def named(function):
    return function.__name__


def theirs(function):
    return getattr(F, function.__name__)


def reference(name):
    return {
        "swish": lambda x: x / (1 + torch.exp(-x)),
        "quick_gelu": lambda x: x / (1 + torch.exp(-1.702 * x)),
    }[name]


def second(function, x):
    x = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(function(x).sum(), x, create_graph=True)
    return torch.autograd.grad(slope.sum(), x)[0]


def slope_at(function, points):
    x = torch.as_tensor(points).clone().requires_grad_()
    return torch.autograd.grad(function(x).sum(), x)[0]


# ------------------------------------------------------------------------------------- against torch


@pytest.mark.parametrize("function", PARITY, ids=named)
def test_names_order_and_defaults_are_torchs(function):
    """``inplace`` left out: a function that alters its input cannot be compared with one that does not."""
    torchs = {
        "softplus": [("beta", 1.0), ("threshold", 20.0)],  # built in: no signature
        "gelu": [("approximate", "none")],
    }.get(named(function))
    if torchs is None:
        parameters = inspect.signature(theirs(function)).parameters.values()
        torchs = [(p.name, p.default) for p in parameters][1:]
        torchs = [t for t in torchs if t[0] != "inplace"]
    ours = list(inspect.signature(function).parameters.values())
    assert ours[0].name == "input"
    assert [(p.name, p.default) for p in ours[1:]] == torchs


@pytest.mark.parametrize("function", PARITY, ids=named)
def test_values_and_slopes_equal_torchs(function):
    """Fails for a slope at 0 that is 0 in a smooth function, as by |x|, or 1 in a ReLU."""
    found, expected = (
        value_and_gradients(f, POINTS) for f in (function, theirs(function))
    )
    close(found[0], expected[0])
    # torch's slope of the hard sigmoid, 1/6, is a float32
    close(found[1], expected[1], rtol=3e-8 if function is hardsigmoid else 1e-12)


@pytest.mark.parametrize("function", sorted(OURS_ALONE, key=named), ids=named)
def test_values_and_slopes_equal_the_formula_written_down(function):
    found, expected = (
        value_and_gradients(f, POINTS) for f in (function, reference(named(function)))
    )
    close(found, expected)


@pytest.mark.parametrize("function", SMOOTH, ids=named)
def test_curvatures_equal_torchs(function):
    """Fails for a form by |x|, whose curvature at 0 is lost, and for a gradient that has none."""
    close(second(function, POINTS), second(theirs(function), POINTS), 1e-10, 1e-10)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        *((leaky_relu, (s,)) for s in (0.0, 0.3, 1.0, 2.5, -0.5)),
        *((elu, (a,)) for a in (0.5, 2.0)),
        *((softplus, a) for a in ((0.3,), (5.0,), (2.0, 1.0), (1.0, math.inf))),
    ],
)
def test_arguments_mean_what_torchs_mean(function, arguments):
    """Fails for a leaky ReLU by max at a slope above 1, and for a threshold of x instead of beta x."""
    found, expected = (
        value_and_gradients(lambda x, f=f: f(x, *arguments), POINTS)
        for f in (function, theirs(function))
    )
    close(found, expected)


def test_the_tanh_form_of_gelu_is_torchs():
    found, expected = (
        value_and_gradients(f, POINTS, approximate="tanh") for f in (gelu, F.gelu)
    )
    close(found, expected)
    close(gelu(POINTS, "tanh"), expected[0])
    assert (gelu(POINTS) - expected[0]).abs().max() > 1e-4


@pytest.mark.parametrize("function", ALL, ids=named)
@pytest.mark.parametrize("dtype", ANY[:3])
def test_low_precision_rounds_the_exact_value_once(function, dtype):
    """Fails where float16 is computed in float16. In float32, an exponent x^2 / 2 may be rounded."""
    x = POINTS.to(dtype)
    exact = function(x.double())
    found = function(x)
    assert found.dtype == dtype
    assert found.device == x.device
    roundings = 4 + x.double() ** 2 if dtype == torch.float32 else 0.51
    unit = roundings * torch.finfo(dtype).eps
    tiny = torch.finfo(dtype).smallest_normal
    assert ((found.double() - exact).abs() <= unit * exact.abs() + tiny).all()


# ------------------------------------------------------------------------------------------ by hand


def test_by_hand():
    x = double(-math.log(3), 0.0, math.log(3))
    close(sigmoid(x), double(1 / 4, 1 / 2, 3 / 4))
    close(tanh(x), double(-0.8, 0, 0.8))  # (3 - 1/3) / (3 + 1/3)
    close(softplus(x), double(4 / 3, 2, 4).log())
    # e^softplus = 4/3, 2, 4; tanh(log n) = (n^2 - 1) / (n^2 + 1)
    close(mish(x), x * double(7 / 25, 3 / 5, 15 / 17))
    close(silu(x), x * double(1 / 4, 1 / 2, 3 / 4))
    y = torch.tensor([-4.0, -2.0, -0.5, 0.5, 4.0, 8.0])
    assert relu(y).tolist() == [0, 0, 0, 0.5, 4, 8]
    assert relu6(y).tolist() == [0, 0, 0, 0.5, 4, 6]
    assert leaky_relu(y, 0.25).tolist() == [-1, -0.5, -0.125, 0.5, 4, 8]
    assert hardswish(y)[[0, 1, 4, 5]].tolist() == pytest.approx([0, -1 / 3, 4, 8])
    assert hardsigmoid(y)[[0, 1, 4]].tolist() == pytest.approx([0, 1 / 6, 1])
    assert elu(torch.tensor([-math.log(2)]), 3.0).item() == pytest.approx(-1.5)


@pytest.mark.parametrize(
    ("function", "where", "value"),
    [
        (silu, -1.278464542761, -0.278464542761),
        (mish, -1.192431, -0.308843),
        (gelu, -0.751792, -0.169971),
        (hardswish, -1.5, -0.375),
    ],
)
def test_the_lowest_values(function, where, value):
    """As published, or where the derivative vanishes; found here by scipy."""
    found = minimize_scalar(lambda x: function(double(x)).item(), (-3, -1, 0), tol=1e-9)
    assert found.x == pytest.approx(where, abs=2e-5)
    assert found.fun == pytest.approx(value, abs=1e-6)


def test_slopes_at_zero():
    """1 for tanh alone of the smooth ones; 1/2 for SiLU, GELU and softplus, 1/4 for the sigmoid."""
    zero = double(0)
    expected = {tanh: 1, sigmoid: 1 / 4, silu: 1 / 2, gelu: 1 / 2, quick_gelu: 1 / 2}
    expected |= {softplus: 1 / 2, mish: 3 / 5, hardswish: 1 / 2, hardsigmoid: 1 / 6}
    expected |= {relu: 0, relu6: 0, leaky_relu: 0.01, elu: 1, swish: 1 / 2}
    for function, slope in expected.items():
        assert slope_at(function, zero).item() == pytest.approx(slope, abs=1e-12)
    assert slope_at(sigmoid, POINTS).max().item() == 1 / 4


def test_slopes_at_the_kinks_are_torchs():
    for function in (relu, relu6, hardsigmoid):
        points = torch.tensor([-3.0, 0.0, 3.0, 6.0])
        close(slope_at(function, points), slope_at(theirs(function), points))
    assert slope_at(hardswish, [-3.0, 3.0]).tolist() == [0, 1]


def test_selu_keeps_mean_and_variance_of_a_normal_input():
    """By quadrature; fails if a digit of the constants is wrong."""
    z, step = torch.linspace(-12, 12, 24_001, dtype=torch.float64), 24 / 24_000
    density = torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) * step
    assert (density * selu(z)).sum().item() == pytest.approx(0, abs=1e-7)
    assert (density * selu(z) ** 2).sum().item() == pytest.approx(1, abs=1e-8)


# -------------------------------------------------------------------------------- limits, identities


@settings(max_examples=40, deadline=None)
@given(st.floats(-300, 300))
def test_identities(x):
    x = double(x)
    close(sigmoid(x) + sigmoid(-x), double(1))
    close(tanh(x), 2 * sigmoid(2 * x) - 1)
    close(tanh(x), -tanh(-x))
    exact = (1.0, math.inf)  # without the threshold, whose jump is 2e-9
    close(softplus(x, *exact) - softplus(-x, *exact), x)
    close(slope_at(lambda x: softplus(x, *exact), x), sigmoid(x))
    close(relu(x) - relu(-x), x)
    close(gelu(x) - gelu(-x), x)
    close(silu(x) - silu(-x), x)
    close(leaky_relu(x, 0.0), relu(x))


def test_swish_lies_between_a_line_and_a_relu():
    close(swish(POINTS, 0.0), POINTS / 2)
    close(swish(POINTS, 1e6), relu(POINTS), atol=1e-6)
    close(swish(POINTS, 1.0), silu(POINTS))


def test_swish_learns_its_beta():
    x, beta = POINTS[400:415].view(5, 3), double(0.5, 1.0, 2.0)
    assert torch.autograd.gradcheck(swish, (x.requires_grad_(), beta.requires_grad_()))


@pytest.mark.parametrize("function", ALL, ids=named)
def test_vmap_gives_what_a_loop_gives(function):
    x = torch.linspace(-5, 5, 12).view(3, 4)
    gradient = torch.func.grad(lambda x: function(x).sum())
    close(torch.func.vmap(function)(x), function(x))
    close(torch.func.vmap(gradient)(x), slope_at(function, x))


# ------------------------------------------------------------------------------------------ extremes


@pytest.mark.parametrize("function", ALL, ids=named)
@pytest.mark.parametrize("dtype", ANY)
def test_the_largest_numbers_have_finite_values_and_slopes(function, dtype):
    """To the end of each dtype: fails for e^x, for 1 + e^-x in the branch not taken, for a cube."""
    largest = torch.finfo(dtype).max / 4
    sizes = torch.tensor([100.0, 1e4, largest], dtype=dtype)
    x = torch.cat([-sizes.flip(0), sizes])
    for f in (function, lambda x: gelu(x, "tanh")):
        value, slope = value_and_gradients(f, x)
        assert value.isfinite().all()
        assert slope.isfinite().all()
        if f is not relu6 and f not in (sigmoid, tanh, hardsigmoid, relu6):
            assert (value[3:] >= x[3:]).all()  # the identity, or selu's


def test_curvatures_of_the_largest_numbers_are_finite():
    x = torch.tensor([-1e30, -1e4, 1e4, 1e30])
    for function in (*SMOOTH, lambda x: gelu(x, "tanh")):
        assert second(function, x).isfinite().all()


def test_small_values_keep_their_digits():
    """Fails for 2 sigmoid(2x) - 1, for log(1 + e^x), for e^x - 1, and for 1 + erf in the left tail."""
    small = torch.tensor([-1e-6, 1e-6])
    assert tanh(small).tolist() == pytest.approx(small.tolist(), rel=1e-6)
    assert elu(small)[0].item() == pytest.approx(-1e-6, rel=1e-5)
    low = torch.tensor(-50.0)
    assert softplus(low).item() == pytest.approx(math.exp(-50), rel=1e-5)
    assert sigmoid(low).item() == pytest.approx(math.exp(-50), rel=1e-5)
    assert mish(low).item() == pytest.approx(-50 * math.exp(-50), rel=1e-5)
    tail = -8 * math.erfc(8 / math.sqrt(2)) / 2
    assert gelu(torch.tensor(-8.0)).item() == pytest.approx(tail, rel=1e-5)
    assert gelu(torch.tensor(-8.0), "tanh").item() < 0


@pytest.mark.parametrize("function", ALL, ids=named)
def test_nan_stays_and_nothing_is_altered(function):
    x = torch.tensor([math.nan, 1.0])
    assert function(x).isnan().tolist() == [True, False]
    assert x[1] == 1
    assert function(torch.zeros(0, 3)).shape == (0, 3)
    assert function(torch.tensor(0.5)).shape == ()


# ------------------------------------------------------------------------------------ naive sigmoids


@pytest.mark.parametrize("naive", NAIVE, ids=named)
def test_naive_forms_are_right_where_nothing_overflows(naive):
    x = torch.linspace(-30, 30, 61).double()
    close(value_and_gradients(naive, x), value_and_gradients(sigmoid, x))


@pytest.mark.parametrize(
    ("dtype", "size"), [(torch.float16, 20.0), (torch.float32, 100.0)]
)
def test_where_naive_forms_fail(dtype, size):
    """Each form: (value is NaN, slope is NaN) at -size and at size. The stable form has neither."""
    x = torch.tensor([-size, size], dtype=dtype)
    fails = {
        sigmoid_from_exp_of_minus: ([False, False], [True, False]),
        sigmoid_from_exp: ([False, True], [False, True]),
        sigmoid_unguarded: ([False, False], [True, True]),
        sigmoid: ([False, False], [False, False]),
    }
    for form, expected in fails.items():
        found = value_and_gradients(form, x)
        assert tuple(f.isnan().tolist() for f in found) == expected, named(form)


# -------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("function", ALL, ids=named)
def test_integers_are_refused(function):
    with pytest.raises(
        TypeError,
        match=r"input must be floating point: got torch\.int64; use \.float\(\)",
    ):
        function(torch.tensor([1, 2]))


def test_wrong_arguments():
    x = torch.zeros(1)
    for beta in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match=f"beta must be positive: got {beta}"):
            softplus(x, beta)
    with pytest.raises(
        ValueError, match="approximate must be one of none, tanh: got 'sigmoid'"
    ):
        gelu(x, "sigmoid")
