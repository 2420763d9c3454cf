"""Layer, instance, group and RMS norm against torch's: value, gradient, state; then edges, errors, laws."""

import inspect

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlkb.normalization import (
    GroupNorm,
    InstanceNorm2d,
    LayerNorm,
    RMSNorm,
    group_norm,
    instance_norm,
    layer_norm,
    rms_norm,
)

F = torch.nn.functional


def draw(shape, seed=0, dtype=torch.float64, scale=3.0, shift=1.0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    return x.mul(scale).add(shift).to(dtype)


def close(actual, expected, atol=1e-12):
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol)


def compare(ours, theirs, shape, affine_shape, count):
    """Value and all gradients of two functions of input and ``count`` affine arguments."""
    results = []
    for function in (ours, theirs):
        arguments = [draw(shape, 1), *(draw(affine_shape, 2 + i) for i in range(count))]
        arguments = [a.requires_grad_() for a in arguments]
        output = function(*arguments)
        (output * draw(shape, 9)).sum().backward()
        results.append([output.detach(), *(a.grad for a in arguments)])
    for actual, expected in zip(*results, strict=True):
        close(actual, expected, atol=1e-11 * max(1.0, expected.abs().max().item()))


# --------------------------------------------------------------------- the functions against torch's


@pytest.mark.parametrize(
    ("shape", "axes"), [((4, 3), 1), ((2, 5, 3), 1), ((2, 5, 3), 2), ((3, 2, 4, 5), 3)]
)
@pytest.mark.parametrize("eps", [1e-5, 0.5])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_layer_norm_equals_torch(shape, axes, eps, count):
    """Fails for the unbiased variance, eps outside the root, weights per channel, the first axes."""
    last = shape[-axes:]
    ours, theirs = (
        lambda x, w=None, b=None, f=f: f(x, last, w, b, eps)
        for f in (layer_norm, F.layer_norm)
    )
    compare(ours, theirs, shape, last, count)


@pytest.mark.parametrize("eps", [None, 1e-5, 0.5])
@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize(("shape", "axes"), [((4, 3), 1), ((2, 5, 3), 2), ((2, 1), 1)])
def test_rms_norm_equals_torch(shape, axes, eps, count):
    """Fails for a subtracted mean, eps outside the root, a sum in place of the mean."""
    last = shape[-axes:]
    ours, theirs = (
        lambda x, w=None, f=f: f(x, last, w, eps) for f in (rms_norm, F.rms_norm)
    )
    compare(ours, theirs, shape, last, count)


@pytest.mark.parametrize(
    ("shape", "groups"),
    [
        ((3, 6, 4), 3),
        ((3, 6, 4), 1),
        ((3, 6, 4), 6),
        ((2, 6), 3),
        ((2, 4, 3, 5), 2),
        ((1, 4, 2, 3, 2), 2),
        ((0, 4, 2), 2),
    ],
)
@pytest.mark.parametrize("count", [0, 1, 2])
def test_group_norm_equals_torch(shape, groups, count):
    """Fails for interleaved groups and for one weight per group."""
    if shape[0] == 0:
        assert group_norm(torch.ones(shape), groups).shape == shape
        return
    ours, theirs = (
        lambda x, w=None, b=None, f=f: f(x, groups, w, b, 0.1)
        for f in (group_norm, F.group_norm)
    )
    compare(ours, theirs, shape, shape[1:2], count)


@pytest.mark.parametrize(
    "shape", [(3, 4, 5), (2, 3, 4, 5), (1, 1, 1, 2), (2, 3, 2, 2, 2)]
)
@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("momentum", [0.1, 1.0])
def test_instance_norm_equals_torch_with_its_state(shape, count, own, momentum):
    """Fails for the biased variance in the state, and for a state that is not averaged over samples."""
    states = []
    for function in (instance_norm, F.instance_norm):
        state = [draw(shape[1:2], 20), draw(shape[1:2], 21).abs() + 0.5]
        states.append(state)
        function(draw(shape, 3), *state, use_input_stats=own, momentum=momentum)
    for ours, theirs in zip(*states, strict=True):
        close(ours, theirs)
    ours, theirs = (
        lambda x, w=None, b=None, f=f, s=s: f(x, *s, w, b, own, momentum, 0.1)
        for f, s in zip((instance_norm, F.instance_norm), states, strict=True)
    )
    compare(ours, theirs, shape, shape[1:2], count)


# ----------------------------------------------------------------------- the modules against torch's


PAIRS = [
    (LayerNorm, torch.nn.LayerNorm, ((3, 4, 5),), {}),
    (LayerNorm, torch.nn.LayerNorm, (5,), {"bias": False, "eps": 0.1}),
    (LayerNorm, torch.nn.LayerNorm, (5,), {"elementwise_affine": False}),
    (RMSNorm, torch.nn.RMSNorm, (5,), {}),
    (RMSNorm, torch.nn.RMSNorm, ((4, 5),), {"eps": 0.1, "elementwise_affine": False}),
    (GroupNorm, torch.nn.GroupNorm, (3, 3), {}),
    (GroupNorm, torch.nn.GroupNorm, (1, 3), {"affine": False, "eps": 0.1}),
    (InstanceNorm2d, torch.nn.InstanceNorm2d, (3,), {}),
    (InstanceNorm2d, torch.nn.InstanceNorm2d, (3,), {"affine": True, "eps": 0.1}),
    (InstanceNorm2d, torch.nn.InstanceNorm2d, (3,), {"track_running_stats": True}),
    (
        InstanceNorm2d,
        torch.nn.InstanceNorm2d,
        (3,),
        {"track_running_stats": True, "momentum": None, "affine": True},
    ),
]


@pytest.mark.parametrize(("ours", "theirs", "arguments", "options"), PAIRS)
def test_modules_equal_torch_over_training_and_evaluation(
    ours, theirs, arguments, options
):
    """Fails for state that torch has not (or misses), and for a mode that changes what it should not."""
    ours, theirs = (
        kind(*arguments, **options, dtype=torch.float64) for kind in (ours, theirs)
    )
    with torch.no_grad():
        for seed, parameter in enumerate(ours.parameters()):
            parameter.copy_(draw(parameter.shape, seed))
    theirs.load_state_dict(ours.state_dict())
    for step in range(3):
        x = draw((2, 3, 4, 5), 10 + step, shift=step)
        close(ours(x), theirs(x), atol=1e-11)
        assert list(ours.state_dict()) == list(theirs.state_dict())
        for name, value in theirs.state_dict().items():
            close(ours.state_dict()[name], value)
    close(ours.eval()(x), theirs.eval()(x), atol=1e-11)
    ours.load_state_dict(theirs.state_dict())


def test_instance_norm_takes_a_single_image():
    x = draw((3, 4, 5))
    close(InstanceNorm2d(3)(x), torch.nn.InstanceNorm2d(3)(x))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (LayerNorm, torch.nn.LayerNorm),
        (RMSNorm, torch.nn.RMSNorm),
        (GroupNorm, torch.nn.GroupNorm),
        (InstanceNorm2d, torch.nn.InstanceNorm2d),
    ],
)
def test_constructor_arguments_and_repr_are_torchs(ours, theirs):
    """Names, order and defaults; newer torch has ``bias`` in more places, so shared ones are compared."""
    mine = inspect.signature(ours.__init__).parameters
    its = inspect.signature(theirs.__init__).parameters
    shared = [name for name in mine if name in its]
    assert shared == list(its)
    assert [mine[n].default for n in shared] == [its[n].default for n in shared]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (layer_norm, F.layer_norm),
        (rms_norm, F.rms_norm),
        (group_norm, F.group_norm),
        (instance_norm, F.instance_norm),
    ],
)
def test_function_arguments_are_torchs(ours, theirs):
    mine, its = (inspect.signature(f).parameters for f in (ours, theirs))
    assert list(mine) == list(its)
    assert [p.default for p in mine.values()] == [p.default for p in its.values()]


# ------------------------------------------------------------------------------ by hand, limits, laws


def test_by_hand():
    x = torch.tensor([[1.0, 3.0, 10.0, 30.0]])
    assert layer_norm(x[:, :2], 2, eps=1e-12).tolist() == [[-1.0, 1.0]]
    assert group_norm(x, 2, eps=1e-12).tolist() == [[-1.0, 1.0, -1.0, 1.0]]
    assert rms_norm(torch.tensor([[1.0, 7.0]]), 2).tolist()[0] == pytest.approx(
        [0.2, 1.4]
    )


def test_group_norm_is_layer_norm_and_instance_norm_in_its_limits():
    x = draw((3, 6, 4, 5))
    close(group_norm(x, 1), layer_norm(x, (6, 4, 5)))
    close(group_norm(x, 6), instance_norm(x))
    assert (group_norm(x, 3) - instance_norm(x)).abs().max() > 0.1


def test_a_sample_does_not_depend_on_its_batch():
    x = draw((4, 6, 2, 3))
    for function in (
        lambda x: layer_norm(x, (6, 2, 3)),
        lambda x: group_norm(x, 3),
        instance_norm,
        lambda x: rms_norm(x, 3),
    ):
        close(function(x)[1:2], function(x[1:2]))


@settings(max_examples=30, deadline=None)
@given(scale=st.floats(1e-2, 1e3), shift=st.floats(-1e3, 1e3), seed=st.integers(0, 99))
def test_what_each_norm_ignores(scale, shift, seed):
    """RMS norm ignores the scale but not the shift; it fails for a mean subtracted by mistake."""
    x = draw((2, 4, 6), seed)
    moved = scale * x + shift
    close(layer_norm(moved, 6, eps=1e-15), layer_norm(x, 6, eps=1e-15), atol=1e-7)
    close(instance_norm(moved, eps=1e-15), instance_norm(x, eps=1e-15), atol=1e-7)
    close(rms_norm(scale * x, 6), rms_norm(x, 6), atol=1e-9)
    assert (rms_norm(x + 1000, 6) - rms_norm(x, 6)).abs().max() > 0.1


def test_gradcheck():
    x, weight, bias = (draw((2, 4, 3), seed).requires_grad_() for seed in range(3))
    per_channel = weight[0, :, 0].detach().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: layer_norm(x, (4, 3), weight[0], bias[0]), x
    )
    assert torch.autograd.gradcheck(lambda x, w: group_norm(x, 2, w), (x, per_channel))
    assert torch.autograd.gradcheck(lambda x: instance_norm(x), x)
    assert torch.autograd.gradcheck(lambda x: rms_norm(x, 3), x)


def functions(shape):
    return {
        "layer": lambda x: layer_norm(x, shape[1:]),
        "group": lambda x: group_norm(x, 2),
        "instance": instance_norm,
        "rms": lambda x: rms_norm(x, shape[1:]),
    }


@pytest.mark.parametrize("name", functions((1, 1)))
@pytest.mark.parametrize("value", [1e-20, 1e18])
def test_extreme_and_constant_inputs_give_finite_values_and_gradients(name, value):
    function = functions((8, 2, 6))[name]
    for base in (draw((8, 2, 6), dtype=torch.float32, shift=0), torch.ones(8, 2, 6)):
        x = (base * value).requires_grad_()
        output = function(x)
        output.square().sum().backward()
        assert torch.isfinite(output).all()
        assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("name", functions((1, 1)))
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_dtype_is_kept_and_statistics_use_float32(name, dtype):
    """Fails for float16 statistics: at mean 100 the squares of 400 values overflow in a sum."""
    x = draw((2, 4, 100), dtype=dtype, shift=100)
    output = functions((2, 4, 100))[name](x)
    assert output.dtype == dtype
    expected = functions((2, 4, 100))[name](x.double())
    torch.testing.assert_close(output, expected.to(dtype), rtol=2e-2, atol=2e-2)


def test_large_mean_keeps_its_digits():
    """E[x^2] - E[x]^2 in float32 gives a negative variance here, and NaN."""
    x = draw((4, 2, 64), dtype=torch.float32, scale=0.01, shift=1e4)
    for name in ("layer", "group", "instance"):
        output = functions((4, 2, 64))[name](x)
        assert output.std().item() == pytest.approx(1, abs=0.1)


def test_not_contiguous_input():
    x = draw((3, 5, 4)).transpose(1, 2)  # (3, 4, 5)
    for function in functions((3, 4, 5)).values():
        close(function(x), function(x.contiguous()))


# --------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x: group_norm(x, 4),
            r"divide the 6 channels: got 4; use one of \[1, 2, 3, 6\]",
        ),
        (lambda x: group_norm(x, 0), "num_groups must be at least 1: got 0"),
        (
            lambda x: group_norm(x[:, :, :1], 6),
            r"at least 2 values.*\(2, 6, 1\) in 6 groups",
        ),
        (lambda x: group_norm(x, 2, torch.ones(5)), r"weight must hold.*got \(5,\)"),
        (lambda x: group_norm(x[0, 0], 1), r"\(N, C, \*\).*got shape \(4,\)"),
        (lambda x: GroupNorm(4, 6), "divide the 6 channels: got 4"),
        (lambda x: GroupNorm(1, 0), "num_channels must be at least 1: got 0"),
        (
            lambda x: GroupNorm(2, 4)(x),
            r"num_channels=4 channels: got shape \(2, 6, 4\)",
        ),
        (lambda x: layer_norm(x, 6), r"normalized_shape=\(6,\): got shape \(2, 6, 4\)"),
        (lambda x: layer_norm(x, ()), r"normalized_shape=\(\)"),
        (lambda x: layer_norm(x[..., :1], 1), "at least 2 values.*normalizes to 0"),
        (
            lambda x: layer_norm(x, 4, torch.ones(6)),
            r"weight must have normalized_shape=\(4,\)",
        ),
        (
            lambda x: rms_norm(x, 4, torch.ones(1)),
            r"weight must have.*got shape \(1,\)",
        ),
        (lambda x: rms_norm(x, (4, 4)), r"normalized_shape=\(4, 4\)"),
        (lambda x: instance_norm(x[..., :1]), r"at least 2 positions.*\(2, 6, 1\)"),
        (lambda x: instance_norm(x[..., 0]), "at least 2 positions"),
        (lambda x: instance_norm(x, torch.zeros(4)), r"running_mean.*got \(4,\)"),
        (lambda x: instance_norm(x, use_input_stats=False), "evaluation needs running"),
        (lambda x: InstanceNorm2d(0), "at least 1: got 0"),
        (lambda x: InstanceNorm2d(4)(x), r"num_features=4: got shape \(2, 6, 4\)"),
        (lambda x: layer_norm(x, 4, eps=0.0), "eps must be positive.*got 0.0"),
        (lambda x: rms_norm(x, 4, eps=-1.0), "eps must be positive"),
        (lambda x: RMSNorm(4, eps=0.0), "eps must be positive"),
        (lambda x: LayerNorm(4, eps=float("nan")), "eps must be positive"),
    ],
)
def test_wrong_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.ones(2, 6, 4))


@pytest.mark.parametrize("name", functions((1, 1)))
def test_integers_are_refused(name):
    with pytest.raises(TypeError, match=r"floating point.*int64; use .float\(\)"):
        functions((2, 2, 4))[name](torch.ones(2, 2, 4, dtype=torch.long))


def test_a_refused_batch_leaves_the_state_alone():
    layer = InstanceNorm2d(3, track_running_stats=True)
    with pytest.raises(ValueError, match="at least 2 positions"):
        layer(torch.ones(2, 3, 1, 1))
    assert layer.running_mean.tolist() == [0.0] * 3
