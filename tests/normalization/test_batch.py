"""dlkb.normalization.batch against torch's: value, gradient, state; then edges, errors, laws."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlkb.normalization import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    batch_norm,
    batch_norm_backward,
    batch_statistics,
    update_running_statistics,
)

SHAPES = [
    (5, 3),
    (4, 3, 7),
    (4, 3, 5, 2),
    (2, 3, 2, 3, 2),
    (6, 1),
    (1, 2, 3),
    (2, 4, 1, 1),
]


def draw(shape, seed=0, dtype=torch.float64, scale=3.0, shift=1.0):
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(shape, generator=generator, dtype=torch.float64)
        .mul(scale)
        .add(shift)
        .to(dtype)
    )


def positive(channels, seed):
    return draw((channels,), seed).abs() + 0.5


def close(actual, expected, atol=1e-12):
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol)


# ---------------------------------------------------------------------- the function against torch's


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize(
    ("momentum", "eps"), [(0.1, 1e-5), (0.0, 1e-3), (1.0, 0.5), (0.37, 1e-12)]
)
def test_value_gradient_and_state_equal_torch(shape, training, affine, momentum, eps):
    """Fails for the unbiased variance in the output, the biased one in the state, eps outside the root,
    momentum the other way round, and statistics treated as constants in the gradient."""
    results = []
    for function in (batch_norm, torch.nn.functional.batch_norm):
        input = draw(shape, 1).requires_grad_()
        weight = draw((shape[1],), 2).requires_grad_() if affine else None
        bias = draw((shape[1],), 3).requires_grad_() if affine else None
        mean, var = draw((shape[1],), 4), positive(shape[1], 5)
        output = function(input, mean, var, weight, bias, training, momentum, eps)
        (output * draw(shape, 6)).sum().backward()
        gradients = [t.grad for t in (input, weight, bias) if t is not None]
        results.append([output.detach(), *gradients, mean, var])
    for ours, theirs in zip(*results, strict=True):
        scale = max(1.0, theirs.abs().max().item())
        close(ours, theirs, atol=1e-11 * scale)


def test_affine_arguments_enter_one_by_one():
    x = draw((4, 3, 2))
    weight, bias = draw((3,), 1), draw((3,), 2)
    for w, b in ((weight, None), (None, bias)):
        expected = torch.nn.functional.batch_norm(x, None, None, w, b, training=True)
        close(batch_norm(x, None, None, w, b, training=True), expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_written_out_gradient_equals_torch(shape):
    input, weight = (
        draw(shape, 1).requires_grad_(),
        draw((shape[1],), 2).requires_grad_(),
    )
    bias, grad_output = (
        torch.zeros(shape[1], dtype=torch.float64).requires_grad_(),
        draw(shape, 3),
    )
    torch.nn.functional.batch_norm(
        input, None, None, weight, bias, training=True
    ).backward(grad_output)
    ours = batch_norm_backward(grad_output, input.detach(), weight.detach())
    for actual, expected in zip(
        ours, (input.grad, weight.grad, bias.grad), strict=True
    ):
        close(actual, expected, atol=1e-11)
    without_weight, _, _ = batch_norm_backward(grad_output, input.detach())
    with_ones, _, _ = batch_norm_backward(
        grad_output, input.detach(), torch.ones(shape[1], dtype=torch.float64)
    )
    close(without_weight, with_ones)


def test_gradcheck():
    x, weight, bias = (
        draw((4, 2, 3)).requires_grad_(),
        draw((2,), 1).requires_grad_(),
        draw((2,), 2),
    )
    run = lambda x, w, b: batch_norm(x, None, None, w, b, training=True)
    assert torch.autograd.gradcheck(run, (x, weight, bias.requires_grad_()))
    assert torch.autograd.gradgradcheck(run, (x, weight, bias))


# ------------------------------------------------------------------------- the modules against torch's


@pytest.mark.parametrize(
    ("ours", "theirs", "shape"),
    [
        (BatchNorm1d, torch.nn.BatchNorm1d, (5, 3)),
        (BatchNorm1d, torch.nn.BatchNorm1d, (5, 3, 4)),
        (BatchNorm2d, torch.nn.BatchNorm2d, (5, 3, 4, 2)),
        (BatchNorm3d, torch.nn.BatchNorm3d, (5, 3, 2, 2, 2)),
    ],
)
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"momentum": None},
        {"momentum": 0.5, "eps": 0.1},
        {"affine": False},
        {"track_running_stats": False},
        {"affine": False, "track_running_stats": False, "momentum": None},
    ],
)
def test_modules_equal_torch_over_training_and_evaluation(
    ours, theirs, shape, arguments
):
    ours, theirs = (
        kind(3, **arguments, dtype=torch.float64) for kind in (ours, theirs)
    )
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [n for n, _ in ours.named_parameters()] == [
        n for n, _ in theirs.named_parameters()
    ]
    if arguments.get("affine", True):
        with torch.no_grad():
            ours.weight.copy_(draw((3,), 1))
            ours.bias.copy_(draw((3,), 2))
    theirs.load_state_dict(ours.state_dict())
    for step in range(4):
        x = draw(shape, 10 + step, shift=step)
        close(ours(x), theirs(x), atol=1e-11)
        for name, value in theirs.state_dict().items():
            close(ours.state_dict()[name], value, atol=1e-11)
    ours.eval(), theirs.eval()
    close(ours(x), theirs(x), atol=1e-11)


def test_state_dict_goes_both_ways():
    ours, theirs = BatchNorm2d(3), torch.nn.BatchNorm2d(3)
    ours(draw((4, 3, 2, 2), dtype=torch.float32))
    theirs.load_state_dict(ours.state_dict())
    again = BatchNorm2d(3)
    again.load_state_dict(theirs.state_dict())
    for name, value in ours.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)


def test_resetting_goes_back_to_the_start():
    ours, theirs = BatchNorm2d(3), torch.nn.BatchNorm2d(3)
    fresh = state_of(ours)
    for layer in (ours, theirs):
        layer(draw((4, 3, 2, 2), dtype=torch.float32))
        with torch.no_grad():
            layer.weight.fill_(7)
    ours.reset_running_stats(), theirs.reset_running_stats()
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value)
    ours.reset_parameters()
    for name, value in fresh.items():
        assert torch.equal(ours.state_dict()[name], value)


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("change", ["stop tracking", "drop buffers", "start tracking"])
def test_changes_after_construction_do_what_torchs_do(change, momentum):
    results = []
    for kind in (BatchNorm1d, torch.nn.BatchNorm1d):
        layer = kind(
            3, momentum=momentum, track_running_stats=change != "start tracking"
        )
        if change == "drop buffers":
            layer.running_mean = layer.running_var = layer.num_batches_tracked = None
        else:
            layer.track_running_stats = change == "start tracking"
        outputs = [layer(draw((5, 3), seed, torch.float32)).detach() for seed in (1, 2)]
        outputs.append(layer.eval()(draw((5, 3), 3, torch.float32)).detach())
        results.append((outputs, state_of(layer)))
    torch.testing.assert_close(*results)


def test_bias_alone_can_be_left_out():
    layer = BatchNorm1d(3, bias=False)
    assert layer.bias is None
    assert [name for name, _ in layer.named_parameters()] == ["weight"]


def test_constructor_arguments_are_torchs():
    """Names, order and defaults; torch 2.11 has no ``bias`` yet, so that one is compared where present."""
    import inspect

    ours = inspect.signature(BatchNorm2d.__init__).parameters
    theirs = inspect.signature(torch.nn.BatchNorm2d.__init__).parameters
    shared = [name for name in ours if name in theirs]
    assert shared == list(theirs)
    assert [ours[n].default for n in shared] == [theirs[n].default for n in shared]


def test_repr_is_torchs():
    theirs = repr(torch.nn.BatchNorm2d(3, eps=0.1))
    if "bias=" not in theirs:  # before torch 2.15
        theirs = theirs.replace("affine=True", "affine=True, bias=True")
    assert repr(BatchNorm2d(3, eps=0.1)) == theirs


def test_deepcopy_and_device_move_carry_the_buffers():
    layer = BatchNorm1d(2)
    layer(draw((4, 2), dtype=torch.float32))
    copied = copy.deepcopy(layer).to("meta")
    assert copied.running_mean.device.type == "meta"
    assert layer.running_mean.device.type == "cpu"


# ------------------------------------------------------------------------------- by hand, limits, laws


def test_case_worked_by_hand():
    x = torch.tensor([[1.0], [3.0], [5.0], [7.0]], dtype=torch.float64)
    mean, var = batch_statistics(x)
    assert (mean.item(), var.item()) == (4.0, 5.0)
    output = batch_norm(x, None, None, training=True, eps=1e-15).flatten().tolist()
    assert output == pytest.approx(
        [-3 / math.sqrt(5), -1 / math.sqrt(5), 1 / math.sqrt(5), 3 / math.sqrt(5)]
    )


def test_running_statistics_by_hand():
    running_mean, running_var = torch.tensor([10.0]), torch.tensor([2.0])
    update_running_statistics(
        running_mean, running_var, torch.tensor([4.0]), torch.tensor([5.0]), 4, 0.25
    )
    assert running_mean.item() == 0.75 * 10 + 0.25 * 4
    assert running_var.item() == pytest.approx(0.75 * 2 + 0.25 * 5 * 4 / 3)


@settings(max_examples=50, deadline=None)
@given(scale=st.floats(1e-2, 1e3), shift=st.floats(-1e3, 1e3), seed=st.integers(0, 100))
def test_scale_and_shift_of_the_input_do_not_matter(scale, shift, seed):
    x = draw((8, 2, 3), seed, scale=1, shift=0)
    expected = batch_norm(x, None, None, training=True, eps=1e-15)
    close(
        batch_norm(x * scale + shift, None, None, training=True, eps=1e-15),
        expected,
        atol=1e-8,
    )


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000))
def test_order_of_samples_and_channels_is_kept(seed):
    x = draw((6, 4, 3), seed)
    generator = torch.Generator().manual_seed(seed)
    samples, channels = (
        torch.randperm(6, generator=generator),
        torch.randperm(4, generator=generator),
    )
    output = batch_norm(x, None, None, training=True)
    shuffled = batch_norm(x[samples][:, channels], None, None, training=True)
    close(shuffled, output[samples][:, channels])


def test_large_mean_keeps_its_digits():
    """E[x^2] - E[x]^2 in float32 gives a negative variance here."""
    x = draw((64, 1, 8), dtype=torch.float32, scale=0.01, shift=1e4)
    _, var = batch_statistics(x)
    expected = x.double().var(correction=0)
    # The mean is rounded to half a unit of 1e4 in float32, 4.9e-4, whose square is 0.24% of the variance.
    assert var.item() == pytest.approx(expected.item(), rel=3e-3)
    naive = x.square().mean() - x.mean().square()
    assert abs(naive.item() - expected.item()) > expected.item()


def test_constant_channel_gives_its_bias_and_a_finite_gradient():
    x = torch.full((4, 2), 7.0, requires_grad=True)
    output = batch_norm(x, None, None, bias=torch.tensor([1.0, 2.0]), training=True)
    assert output.tolist() == [[1.0, 2.0]] * 4
    output.square().sum().backward()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("value", [1e-20, 1e18])
def test_extreme_inputs_give_finite_values_and_gradients(value):
    x = (draw((8, 2), dtype=torch.float32, shift=0) * value).requires_grad_()
    output = batch_norm(x, None, None, training=True)
    output.square().sum().backward()
    assert torch.isfinite(output).all()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64]
)
def test_dtype_is_kept_and_halves_use_float32_statistics(dtype):
    x = draw((64, 3, 4), dtype=dtype, shift=100)
    ours, theirs = [torch.zeros(3), torch.ones(3)], [torch.zeros(3), torch.ones(3)]
    if dtype == torch.float64:
        ours, theirs = ([t.double() for t in ts] for ts in (ours, theirs))
    output = batch_norm(x, *ours, training=True)
    expected = torch.nn.functional.batch_norm(x, *theirs, training=True)
    assert output.dtype == dtype
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(output, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_buffers_lose_no_more_than_torchs(dtype):
    """eps vanishes beside a float16 variance; torch adds it in float32."""
    x, mean = torch.full((2, 3), 1e-3, dtype=dtype), torch.zeros(3, dtype=dtype)
    ours = batch_norm(x, mean, torch.zeros(3, dtype=dtype), eps=1e-8)
    theirs = torch.nn.functional.batch_norm(
        x, mean, torch.zeros(3, dtype=dtype), eps=1e-8
    )
    torch.testing.assert_close(ours, theirs)


def test_half_precision_gradients_do_not_overflow():
    x = draw((64, 1, 32, 32), dtype=torch.float16)
    grad_output = torch.full_like(x, 100)
    grad_input, _, grad_bias = batch_norm_backward(grad_output, x)
    assert grad_bias.item() == 64 * 32 * 32 * 100
    assert grad_input.abs().max() < 1e-3  # a constant gradient would only shift


def test_channels_last_and_not_contiguous_input():
    nchw = draw((4, 3, 5, 2))
    close(
        batch_norm(
            nchw.contiguous(memory_format=torch.channels_last),
            None,
            None,
            training=True,
        ),
        batch_norm(nchw, None, None, training=True),
    )


def test_not_contiguous_input():
    x = draw((4, 5, 3)).transpose(1, 2)
    close(
        batch_norm(x, None, None, training=True),
        batch_norm(x.contiguous(), None, None, training=True),
    )


def test_input_is_not_altered():
    x = draw((4, 3))
    before = x.clone()
    batch_norm(x, None, None, training=True)
    assert torch.equal(x, before)


def test_empty_batch_in_evaluation_is_empty():
    output = batch_norm(torch.zeros(0, 3, 2), torch.zeros(3), torch.ones(3))
    assert output.shape == (0, 3, 2)


def test_nan_in_evaluation_stays_in_its_sample():
    layer = BatchNorm1d(2).eval()
    x = torch.tensor([[1.0, 2.0], [float("nan"), 3.0]])
    output = layer(x)
    assert torch.isfinite(output[0]).all()
    assert output[1].isnan().tolist() == [True, False]


# --------------------------------------------------------------------------------------------- errors


def state_of(layer):
    return {name: value.clone() for name, value in layer.state_dict().items()}


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (
            torch.ones(4, 3, dtype=torch.long),
            TypeError,
            r"floating point.*torch.int64; use .float\(\)",
        ),
        (torch.ones(4, 3, dtype=torch.bool), TypeError, "floating point"),
        (torch.ones(4, 3, dtype=torch.complex64), TypeError, "floating point"),
        (
            torch.ones(1, 3),
            ValueError,
            r"at least 2 values per channel.*\(1, 3\); use a larger batch",
        ),
        (torch.ones(0, 3), ValueError, r"at least 2 values per channel.*\(0, 3\)"),
        (
            torch.tensor([[1.0, 2, 3], [1, 2, float("nan")]]),
            ValueError,
            r"must be finite.*channels \[2\]",
        ),
        (
            torch.tensor([[1.0, 2, 3], [1, float("inf"), 3]]),
            ValueError,
            r"must be finite.*channels \[1\]",
        ),
        (torch.full((4, 3), 3e38), ValueError, "overflow"),
        (torch.ones(4, 2), ValueError, r"num_features=3 channels: got shape \(4, 2\)"),
        (torch.ones(4), ValueError, r"takes 2 or 3 dimensions: got \(4,\)"),
        (torch.ones(4, 3, 2, 2), ValueError, r"takes 2 or 3 dimensions"),
    ],
)
def test_a_refused_training_batch_leaves_the_state_alone(x, error, message):
    layer = BatchNorm1d(3)
    before = state_of(layer)
    if x.is_floating_point() and x.shape == (4, 3):
        x = x * torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])  # squares overflow
    with pytest.raises(error, match=message):
        layer(x)
    for name, value in layer.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"running_mean": torch.zeros(2)},
            r"running_mean must hold one value.*\(3,\): got \(2,\)",
        ),
        ({"running_var": torch.zeros(3, 1)}, r"running_var.*got \(3, 1\)"),
        ({"weight": torch.zeros(4)}, r"weight.*got \(4,\)"),
        ({"bias": torch.zeros(())}, r"bias.*got \(\)"),
        ({"momentum": 1.5}, r"momentum.*\[0, 1\]: got 1.5"),
        ({"momentum": -0.1}, "momentum"),
        ({"momentum": float("nan")}, "momentum"),
        ({"eps": 0.0}, "eps must be positive.*got 0.0; 1e-5 is the default"),
        ({"eps": -1.0}, "eps must be positive"),
        ({"eps": float("nan")}, "eps must be positive"),
    ],
)
def test_wrong_arguments(arguments, message):
    defaults = {
        "running_mean": torch.zeros(3),
        "running_var": torch.ones(3),
        "training": True,
    }
    with pytest.raises(ValueError, match=message):
        batch_norm(torch.ones(4, 3), **{**defaults, **arguments})


def test_evaluation_needs_running_statistics():
    with pytest.raises(
        ValueError, match="evaluation needs running_mean and running_var"
    ):
        batch_norm(torch.ones(4, 3), None, None)


def test_evaluation_allows_eps_zero():
    x, var = draw((4, 3)), positive(3, 1)
    close(batch_norm(x, torch.zeros(3).double(), var, eps=0.0), x / var.sqrt())


def test_input_without_channels():
    with pytest.raises(ValueError, match=r"at least 1 channel: got shape \(4, 0\)"):
        batch_norm(torch.ones(4, 0), None, None, training=True)


def test_num_features_below_one():
    with pytest.raises(ValueError, match="at least 1: got 0"):
        BatchNorm2d(0)


def test_backward_needs_equal_shapes():
    with pytest.raises(ValueError, match=r"shape of input, \(4, 3\): got \(4, 2\)"):
        batch_norm_backward(torch.ones(4, 2), torch.ones(4, 3))


def test_update_needs_two_values():
    with pytest.raises(ValueError, match="at least 2 values: got count=1"):
        update_running_statistics(
            None, torch.ones(1), torch.zeros(1), torch.ones(1), 1, 0.1
        )
