"""Linear regression as an optimizer sees it: a quadratic whose curvatures the data set."""

from dataclasses import dataclass

import torch
from torch import Tensor

from dlkb.optimizers.framework import Update
from dlkb.optimizers.paths import rule_path

__all__ = ["LeastSquares", "least_squares"]


@dataclass(frozen=True)
class LeastSquares:
    """The loss w.H w / 2 - slope.w, up to a constant.

    Args:
        hessian: (d, d), H, symmetric.
        slope: (d,), minus the gradient at w = 0.
    Example:
        >>> bowl = LeastSquares(torch.diag(torch.tensor([1.0, 4.0])), torch.tensor([1.0, 4.0]))
        >>> bowl.curvatures, bowl.gradient(torch.zeros(2))
        (tensor([1., 4.]), tensor([-1., -4.]))
    """

    hessian: Tensor
    slope: Tensor

    @property
    def curvatures(self) -> Tensor:
        """Eigenvalues of the Hessian, rising, (d,)."""
        return torch.linalg.eigvalsh(self.hessian)

    def gradient(self, w: Tensor) -> Tensor:
        """Gradient at each point, (..., d) -> (..., d)."""
        return w @ self.hessian - self.slope

    def gradients(self, update: Update, steps: int) -> Tensor:
        """Gradients along a run of an update rule from w = 0, the start's first.

        Args:
            update: of ``dlkb.optimizers.framework``; rates (R, 1) make R runs at once.
            steps: number of updates, at least 1.
        Returns: (steps + 1, ..., d); NaN or infinity from where a run diverged.
        """
        start = torch.zeros_like(self.slope)
        path = rule_path(update, lambda w, step: self.gradient(w), start, steps)
        return self.gradient(torch.cat([start.expand_as(path[:1]), path]))

    def excess_loss(self, gradient: Tensor) -> Tensor:
        """The loss above its minimum where the gradient is g, g.H^-1 g / 2, (..., d) -> (...)."""
        return (gradient @ self.hessian.inverse() * gradient).sum(-1) / 2


def least_squares(x: Tensor, y: Tensor, standardize: bool = True) -> LeastSquares:
    """Half the mean squared error of a linear model with a bias: H = X^T X / n, slope = X^T y / n.

    Features and target are centred, which is what the best bias does, so that the bias need not be trained.
    Args:
        x: (n, d), floating point, no feature constant if standardized.
        y: (n,), the target, of x's dtype.
        standardize: divide each feature by its standard deviation (unbiased).
    Returns: a ``LeastSquares``.
    Example:
        >>> x = torch.tensor([[0.0], [2.0]])
        >>> least_squares(x, x[:, 0], standardize=False)  # centred: -1 and 1
        LeastSquares(hessian=tensor([[1.]]), slope=tensor([1.]))
    """
    x, y = x - x.mean(0), y - y.mean()
    x = x / x.std(0) if standardize else x
    return LeastSquares(x.T @ x / len(x), x.T @ y / len(x))
