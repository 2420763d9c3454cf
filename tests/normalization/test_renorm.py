"""dlkb.normalization.renorm against torch's batch norm at its limits, and the definition by autograd."""

import pytest
import torch

from dlkb.normalization import (
    BatchNorm1d,
    BatchRenorm1d,
    BatchRenorm2d,
    batch_renorm,
    renorm_correction,
)
from dlkb.train import Setting, fit_many

SHAPES = [(5, 3), (4, 3, 7), (4, 3, 5, 2), (6, 1)]


def draw(shape, seed=0, dtype=torch.float64, scale=3.0, shift=1.0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    return x.mul(scale).add(shift).to(dtype)


def close(actual, expected, atol=1e-12):
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol)


def state(channels):
    return draw((channels,), 4), draw((channels,), 5).abs() + 0.5


@pytest.mark.parametrize("shape", SHAPES)
def test_with_limits_one_and_zero_it_is_torchs_batch_norm(shape):
    """Value, gradients and state. Fails for r and d clipped the wrong way round, or another running rule."""
    results = []
    for function, limits in (
        (torch.nn.functional.batch_norm, {}),
        (batch_renorm, {"r_max": 1.0, "d_max": 0.0}),
    ):
        x = draw(shape, 1).requires_grad_()
        weight = draw((shape[1],), 2).requires_grad_()
        bias = draw((shape[1],), 3).requires_grad_()
        mean, var = state(shape[1])
        y = function(x, mean, var, weight, bias, True, 0.3, 1e-3, **limits)
        (y * draw(shape, 6)).sum().backward()
        results.append([y.detach(), x.grad, weight.grad, bias.grad, mean, var])
    for theirs, ours in zip(*results, strict=True):
        close(ours, theirs, 1e-11)


@pytest.mark.parametrize("shape", SHAPES)
def test_unclipped_training_gives_the_evaluation_output(shape):
    """By the statistics before their update: fails for an update first, d scaled by r, eps in one root."""
    x, weight, bias = draw(shape, 1), draw((shape[1],), 2), draw((shape[1],), 3)
    mean, var = state(shape[1])
    expected = torch.nn.functional.batch_norm(x, mean, var, weight, bias, eps=0.1)
    close(batch_renorm(x, mean, var, weight, bias, False, eps=0.1), expected)
    limits = {"r_max": float("inf"), "d_max": float("inf")}
    y = batch_renorm(x, mean, var, weight, bias, True, 0.9, 0.1, **limits)
    close(y, expected)


def test_no_gradient_flows_through_r_and_d():
    """The reference holds r and d as numbers; with their gradient it would be that of a fixed affine map."""
    x, g = draw((8, 2), 1).requires_grad_(), draw((8, 2), 2)
    mean, var = state(2)
    y = batch_renorm(x, mean.clone(), var.clone(), training=True, momentum=0.0)
    (ours,) = torch.autograd.grad(y, x, g)
    batch_mean, batch_var = x.mean(0), x.var(0, correction=0)
    r = ((batch_var + 1e-5) / (var + 1e-5)).sqrt().detach().clamp(1 / 3, 3)
    d = ((batch_mean - mean) / (var + 1e-5).sqrt()).detach().clamp(-5, 5)
    reference = (x - batch_mean) / (batch_var + 1e-5).sqrt() * r + d
    close(y, reference)
    close(ours, torch.autograd.grad(reference, x, g)[0])
    assert (ours - g / (var + 1e-5).sqrt()).abs().max() > 0.01


def test_case_worked_by_hand():
    """Batch 5, 7, 9; running mean 1, variance 4: r = sqrt(8/3)/2, d = 3."""
    x = torch.tensor([[5.0], [7.0], [9.0]], dtype=torch.float64)
    mean, var = torch.ones(1).double(), 4 * torch.ones(1).double()
    options = {"training": True, "momentum": 0.25, "eps": 1e-15}
    y = batch_renorm(x, mean.clone(), var.clone(), **options)
    assert y.flatten().tolist() == pytest.approx([2, 3, 4])
    y = batch_renorm(x, mean, var, **options, d_max=1.0)
    assert y.flatten().tolist() == pytest.approx([0, 1, 2])
    assert mean.item() == 0.75 * 1 + 0.25 * 7
    assert var.item() == pytest.approx(0.75 * 4 + 0.25 * 4)  # unbiased: 8 / 2


def test_correction_is_clipped_on_both_sides():
    mean, var = torch.tensor([9.0, -9.0, 0.5]), torch.tensor([100.0, 0.01, 1.0])
    r, d = renorm_correction(mean, var, torch.zeros(3), torch.ones(3), 2.0, 3.0, 1e-12)
    assert r.tolist() == pytest.approx([2.0, 0.5, 1.0])
    assert d.tolist() == pytest.approx([3.0, -3.0, 0.5])


@pytest.mark.parametrize("kind", [BatchRenorm1d, BatchRenorm2d])
def test_module_keeps_batch_norms_state(kind):
    layer = kind(3, dtype=torch.float64)
    assert list(layer.state_dict()) == list(BatchNorm1d(3).state_dict())
    shape = (6, 3) if kind is BatchRenorm1d else (6, 3, 2, 2)
    mean, var = torch.zeros(3).double(), torch.ones(3).double()
    for step in range(3):
        x = draw(shape, step)
        close(layer(x), batch_renorm(x, mean, var, training=True))
    close(layer.running_mean, mean)
    close(layer.running_var, var)
    assert layer.num_batches_tracked == 3
    layer.eval()
    close(layer(x), batch_renorm(x, mean, var))
    again = kind(3, dtype=torch.float64)
    again.load_state_dict(layer.state_dict())
    close(again.eval()(x), layer(x))
    assert "r_max=3.0, d_max=5.0" in repr(layer)


def test_limits_can_be_relaxed_during_training():
    layer = BatchRenorm1d(2, r_max=1.0, d_max=0.0, affine=False, dtype=torch.float64)
    x = draw((8, 2), 1)
    close(layer(x), torch.nn.functional.batch_norm(x, None, None, training=True))
    layer.r_max, layer.d_max = 1e9, 1e9
    expected = torch.nn.functional.batch_norm(x, layer.running_mean, layer.running_var)
    close(layer(x), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_dtype_is_kept(dtype):
    mean, var = torch.zeros(2), torch.ones(2)
    y = batch_renorm(draw((8, 2), dtype=dtype), mean, var, training=True)
    assert y.dtype == dtype


def test_constant_channel_gives_a_finite_gradient():
    x = torch.full((4, 2), 7.0, requires_grad=True)
    y = batch_renorm(x, torch.zeros(2), torch.ones(2), training=True)
    assert y.tolist() == [[5.0, 5.0]] * 4  # d clipped
    y.square().sum().backward()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"r_max": 0.5}, "r_max .* at least 1: got 0.5; 1 together with d_max=0"),
        ({"r_max": float("nan")}, "r_max"),
        ({"d_max": -1.0}, "d_max .* not be negative: got -1.0"),
        ({"running_mean": None}, "got None; pass both, or use batch_norm"),
        ({"running_var": torch.ones(2)}, "each of the 3 channels"),
        ({"weight": torch.ones(2)}, "weight must hold one value"),
        ({"momentum": 1.5}, "momentum weighs"),
        ({"eps": 0.0}, "eps must be positive"),
    ],
)
def test_wrong_arguments_leave_the_state_alone(arguments, message):
    mean, var = torch.zeros(3), torch.ones(3)
    given = {"running_mean": mean, "running_var": var, "training": True, **arguments}
    with pytest.raises(ValueError, match=message):
        batch_renorm(torch.ones(4, 3), **given)
    assert mean.tolist() == [0] * 3
    assert var.tolist() == [1] * 3


def test_many_train_at_once_as_alone():
    """vmap refuses a look at the values, such as batch norm's check that a batch is finite."""
    make = lambda: torch.nn.Sequential(BatchRenorm1d(4), torch.nn.Linear(4, 2)).double()
    x, y = draw((40, 4)), torch.arange(40) % 2
    options = {"seeds": (0, 1), "steps": 10, "batch_size": 8}
    stacked, looped = (
        fit_many({"a": Setting(make, 0.1)}, x, y, stack=stack, **options)
        for stack in (True, False)
    )
    torch.testing.assert_close(stacked.loss, looped.loss, rtol=0, atol=1e-10)
    for one, other in zip(stacked.models["a"], looped.models["a"], strict=True):
        close(one[0].running_var, other[0].running_var)


def test_wrong_modules_and_inputs():
    with pytest.raises(ValueError, match=r"at least 1: got 0\.5"):
        BatchRenorm1d(3, r_max=0.5)
    with pytest.raises(ValueError, match="momentum must be a number"):
        BatchRenorm1d(3, momentum=None)
    with pytest.raises(ValueError, match=r"takes 2 or 3 dimensions.*\(4, 2\)"):
        BatchRenorm1d(3)(torch.ones(4, 2))
    with pytest.raises(ValueError, match="takes 4 dimensions"):
        BatchRenorm2d(3)(torch.ones(4, 3))
    with pytest.raises(TypeError, match="floating point"):
        batch_renorm(torch.ones(4, 3, dtype=torch.int64), *state(3), training=True)
    with pytest.raises(ValueError, match="at least 2 values"):
        batch_renorm(torch.ones(1, 3), *state(3), training=True)
