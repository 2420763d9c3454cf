"""A random cubic polynomial on a sphere, and its critical points of every kind."""

import itertools
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["CriticalPoints", "critical_points", "random_cubic"]


class CriticalPoints(NamedTuple):
    """What was found: points (N, d), heights f / d (N,), curvatures within the sphere (N, d - 1), rising."""

    points: Tensor
    heights: Tensor
    curvatures: Tensor


def random_cubic(dim: int, generator: torch.Generator | None = None) -> Tensor:
    r"""Coefficients of f(x) = sum of coefficients_ijk x_i x_j x_k, alike in all orders of i, j, k.

    They are independent normal numbers of variance 1 / dim^2, averaged over orders, so that on the sphere
    |x|^2 = dim the variance of f is dim.
    Args:
        dim: at least 2.
        generator: for the draw.
    Returns: (dim, dim, dim), float64.
    Raises: ValueError: for fewer than 2 dimensions.
    Example:
        >>> random_cubic(3).shape
        torch.Size([3, 3, 3])

    References: Auffinger, Ben Arous & Cerny, "Random Matrices and Complexity of Spin Glasses", Communications
        on Pure and Applied Mathematics 66, 2013, arXiv:1003.1129.
    """
    if dim < 2:
        raise ValueError(f"a sphere takes at least 2 dimensions: got {dim}")
    drawn = torch.empty(dim, dim, dim, dtype=torch.float64).normal_(generator=generator)
    orders = list(itertools.permutations(range(3)))
    return sum(drawn.permute(order) for order in orders) / len(orders) / dim


def critical_points(
    coefficients: Tensor, starts: Tensor, steps: int = 60, tolerance: float = 1e-9
) -> CriticalPoints:
    """Where f is flat on the sphere |x|^2 = d, by Newton's method, which is drawn to points of any kind.

    A point is critical if the gradient is a multiple mu of x; the unknowns are x and mu. The curvatures are
    the eigenvalues of the Hessian less mu, across x.

    Conventions: starts from which Newton's method has not arrived are left out; several may arrive at one
    point, and not all kinds of points are found equally often.
    Args:
        coefficients: (d, d, d), symmetric, as ``random_cubic``'s.
        starts: (N, d), moved to the sphere.
        steps: of Newton's method.
        tolerance: largest component of what should be 0 at a point that is kept.
    Returns: points, heights and curvatures.
    Example:
        >>> found = critical_points(random_cubic(4), torch.randn(10, 4, dtype=torch.float64))
        >>> found.curvatures.shape[-1]
        3
    """
    dim = starts.shape[-1]
    x = starts * (dim / starts.square().sum(-1, keepdim=True)).sqrt()
    _, slope = _derivatives(coefficients, x)
    mu = (slope * x).sum(-1, keepdim=True) / dim
    for _ in range(steps):
        hessian, slope = _derivatives(coefficients, x)
        bordered = torch.zeros(len(x), dim + 1, dim + 1).to(x)
        bordered[:, :dim, :dim] = hessian - torch.diag_embed(mu.expand_as(x))
        bordered[:, :dim, dim], bordered[:, dim, :dim] = -x, x
        move = torch.linalg.solve(bordered, _residual(x, mu, slope))
        x, mu = x - move[:, :dim], mu - move[:, dim:]
    hessian, slope = _derivatives(coefficients, x)
    there = _residual(x, mu, slope).abs().amax(-1) < tolerance
    x, mu, hessian = x[there], mu[there], hessian[there]
    across = torch.linalg.svd(x.unsqueeze(1)).Vh[:, 1:]  # (N, d - 1, d)
    within = across @ hessian @ across.mT - torch.diag_embed(mu.expand_as(x[:, 1:]))
    heights = mu.squeeze(-1) / 3  # f is cubic: x * gradient = 3 f
    return CriticalPoints(x, heights, torch.linalg.eigvalsh(within))


def _derivatives(coefficients: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Hessian (N, d, d) and gradient (N, d)."""
    hessian = 6 * torch.einsum("ijk,nk->nij", coefficients, x)
    return hessian, (hessian @ x.unsqueeze(-1)).squeeze(-1) / 2


def _residual(x: Tensor, mu: Tensor, slope: Tensor) -> Tensor:
    off_sphere = (x.square().sum(-1, keepdim=True) - x.shape[-1]) / 2
    return torch.cat([slope - mu * x, off_sphere], dim=-1)
