"""Orthogonal initialization: a matrix that keeps the length of each vector, not only on average."""

import torch
from torch import Tensor

from dlkb.initialization._shared import _at_least_float32, _check_floating

__all__ = ["orthogonal_"]


def orthogonal_(
    tensor: Tensor, gain: float = 1, generator: torch.Generator | None = None
) -> Tensor:
    """Fill a weight with a matrix drawn evenly from all whose singular values are ``gain``.

    Conventions: torch's. A weight of more than 2 dimensions is flattened to (out, in * kernel): its matrix is
    orthogonal, the convolution that it makes is not. Rows are orthogonal if there are no more of them than
    columns, else columns. The factor Q of a QR decomposition is drawn evenly only if R's diagonal is made
    positive. Unlike torch's, half precision is decomposed in float32.
    Args:
        tensor: (out, in) or (out, in / groups, *kernel), floating point; filled in place.
        gain: the singular values.
        generator: draws the values.
    Returns: ``tensor``.
    Raises: TypeError: if it is not floating point. ValueError: for fewer than 2 dimensions.
    Example:
        >>> torch.linalg.svdvals(orthogonal_(torch.empty(3, 5), gain=2.0))
        tensor([2.0000, 2.0000, 2.0000])

    References: Saxe et al., ICLR 2014, arXiv:1312.6120; Mezzadri, Notices of the AMS 54, 2007,
        arXiv:math-ph/0609050 (drawn evenly).
    """
    _check_floating(tensor=tensor)
    if tensor.dim() < 2:
        raise ValueError(
            f"tensor must have at least 2 dimensions, (out, in, *kernel): got shape {tuple(tensor.shape)}"
        )
    if tensor.numel() == 0:
        return tensor
    drawn = _at_least_float32(tensor.detach()).flatten(1).clone()
    drawn.normal_(generator=generator)
    wide = drawn.shape[0] < drawn.shape[1]
    q, r = torch.linalg.qr(drawn.mT if wide else drawn)
    q = q * torch.where(r.diagonal() < 0, -1, 1)
    with torch.no_grad():
        return tensor.copy_(gain * (q.mT if wide else q).reshape(tensor.shape))
