"""The exponent of a power law, from values at several sizes."""

from torch import Tensor

__all__ = ["log_log_slope"]


def log_log_slope(sizes: Tensor, values: Tensor) -> Tensor:
    """The exponent e of values ~ sizes^e: the slope of log value over log size, by least squares.

    Args:
        sizes: (n,), positive, at least two different ones; integers are taken too.
        values: (..., n), positive, such as errors.
    Returns: (...), of the logarithm's dtype.
    Raises: ValueError: if the last dimensions differ.
    Example:
        >>> import torch
        >>> sizes = torch.tensor([1.0, 2.0, 4.0])
        >>> log_log_slope(sizes, torch.stack([3 * sizes**2, 1 / sizes])).round(decimals=3)
        tensor([ 2., -1.])
    """
    if sizes.dim() != 1 or values.shape[-1:] != sizes.shape:
        raise ValueError(
            "one value is needed for each size: got sizes "
            f"{tuple(sizes.shape)} and values {tuple(values.shape)}"
        )
    u = sizes.log()
    u = u - u.mean()
    return values.log() @ u / (u @ u)
