"""Scaling of data: each feature is moved and stretched by two numbers taken from the training data."""

import torch
from torch import Tensor

__all__ = [
    "min_max_scale",
    "percentile_clip",
    "scale_by_range",
    "scale_by_std",
    "standardize",
]


def standardize(input: Tensor, fitted_on: Tensor | None = None) -> Tensor:
    r"""Z-score: subtract each feature's mean, divide by its standard deviation.

    y = (input - mean) / std

    Conventions: biased standard deviation (divide by n), as scikit-learn's StandardScaler does; pandas and
    ``torch.std`` divide by n - 1. The statistics are those of ``fitted_on``: give the training data there
    when ``input`` is new. A constant feature has no standard deviation to divide by and is only shifted.
    Statistics and result are computed in at least float32.
    Args:
        input: (N, \*), floating point, samples first.
        fitted_on: (M, \*), what the statistics are taken from; None for ``input`` itself.
    Returns: (N, \*), dtype and device of ``input``.
    Raises: TypeError: if a tensor is not floating point. ValueError: if ``fitted_on`` has other features than
        ``input``, no sample, or a value that is not finite.
    Example:
        >>> standardize(torch.tensor([[1.0, 100.0], [3.0, 300.0]]))
        tensor([[-1., -1.],
                [ 1.,  1.]])
        >>> standardize(torch.tensor([[5.0]]), fitted_on=torch.tensor([[1.0], [3.0]]))
        tensor([[3.]])

    References: Milligan & Cooper, J. Classification 5, 1988, Z1.
    """
    reference = _reference(input, fitted_on)
    return _rescale(input, reference.mean(dim=0), _standard_deviation(reference))


def min_max_scale(input: Tensor, fitted_on: Tensor | None = None) -> Tensor:
    r"""Map each feature's smallest value to 0 and its largest to 1.

    y = (input - min) / (max - min)

    Conventions: new data may fall outside [0, 1] and are not clipped. Otherwise, arguments, result and errors
    as ``standardize``.
    Example:
        >>> min_max_scale(torch.tensor([[2.0], [6.0], [3.0]])).flatten()
        tensor([0.0000, 1.0000, 0.2500])

    References: Milligan & Cooper, J. Classification 5, 1988, Z5.
    """
    reference = _reference(input, fitted_on)
    return _rescale(input, reference.amin(dim=0), _range(reference))


def scale_by_std(input: Tensor, fitted_on: Tensor | None = None) -> Tensor:
    r"""Divide each feature by its standard deviation; 0 stays 0.

    y = input / std

    Conventions, arguments, result and errors as ``standardize``; a constant feature is left alone.
    Example:
        >>> scale_by_std(torch.tensor([[1.0], [3.0], [5.0], [7.0]])).flatten()
        tensor([0.4472, 1.3416, 2.2361, 3.1305])

    References: Milligan & Cooper, J. Classification 5, 1988, Z2.
    """
    reference = _reference(input, fitted_on)
    return _rescale(input, None, _standard_deviation(reference))


def scale_by_range(input: Tensor, fitted_on: Tensor | None = None) -> Tensor:
    r"""Divide each feature by its range, the largest value minus the smallest; 0 stays 0.

    y = input / (max - min)

    Conventions, arguments, result and errors as ``standardize``; a constant feature is left alone.
    Example:
        >>> scale_by_range(torch.tensor([[2.0], [6.0], [3.0]])).flatten()
        tensor([0.5000, 1.5000, 0.7500])

    References: Milligan & Cooper, J. Classification 5, 1988, Z4.
    """
    reference = _reference(input, fitted_on)
    return _rescale(input, None, _range(reference))


def percentile_clip(input: Tensor, low: float = 1.0, high: float = 99.0) -> Tensor:
    """Map an image's percentile ``low`` to 0 and ``high`` to 1, and clip what lies outside.

    Conventions: one pair of percentiles for the whole tensor, so call it for each image or channel that has
    a range of its own; percentiles between two values are interpolated linearly, as NumPy does. With
    ``low=0, high=100`` it is min-max scaling of the whole image.
    Args:
        input: any shape, floating point or integer, finite.
        low, high: percentiles, 0 <= low < high <= 100.
    Returns: shape and device of ``input``, in [0, 1]; its dtype if that is floating point, else float32.
    Raises: TypeError: if input is boolean or complex. ValueError: if input is empty, holds a value that is
        not finite or has equal percentiles, or if low and high are out of order.
    Example:
        >>> image = torch.tensor([0, 1, 2, 3, 60000])  # 16 bits, one hot pixel
        >>> percentile_clip(image, 0, 75)
        tensor([0.0000, 0.3333, 0.6667, 1.0000, 1.0000])
    """
    if input.dtype == torch.bool or input.is_complex():
        raise TypeError(
            f"input must hold real numbers: got {input.dtype}; use .float() or .abs()"
        )
    if not 0 <= low < high <= 100:
        raise ValueError(
            f"percentiles must keep 0 <= low < high <= 100: got low={low}, high={high}"
        )
    if input.numel() == 0 or not torch.isfinite(input).all():
        raise ValueError(
            "an image must have finite values to take percentiles of: got "
            f"shape {tuple(input.shape)} with NaN, infinity or nothing in it"
        )
    x = _at_least_float32(input)
    ordered = x.flatten().sort().values
    bottom, top = _percentile(ordered, low), _percentile(ordered, high)
    if bottom == top:
        raise ValueError(
            f"percentiles {low:g} and {high:g} must differ: both are {bottom.item():g}; choose others"
        )
    clipped = ((x - bottom) / (top - bottom)).clamp(0, 1)
    return clipped.to(input.dtype) if input.is_floating_point() else clipped


def _percentile(ordered: Tensor, percent: float) -> Tensor:
    """Of values in rising order, (N,): the one that ``percent`` of the way from first to last leads to."""
    position = percent / 100 * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def _reference(input: Tensor, fitted_on: Tensor | None) -> Tensor:
    """What the statistics are taken from, checked, in at least float32."""
    reference = input if fitted_on is None else fitted_on
    for name, tensor in (("input", input), ("fitted_on", reference)):
        if not tensor.is_floating_point():
            raise TypeError(
                f"{name} must be floating point, since it is divided: got {tensor.dtype}; use .float()"
            )
    if input.dim() == 0 or reference.shape[1:] != input.shape[1:]:
        raise ValueError(
            "input and fitted_on must be (N, *) with the same features: "
            f"got shapes {tuple(input.shape)} and {tuple(reference.shape)}"
        )
    if len(reference) == 0 or not torch.isfinite(reference).all():
        raise ValueError(
            "statistics need at least one sample and finite values: got shape "
            f"{tuple(reference.shape)} with NaN, infinity or nothing in it; clean the data first"
        )
    return _at_least_float32(reference)


def _standard_deviation(reference: Tensor) -> Tensor:
    """Biased, over samples; two passes, and 1 where all values are the same, whatever rounding says."""
    centred = reference - reference.mean(dim=0)
    deviation = centred.square().mean(dim=0).sqrt()
    return torch.where(reference.amax(dim=0) == reference.amin(dim=0), 1.0, deviation)


def _range(reference: Tensor) -> Tensor:
    found = reference.amax(dim=0) - reference.amin(dim=0)
    return torch.where(found == 0, 1.0, found)


def _rescale(input: Tensor, shift: Tensor | None, scale: Tensor) -> Tensor:
    x = _at_least_float32(input)
    return ((x if shift is None else x - shift) / scale).to(input.dtype)


def _at_least_float32(input: Tensor) -> Tensor:
    return input if input.dtype == torch.float64 else input.float()
