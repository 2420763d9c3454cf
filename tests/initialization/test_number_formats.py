"""Shares against counting by NumPy; the grid by hand and against torch's own quantization."""

import math

import numpy as np
import pytest
import torch

from dlkb.initialization.number_formats import (
    RangeShares,
    fixed_point,
    range_shares,
    rounding_error,
)


def spread(low=-12, high=8, count=4001):
    """Of both signs, evenly spread over decades."""
    values = 10.0 ** torch.linspace(low, high, count, dtype=torch.float64)
    values[::2] *= -1
    return values


@pytest.mark.parametrize("scale", [1.0, 1024.0, 1e-3])
def test_shares_equal_numpys(scale):
    """Catches positive values only, a scale after the cast, and subnormal numbers taken for normal."""
    values = spread()
    with np.errstate(over="ignore"):
        cast = np.abs((values.numpy() * scale).astype(np.float16)).astype(float)
    tiny = float(np.finfo(np.float16).tiny)
    shares = [cast == 0, (cast > 0) & (cast < tiny), (cast >= tiny) & (cast < np.inf)]
    expected = [share.mean() for share in shares] + [np.isinf(cast).mean()]
    assert list(range_shares(values, scale=scale)) == pytest.approx(expected)
    assert min(expected) > 0


def test_limits_of_float16_by_hand():
    """2^-25 is halfway to the smallest number and rounds to 0; 65520 is halfway to 2^16: infinite."""
    values = torch.tensor([2.0**-25, 2.0**-24, 2.0**-14, 65519.0, 65520.0])
    kinds = [range_shares(v[None]).index(1.0) for v in values]
    assert kinds == [0, 1, 2, 2, 3]


def test_zeros_do_not_count_and_nan_is_out_of_range():
    assert range_shares(torch.tensor([0.0, 0.0, 1.0])) == (0, 0, 1, 0)
    assert range_shares(torch.tensor([math.nan, 1.0])) == (0, 0, 0.5, 0.5)
    assert all(math.isnan(share) for share in range_shares(torch.zeros(3)))


def test_a_scale_is_not_lost_to_the_values_own_dtype():
    """In float16 1e-7 times 2^16 is right, but 60000 times 2^16 would be infinite before it is counted."""
    values = torch.tensor([60000.0]).half()
    assert range_shares(values, torch.bfloat16, 2.0**16).normal == 1


def test_other_formats():
    values = torch.tensor([1e-30, 1e30])
    assert range_shares(values, torch.bfloat16) == RangeShares(0, 0, 1, 0)
    assert range_shares(values, torch.float16) == RangeShares(0.5, 0, 0, 0.5)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_the_grid_equals_torchs(bits):
    """Against fake_quantize, which counts whole steps from a zero that lies on its grid."""
    low, high = -1.5, 1.5 * (2**bits - 2)  # 0 is one step up
    x = torch.linspace(low - 2, high + 2.01, 997)  # no ties, where the two may differ
    expected = torch.fake_quantize_per_tensor_affine(x, 1.5, 1, 0, 2**bits - 1)
    torch.testing.assert_close(fixed_point(x, high, bits, low), expected)


def test_the_grid_has_its_ends_and_as_many_numbers_as_the_bits_say():
    """Catches 2^bits steps, one number too many."""
    x = torch.linspace(-5, 20, 10_001, dtype=torch.float64)
    grid = fixed_point(x, 6.0, 3).unique()
    assert len(grid) == 8
    assert (grid[0].item(), grid[-1].item()) == (0, 6)
    assert torch.equal(fixed_point(grid, 6.0, 3), grid)


def test_the_error_is_at_most_half_a_step():
    x = torch.rand(1000, generator=torch.Generator().manual_seed(0)).double() * 6
    error = (fixed_point(x, 6.0, 8) - x).abs()
    assert error.max().item() <= 6 / 255 / 2 + 1e-12
    rms = error.square().mean().sqrt().item()
    assert rms == pytest.approx(6 / 255 / math.sqrt(12), rel=0.05)
    relative = rms / x.square().mean().sqrt().item()
    assert rounding_error(x, 6.0) == pytest.approx(relative)


def test_a_wide_range_costs_digits_and_a_narrow_one_clips():
    x = torch.cat([torch.linspace(0, 3, 1000), torch.tensor([1000.0])])
    assert rounding_error(x[:-1], 1000.0) > 50 * rounding_error(x[:-1], 3.0)
    assert rounding_error(x) == rounding_error(x, 1000.0)
    assert rounding_error(x, 6.0) > 0.9  # of the one large value all is lost


def test_dtype_is_kept():
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        assert fixed_point(torch.ones(2, dtype=dtype), 6.0).dtype == dtype
    half = torch.linspace(0, 3, 50).half()
    assert torch.equal(fixed_point(half, 6.0), fixed_point(half.double(), 6.0).half())


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: range_shares(torch.ones(2).long()), TypeError, "int64"),
        (lambda: range_shares(torch.ones(2), torch.int8), TypeError, "int8"),
        (lambda: range_shares(torch.ones(2), scale=0), ValueError, "positive: got 0"),
        (lambda: fixed_point(torch.ones(2).long(), 1.0), TypeError, "int64"),
        (lambda: fixed_point(torch.ones(2), 0.0), ValueError, r"low=0.0, high=0.0"),
        (lambda: fixed_point(torch.ones(2), 1.0, 0), ValueError, "bits=0"),
        (lambda: rounding_error(torch.zeros(2)), ValueError, "not all 0"),
    ],
)
def test_wrong_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()
