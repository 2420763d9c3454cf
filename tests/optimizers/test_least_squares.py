"""Linear regression as a quadratic is the regression that autograd and a solver see."""

import pytest
import torch

from dlkb.optimizers.framework import sgd_update
from dlkb.optimizers.least_squares import LeastSquares, least_squares


def drawn():
    generator = torch.Generator().manual_seed(0)
    scale = torch.tensor([1.0, 5.0, 0.2], dtype=torch.float64)
    x = torch.randn(20, 3, generator=generator, dtype=torch.float64) * scale + 2
    return x, torch.randn(20, generator=generator, dtype=torch.float64) - 1


def loss(w, x, y):
    """Half the mean squared error at the best bias."""
    left = x @ w - y
    return (left - left.mean()).square().mean() / 2


@pytest.mark.parametrize("standardize", [True, False])
def test_derivatives_are_those_of_half_the_mean_squared_error(standardize):
    """Catches a loss without its half, a sum in place of a mean, and data that is not centred."""
    x, y = drawn()
    problem = least_squares(x, y, standardize)
    x = x / x.std(0) if standardize else x
    w = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    hessian = torch.func.jacrev(torch.func.grad(loss))(w, x, y)
    torch.testing.assert_close(problem.hessian, hessian)
    torch.testing.assert_close(problem.gradient(w), torch.func.grad(loss)(w, x, y))
    torch.testing.assert_close(problem.curvatures, torch.linalg.eigvalsh(hessian))


def test_standardized_features_have_ones_on_the_diagonal():
    """Up to n - 1 over n, since the deviation is the unbiased one."""
    diagonal = least_squares(*drawn()).hessian.diagonal()
    torch.testing.assert_close(diagonal, torch.full_like(diagonal, 19 / 20))


def test_the_excess_is_the_loss_above_its_minimum():
    x, y = drawn()
    problem = least_squares(x, y, standardize=False)
    best = torch.linalg.lstsq(x - x.mean(0), y - y.mean()).solution
    w = torch.ones(2, 3, dtype=torch.float64)
    w[1] = -3
    expected = torch.stack([loss(row, x, y) for row in w]) - loss(best, x, y)
    found = problem.excess_loss(problem.gradient(w))
    torch.testing.assert_close(found, expected)


def test_gradients_along_a_run_by_hand():
    """Half of w^2 - w from 0 at rate 1/2: w = 0, 1/2, 3/4. Catches a run without its start."""
    problem = LeastSquares(torch.ones(1, 1), torch.ones(1))
    found = problem.gradients(sgd_update(0.5), 2)
    assert found.tolist() == [[-1.0], [-0.5], [-0.25]]


def test_many_rates_run_at_once():
    x, y = drawn()
    problem, rates = least_squares(x, y), torch.tensor([0.1, 0.2]).double()
    together = problem.gradients(sgd_update(rates.unsqueeze(1)), 3)
    assert together.shape == (4, 2, 3)
    alone = problem.gradients(sgd_update(0.2), 3)
    torch.testing.assert_close(together[:, 1], alone)
