"""Starting weights against torch's under one generator, or in law; fans by counting; gains by quadrature."""

import inspect
import math

import pytest
import scipy.stats
import torch
from comparing import close
from torch import nn
from torch.nn import init

import dlkb.initialization
from dlkb.initialization.activations import leaky_relu, relu, relu6, selu, silu, tanh
from dlkb.initialization.fans import calculate_fan_in_and_fan_out, layer_fans
from dlkb.initialization.gain import backward_gain, calculate_gain, forward_gain
from dlkb.initialization.identity import dirac_, eye_
from dlkb.initialization.kaiming import (
    kaiming_normal_,
    kaiming_uniform_,
    torch_default_,
)
from dlkb.initialization.orthogonal import orthogonal_
from dlkb.initialization.truncated import trunc_normal_, truncated_std
from dlkb.initialization.xavier import xavier_normal_, xavier_uniform_

LAYERS = [
    nn.Linear(7, 5),
    nn.Conv1d(4, 6, 3),
    nn.Conv2d(4, 6, (3, 2), groups=2),
    nn.Conv3d(2, 4, (1, 2, 3)),
    nn.ConvTranspose1d(4, 6, 3, groups=2),
    nn.ConvTranspose2d(4, 6, (3, 2)),
    nn.ConvTranspose3d(2, 4, 2),
]
SHAPES = [tuple(layer.weight.shape) for layer in LAYERS] + [(1, 1), (3, 9), (9, 3)]
DRAWN = [
    xavier_uniform_,
    xavier_normal_,
    kaiming_uniform_,
    kaiming_normal_,
    orthogonal_,
]
FILLS = [*DRAWN, trunc_normal_, eye_, dirac_]
ANY = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
NONLINEARITIES = ["linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d"]
NONLINEARITIES += ["conv_transpose2d", "conv_transpose3d", "sigmoid", "tanh", "relu"]
NONLINEARITIES += ["leaky_relu", "selu"]


def named(function):
    return function.__name__


def theirs(function):
    return getattr(init, function.__name__)


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def filled(function, shape, *args, dtype=torch.float64, seed=0, **arguments):
    return function(
        torch.empty(shape, dtype=dtype), *args, generator=source(seed), **arguments
    )


# ------------------------------------------------------------------------------------- against torch


@pytest.mark.parametrize("function", FILLS, ids=named)
def test_names_order_and_defaults_are_torchs(function):
    ours, torchs = (
        [(p.name, p.default) for p in inspect.signature(f).parameters.values()]
        for f in (function, theirs(function))
    )
    assert ours == torchs


@pytest.mark.parametrize("function", DRAWN, ids=named)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_same_generator_gives_torchs_weights(function, shape, dtype):
    """Fails for variance and deviation confused, for fans without the kernel, for the sign of Q's columns."""
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    found, expected = (
        filled(f, shape, dtype=dtype) for f in (function, theirs(function))
    )
    close(found, expected, tolerance, tolerance)
    if "kaiming" not in named(function):
        found, expected = (
            filled(f, shape, 1.7, dtype=dtype) for f in (function, theirs(function))
        )
        close(found, expected, tolerance, tolerance)


@pytest.mark.parametrize("function", [kaiming_uniform_, kaiming_normal_], ids=named)
@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
@pytest.mark.parametrize("a", [0, 0.3, math.sqrt(5)])
def test_kaimings_arguments_mean_what_torchs_mean(function, mode, nonlinearity, a):
    """The slope counts for a leaky ReLU alone."""
    found, expected = (
        filled(f, (6, 4, 3), a, mode, nonlinearity)
        for f in (function, theirs(function))
    )
    close(found, expected)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_torchs_layers_start_as_torch_default_says(layer):
    torch.manual_seed(3)
    layer.reset_parameters()
    weight, bias = torch.empty_like(layer.weight), torch.empty_like(layer.bias)
    assert torch_default_(weight, bias, generator=source(3)) is weight
    close(weight, layer.weight.detach(), 1e-6, 1e-7)
    close(bias, layer.bias.detach(), 1e-6, 1e-7)


@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
def test_gains_are_torchs(nonlinearity):
    assert calculate_gain(nonlinearity) == pytest.approx(
        init.calculate_gain(nonlinearity), rel=1e-15
    )


@pytest.mark.parametrize("slope", [0, 0.2, 1, 3.0, -0.5])
def test_the_gain_of_a_leaky_relu_is_torchs_and_exact(slope):
    found = calculate_gain("leaky_relu", slope)
    assert found == pytest.approx(init.calculate_gain("leaky_relu", slope), rel=1e-15)
    measured = forward_gain(lambda z: leaky_relu(z, slope))
    assert measured == pytest.approx(found, rel=1e-6)


@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (5, 2), (0, 2)])
def test_the_identity_is_torchs(shape):
    close(eye_(torch.empty(shape)), init.eye_(torch.empty(shape)))


@pytest.mark.parametrize(
    ("shape", "groups"),
    [
        *(((4, 4, 3), 1), ((6, 2, 5), 3), ((6, 4, 3), 2), ((2, 4, 4), 1)),
        *(((4, 2, 3, 5), 2), ((6, 4, 2, 2), 1), ((4, 3, 3, 2, 1), 2)),
    ],
)
def test_diracs_are_torchs(shape, groups):
    """Fails for one diagonal across all groups, and for the earlier middle of an even kernel."""
    found, expected = (f(torch.empty(shape), groups) for f in (dirac_, init.dirac_))
    close(found, expected)


# --------------------------------------------------------------------------------------------- fans


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_fans_are_torchs(shape):
    weight = torch.empty(shape)
    assert calculate_fan_in_and_fan_out(weight) == init._calculate_fan_in_and_fan_out(
        weight
    )


def counted(layer, size):
    """Fans by counting: connections of units in the middle, averaged over 12 positions along both axes."""
    with torch.no_grad():
        layer.weight.fill_(1)
        if layer.bias is not None:
            layer.bias.zero_()
    x = torch.ones(1, layer.in_channels, size, size).double().requires_grad_()
    y = layer.double()(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    into, out = (
        t[0, :, t.shape[2] // 2 :, t.shape[3] // 2 :][:, :12, :12].mean().item()
        for t in (y, gradient)
    )
    return into, out


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 6, 3),
        nn.Conv2d(4, 6, (3, 2), groups=2, stride=(2, 3)),
        nn.Conv2d(8, 4, 4, stride=2, dilation=3, groups=4),
        nn.ConvTranspose2d(4, 6, 3),
        nn.ConvTranspose2d(6, 4, 4, stride=(2, 3), groups=2),
    ],
    ids=str,
)
def test_fans_of_a_layer_are_what_counting_gives(layer):
    """Fails for torch's own fans in all but the first: groups, strides, and a transposed weight."""
    assert layer_fans(layer) == pytest.approx(counted(layer, 60))


def test_fans_of_other_layers():
    assert layer_fans(nn.Linear(7, 5)) == (7, 5)
    assert layer_fans(nn.Conv1d(4, 6, 3, stride=2)) == (12, 9)
    assert layer_fans(nn.Conv3d(2, 4, 3, stride=3)) == (54, 4)
    assert layer_fans(nn.ConvTranspose1d(4, 6, 3, stride=2)) == (6, 18)


# -------------------------------------------------------------------------------------------- gains


def test_gains_by_hand():
    """A line's gains are 1; |z| keeps all; a step loses nothing but its slope is 0."""
    assert forward_gain(lambda z: z) == pytest.approx(1, rel=1e-12)
    assert backward_gain(lambda z: 2 * z) == pytest.approx(1 / 2, rel=1e-12)
    assert forward_gain(torch.abs) == pytest.approx(1, rel=1e-12)
    assert forward_gain(torch.square) == pytest.approx(3**-0.5, rel=1e-9)  # E z^4 = 3
    assert backward_gain(torch.square) == pytest.approx(1 / 2, rel=1e-9)
    assert backward_gain(torch.sign) == math.inf
    assert forward_gain(selu) == pytest.approx(1, rel=1e-7)  # its fixed point
    for gain in (forward_gain, backward_gain):
        assert gain(relu) == pytest.approx(math.sqrt(2), rel=1e-7)
    inside = scipy.stats.norm.cdf(6) - 0.5  # the slope of ReLU6 is 1 there
    assert backward_gain(relu6) == pytest.approx(inside**-0.5, rel=1e-9)


@pytest.mark.parametrize("function", [tanh, silu])
def test_gains_by_sampling(function):
    z = torch.randn(1_000_000, generator=source(), dtype=torch.float64)
    z.requires_grad_()
    value = function(z)
    (slope,) = torch.autograd.grad(value.sum(), z)
    # the mean of a million squares below 1 is off by 0.1 percent at most, and its root by half of that
    assert forward_gain(function) == pytest.approx(
        value.square().mean().item() ** -0.5, rel=3e-3
    )
    assert backward_gain(function) == pytest.approx(
        slope.square().mean().item() ** -0.5, rel=3e-3
    )


def test_the_gain_keeps_the_second_moment_of_a_wide_layer():
    x = torch.randn(200, 1000, generator=source(), dtype=torch.float64)
    weight = filled(xavier_normal_, (1000, 1000), forward_gain(tanh), seed=1)
    y = tanh(x) @ weight.mT
    assert y.square().mean().item() == pytest.approx(1, abs=0.02)  # 5 deviations


# ---------------------------------------------------------------------------------------- orthogonal


@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (8, 3), (4, 2, 3, 3), (20, 2, 3)])
@pytest.mark.parametrize("dtype", ANY)
def test_all_singular_values_are_the_gain(shape, dtype):
    weight = filled(orthogonal_, shape, 1.5, dtype=dtype)
    assert weight.dtype == dtype
    values = torch.linalg.svdvals(weight.double().flatten(1))
    close(values, torch.full_like(values, 1.5), atol=8 * torch.finfo(dtype).eps, rtol=0)


def test_orthogonal_matrices_are_drawn_evenly():
    """Each entry on average 0: without the repair by R's diagonal, the first is always negative."""
    generator = source()
    drawn = torch.stack(
        [orthogonal_(torch.empty(2, 2), generator=generator) for _ in range(2000)]
    )
    angle = torch.atan2(drawn[:, 1, 0], drawn[:, 0, 0])
    uniform = scipy.stats.uniform(-math.pi, 2 * math.pi)
    assert scipy.stats.kstest(angle.double().numpy(), uniform.cdf).pvalue > 0.01
    rotations = (torch.linalg.det(drawn) > 0).sum().item()
    assert scipy.stats.binomtest(rotations, 2000).pvalue > 0.01


# ----------------------------------------------------------------------------------------- truncated

CUTS = [
    (0, 1, -2, 2),
    (0.5, 2, -1, 1),
    (0, 1, -0.5, 3),
    (3, 1, -2, 2),
    (0, 1, 5, 6),
    (0, 1, -9, -8),
    (0, 1, 20, 30),
    (0, 1, 1, math.inf),
    (1, 0.5, -math.inf, math.inf),
    (0, 0.02, -2, 2),
]


def of_scipy(mean, std, a, b):
    return scipy.stats.truncnorm(
        (a - mean) / std, (b - mean) / std, loc=mean, scale=std
    )


@pytest.mark.parametrize("cut", CUTS, ids=str)
def test_truncated_draws_have_scipys_distribution(cut):
    """Far in the tails too. Fails for bounds in deviations, for clamping, for 1 - tiny in the upper tail."""
    drawn = filled(trunc_normal_, (4000,), *cut)
    assert drawn.min() >= cut[2]
    assert drawn.max() <= cut[3]
    assert scipy.stats.kstest(drawn.numpy(), of_scipy(*cut).cdf).pvalue > 0.01
    assert drawn.unique().numel() > 3990


def test_truncated_draws_have_torchs_distribution():
    ours, torchs = (
        filled(f, (4000,), 0.1, 0.8, -1.0, 0.7).numpy()
        for f in (trunc_normal_, init.trunc_normal_)
    )
    assert scipy.stats.ks_2samp(ours, torchs).pvalue > 0.01


@pytest.mark.parametrize("cut", [c for c in CUTS if c[2] < 15], ids=str)
def test_the_spread_that_is_left_is_scipys(cut):
    assert truncated_std(*cut) == pytest.approx(of_scipy(*cut).std(), rel=1e-6)


@pytest.mark.parametrize("dtype", ANY)
def test_truncated_draws_keep_their_bounds_in_any_dtype(dtype):
    drawn = filled(trunc_normal_, (2000,), 0, 1, -0.1, 0.1, dtype=dtype)
    assert drawn.dtype == dtype
    assert drawn.abs().max() <= torch.tensor(0.1).to(dtype)


# ------------------------------------------------------------------------------------ laws, in place


@pytest.mark.parametrize(
    ("function", "law"),
    [
        (
            xavier_uniform_,
            scipy.stats.uniform(-((6 / 500) ** 0.5), 2 * (6 / 500) ** 0.5),
        ),
        (xavier_normal_, scipy.stats.norm(0, (2 / 500) ** 0.5)),
        (kaiming_uniform_, scipy.stats.uniform(-((6 / 300) ** 0.5), 2 * 0.02**0.5)),
        (kaiming_normal_, scipy.stats.norm(0, (2 / 300) ** 0.5)),
        (torch_default_, scipy.stats.uniform(-(300**-0.5), 2 * 300**-0.5)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_laws_themselves(function, law):
    """Not by way of torch: bound and deviation, computed here; the second moments of both forms agree."""
    drawn = function(torch.empty(200, 300), generator=source())
    assert scipy.stats.kstest(drawn.flatten().numpy(), law.cdf).pvalue > 0.01


@pytest.mark.parametrize("function", FILLS, ids=named)
@pytest.mark.parametrize("dtype", ANY)
def test_parameters_are_filled_in_place(function, dtype):
    """No gradient is recorded, the tensor itself comes back, also where it is a transposed view."""
    shape = (4, 4, 3) if function is dirac_ else (4, 4)
    weight = nn.Parameter(torch.full(shape, 7.0, dtype=dtype))
    before = weight.data_ptr()
    assert function(weight) is weight
    assert weight.data_ptr() == before
    assert weight.dtype == dtype
    assert weight.is_leaf
    assert weight.requires_grad
    assert not (weight == 7).any()
    view = torch.full(shape, 7.0, dtype=dtype)
    function(view.transpose(0, 1))
    assert not (view == 7).any()


@pytest.mark.parametrize("function", [*DRAWN, trunc_normal_, torch_default_], ids=named)
def test_the_generator_is_used_and_the_global_one_left(function):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first, again, other = (
        function(torch.empty(3, 4), generator=source(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("function", [*DRAWN, trunc_normal_], ids=named)
def test_nothing_is_filled_without_a_word(function):
    """No warning, which would be an error here, and no division by 0."""
    assert function(torch.empty(0, 3)).shape == (0, 3)
    assert function(torch.empty(3, 0)).shape == (3, 0)


# -------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("function", [*FILLS, torch_default_], ids=named)
def test_integers_are_refused(function):
    weight = torch.ones(2, 2, 2).long()
    with pytest.raises(
        TypeError,
        match=r"tensor must be floating point: got torch\.int64; use \.float\(\)",
    ):
        function(weight)
    assert (weight == 1).all()


@pytest.mark.parametrize("function", [*DRAWN, torch_default_], ids=named)
def test_vectors_are_refused(function):
    with pytest.raises(
        ValueError, match=r"tensor must have at least 2 dimensions.*got shape \(3,\)"
    ):
        function(torch.empty(3))


def test_other_wrong_arguments():
    weight = torch.ones(4, 4)
    with pytest.raises(
        ValueError, match="mode must be one of fan_in, fan_out: got 'fan_avg'"
    ):
        kaiming_normal_(weight, mode="fan_avg")
    with pytest.raises(
        ValueError, match=r"nonlinearity must be one of linear, .*selu: got 'gelu'"
    ):
        kaiming_uniform_(weight, nonlinearity="gelu")
    with pytest.raises(ValueError, match=r"param must be None for 'tanh'.*got 0\.1"):
        calculate_gain("tanh", 0.1)
    for param in (True, "0.1"):
        with pytest.raises(TypeError, match=f"param must be a number.*got {param!r}"):
            calculate_gain("leaky_relu", param)
    with pytest.raises(TypeError, match=r"bias must be floating point: got torch\.int"):
        torch_default_(weight, torch.ones(4).int())
    with pytest.raises(ValueError, match=r"must be a matrix.*got shape \(4,\); for a"):
        eye_(weight[0])
    with pytest.raises(ValueError, match=r"3 to 5 dimensions: got shape \(4, 4\); for"):
        dirac_(weight)
    for groups in (3, 0):
        with pytest.raises(
            ValueError, match=rf"groups \({groups}\) must divide the number.*\(4\)"
        ):
            dirac_(torch.ones(4, 4, 1), groups)
    with pytest.raises(TypeError, match="linear layer or a convolution: got ReLU"):
        layer_fans(nn.ReLU())
    assert (weight == 1).all()


def test_wrong_cuts():
    weight = torch.ones(4)
    for std in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match=f"std must be positive: got {std}"):
            trunc_normal_(weight, std=std)
    for a, b in ((2, 2), (3, 2), (math.nan, 2)):
        with pytest.raises(ValueError, match=f"a must be below b: got a={a}, b={b}"):
            trunc_normal_(weight, a=a, b=b)
    for a, b in ((40, 50), (-50, -40)):
        with pytest.raises(
            ValueError,
            match=r"must hold mass .* 40 standard deviations from the mean 0.0; move",
        ):
            trunc_normal_(weight, a=a, b=b)
    with pytest.raises(ValueError, match="a must be below b"):
        truncated_std(a=1, b=0)
    assert (weight == 1).all()


def test_all_of_them_are_public():
    assert {f.__name__ for f in FILLS} <= set(dlkb.initialization.__all__)
