"""dlkb.normalization.cross_iteration against autograd's derivatives and recomputed statistics."""

import pytest
import torch

from dlkb.normalization import (
    IterationStatistics,
    iteration_statistics,
    statistics_error,
    window_statistics,
)


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64) + 0.5


def close(actual, expected, atol=1e-12):
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("with_bias", [True, False])
def test_statistics_and_derivatives_equal_autograd(with_bias):
    x, bias = draw(6, 4), draw(3, seed=2) if with_bias else None
    weight = draw(3, 4, seed=1).requires_grad_()
    found = iteration_statistics(x, weight, bias)
    y = torch.nn.functional.linear(x, weight, bias)
    mean, square = y.mean(0), y.square().mean(0)
    close(found.mean, mean.detach())
    close(found.square, square.detach())
    (by_mean,) = torch.autograd.grad(mean.sum(), weight, retain_graph=True)
    (by_square,) = torch.autograd.grad(square.sum(), weight)
    close(found.mean_gradient.expand(3, 4), by_mean)
    close(found.square_gradient, by_square)
    assert not any(part.requires_grad for part in found)


def test_statistics_do_not_change_with_the_weight_later():
    """Optimizers change weights in place: a window that kept a reference would see no change at all."""
    weight = draw(3, 4, seed=1)
    past = iteration_statistics(draw(6, 4), weight)
    weight += 1
    assert (weight - past.weight).min() > 0.99


def test_without_a_change_the_window_is_one_large_batch():
    x, weight = draw(12, 4), draw(3, 4, seed=1)
    window = [iteration_statistics(part, weight) for part in x.split(4)]
    y = x @ weight.T
    for compensate in (True, False):
        mean, var = window_statistics(window, weight, compensate)
        close(mean, y.mean(0))
        close(var, y.var(0, correction=0))


def test_the_mean_is_exact_and_the_square_is_first_order():
    x, then, change = draw(8, 4), draw(3, 4, seed=1), draw(3, 4, seed=2)
    errors = []
    for size in (1e-3, 5e-4):
        now = then + size * change
        mean, var = window_statistics([iteration_statistics(x, then)], now)
        close(mean, (x @ now.T).mean(0))
        errors.append((var - (x @ now.T).var(0, correction=0)).norm().item())
    assert errors[0] / errors[1] == pytest.approx(4, rel=1e-2)


def test_case_worked_by_hand():
    """Inputs 1 and 3, weight from 2 to 2.5: squares 4 and 36; derivative 2 * (2*1 + 6*3) / 2 = 20."""
    window = [iteration_statistics(torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0]]))]
    mean, var = window_statistics(window, torch.tensor([[2.5]]))
    assert (mean.item(), var.item()) == (5.0, 30.0 - 25.0)
    stale_mean, stale_var = window_statistics(window, torch.tensor([[2.5]]), False)
    assert (stale_mean.item(), stale_var.item()) == (4.0, 20.0 - 16.0)


def test_variance_is_never_negative():
    """A large step sends the expanded square below the squared mean."""
    window = [iteration_statistics(draw(4, 3), draw(2, 3, seed=1))]
    mean, var = window_statistics(window, draw(2, 3, seed=1) - 50 * draw(2, 3, seed=2))
    assert (var >= -1e-9 * mean.square()).all()


def test_error_by_hand():
    truth = torch.tensor([0.0, 0.0]), torch.tensor([4.0, 1.0])
    estimate = torch.tensor([2.0, 1.0]), torch.tensor([16.0, 1.0])
    assert statistics_error(estimate, truth).tolist() == pytest.approx([1.0, 0.5**0.5])


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"got \(4, 3\) and \(2, 2\)"):
        iteration_statistics(torch.ones(4, 3), torch.ones(2, 2))
    with pytest.raises(ValueError, match="at least 1 sample"):
        iteration_statistics(torch.ones(0, 3), torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"each of the 2 outputs: got \(3,\)"):
        iteration_statistics(torch.ones(4, 3), torch.ones(2, 3), torch.ones(3))
    with pytest.raises(ValueError, match="at least the current iteration"):
        window_statistics([], torch.ones(2, 3))
    past = iteration_statistics(torch.ones(4, 3), torch.ones(2, 3))
    assert isinstance(past, IterationStatistics)
    with pytest.raises(ValueError, match=r"keep its shape \(2, 3\).*got \(3, 3\)"):
        window_statistics([past], torch.ones(3, 3))
