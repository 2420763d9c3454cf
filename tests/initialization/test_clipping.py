"""Clipping against torch's, by hand, where squares overflow or vanish; normalized gradients; errors."""

import inspect
import math

import pytest
import torch
from comparing import close
from torch.nn import utils

import dlkb.initialization
from dlkb.initialization.clipping import (
    clip_grad_norm_,
    clip_grad_value_,
    normalize_grad_,
)

ANY = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
SHAPES = [(3, 4), (5,), (), (2, 2, 2)]


def with_gradients(scale=1.0, dtype=torch.float64, shapes=SHAPES):
    """Parameters of different sizes, so that a norm for each would differ; one of them has no gradient."""
    generator = torch.Generator().manual_seed(0)
    parameters = [torch.zeros(shape, dtype=dtype).requires_grad_() for shape in shapes]
    for index, parameter in enumerate(parameters):
        drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.grad = (scale * (1 + index) * drawn).to(dtype)
    return [*parameters, torch.zeros(2, dtype=dtype).requires_grad_()]


def gradients(parameters):
    return [p.grad for p in parameters if p.grad is not None]


def flat(parameters):
    return torch.cat([g.double().flatten() for g in gradients(parameters)])


def holding(*values, dtype=torch.float32):
    parameter = torch.zeros(len(values), dtype=dtype).requires_grad_()
    parameter.grad = torch.tensor(values, dtype=dtype)
    return parameter


@pytest.mark.parametrize("function", [clip_grad_norm_, clip_grad_value_])
def test_names_order_and_defaults_are_torchs(function):
    """Apart from ``foreach``, the last."""
    ours, torchs = (
        [(p.name, p.default) for p in inspect.signature(f).parameters.values()]
        for f in (function, getattr(utils, function.__name__))
    )
    assert ours == torchs[:-1]
    assert torchs[-1][0] == "foreach"


@pytest.mark.parametrize("norm_type", [1.0, 2, 3.5, 0.5, math.inf, "inf"])
@pytest.mark.parametrize("max_norm", [0.0, 0.7, 5, 1e6, math.inf])
def test_norms_are_clipped_as_torch_does(norm_type, max_norm):
    """Fails for one norm a tensor, for small gradients that grow, and for another order of the norm."""
    ours, torchs = with_gradients(), with_gradients()
    found = clip_grad_norm_(ours, max_norm, norm_type)
    expected = utils.clip_grad_norm_(torchs, max_norm, norm_type)
    close(found, expected)
    close(gradients(ours), gradients(torchs))


@pytest.mark.parametrize("clip_value", [0.0, 0.5, 2, math.inf])
def test_values_are_clipped_as_torch_does(clip_value):
    ours, torchs = with_gradients(), with_gradients()
    assert clip_grad_value_(ours, clip_value) is None
    utils.clip_grad_value_(torchs, clip_value)
    close(gradients(ours), gradients(torchs))


def test_a_single_tensor_and_a_generator_will_do():
    for give in (lambda p: p, lambda p: iter([p])):
        parameter = holding(3.0, 4.0)
        assert clip_grad_norm_(give(parameter), 1.0).item() == 5
        assert parameter.grad.tolist() == pytest.approx([0.6, 0.8])
        assert normalize_grad_(give(parameter), 10.0).item() == pytest.approx(1)
        assert parameter.grad.tolist() == pytest.approx([6, 8])
        clip_grad_value_(give(parameter), 7.0)
        assert parameter.grad.tolist() == pytest.approx([6, 7])


def test_direction_is_kept_by_the_norm_and_not_by_values():
    before, by_norm, by_value, unit = (with_gradients() for _ in range(4))
    clip_grad_norm_(by_norm, 0.1)
    clip_grad_value_(by_value, 0.1)
    normalize_grad_(unit)

    def cosine(parameters):
        a, b = flat(before), flat(parameters)
        return (a @ b / (a.norm() * b.norm())).item()

    assert cosine(by_norm) == pytest.approx(1, abs=1e-12)
    assert cosine(unit) == pytest.approx(1, abs=1e-12)
    assert cosine(by_value) < 0.95


@pytest.mark.parametrize("norm_type", [1.0, 2.0, math.inf])
@pytest.mark.parametrize("scale", [1e-200, 1e-9, 1.0, 1e200])
def test_normalized_gradients_have_the_norm(norm_type, scale):
    """Small ones grow, which clipping never does. Fails for an epsilon below the fraction."""
    parameters = with_gradients(scale)
    expected = torch.linalg.vector_norm(flat(with_gradients()), norm_type) * scale
    close(normalize_grad_(parameters, 3.0, norm_type), expected, 1e-12, 0)
    left = torch.linalg.vector_norm(flat(parameters), norm_type).item()
    assert left == pytest.approx(3, rel=1e-12)


@pytest.mark.parametrize("dtype", ANY)
def test_norms_do_not_overflow_and_dtypes_are_kept(dtype):
    """torch's own norm is infinite here in float16 and float32, and the gradients become 0."""
    largest = torch.finfo(dtype).max / 4
    parameters = [holding(*[largest] * 16, dtype=dtype) for _ in range(2)]
    norm = clip_grad_norm_(parameters, 4.0)
    assert norm.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    if dtype == torch.float16:
        assert norm.item() == pytest.approx(32**0.5 * largest, rel=1e-3)
    for parameter in parameters:
        assert parameter.grad.dtype == dtype
        expected = 4 / 32**0.5 if norm.isfinite() else 0
        assert parameter.grad.double().tolist() == pytest.approx(
            [expected] * 16, rel=8e-3
        )


def test_squares_do_not_overflow_and_do_not_vanish():
    """Fails for a plain sum of squares, in float32."""
    for size in (1e30, 1e-30):
        parameter = holding(3 * size, 4 * size)
        assert normalize_grad_(parameter).item() == pytest.approx(5 * size, rel=1e-6)
        assert parameter.grad.tolist() == pytest.approx([0.6, 0.8], rel=1e-6)


def test_small_factors_reach_half_precision():
    """A factor of 1e-8 is 0 in float16, the product is not."""
    parameter, other = holding(5e4, dtype=torch.float16), holding(1e12)
    clip_grad_norm_([parameter, other], 1e4)
    assert parameter.grad.item() == pytest.approx(5e-4, rel=1e-3)


def test_mixed_dtypes_have_one_norm():
    parameters = [holding(3.0, dtype=torch.float16), holding(4.0, dtype=torch.float64)]
    assert clip_grad_norm_(parameters, 1.0).item() == 5
    assert [p.grad.item() for p in parameters] == pytest.approx([0.6, 0.8], rel=1e-3)
    assert [p.grad.dtype for p in parameters] == [torch.float16, torch.float64]


@pytest.mark.parametrize("function", [clip_grad_norm_, normalize_grad_])
def test_nothing_and_zeros_stay(function):
    assert function([], 1.0).item() == 0
    assert function([torch.zeros(3).requires_grad_()], 1.0).item() == 0
    parameter = holding(0.0, 0.0)
    assert function([parameter, holding()], 1.0).item() == 0
    assert parameter.grad.tolist() == [0, 0]


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("norm_type", [1.0, 2.0, math.inf])
def test_what_is_not_finite_is_told_or_handled_as_torch_does(bad, norm_type):
    ours, torchs = holding(1.0, bad), holding(1.0, bad)
    close(
        clip_grad_norm_(ours, 1.0, norm_type),
        utils.clip_grad_norm_(torchs, 1.0, norm_type),
    )
    close(ours.grad, torchs.grad)
    for function in (clip_grad_norm_, normalize_grad_):
        parameter = holding(1.0, bad)
        with pytest.raises(
            RuntimeError, match=r"must be finite to clip by it: got (inf|nan); look"
        ):
            function(parameter, 1.0, norm_type, error_if_nonfinite=True)
        close(parameter.grad, torch.tensor([1.0, bad]))


def test_wrong_arguments():
    parameter = holding(3.0, 4.0)
    for value in (-1.0, math.nan):
        with pytest.raises(
            ValueError, match=f"max_norm must be at least 0: got {value}"
        ):
            clip_grad_norm_(parameter, value)
        with pytest.raises(
            ValueError, match=f"clip_value must be at least 0: got {value}"
        ):
            clip_grad_value_(parameter, value)
    for value in (0.0, -2.0, math.nan):
        with pytest.raises(
            ValueError, match=f"norm_type must be positive: got {value}"
        ):
            clip_grad_norm_(parameter, 1.0, value)
        with pytest.raises(ValueError, match=f"norm must be positive: got {value}"):
            normalize_grad_(parameter, value)
    assert parameter.grad.tolist() == [3, 4]


def test_all_of_them_are_public():
    assert {"clip_grad_norm_", "clip_grad_value_", "normalize_grad_"} <= set(
        dlkb.initialization.__all__
    )
