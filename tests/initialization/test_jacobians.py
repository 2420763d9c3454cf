"""Singular values against autograd's Jacobian and scipy; products and powers against closed forms."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from dlkb.initialization.jacobians import (
    gaussian_lyapunov_exponents,
    jacobian_singular_values,
    lyapunov_exponents,
    power_log_norms,
    rms_singular_value,
    spectral_radius,
)


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def networks(count=3):
    torch.manual_seed(0)
    layers = lambda: (nn.Conv1d(2, 3, 2), nn.Tanh(), nn.Flatten(), nn.Linear(9, 5))
    return [nn.Sequential(*layers()).double() for _ in range(count)]


def test_singular_values_are_those_of_each_networks_and_samples_jacobian():
    """Catches one network's weights for all, samples summed up, and eigenvalues."""
    own, x = networks(), draw(4, 2, 4)
    found = jacobian_singular_values(own, x)
    assert found.shape == (3, 4, 5)
    for network, rows in zip(own, found, strict=True):
        for sample, values in zip(x, rows, strict=True):
            jacobian = torch.autograd.functional.jacobian(network, sample[None])
            expected = np.linalg.svd(jacobian.numpy().reshape(5, 8), compute_uv=False)
            torch.testing.assert_close(values, torch.from_numpy(expected))


def test_an_orthogonal_linear_stack_has_all_singular_values_one():
    layers = [nn.Linear(6, 6).double() for _ in range(20)]
    for layer in layers:
        nn.init.orthogonal_(layer.weight)
    found = jacobian_singular_values([nn.Sequential(*layers)], draw(2, 6))
    torch.testing.assert_close(found, torch.ones_like(found))


def test_networks_are_left_alone():
    own = networks(1)
    own[0].eval()
    jacobian_singular_values(own, draw(1, 2, 4))
    assert all(p.grad is None and p.requires_grad for p in own[0].parameters())
    assert not own[0].training


def test_spectral_radius_is_not_the_norm():
    """Catches the largest singular value, and the largest real part."""
    matrices = torch.tensor([[[0.5, 100.0], [0.0, 0.5]], [[0.0, -2.0], [2.0, 0.0]]])
    assert spectral_radius(matrices).tolist() == pytest.approx([0.5, 2.0])
    a = draw(7, 7)
    expected = np.abs(np.linalg.eigvals(a.numpy())).max()
    assert spectral_radius(a).item() == pytest.approx(expected)


def test_rms_singular_value_is_the_root_of_the_mean_square_over_columns():
    a = draw(4, 6)
    expected = math.sqrt(torch.linalg.svdvals(a).square().sum().item() / 6)
    assert rms_singular_value(a).item() == pytest.approx(expected)
    assert rms_singular_value(draw(3, 4, 6)).shape == (3,)


def test_powers_equal_the_powers_themselves():
    """Catches powers of the norm, a start at the first power, and logarithms to another base."""
    a = draw(2, 4, 4)
    found = power_log_norms(a, 6)
    for steps in range(7):
        power = torch.linalg.matrix_power(a, steps)
        expected = torch.linalg.matrix_norm(power, 2).log()
        torch.testing.assert_close(found[:, steps], expected)


def test_powers_neither_overflow_nor_underflow():
    """[[b, k], [0, b]]^t = b^t [[1, t k / b], [0, 1]], in float32, at 10^+-4000."""
    for base in (0.01, 100.0):
        a = torch.tensor([[base, 7.0], [0.0, base]])
        shear = torch.tensor([[1.0, 2000 * 7 / base], [0.0, 1.0]]).double()
        expected = 2000 * math.log(base) + torch.linalg.matrix_norm(shear, 2).log()
        found = power_log_norms(a, 2000)
        assert found.dtype == torch.float32
        assert found[-1].item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_rate_of_powers_is_the_spectral_radius_and_the_first_step_the_norm():
    a = draw(5, 5)
    logs = power_log_norms(a, 400)
    assert logs[1].item() == pytest.approx(torch.linalg.svdvals(a)[0].log().item())
    rate = (logs[-1] - logs[200]).item() / 200
    assert rate == pytest.approx(spectral_radius(a).log().item(), abs=0.01)


def test_a_nilpotent_matrix_ends_at_minus_infinity():
    found = power_log_norms(torch.tensor([[0.0, 9.0], [0.0, 0.0]]), 4)
    assert found[1].item() == pytest.approx(math.log(9))
    assert found[2:].tolist() == [-math.inf] * 3


def test_exponents_of_triangular_factors_are_the_mean_logs_of_their_diagonals():
    """Catches a product in the wrong order (columns would mix), and a sum for a mean."""
    factors = draw(30, 2, 4, 4).triu()
    expected = factors.diagonal(dim1=-2, dim2=-1).abs().log().mean(0)
    torch.testing.assert_close(lyapunov_exponents(factors), expected)
    torch.testing.assert_close(lyapunov_exponents(iter(factors)), expected)


def test_exponents_sum_to_the_log_determinant_and_survive_any_length():
    factors = draw(500, 6, 6) * 100
    found = lyapunov_exponents(factors)
    expected = torch.linalg.slogdet(factors).logabsdet.mean()
    assert found.sum().item() == pytest.approx(expected.item())
    assert found.isfinite().all()


def test_exponents_are_those_of_the_product():
    """Catches the reverse order of factors, whose frame gives other partial sums."""
    factors = draw(6, 3, 3)
    product = torch.eye(3).double()
    for factor in factors:
        product = factor @ product
    upper = np.linalg.qr(product.numpy())[1]
    found = lyapunov_exponents(factors)
    np.testing.assert_allclose(found, np.log(np.abs(np.diag(upper))) / 6, rtol=1e-9)


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_the_law_of_gaussian_products(size):
    """Against the measured product; catches the top exponent log(std sqrt(n)), off by 1 / (2 n)."""
    factors, samples = 0.7 * draw(2000, 20, size, size, seed=size), 40_000
    found = lyapunov_exponents(factors).mean(0)
    expected = gaussian_lyapunov_exponents(size, 0.7)
    # one factor's log length has variance trigamma(n / 2) / 4, at most pi^2 / 8 for one degree of freedom
    bound = 4 * math.sqrt(math.pi**2 / 8 / samples) + 3 / 2000  # and the frame's turn
    torch.testing.assert_close(found, expected, rtol=0, atol=bound)
    assert expected[0].item() < math.log(0.7 * math.sqrt(size)) - bound


def test_the_law_by_hand():
    """n = 2: E log chi_2 = (log 2 - gamma) / 2, and chi_1 (-log 2 - gamma) / 2."""
    gamma = 0.5772156649015329
    expected = [(math.log(2) - gamma) / 2, (-math.log(2) - gamma) / 2]
    assert gaussian_lyapunov_exponents(2, 1.0).tolist() == pytest.approx(expected)
    scaled = gaussian_lyapunov_exponents(2, math.e)
    assert scaled.tolist() == pytest.approx([v + 1 for v in expected])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: jacobian_singular_values([], draw(1, 2)), "one network.*got 0 and 1"),
        (lambda: jacobian_singular_values(networks(1), draw(0, 2, 4)), "got 1 and 0"),
        (lambda: spectral_radius(draw(2, 3)), r"square.*got shape \(2, 3\)"),
        (lambda: spectral_radius(draw(0, 0)), "not empty"),
        (lambda: power_log_norms(draw(2, 3), 1), "square"),
        (lambda: power_log_norms(draw(2, 2), -1), "negative: got -1"),
        (lambda: lyapunov_exponents([]), "got none"),
        (lambda: lyapunov_exponents([draw(2)]), "square"),
        (lambda: lyapunov_exponents([draw(2, 2), draw(3, 3)]), r"first, \(2, 2\): got"),
        (lambda: gaussian_lyapunov_exponents(0, 1.0), "size=0"),
        (lambda: gaussian_lyapunov_exponents(1, 0.0), r"std=0\.0"),
    ],
)
def test_wrong_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
