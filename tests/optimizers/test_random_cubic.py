"""Critical points are flat, and curved as said."""

import math

import pytest
import torch

from dlkb.optimizers.random_cubic import critical_points, random_cubic


def drawn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.empty(shape, dtype=torch.float64).normal_(generator=generator)


def cubic(coefficients, x):
    return torch.einsum("ijk,...i,...j,...k->...", coefficients, x, x, x)


def test_variance_on_the_sphere_is_the_dimension():
    """Catches coefficients that are not scaled, or summed over orders instead of averaged."""
    dim, x = 4, drawn(4)
    x = x * math.sqrt(dim) / x.norm()
    generator = torch.Generator().manual_seed(0)
    values = [cubic(random_cubic(dim, generator), x) for _ in range(4000)]
    assert torch.stack(values).var().item() == pytest.approx(dim, rel=0.08)


def test_points_are_critical_and_curved_as_autograd_says():
    """Catches a Hessian without the sphere's own curvature, and heights of another degree."""
    dim, coefficients = 6, random_cubic(6, torch.Generator().manual_seed(1))
    found = critical_points(coefficients, drawn(40, dim))
    assert len(found.points) > 20

    def on_sphere(x):
        return cubic(coefficients, x * math.sqrt(dim) / x.norm())

    for x, height, curvatures in zip(*found, strict=True):
        assert x.norm().item() == pytest.approx(math.sqrt(dim))
        slope = torch.func.grad(on_sphere)(x)
        assert slope.abs().max() < 1e-8
        assert height.item() == pytest.approx(cubic(coefficients, x).item() / dim)
        hessian = torch.func.jacrev(torch.func.grad(on_sphere))(x)  # 0 along x
        expected = torch.linalg.eigvalsh(hessian)
        least = expected.abs().argmin()
        kept = torch.cat([expected[:least], expected[least + 1 :]])
        torch.testing.assert_close(curvatures, kept, rtol=1e-6, atol=1e-6)


def test_one_cubed_by_hand():
    """f = x^3 on the circle of radius sqrt(2): a minimum, a maximum, and two flat points between."""
    coefficients = torch.zeros(2, 2, 2, dtype=torch.float64)
    coefficients[0, 0, 0] = 1
    starts = torch.tensor([[-1.0, 0.1], [1.0, 0.1]], dtype=torch.float64)
    found = critical_points(coefficients, starts)
    root = math.sqrt(2)
    expected = torch.tensor([[-root, 0], [root, 0]], dtype=torch.float64)
    torch.testing.assert_close(found.points, expected)
    torch.testing.assert_close(found.heights, expected[:, 0])  # 2 sqrt(2) / 2
    torch.testing.assert_close(found.curvatures, -3 * expected[:, :1])


def test_negative_points_have_negative_curvatures():
    """f is odd, so what is found from -x mirrors what is found from x."""
    coefficients, starts = (
        random_cubic(5, torch.Generator().manual_seed(2)),
        drawn(8, 5),
    )
    there, back = (critical_points(coefficients, sign * starts) for sign in (1, -1))
    torch.testing.assert_close(there.heights, -back.heights)
    torch.testing.assert_close(there.curvatures, -back.curvatures.flip(-1))


def test_starts_that_do_not_arrive_are_left_out():
    coefficients = random_cubic(5, torch.Generator().manual_seed(2))
    assert len(critical_points(coefficients, drawn(8, 5), steps=0).points) == 0


def test_a_point_is_no_sphere():
    with pytest.raises(ValueError, match="at least 2 dimensions: got 1"):
        random_cubic(1)
