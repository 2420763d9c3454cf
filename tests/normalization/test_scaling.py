"""dlkb.normalization.scaling against scikit-learn's and NumPy's; then edges, errors, laws."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from dlkb.normalization import (
    min_max_scale,
    percentile_clip,
    scale_by_range,
    scale_by_std,
    standardize,
)

SCALINGS = [standardize, min_max_scale, scale_by_std, scale_by_range]
every_scaling = pytest.mark.parametrize("scale", SCALINGS)


def draw(shape, seed=0, dtype=torch.float64):
    """Columns of different location, scale and shape, none symmetric."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.empty(shape, dtype=torch.float64).exponential_(generator=generator)
    columns = torch.arange(1, shape[-1] + 1, dtype=torch.float64)
    return (x * 10.0**columns - 3 * columns).to(dtype)


def close(actual, expected, atol=1e-12):
    torch.testing.assert_close(actual, torch.as_tensor(expected), rtol=0, atol=atol)


# ------------------------------------------------------------------ against scikit-learn and NumPy


@pytest.mark.parametrize("shape", [(7, 3), (2, 4), (50, 1), (178, 5)])
def test_standardize_equals_scikit_learn(shape):
    """Fails for the unbiased standard deviation, and for statistics of the new data."""
    train, new = draw(shape), draw((4, shape[1]), 1)
    theirs = StandardScaler().fit(train.numpy())
    close(standardize(train), theirs.transform(train.numpy()))
    close(standardize(new, train), theirs.transform(new.numpy()), atol=1e-10)


@pytest.mark.parametrize("shape", [(7, 3), (2, 4), (50, 1), (178, 5)])
def test_min_max_scale_equals_scikit_learn(shape):
    """Fails if new data are clipped, or scaled by their own limits."""
    train, new = draw(shape), draw((40, shape[1]), 1) * 3
    theirs = MinMaxScaler().fit(train.numpy())
    close(min_max_scale(train), theirs.transform(train.numpy()))
    expected = theirs.transform(new.numpy())
    close(min_max_scale(new, train), expected, atol=1e-11)
    assert expected.max() > 1


def test_divisors_equal_scikit_learns():
    """Fails for a shift, and for a division by the largest absolute value."""
    train, new = draw((30, 4)), draw((9, 4), 1)
    std = StandardScaler(with_mean=False).fit(train.numpy())
    close(scale_by_std(new, train), std.transform(new.numpy()))
    limits = MinMaxScaler().fit(train.numpy())
    close(scale_by_range(new, train), new.numpy() / limits.data_range_)


def test_a_constant_feature_is_treated_as_scikit_learn_does():
    """0.1 ten times has a mean that is not 0.1: its standard deviation is rounding, not 0."""
    x = torch.tensor([[0.1, 5.0, 1.0]] * 10, dtype=torch.float64)
    x[0, 2] = 2.0
    for scale, theirs in ((standardize, StandardScaler), (min_max_scale, MinMaxScaler)):
        close(scale(x), theirs().fit_transform(x.numpy()), atol=1e-12)
    for scale in (scale_by_std, scale_by_range):
        assert torch.equal(scale(x)[:, :2], x[:, :2])


@pytest.mark.parametrize(("low", "high"), [(1, 99), (0, 100), (0.5, 99.5), (33, 34)])
@pytest.mark.parametrize("shape", [(2,), (7, 5), (3, 10, 11)])
def test_percentile_clip_equals_numpy(low, high, shape):
    """Fails for a percentile without interpolation, and for one per row."""
    image = draw(shape)
    bottom, top = np.percentile(image.numpy(), [low, high])
    expected = np.clip((image.numpy() - bottom) / (top - bottom), 0, 1)
    close(percentile_clip(image, low, high), expected, atol=1e-9)


# ------------------------------------------------------------------------ by hand, limits, laws


def test_case_worked_by_hand():
    """Mean 4, biased variance 5, range 6."""
    x = torch.tensor([[1.0], [3.0], [5.0], [7.0]], dtype=torch.float64)
    new = torch.tensor([[10.0]], dtype=torch.float64)
    assert standardize(new, x).item() == pytest.approx(6 / 5**0.5)
    assert min_max_scale(new, x).item() == pytest.approx(9 / 6)
    assert scale_by_std(new, x).item() == pytest.approx(10 / 5**0.5)
    assert scale_by_range(new, x).item() == pytest.approx(10 / 6)


def test_percentile_by_hand():
    """Of 0..10, percentile 5 lies halfway between the first two values."""
    image = torch.arange(11.0)
    expected = ((image - 0.5) / 9).clamp(0, 1)
    close(percentile_clip(image, 5, 95), expected, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    stretch=st.floats(1e-3, 1e3), shift=st.floats(-1e3, 1e3), seed=st.integers(0, 99)
)
def test_units_of_the_data_do_not_matter(stretch, shift, seed):
    """A shift is forgotten only by the two scalings that shift; a stretch by all four."""
    x = draw((9, 2), seed)
    for scale in SCALINGS:
        close(scale(x * stretch), scale(x), atol=1e-8)
    for scale in (standardize, min_max_scale):
        close(scale(x * stretch + shift), scale(x), atol=1e-6)


@every_scaling
def test_the_training_data_are_the_default(scale):
    x = draw((6, 3))
    assert torch.equal(scale(x), scale(x, x))


@every_scaling
def test_each_sample_is_scaled_alone(scale):
    """Fails if anything of the new data enters the statistics."""
    train, new = draw((9, 3)), draw((5, 3), 1)
    one_by_one = torch.cat([scale(row[None], train) for row in new])
    assert torch.equal(scale(new, train), one_by_one)


@every_scaling
def test_other_shapes(scale):
    """One feature without an axis of its own; images, one statistic a position."""
    x = draw((6, 4))
    assert torch.equal(scale(x[:, 0].contiguous()), scale(x)[:, 0])
    images = x.view(6, 2, 2)
    assert torch.equal(scale(images), scale(x).view(6, 2, 2))


@every_scaling
def test_new_data_may_be_empty_and_nan_stays_where_it_is(scale):
    train = draw((6, 3))
    assert scale(train[:0], train).shape == (0, 3)
    new = train[:2].clone()
    new[0, 1] = float("nan")
    assert scale(new, train).isnan().sum() == 1


@every_scaling
def test_gradient(scale):
    x, train = draw((5, 2)).requires_grad_(), draw((6, 2), 1)
    assert torch.autograd.gradcheck(lambda v: scale(v / 10), (x,))
    assert torch.autograd.gradcheck(lambda v: scale(v, train), (x,))


@every_scaling
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_dtype_is_kept_and_halves_use_float32_statistics(scale, dtype):
    """In float16 the squares of a centred column of hundreds overflow."""
    x = (draw((64, 1)) * 40).to(dtype)
    output = scale(x)
    assert output.dtype == dtype
    torch.testing.assert_close(output, scale(x.double()).to(dtype))


def test_large_mean_keeps_its_digits():
    """E[x^2] - E[x]^2 in float32 gives a negative variance here."""
    x = draw((64, 1), dtype=torch.float32) * 0.001 + 1e4
    expected = standardize(x.double())
    torch.testing.assert_close(standardize(x).double(), expected, rtol=0, atol=0.2)


@every_scaling
def test_input_is_not_altered(scale):
    x = draw((6, 3))
    before = x.clone()
    scale(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize(
    ("dtype", "returned"),
    [
        (torch.uint8, torch.float32),
        (torch.int32, torch.float32),
        (torch.float16, torch.float16),
        (torch.float64, torch.float64),
    ],
)
def test_percentile_clip_of_other_dtypes(dtype, returned):
    image = torch.arange(101).to(dtype)
    output = percentile_clip(image, 10, 90)
    assert output.dtype == returned
    assert (output.min(), output.max(), output[50]) == (0, 1, 0.5)


def test_percentile_clip_without_clipping_is_min_max_of_the_image():
    image = draw((5, 6))
    expected = min_max_scale(image.flatten()).view(5, 6)
    close(percentile_clip(image, 0, 100), expected)


def test_percentile_clip_is_flat_outside():
    """A value that is cut off has no influence: its gradient is 0."""
    image = torch.tensor([0.0, 1.0, 2.0, 3.0, 1000.0], requires_grad=True)
    output = percentile_clip(image, 0, 75)
    (gradient,) = torch.autograd.grad(output[4], image)
    assert gradient.tolist() == [0.0] * 5


# ---------------------------------------------------------------------------------------- errors


@every_scaling
@pytest.mark.parametrize(
    ("input", "fitted_on", "error", "message"),
    [
        (torch.ones(3, 2).long(), None, TypeError, r"input.*int64; use .float\(\)"),
        (torch.ones(3, 2), torch.ones(3, 2).long(), TypeError, r"fitted_on.*int64"),
        (torch.tensor(1.0), None, ValueError, r"must be \(N, \*\)"),
        (torch.ones(3, 2), torch.ones(3, 4), ValueError, r"same features.*\(3, 4\)"),
        (torch.ones(3, 2), torch.tensor(1.0), ValueError, "same features"),
        (torch.ones(0, 2), None, ValueError, r"at least one sample.*\(0, 2\)"),
        (
            torch.ones(3, 2),
            torch.tensor([[1.0, float("nan")]]),
            ValueError,
            "finite.*clean the data first",
        ),
        (torch.tensor([[float("inf")]]), None, ValueError, "finite"),
    ],
)
def test_wrong_data(scale, input, fitted_on, error, message):
    with pytest.raises(error, match=message):
        scale(input, fitted_on)


@pytest.mark.parametrize(
    ("image", "arguments", "error", "message"),
    [
        (torch.ones(4, dtype=torch.bool), (), TypeError, "real numbers.*bool"),
        (torch.ones(4, dtype=torch.complex64), (), TypeError, "real numbers"),
        (torch.ones(0), (), ValueError, r"finite values.*\(0,\)"),
        (torch.tensor([1.0, float("nan")]), (), ValueError, "finite values"),
        (torch.ones(4), (), ValueError, "1 and 99 must differ: both are 1"),
        (torch.arange(4.0), (5, 5), ValueError, r"low < high.*low=5, high=5"),
        (torch.arange(4.0), (-1, 5), ValueError, "low=-1"),
        (torch.arange(4.0), (0, 101), ValueError, "high=101"),
        (torch.arange(4.0), (float("nan"), 99), ValueError, "low=nan"),
    ],
)
def test_wrong_images(image, arguments, error, message):
    with pytest.raises(error, match=message):
        percentile_clip(image, *arguments)
