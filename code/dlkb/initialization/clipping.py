"""Clipping and normalizing gradients: by their common norm, or each value alone."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from dlkb.initialization._shared import (
    _at_least_float32,
    _check_at_least,
    _check_positive,
)

__all__ = ["clip_grad_norm_", "clip_grad_value_", "normalize_grad_"]


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    r"""Shrink all gradients by one factor, so that their common norm is at most ``max_norm``.

    grad = grad * min(max_norm / (norm + 1e-6), 1), where norm is that of all gradients as one vector

    Conventions: torch's, with its 1e-6: the norm that is left is a little below max_norm. Unlike torch, the
    norm is computed and returned in at least float32, and scaled by the largest entry, so that squares
    neither overflow nor vanish; a negative max_norm, which would turn the gradients round, and a norm_type
    of 0 are refused; ``foreach``, which changes the speed alone, is left out. A norm that is not finite makes
    gradients 0 or NaN, as torch does, unless ``error_if_nonfinite``.
    Args:
        parameters: one or more; those without a gradient are passed over.
        max_norm: at least 0.
        norm_type: p of the p-norm, positive; math.inf (or "inf") for the largest entry.
        error_if_nonfinite: whether to raise instead, before anything is altered.
    Returns: the norm before clipping, a scalar; 0 if there is no gradient.
    Raises: ValueError: for a max_norm below 0, or a norm_type that is not positive. RuntimeError: as
        ``error_if_nonfinite`` says.
    Example:
        >>> w = torch.zeros(2, requires_grad=True)
        >>> w.grad = torch.tensor([3.0, 4.0])
        >>> clip_grad_norm_(w, 1.0), w.grad
        (tensor(5.), tensor([0.6000, 0.8000]))

    References: Pascanu et al., ICML 2013, Sec. 3.2, arXiv:1211.5063.
    """
    _check_at_least(0, max_norm=max_norm)
    gradients = _gradients(parameters)
    norm = _total_norm(gradients, norm_type, error_if_nonfinite)
    _multiply_(gradients, (max_norm / (norm + 1e-6)).clamp(max=1))
    return norm


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Move each value of each gradient into [-clip_value, clip_value]; the direction changes.

    Conventions: torch's; ``foreach`` is left out, and a negative clip_value is refused.
    Args:
        parameters: one or more; those without a gradient are passed over.
        clip_value: at least 0.
    Raises: ValueError: for a clip_value below 0.
    Example:
        >>> w = torch.zeros(2, requires_grad=True)
        >>> w.grad = torch.tensor([0.3, -4.0])
        >>> clip_grad_value_(w, 1.0)
        >>> w.grad
        tensor([ 0.3000, -1.0000])
    """
    _check_at_least(0, clip_value=clip_value)
    with torch.no_grad():
        for gradient in _gradients(parameters):
            gradient.clamp_(-clip_value, clip_value)


def normalize_grad_(
    parameters: Tensor | Iterable[Tensor],
    norm: float = 1.0,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale all gradients by one factor, so that their common norm is ``norm``, however small they were.

    Conventions: gradients that are all 0 stay 0. With plain descent each step then has the length lr norm,
    so that it cannot settle unless lr falls; ``clip_grad_norm_`` leaves small gradients alone.
    Args:
        parameters, norm_type, error_if_nonfinite: as ``clip_grad_norm_``'s.
        norm: that is wanted, positive.
    Returns: the norm before, a scalar.
    Raises: ValueError, RuntimeError: as ``clip_grad_norm_``; for a norm that is not positive.
    Example:
        >>> w = torch.zeros(2, requires_grad=True)
        >>> w.grad = torch.tensor([3e-9, 4e-9])
        >>> normalize_grad_(w).item() < 1e-8, w.grad
        (True, tensor([0.6000, 0.8000]))

    References: Hazan et al., "Beyond Convexity", NeurIPS 2015, arXiv:1507.02030.
    """
    _check_positive(norm=norm)
    gradients = _gradients(parameters)
    before = _total_norm(gradients, norm_type, error_if_nonfinite)
    with torch.no_grad():
        for gradient in gradients:
            here = before.to(gradient.device)
            unit = _at_least_float32(gradient) / torch.where(here == 0, 1, here)
            gradient.copy_(norm * unit)
    return before


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    if isinstance(parameters, Tensor):
        parameters = [parameters]
    return [p.grad for p in parameters if p.grad is not None]


def _total_norm(
    gradients: list[Tensor], norm_type: float, error_if_nonfinite: bool
) -> Tensor:
    """Of all of them as one vector: largest * (sum |g / largest|^p)^(1/p), so that no power overflows."""
    p = float(norm_type)
    _check_positive(norm_type=p)
    if not gradients:
        return torch.tensor(0.0)
    sizes = [_at_least_float32(g.detach()).abs() for g in gradients]
    device = gradients[0].device
    dtype = max((s.dtype for s in sizes), key=lambda dtype: dtype.itemsize)
    peaks = [s.amax() for s in sizes if s.numel()]
    peaks = [peak.to(device, dtype) for peak in peaks]
    largest = torch.stack([torch.zeros((), device=device, dtype=dtype), *peaks]).amax()
    norm = largest
    if p < math.inf:
        # 1 where dividing says nothing: no gradient at all, or one that is infinite or NaN
        scale = torch.where((largest > 0) & largest.isfinite(), largest, 1)
        powers = [(s / scale.to(s.device)).pow(p).sum() for s in sizes]
        total = torch.stack([power.to(device, dtype) for power in powers]).sum()
        norm = scale * total.pow(1 / p)
    if error_if_nonfinite and not norm.isfinite():
        raise RuntimeError(
            f"the norm of all gradients must be finite to clip by it: got {norm.item()}; look for what "
            "overflows, or set error_if_nonfinite=False to go on"
        )
    return norm


def _multiply_(gradients: list[Tensor], factor: Tensor) -> None:
    with torch.no_grad():
        for gradient in gradients:
            product = _at_least_float32(gradient) * factor.to(gradient.device)
            gradient.copy_(product)
