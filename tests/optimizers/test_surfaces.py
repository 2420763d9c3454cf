"""dlkb.optimizers.surfaces: every listed point by gradient and curvature, none missing; runs."""

import math

import pytest
import torch

from dlkb.optimizers.framework import UpdateState, adam_update, sgd_update
from dlkb.optimizers.schedules import cosine_annealing_lr
from dlkb.optimizers.surfaces import (
    beale,
    descend,
    double_well,
    first_step_below,
    himmelblau,
    monkey_saddle,
    quadratic,
    rastrigin,
    ravine,
    rosenbrock,
    saddle,
)

SURFACES = {
    "quadratic": quadratic(30.0),
    "quadratic, turned": quadratic(30.0, angle=0.4),
    "quadratic, 5": quadratic(81.0, dim=5, angle=1.0),
    "ravine": ravine(50.0),
    "saddle": saddle(),
    "saddle, 3": saddle(3.0),
    "monkey": monkey_saddle(),
    "rosenbrock": rosenbrock(),
    "rosenbrock, 2, 10": rosenbrock(2.0, 10.0),
    "beale": beale(),
    "himmelblau": himmelblau(),
    "double well": double_well(),
    "double well, 4, tilted": double_well(4, tilt=0.1),
    "double well, tilted back": double_well(2, tilt=-0.2),
    "rastrigin, 1": rastrigin(1),
    "rastrigin": rastrigin(2),
    "rastrigin, flat": rastrigin(2, amplitude=2.0),
}


def points(listed):
    return torch.tensor(listed, dtype=torch.float64)


def draw(surface, count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    low, high = points(surface.box).unbind(-1)
    share = torch.rand(count, surface.dim, generator=generator, dtype=torch.float64)
    return low + (high - low) * share


def index(surface, x):
    """Number of negative curvatures, and the smallest size of any."""
    curvatures = surface.curvatures(x)
    return (curvatures < 0).sum(-1), curvatures.abs().min(-1).values


@pytest.mark.parametrize("name", SURFACES)
def test_listed_points_are_what_they_are_called(name):
    """By autograd's gradient and the Hessian's signs; a digit less in a coordinate would be noticed."""
    surface = SURFACES[name]
    degenerate = name == "monkey"
    for listed in (surface.minima, surface.saddles, surface.maxima):
        if not listed:
            continue
        x = points(listed)
        gradient = surface.gradient(x)
        assert gradient.abs().max() < 1e-11 * max(1, surface.curvatures(x).abs().max())
        assert surface.gradient(x + 1e-6).abs().max() > 1e-8 or degenerate
    negative, size = index(surface, points(surface.minima))
    assert (negative == 0).all()
    assert (size > 1e-3).all()
    if surface.saddles and not degenerate:
        negative, size = index(surface, points(surface.saddles))
        assert ((negative > 0) & (negative < surface.dim)).all()
        assert (size > 1e-3).all()
    if surface.maxima:
        negative, size = index(surface, points(surface.maxima))
        assert (negative == surface.dim).all()
        assert (size > 1e-3).all()
    values = surface(points(surface.minima))
    assert (values[1:] >= values[0] - 1e-12).all()


@pytest.mark.parametrize("name", [n for n in SURFACES if SURFACES[n].dim <= 2])
def test_no_critical_point_is_missing(name):
    """Newton's method from many starts finds nothing in the box that is not listed, and all that is."""
    surface = SURFACES[name]
    listed = points(surface.minima + surface.saddles + surface.maxima)
    x = draw(surface, 300 + 12 * len(listed))
    for _ in range(50):
        gradient = surface.gradient(x).unsqueeze(-1)
        step = torch.linalg.solve(surface.hessian(x), gradient)
        x = x - step.squeeze(-1).clamp(-1, 1)
    low, high = points(surface.box).unbind(-1)
    inside = ((x >= low) & (x <= high)).all(-1)
    found = x[inside & (surface.gradient(x).abs().amax(-1) < 1e-8)]
    assert len(found) > 0.4 * len(x)
    near = (
        0.02 if name == "monkey" else 1e-6
    )  # Newton crawls towards a degenerate point
    distances = torch.cdist(found, listed)
    assert (distances.min(1).values < near).all()
    assert (distances.min(0).values < near).all()


@pytest.mark.parametrize("name", SURFACES)
def test_gradients_are_differences_of_values(name):
    surface = SURFACES[name]
    x, h = draw(surface, 20, seed=1), 1e-5
    steps = h * torch.eye(surface.dim, dtype=torch.float64)
    ahead, behind = surface(x[:, None] + steps), surface(x[:, None] - steps)
    expected = (ahead - behind) / (2 * h)
    torch.testing.assert_close(surface.gradient(x), expected, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("name", SURFACES)
def test_leading_dimensions_are_kept_and_points_do_not_mix(name):
    surface = SURFACES[name]
    x = draw(surface, 6).reshape(2, 3, -1)
    for f in (surface, surface.gradient, surface.hessian, surface.curvatures):
        whole = f(x)
        alone = torch.stack([torch.stack([f(p) for p in row]) for row in x])
        torch.testing.assert_close(whole, alone)
        assert f(x.float()).dtype == torch.float32
    torch.testing.assert_close(
        surface(x.float()).double(), surface(x), rtol=1e-4, atol=1e-3
    )


@pytest.mark.parametrize("name", SURFACES)
def test_the_device_is_kept(name):
    """On the meta device, which as a GPU would refuses tensors from elsewhere."""
    surface = SURFACES[name]
    x = torch.zeros(3, surface.dim, device="meta")
    for f in (surface, surface.gradient, surface.hessian, surface.nearest_minimum):
        assert f(x).device.type == "meta"
    rates = torch.ones(2, 1, 1, device="meta")
    path = descend(surface, sgd_update(rates), x, 2, noise=1.0)
    assert (path.device.type, path.shape) == ("meta", (3, 2, *x.shape))


@pytest.mark.parametrize(
    ("surface", "expected"),
    [
        (quadratic(30.0), 30.0),
        (quadratic(30.0, angle=0.4), 30.0),
        (quadratic(81.0, dim=5, angle=1.0), 81.0),
        (ravine(50.0), 50.0),
        (saddle(), 2.0),
        (saddle(3.0), 6.0),
        (monkey_saddle(), 3.0),
        (double_well(2), 1.0),
        (rastrigin(3), 1.0),
    ],
)
def test_condition_numbers(surface, expected):
    assert surface.condition_number() == pytest.approx(expected, rel=1e-9)


def test_rosenbrocks_condition_number_by_hand():
    """Hessian ((2 + 8 b, -4 b), (-4 b, 2 b)) at (1, 1)."""
    trace, determinant = 2 + 10 * 100, 4 * 100
    root = math.sqrt(trace**2 - 4 * determinant)
    expected = (trace + root) / (trace - root)
    assert rosenbrock().condition_number() == pytest.approx(expected, rel=1e-9)


def test_curvatures_by_hand():
    quadratics = quadratic(81.0, dim=5, angle=1.0).curvatures(points([0.3] * 5))
    torch.testing.assert_close(quadratics, points([1.0, 3.0, 9.0, 27.0, 81.0]))
    torch.testing.assert_close(
        saddle(3.0).curvatures(points([[0.0, 0.0], [0.0, math.sqrt(3)]])),
        points([[-3.0, 1.0], [1.0, 6.0]]),
    )
    monkey = monkey_saddle()
    torch.testing.assert_close(
        monkey.curvatures(points(monkey.minima)), points([[1.0, 3.0]] * 3)
    )
    well = double_well().curvatures(points([[0.0], [1.0]]))
    torch.testing.assert_close(well, points([[-1.0], [2.0]]))


@pytest.mark.parametrize(
    ("surface", "expected"),
    [
        (quadratic(7.0, 3), 0.0),
        (ravine(), 0.0),
        (saddle(3.0), -9 / 4),
        (monkey_saddle(), -1 / 12),
        (rosenbrock(), 0.0),
        (beale(), 0.0),
        (himmelblau(), 0.0),
        (double_well(3), 0.0),
        (rastrigin(), 0.0),
    ],
)
def test_the_lowest_value(surface, expected):
    lowest = surface(points(surface.minima[0]))
    assert lowest.item() == pytest.approx(expected, abs=1e-12)


def test_the_axis_of_a_turned_quadratic():
    """The flat axis lies at the angle: a quadratic turned the other way would be steep there."""
    surface = quadratic(30.0, angle=0.4)
    along = points([math.cos(0.4), math.sin(0.4)])
    across = points([-math.sin(0.4), math.cos(0.4)])
    assert surface(along).item() == pytest.approx(0.5)
    assert surface(across).item() == pytest.approx(15.0)


def test_the_floor_of_the_ravine():
    """Along y = x^2 / 2 only x^2 / 2 is left; one unit above it, half the condition number is added."""
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    floor = torch.stack([x, x.square() / 2], dim=-1)
    torch.testing.assert_close(ravine(50.0)(floor), x.square() / 2)
    torch.testing.assert_close(
        ravine(50.0)(floor + points([0.0, 1.0])), x.square() / 2 + 25
    )


def test_surfaces_with_a_saddle_are_bounded_below():
    """x^2 - y^2 and x^3 - 3 x y^2 alone would fall for ever."""
    far = 100 * torch.nn.functional.normalize(draw(saddle(), 50), dim=-1)
    for surface in (saddle(), monkey_saddle()):
        assert (surface(far) > 0).all()


def test_the_monkey_saddle_has_three_ways_down_and_no_curvature():
    surface = monkey_saddle()
    assert (surface.hessian(points([0.0, 0.0])) == 0).all()
    angles = torch.arange(600, dtype=torch.float64) * 2 * math.pi / 600 + 0.001
    ring = 0.1 * torch.stack([angles.cos(), angles.sin()], dim=-1)
    down = surface(ring) < 0
    assert (down & ~down.roll(1)).sum() == 3


def test_a_tilt_makes_one_well_deeper():
    for tilt in (0.1, -0.1):
        surface = double_well(tilt=tilt)
        values = surface(points(surface.minima))
        assert values[0] < values[1]
        assert math.copysign(1, surface.minima[0][0]) == -math.copysign(1, tilt)


def test_saddles_of_a_separable_surface_by_number_of_descents():
    surface = double_well(3)
    negative, _ = index(surface, points(surface.saddles))
    assert negative.bincount().tolist() == [0, 12, 6]  # 3 * 4 edges, 3 * 2 faces


def test_the_nearest_minimum():
    surface = himmelblau()
    near = points(surface.minima) + 0.3
    assert surface.nearest_minimum(near).tolist() == [0, 1, 2, 3]
    lost = torch.full((2,), torch.nan)
    assert surface.nearest_minimum(lost).item() == 0


def test_the_grid():
    x, y, z = rosenbrock().grid(5)
    assert x[0].tolist() == [-2, -1, 0, 1, 2]
    assert y[:, 0].tolist() == [-1, 0, 1, 2, 3]
    assert z[2, 3] == 0  # at (1, 1)
    with pytest.raises(ValueError, match="2 dimensions: got 3"):
        rastrigin(3).grid()


# ---------------------------------------------------------------------- runs


def test_many_runs_are_the_runs_one_by_one():
    surface = rosenbrock()
    starts = points([[-1.2, 1.0], [0.5, 0.5], [1.5, -0.5]])
    rates = points([[1e-3], [1e-2]]).unsqueeze(-1)
    together = descend(surface, adam_update(rates), starts, 30)
    assert together.shape == (31, 2, 3, 2)
    for r, rate in enumerate(rates.flatten().tolist()):
        for s, start in enumerate(starts):
            x, state = start, UpdateState(start)
            for step in range(31):
                torch.testing.assert_close(together[step, r, s], x)
                state = adam_update(rate)(state, surface.gradient(x))
                x = state.param


def test_gradient_descent_by_hand():
    """Each coordinate shrinks by 1 - lr * curvature: a path late by a step, or ascent, differs."""
    path = descend(quadratic(9.0), sgd_update(0.2), points([1.0, 1.0]), 3)
    factors = points([1 - 0.2, 1 - 0.2 * 9])
    expected = factors ** torch.arange(4, dtype=torch.float64).unsqueeze(-1)
    torch.testing.assert_close(path, expected)


def test_the_stable_rate_ends_at_two_over_the_condition_number():
    rates = points([[0.99], [1.01]]) * 2 / 50
    path = descend(quadratic(50.0), sgd_update(rates), points([1.0, 1.0]), 500)
    assert path[-1, 0].norm() < 0.01
    assert path[-1, 1].norm() > 100


def test_a_run_may_diverge_beside_others():
    rates = torch.tensor([[1e-3], [1.0]])
    path = descend(rosenbrock(), sgd_update(rates), torch.tensor([-1.2, 1.0]), 50)
    assert path[:, 0].isfinite().all()
    assert not path[-1, 1].isfinite().any()


def test_a_schedule_may_set_the_rate():
    start, rates = points([1.0, 1.0]), points([[0.1], [0.2]])
    rule = sgd_update(lambda step: cosine_annealing_lr(step, rates, T_max=2))
    path = descend(quadratic(2.0), rule, start, 3)
    full, half = 1 - rates * points([1.0, 2.0]), 1 - rates / 2 * points([1.0, 2.0])
    expected = torch.stack([start.expand(2, 2), full, full * half, full * half])
    torch.testing.assert_close(path, expected)


def test_noise_is_drawn_for_every_run_and_step():
    def run(noise, seed):
        generator = torch.Generator().manual_seed(seed)
        rates = torch.tensor([[[0.1]], [[0.1]]])
        start = torch.zeros(500, 2)
        rule = sgd_update(rates)
        return descend(quadratic(1.0), rule, start, 3, noise, generator)

    path = run(0.5, 0)
    torch.testing.assert_close(path, run(0.5, 0))
    assert not torch.equal(path, run(0.5, 1))
    first = path[1] / -0.1
    assert (first[0] != first[1]).all()
    assert first.std().item() == pytest.approx(
        0.5, rel=0.1
    )  # 2000 draws: 4 deviations are 6 %
    again = (path[2] - 0.9 * path[1]) / -0.1
    assert (
        abs(torch.corrcoef(torch.stack([first.flatten(), again.flatten()]))[0, 1]) < 0.1
    )
    assert (run(0.0, 0) == 0).all()


def test_what_is_altered():
    start = points([[1.0, 2.0]])
    before = start.clone()
    path = descend(quadratic(), sgd_update(0.1), start, 0)
    assert torch.equal(path, before.unsqueeze(0))
    descend(quadratic(), sgd_update(0.1), start, 4)
    assert torch.equal(start, before)


def test_the_first_step_below():
    values = torch.tensor(
        [[5.0, 1.0, 5.0], [2.0, 3.0, torch.nan], [3.0, 0.0, torch.nan]]
    )
    assert first_step_below(values, 2.5).tolist() == [1, 0, 3]
    assert first_step_below(values, 2.0).tolist() == [3, 0, 3]  # below, not at


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: quadratic(0.5), "condition_number must be at least 1: got 0.5"),
        (lambda: quadratic(2.0, dim=1), "dim must be at least 2: got 1"),
        (lambda: ravine(0.0), "condition_number must be at least 1: got 0"),
        (lambda: saddle(0.0), "curvature must be positive: got 0"),
        (lambda: rosenbrock(a=0.0), "a must be positive: got 0"),
        (lambda: rosenbrock(b=-1.0), "b must be positive: got -1"),
        (lambda: double_well(tilt=0.4), r"below 2 / sqrt\(27\) .* got 0.4"),
        (lambda: double_well(9), "19683 critical points, too many to list"),
        (lambda: double_well(0), "dim must be at least 1: got 0"),
        (lambda: rastrigin(4), "194481 critical points, too many to list"),
        (lambda: rastrigin(2, 1.0), "amplitude must be at least 2: got 1"),
        (lambda: rosenbrock()(torch.zeros(3)), r"2 coordinates .* got shape \(3,\)"),
        (lambda: rosenbrock().gradient(torch.zeros(())), r"got shape \(\)"),
        (lambda: rosenbrock().hessian(torch.zeros(2, 1)), r"got shape \(2, 1\)"),
        (
            lambda: descend(beale(), sgd_update(0.1), torch.zeros(2), -1),
            "steps must be at least 0: got -1",
        ),
        (
            lambda: descend(beale(), sgd_update(0.1), torch.zeros(2), 1, noise=-1.0),
            "noise must be at least 0: got -1",
        ),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_points_must_be_floating_point():
    with pytest.raises(TypeError, match=r"got torch.int64; use .float\(\)"):
        rosenbrock()(torch.tensor([1, 2]))
