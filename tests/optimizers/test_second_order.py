"""dlkb.optimizers.second_order against numpy and scipy; recursions against dense matrices; counts."""

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse.linalg
import torch

from dlkb.optimizers.second_order import (
    bfgs,
    bfgs_inverse,
    conjugate_gradient,
    lbfgs,
    newton,
    newton_step,
    two_loop,
)
from dlkb.optimizers.surfaces import beale, himmelblau, quadratic, ravine, rosenbrock
from dlkb.optimizers.surfaces import saddle as saddle_surface

SEARCHES = ["strong_wolfe", "armijo"]


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def positive_definite(d, seed=0, shift=0.1):
    root = draw(d, d, seed=seed)
    return root @ root.T / d + shift * torch.eye(d, dtype=torch.float64)


def form(A, b):
    return lambda x: x @ A @ x / 2 - b @ x


def close(actual, expected, atol=1e-9):
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol)


class Counter:
    """The function, and how often Python ran it: gradients included."""

    def __init__(self, f):
        self.f, self.calls = f, 0

    def __call__(self, x):
        self.calls += 1
        return self.f(x)


# ---------------------------------------------------------------------- Newton


def test_newton_solves_a_quadratic_in_one_step():
    """Would notice a step along the gradient, and half of the step."""
    A, b, x = positive_definite(5), draw(5, seed=1), draw(5, seed=2)
    solution = torch.from_numpy(np.linalg.solve(A.numpy(), b.numpy()))
    close(x + newton_step(form(A, b), x), solution)
    found = newton(form(A, b), x)
    assert found.converged
    assert len(found.path) - 1 == found.hessian_evaluations == 1
    close(found.x, solution)
    close(found.gradient, torch.zeros_like(b), 1e-8)
    assert found.value.item() == pytest.approx((-b @ solution / 2).item())


def test_the_damped_step_is_the_ridge_solution():
    A, b, x = positive_definite(4), draw(4, seed=1), draw(4, seed=2)
    shifted = (A + 0.7 * torch.eye(4, dtype=torch.float64)).numpy()
    expected = torch.from_numpy(np.linalg.solve(shifted, (b - A @ x).numpy()))
    close(newton_step(form(A, b), x, damping=0.7), expected)
    small = newton_step(form(A, b), x, damping=1e8)
    close(small * 1e8, b - A @ x, 1e-5)  # much damping: the gradient's direction


def test_newton_goes_to_a_saddle_and_damping_away_from_it():
    surface = saddle_surface()
    start = torch.tensor([1.0, 0.1], dtype=torch.float64)
    found = newton(surface, start)
    close(found.x, torch.zeros(2, dtype=torch.float64), 1e-8)
    damped = newton(surface, start, damping=1.5, max_iter=200)
    assert damped.converged
    close(damped.x, torch.tensor([0.0, 1.0], dtype=torch.float64), 1e-7)


def test_newton_converges_quadratically_on_rosenbrock():
    found = newton(rosenbrock(), torch.tensor([-1.2, 1.0], dtype=torch.float64))
    assert found.converged
    close(found.x, torch.ones(2, dtype=torch.float64), 1e-8)
    assert len(found.path) - 1 < 10


def test_newton_stops_when_told():
    start = torch.tensor([-1.2, 1.0], dtype=torch.float64)
    found = newton(rosenbrock(), start, max_iter=2)
    assert not found.converged
    assert len(found.path) == 3
    assert len(newton(rosenbrock(), start, max_iter=0).path) == 1


# ---------------------------------------------------------------------- conjugate gradients


@pytest.mark.parametrize("x0", [None, draw(12, seed=5)])
def test_conjugate_gradients_against_numpy_and_scipy(x0):
    """Against numpy's solution, and scipy's iterates one by one."""
    A, b = positive_definite(12), draw(12, seed=1)
    found = conjugate_gradient(A, b, x0, rtol=1e-12)
    assert found.converged
    close(found.x, torch.from_numpy(np.linalg.solve(A.numpy(), b.numpy())))
    theirs = []
    scipy.sparse.linalg.cg(
        A.numpy(),
        b.numpy(),
        x0=None if x0 is None else x0.numpy(),
        rtol=1e-8,
        callback=lambda x: theirs.append(torch.from_numpy(x.copy())),
    )
    ours = found.path[1 : len(theirs) + 1]
    close(ours, torch.stack(theirs), 1e-8)
    true = (b - found.path @ A).norm(dim=-1)
    torch.testing.assert_close(found.residuals, true, rtol=1e-6, atol=1e-9)


def test_as_many_products_as_different_eigenvalues():
    """Steepest descent would need hundreds; d steps are for d different eigenvalues."""
    basis = torch.linalg.qr(draw(30, 30)).Q
    values = torch.tensor([1.0, 30.0, 900.0], dtype=torch.float64).repeat(10)
    calls = Counter(lambda x: basis @ (values * (basis.T @ x)))
    found = conjugate_gradient(calls, draw(30, seed=1), rtol=1e-8)
    assert found.converged
    assert len(found.path) - 1 == calls.calls == 3


def test_directions_are_conjugate():
    A, b = positive_definite(6), draw(6, seed=1)
    steps = conjugate_gradient(A, b, rtol=1e-12).path.diff(dim=0)[:5]
    products = steps @ A @ steps.T
    scale = products.diagonal().sqrt()
    close(products / torch.outer(scale, scale), torch.eye(5, dtype=torch.float64), 1e-8)


def test_hessian_vector_products_are_enough():
    surface, x = himmelblau(), torch.tensor([3.5, 2.5], dtype=torch.float64)
    gradient = torch.func.grad(surface.function)

    def product(v):
        return torch.func.vjp(gradient, x)[1](v)[0]

    found = conjugate_gradient(product, -gradient(x), rtol=1e-10)
    close(found.x, newton_step(surface, x))


def test_what_conjugate_gradients_do_at_the_edges():
    A, b = positive_definite(4), draw(4, seed=1)
    nothing = conjugate_gradient(A, torch.zeros_like(b))
    assert nothing.converged
    assert len(nothing.path) == 1
    stopped = conjugate_gradient(A, b, rtol=1e-12, max_iter=2)
    assert not stopped.converged
    assert len(stopped.path) == 3
    indefinite = torch.diag(torch.tensor([1.0, -1.0]))
    with pytest.raises(ValueError, match=r"positive definite: got .* p.A p = -3"):
        conjugate_gradient(indefinite, torch.tensor([1.0, 2.0]))


# ---------------------------------------------------------------------- quasi-Newton


def pairs_of(d, count):
    """Pairs as steps on a quadratic make them, so that y.s is positive."""
    A = positive_definite(d)
    steps = [draw(d, seed=10 + k) for k in range(count)]
    return [(s, A @ s) for s in steps], A


def test_the_update_maps_y_to_s_and_is_the_inverse_of_the_direct_one():
    """Against the dense update of the Hessian itself (Nocedal & Wright, Eq. 6.19), inverted by numpy."""
    ((s, y),), _ = pairs_of(6, 1)
    before = positive_definite(6, seed=3)
    after = bfgs_inverse(before, s, y)
    close(after @ y, s)
    close(after, after.T)
    direct = torch.from_numpy(np.linalg.inv(before.numpy()))
    image = direct @ s
    direct = (
        direct - torch.outer(image, image) / (s @ image) + torch.outer(y, y) / (y @ s)
    )
    close(after, torch.from_numpy(np.linalg.inv(direct.numpy())))
    assert (torch.linalg.eigvalsh(after) > 0).all()


@pytest.mark.parametrize("count", [0, 1, 3, 8])
def test_the_two_loops_are_the_dense_product(count):
    """On the same pairs; the oldest pair entering last, or no scale, would differ."""
    pairs, _ = pairs_of(6, count)
    vector, scale = draw(6, seed=1), 0.3
    dense = scale * torch.eye(6, dtype=torch.float64)
    for s, y in pairs:
        dense = bfgs_inverse(dense, s, y)
    close(two_loop(vector, pairs, scale), dense @ vector)
    if count > 1:
        reverse = two_loop(vector, pairs[::-1], scale)
        assert (reverse - dense @ vector).norm() > 1e-3


FUNCTIONS = [rosenbrock(), beale(), ravine(), himmelblau()]


@pytest.mark.parametrize("surface", FUNCTIONS, ids=lambda surface: surface.name)
@pytest.mark.parametrize("line_search", SEARCHES)
@pytest.mark.parametrize("method", [bfgs, lbfgs])
def test_minima_against_scipys(method, line_search, surface):
    start = torch.tensor(surface.start, dtype=torch.float64)
    found = method(surface, start, line_search=line_search, gtol=1e-8)
    assert found.converged
    theirs = scipy.optimize.minimize(
        lambda x: surface(torch.from_numpy(x)).item(),
        start.numpy(),
        jac=lambda x: surface.gradient(torch.from_numpy(x)).numpy(),
        method="BFGS",
        options={"gtol": 1e-8},
    )
    listed = torch.tensor(surface.minima, dtype=torch.float64)
    for x in (found.x, torch.from_numpy(theirs.x)):
        assert torch.cdist(x[None], listed).min() < 1e-6
    if len(listed) == 1:
        close(found.x, torch.from_numpy(theirs.x), 1e-6)
    assert found.gradient_evaluations < 3 * theirs.njev + 20
    close(found.gradient, surface.gradient(found.x), 1e-12)
    assert found.value == surface(found.x)


@pytest.mark.parametrize("line_search", SEARCHES)
@pytest.mark.parametrize("method", [bfgs, lbfgs])
def test_values_only_fall(method, line_search):
    surface = rosenbrock()
    start = torch.tensor(surface.start, dtype=torch.float64)
    values = surface(method(surface, start, line_search=line_search).path)
    assert (values.diff() < 0).all()


@pytest.mark.parametrize("line_search", SEARCHES)
def test_counts_are_the_calls_that_were_made(line_search):
    for method in (bfgs, lbfgs):
        calls = Counter(rosenbrock().function)
        start = torch.tensor([-1.2, 1.0], dtype=torch.float64)
        found = method(calls, start, line_search=line_search)
        assert found.function_evaluations == calls.calls
        iterations = len(found.path) - 1
        if line_search == "armijo":  # one gradient for each accepted point
            assert found.gradient_evaluations == iterations + 1
        assert found.function_evaluations > found.gradient_evaluations or (
            line_search == "strong_wolfe"
        )
        assert found.hessian_evaluations == 0


def test_every_step_keeps_the_strong_wolfe_conditions():
    """With constants 1e-4 and 0.9 (Nocedal & Wright, Eq. 3.7), computed from the path alone."""
    surface = rosenbrock()
    path = bfgs(surface, torch.tensor([-1.2, 1.0], dtype=torch.float64)).path
    steps, values, gradients = path.diff(dim=0), surface(path), surface.gradient(path)
    slopes = (gradients[:-1] * steps).sum(-1)
    left = (gradients[1:] * steps).sum(-1)
    assert (slopes < 0).all()
    assert (values[1:] <= values[:-1] + 1e-4 * slopes).all()
    assert (left.abs() <= 0.9 * slopes.abs()).all()


@pytest.mark.parametrize("method", [bfgs, lbfgs])
def test_the_estimate_starts_from_the_first_pairs_scale(method):
    """The second direction, from y.s / y.y times I and one pair: from I itself it would be another."""
    A, b, start = 50 * positive_definite(6), draw(6, seed=1), draw(6, seed=2)
    path = method(form(A, b), start, max_iter=2).path
    gradients = path @ A - b
    s, y = path[1] - path[0], gradients[1] - gradients[0]
    step = path[2] - path[1]
    for scale, differs in (((y @ s) / (y @ y), False), (1.0, True)):
        expected = -two_loop(gradients[1], [(s, y)], scale)
        cosine = step @ expected / (step.norm() * expected.norm())
        assert (cosine < 0.999) == differs


def test_a_trial_above_the_one_before_ends_the_bracket():
    """The trial at 2 is low and flat enough, but above that at 1: the point must lie between them."""

    def waves(x):
        return (0.04 * x**2 - 0.1 * x - 0.9 / (2 * np.pi) * (2 * np.pi * x).sin()).sum()

    start = torch.zeros(1, dtype=torch.float64)
    found = bfgs(waves, start, max_iter=1)
    assert 1 < found.x.item() < 2
    assert found.value < waves(start + 1) < waves(start + 2) < 0


@pytest.mark.parametrize("line_search", SEARCHES)
def test_a_value_that_hardly_falls_is_not_enough(line_search):
    """From 0.50001 a step of 1 ends at -0.49999, lower, but by less than 1e-4 of what the slope promises."""
    start = torch.tensor([0.50001], dtype=torch.float64)
    found = bfgs(lambda x: 5 * x.square().sum(), start, line_search, max_iter=1)
    assert found.x.abs().item() < 1e-4


def test_the_history_is_as_long_as_asked():
    """On a quadratic of 20 dimensions, one pair takes more iterations than twenty; all find the minimum."""
    A, b = positive_definite(20, shift=0.01), draw(20, seed=1)
    start, solution = torch.zeros_like(b), torch.linalg.solve(A, b)
    iterations = []
    for history_size in (1, 20):
        found = lbfgs(form(A, b), start, history_size, gtol=1e-6, max_iter=500)
        assert found.converged
        close(found.x, solution, 1e-3)
        iterations.append(len(found.path) - 1)
    assert iterations[0] > iterations[1]


def test_bfgs_learns_the_inverse_hessian_of_a_quadratic():
    """Few iterations at condition number 1000, where gradient descent needs thousands."""
    surface = quadratic(1000.0, dim=5, angle=0.3)
    found = bfgs(surface, torch.ones(5, dtype=torch.float64), gtol=1e-9)
    assert found.converged
    assert len(found.path) - 1 < 40


def test_a_function_without_a_floor_and_a_wrong_gradient():
    """No point satisfies the slope's condition on a straight line: the longest step tried is kept."""
    one = torch.ones(1, dtype=torch.float64)
    falls = bfgs(lambda x: -x.sum(), one, max_iter=2)
    assert not falls.converged
    assert falls.value < -1e6

    class Uphill(torch.autograd.Function):
        @staticmethod
        def forward(x):
            return x.square().sum()

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, grad):
            return -2 * ctx.saved_tensors[0] * grad

    for line_search in SEARCHES:
        stopped = bfgs(Uphill.apply, one, line_search=line_search)
        assert not stopped.converged
        assert len(stopped.path) == 1
    flat = bfgs(lambda x: (x * 0).sum(), one)
    assert flat.converged
    assert flat.gradient_evaluations == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_is_kept(dtype):
    surface = himmelblau()
    start = torch.tensor([2.5, 2.5], dtype=dtype)
    for found in (
        newton(surface, start, gtol=1e-3),
        bfgs(surface, start, gtol=1e-3),
        lbfgs(surface, start, gtol=1e-3),
    ):
        assert found.converged
        for tensor in (found.x, found.value, found.gradient, found.path):
            assert tensor.dtype == dtype
        close(found.x, torch.tensor([3.0, 2.0], dtype=dtype), 1e-3)
    found = conjugate_gradient(torch.eye(2, dtype=dtype), start)
    assert found.x.dtype == found.residuals.dtype == dtype


# ---------------------------------------------------------------------- errors


def bowl(x):
    return x.square().sum()


TWO, EYE = torch.ones(2), torch.eye(2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: newton_step(bowl, torch.ones(2, 2)), r"vector .* got shape \(2, 2\)"),
        (lambda: newton(bowl, torch.ones(0)), r"d at least 1 .* got shape \(0,\)"),
        (lambda: bfgs(bowl, torch.ones(2, dtype=torch.long)), r"got .* torch.int64"),
        (lambda: newton_step(bowl, TWO, -1.0), "damping must be at least 0: got -1"),
        (
            lambda: newton_step(lambda x: x[0].square(), TWO),
            "invertible: got a singular matrix with damping=0.0; use a larger",
        ),
        (lambda: newton(bowl, TWO, max_iter=-1), "max_iter must be at least 0"),
        (lambda: newton(bowl, TWO, gtol=-1.0), "gtol must be at least 0: got -1"),
        (lambda: bfgs(bowl, TWO, "exact"), "strong_wolfe, armijo: got 'exact'"),
        (lambda: bfgs(bowl, TWO, gtol=-1.0), "gtol must be at least 0"),
        (lambda: lbfgs(bowl, TWO, 0), "history_size must be at least 1: got 0"),
        (lambda: conjugate_gradient(EYE, torch.ones(3)), r"\(3, 3\) .* got \(2, 2\)"),
        (lambda: conjugate_gradient(EYE, TWO, rtol=-1.0), "rtol must be at least 0"),
        (lambda: conjugate_gradient(EYE, EYE), r"vector .* got shape \(2, 2\)"),
        (lambda: bfgs_inverse(EYE, TWO, -TWO), "y.s > 0 .* got -2; leave it out"),
        (lambda: two_loop(TWO, [(TWO, -TWO)]), "y.s > 0 .* got -2; leave it out"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
