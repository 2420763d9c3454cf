"""Weights that hand their input on unchanged."""

import torch
from torch import Tensor

from dlkb.initialization._shared import _check_floating

__all__ = ["dirac_", "eye_"]


def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with the identity: 1 on the diagonal, 0 elsewhere.

    Args:
        tensor: (out, in), floating point; filled in place.
    Returns: ``tensor``.
    Raises: TypeError: if it is not floating point. ValueError: if it is no matrix.
    Example:
        >>> eye_(torch.empty(2, 3))
        tensor([[1., 0., 0.],
                [0., 1., 0.]])
    """
    _check_floating(tensor=tensor)
    if tensor.dim() != 2:
        raise ValueError(
            f"tensor must be a matrix, (out, in): got shape {tuple(tensor.shape)}; "
            "for a convolution use dirac_"
        )
    with torch.no_grad():
        tensor.zero_().diagonal().fill_(1)
    return tensor


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill a convolution's weight so that it hands on its channels: 1 at the kernel's centre, 0 elsewhere.

    Conventions: torch's: of each group's channels as many are kept as it has inputs and outputs; of an even
    kernel the centre is the later of the two middle positions.
    Args:
        tensor: (out, in / groups, *kernel) of 3 to 5 dimensions, floating point; filled in place.
        groups: of the convolution.
    Returns: ``tensor``.
    Raises: TypeError: if it is not floating point. ValueError: for another number of dimensions, or groups
        that do not divide the outputs.
    Example:
        >>> x = torch.arange(6.0).view(1, 2, 3)
        >>> weight = dirac_(torch.empty(2, 2, 3))
        >>> torch.equal(torch.nn.functional.conv1d(x, weight, padding=1), x)
        True
    """
    _check_floating(tensor=tensor)
    if not 3 <= tensor.dim() <= 5:
        raise ValueError(
            "tensor must be (out, in / groups, *kernel) of 3 to 5 dimensions: "
            f"got shape {tuple(tensor.shape)}; for a matrix use eye_"
        )
    if groups < 1 or tensor.shape[0] % groups:
        raise ValueError(
            f"groups ({groups}) must divide the number of outputs ({tensor.shape[0]})"
        )
    centre = tuple(size // 2 for size in tensor.shape[2:])
    with torch.no_grad():
        tensor.zero_()
        for group in tensor.chunk(groups):  # views
            group[(..., *centre)].diagonal().fill_(1)
    return tensor
