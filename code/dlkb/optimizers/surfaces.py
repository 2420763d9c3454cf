"""Surfaces to try optimizers on, whose minima, saddles and curvatures are known, and runs along them."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dlkb.optimizers.framework import Update, UpdateState

__all__ = [
    "Surface",
    "beale",
    "descend",
    "double_well",
    "first_step_below",
    "himmelblau",
    "monkey_saddle",
    "quadratic",
    "rastrigin",
    "ravine",
    "rosenbrock",
    "saddle",
]

Points = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Surface:
    """A function of points, (..., dim) -> (...), and what is known of it.

    Args:
        name: for titles.
        function: of a tensor whose last dimension holds coordinates; each point on its own.
        minima: all of them, the lowest first.
        saddles, maxima: all of them, degenerate saddles included.
        start: where runs usually start.
        box: lowest and highest coordinate to draw, for each axis; where there are infinitely many critical
            points, those inside are listed.
    Example:
        >>> surface = rosenbrock()
        >>> surface(torch.tensor([[1.0, 1.0], [0.0, 2.0]]))
        tensor([  0., 401.])
    """

    name: str
    function: Callable[[Tensor], Tensor]
    minima: Points
    start: tuple[float, ...]
    box: Points
    saddles: Points = ()
    maxima: Points = ()

    @property
    def dim(self) -> int:
        """Number of coordinates."""
        return len(self.start)

    def __call__(self, x: Tensor) -> Tensor:
        self._check(x)
        return self.function(x)

    def gradient(self, x: Tensor) -> Tensor:
        """Gradient at each point, (..., dim) -> (..., dim)."""
        self._check(x)
        return torch.func.grad(lambda points: self.function(points).sum())(x)

    def hessian(self, x: Tensor) -> Tensor:
        """Second derivatives at each point, (..., dim) -> (..., dim, dim)."""
        self._check(x)
        points = x.reshape(-1, self.dim)
        second = torch.func.jacrev(torch.func.grad(self.function))
        at_each = torch.func.vmap(second)(points)
        return at_each.reshape(*x.shape, self.dim)

    def curvatures(self, x: Tensor) -> Tensor:
        """Eigenvalues of the Hessian at each point, rising, (..., dim) -> (..., dim)."""
        return torch.linalg.eigvalsh(self.hessian(x))

    def condition_number(self) -> float:
        """Largest over smallest curvature at the lowest minimum."""
        lowest = torch.tensor(self.minima[0], dtype=torch.float64)
        curvatures = self.curvatures(lowest)
        return (curvatures[-1] / curvatures[0]).item()

    def nearest_minimum(self, x: Tensor) -> Tensor:
        """Which of ``minima`` is nearest to each point, (..., dim) -> (...); NaN counts as the first."""
        self._check(x)
        minima = torch.tensor(self.minima, dtype=x.dtype, device=x.device)
        squares = (x.unsqueeze(-2) - minima).square().sum(-1)  # (..., minima)
        return squares.nan_to_num(nan=0.0).argmin(-1)

    def grid(self, points: int = 201) -> tuple[Tensor, Tensor, Tensor]:
        """Coordinates and values on a grid over ``box``, (points, points) each, for contours.

        Raises: ValueError: if there are not two coordinates.
        """
        if self.dim != 2:
            raise ValueError(f"a grid takes a surface of 2 dimensions: got {self.dim}")
        axes = [torch.linspace(*ends, points, dtype=torch.float64) for ends in self.box]
        x, y = torch.meshgrid(*axes, indexing="xy")
        return x, y, self(torch.stack([x, y], dim=-1))

    def _check(self, x: Tensor) -> None:
        if not x.is_floating_point():
            raise TypeError(
                f"points must be floating point: got {x.dtype}; use .float()"
            )
        if x.dim() == 0 or x.shape[-1] != self.dim:
            raise ValueError(
                f"{self.name} takes points of {self.dim} coordinates in the last dimension: "
                f"got shape {tuple(x.shape)}"
            )


def quadratic(
    condition_number: float = 10.0, dim: int = 2, angle: float = 0.0
) -> Surface:
    """A bowl, half the sum of curvature * coordinate^2, with curvatures from 1 to ``condition_number``.

    Conventions: curvatures are spaced evenly in their logarithm, so the largest, which bounds stable learning
    rates by 2 / condition_number, is ``condition_number`` itself.
    Args:
        condition_number: at least 1.
        dim: at least 2.
        angle: in radians, by which the flattest and the steepest axis are turned in their plane.
    Raises: ValueError: for a condition number below 1 or fewer than 2 dimensions.
    Example:
        >>> quadratic(4.0)(torch.tensor([1.0, 1.0]))  # (1 + 4) / 2
        tensor(2.5000)
    """
    _check_at_least(1, condition_number=condition_number)
    _check_at_least(2, dim=dim)
    curvatures = [condition_number ** (k / (dim - 1)) for k in range(dim)]
    cos, sin = math.cos(angle), math.sin(angle)

    def function(x: Tensor) -> Tensor:
        first, last = x[..., :1], x[..., -1:]
        flat, steep = cos * first + sin * last, cos * last - sin * first
        turned = torch.cat([flat, x[..., 1:-1], steep], dim=-1)
        # made on the CPU: under grad, torch 2.11 makes none on another device
        weights = torch.tensor(curvatures, dtype=x.dtype).to(x.device)
        return (weights * turned.square()).sum(-1) / 2

    zeros = (0.0,) * dim
    box = ((-1.5, 1.5),) * dim
    return Surface("quadratic", function, (zeros,), start=(1.0,) * dim, box=box)


def ravine(condition_number: float = 100.0) -> Surface:
    """A curved valley, x^2 / 2 + condition_number * (y - x^2 / 2)^2 / 2, with its floor along y = x^2 / 2.

    The Hessian at the minimum, 0, is diagonal with 1 and ``condition_number``; no other point is critical.
    Args:
        condition_number: at least 1.
    Raises: ValueError: for a condition number below 1.
    Example:
        >>> ravine(10.0)(torch.tensor([[2.0, 2.0], [0.0, 1.0]]))
        tensor([2., 5.])
    """
    _check_at_least(1, condition_number=condition_number)

    def function(p: Tensor) -> Tensor:
        x, y = p.unbind(-1)
        return (x.square() + condition_number * (y - x.square() / 2).square()) / 2

    box = ((-2.5, 2.5), (-1.0, 3.0))
    return Surface("ravine", function, ((0.0, 0.0),), start=(-2.0, 2.5), box=box)


def saddle(curvature: float = 1.0) -> Surface:
    """A saddle between two minima, x^2 / 2 - curvature * y^2 / 2 + y^4 / 4.

    Without the last term it would have no floor. Curvatures are 1 and -curvature at the saddle, 0, and 1 and
    2 * curvature at the minima, (0, +-sqrt(curvature)).
    Args:
        curvature: how steeply the saddle falls along y, positive.
    Raises: ValueError: for a curvature that is not positive.
    Example:
        >>> saddle()(torch.tensor([[0.0, 0.0], [0.0, 1.0]]))
        tensor([ 0.0000, -0.2500])
    """
    _check_positive(curvature=curvature)

    def function(p: Tensor) -> Tensor:
        x, y = p.unbind(-1)
        return (x.square() - curvature * y.square()) / 2 + y.pow(4) / 4

    side = math.sqrt(curvature)
    return Surface(
        "saddle",
        function,
        minima=((0.0, side), (0.0, -side)),
        saddles=((0.0, 0.0),),
        start=(1.0, 1e-6),
        box=((-1.5, 1.5), (-1.6 * side, 1.6 * side)),
    )


def monkey_saddle() -> Surface:
    """A saddle with three ways down, x^3 / 3 - x * y^2 + (x^2 + y^2)^2 / 4; the Hessian at it is 0.

    The minima stand at distance 1 on the three ways down, with curvatures 1 and 3.
    Example:
        >>> monkey_saddle()(torch.tensor([-1.0, 0.0]))  # 1/4 - 1/3
        tensor(-0.0833)
    """

    def function(p: Tensor) -> Tensor:
        x, y = p.unbind(-1)
        walls = (x.square() + y.square()).square() / 4
        return x.pow(3) / 3 - x * y.square() + walls

    side = math.sqrt(3) / 2
    return Surface(
        "monkey saddle",
        function,
        minima=((-1.0, 0.0), (0.5, side), (0.5, -side)),
        saddles=((0.0, 0.0),),
        start=(0.5, 1e-3),
        box=((-1.5, 1.5), (-1.5, 1.5)),
    )


def rosenbrock(a: float = 1.0, b: float = 100.0) -> Surface:
    """A narrow curved valley, (a - x)^2 + b * (y - x^2)^2, with its minimum 0 at (a, a^2).

    Args:
        a: where the minimum lies, positive.
        b: how narrow the valley is, positive.
    Raises: ValueError: if a or b is not positive.
    Example:
        >>> round(rosenbrock().condition_number())
        2508

    References: Rosenbrock, "An Automatic Method for Finding the Greatest or Least Value of a Function", The
        Computer Journal 3, 1960.
    """
    _check_positive(a=a, b=b)

    def function(p: Tensor) -> Tensor:
        x, y = p.unbind(-1)
        return (a - x).square() + b * (y - x.square()).square()

    return Surface(
        "Rosenbrock",
        function,
        minima=((a, a * a),),
        start=(-1.2 * a, a * a),
        box=((-2 * a, 2 * a), (-a * a, 3 * a * a)),
    )


def beale() -> Surface:
    """Flat plains, steep walls: sum of (c_k - x * (1 - y^k))^2 for c = 1.5, 2.25, 2.625 and k = 1, 2, 3.

    The minimum 0 lies at (3, 0.5), a saddle at (0, 1), another in the valley near (0.1, -2.6).
    Example:
        >>> beale()(torch.tensor([[3.0, 0.5], [0.0, 1.0]]))
        tensor([ 0.0000, 14.2031])

    References: Moré, Garbow & Hillstrom, "Testing Unconstrained Optimization Software", ACM Transactions on
        Mathematical Software 7, 1981, No. 5.
    """

    def function(p: Tensor) -> Tensor:
        x, y = p.unbind(-1)
        parts = [c - x * (1 - y**k) for k, c in ((1, 1.5), (2, 2.25), (3, 2.625))]
        return sum(part.square() for part in parts)

    return Surface(
        "Beale",
        function,
        minima=((3.0, 0.5),),
        saddles=((0.0, 1.0), (0.10053793732415829, -2.644513585023126)),
        start=(1.0, 1.5),
        box=((-4.5, 4.5), (-4.5, 4.5)),
    )


def himmelblau() -> Surface:
    """Four minima of one depth, four saddles and a maximum: (x^2 + y - 11)^2 + (x + y^2 - 7)^2.

    Example:
        >>> surface = himmelblau()
        >>> len(surface.minima), len(surface.saddles), len(surface.maxima)
        (4, 4, 1)

    References: Himmelblau, "Applied Nonlinear Programming", McGraw-Hill, 1972.
    """

    def function(p: Tensor) -> Tensor:
        x, y = p.unbind(-1)
        return (x.square() + y - 11).square() + (x + y.square() - 7).square()

    return Surface(
        "Himmelblau",
        function,
        minima=(
            (3.0, 2.0),
            (3.5844283403304917, -1.8481265269644036),
            (-2.805118086952745, 3.131312518250573),
            (-3.779310253377747, -3.283185991286169),
        ),
        saddles=(
            (3.385154183607021, 0.07385187983774928),
            (0.08667750455539634, 2.884254701174776),
            (-3.0730257507643897, -0.08135304428796751),
            (-0.12796134673068005, -1.9537149802445766),
        ),
        maxima=((-0.27084459066734756, -0.9230385564799816),),
        start=(0.0, 0.0),
        box=((-5.0, 5.0), (-5.0, 5.0)),
    )


def double_well(dim: int = 1, tilt: float = 0.0) -> Surface:
    """Two wells along every axis: sum of (x^2 - 1)^2 / 4 + tilt * x, 2^dim minima in all.

    Conventions: a positive ``tilt`` makes the wells on the negative side the deeper ones. A point where k of
    the axes stand on their ridge is a saddle with k negative curvatures (k = dim: the maximum).
    Args:
        dim: number of axes.
        tilt: less than 2 / sqrt(27), above which one well is gone.
    Raises: ValueError: for a tilt too large, or more than 10000 critical points.
    Example:
        >>> surface = double_well(dim=3)
        >>> len(surface.minima), len(surface.saddles), len(surface.maxima)
        (8, 18, 1)
    """
    _check_at_least(1, dim=dim)
    if not abs(tilt) < 2 / math.sqrt(27):
        raise ValueError(
            f"tilt must be below 2 / sqrt(27) to leave two wells: got {tilt}"
        )
    third = math.acos(-tilt * math.sqrt(27) / 2) / 3  # the roots of x^3 - x + tilt
    turns = [third - 2 * math.pi * k / 3 for k in range(3)]
    low, ridge, high = sorted(2 / math.sqrt(3) * math.cos(turn) for turn in turns)

    def along(x: Tensor) -> Tensor:
        return (x.square() - 1).square() / 4 + tilt * x

    box, start = (-1.8, 1.8), ridge + 0.1
    return _separable("double well", along, dim, (low, high), (ridge,), box, start)


def rastrigin(dim: int = 2, amplitude: float = 10.0) -> Surface:
    """Many wells on a bowl: sum of x^2 + amplitude * (1 - cos(2 pi x)), 0 at the lowest, the origin.

    Listed are the critical points with all coordinates in [-5.12, 5.12]: 11 wells and 10 ridges an axis.
    Args:
        dim: number of axes.
        amplitude: half the height of the ridges, at least 2, so that none is lost on the bowl within the box.
    Raises: ValueError: for a small amplitude, or more than 10000 critical points.
    Example:
        >>> surface = rastrigin(dim=2)
        >>> len(surface.minima), len(surface.saddles), len(surface.maxima)
        (121, 220, 100)

    References: Rastrigin, "Systems of Extremal Control", Nauka, 1974.
    """
    _check_at_least(1, dim=dim)
    _check_at_least(2, amplitude=amplitude)

    def slope(x: float) -> float:  # over 2
        return x + math.pi * amplitude * math.sin(2 * math.pi * x)

    def along(x: Tensor) -> Tensor:
        return x.square() + amplitude * (1 - torch.cos(2 * math.pi * x))

    wells = [_root(slope, k - 0.25, k + 0.25) for k in range(1, 6)]
    ridges = [_root(slope, k + 0.75, k + 0.25) for k in range(5)]
    wells = (0.0, *wells, *(-x for x in wells))
    ridges = (*ridges, *(-x for x in ridges))
    box, start = (-5.12, 5.12), 3.3
    return _separable("Rastrigin", along, dim, wells, ridges, box, start)


def descend(
    surface: Surface,
    update: Update,
    start: Tensor,
    steps: int,
    noise: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Follow an update rule along a surface: all starts and all settings at once.

    Args:
        surface: what to descend.
        update: a rule of ``dlkb.optimizers.framework``, say ``sgd_update(lr)``. Its settings may be tensors
            that broadcast against the points: rates (R, 1, 1) and starts (S, dim) make runs (R, S, dim).
        start: (..., dim), floating point.
        steps: number of updates, at least 0.
        noise: standard deviation of what is added to every component of every gradient, drawn for each run.
        generator: for the noise.
    Returns: the points, (steps + 1, ..., dim), the start first; NaN or infinity from where a run diverged.
    Raises: ValueError: for a negative number of steps or noise, or points of another dimension.
    Example:
        >>> from dlkb.optimizers.framework import sgd_update
        >>> rates = torch.tensor([0.5, 1.0]).reshape(2, 1)
        >>> path = descend(quadratic(1.0), sgd_update(rates), torch.tensor([1.0, 2.0]), steps=1)
        >>> path[-1]
        tensor([[0.5000, 1.0000],
                [0.0000, 0.0000]])
    """
    _check_at_least(0, steps=steps, noise=noise)
    shape = update(UpdateState(start), surface.gradient(start)).param.shape
    state = UpdateState(start.expand(shape))
    path = [state.param]
    for _ in range(steps):
        grad = surface.gradient(state.param)
        if noise > 0:
            drawn = torch.empty_like(grad).normal_(generator=generator)
            grad = grad + noise * drawn
        state = update(state, grad)
        path.append(state.param)
    return torch.stack(path)


def first_step_below(values: Tensor, bound: float) -> Tensor:
    """The first step at which each run is below a bound; the number of rows where it never is.

    Args:
        values: (steps + 1, ...), such as ``surface(path)``.
        bound: what to come below.
    Returns: (...), integers.
    Example:
        >>> first_step_below(torch.tensor([[3.0, 3.0], [1.0, 2.0], [0.0, 2.0]]), 1.5)
        tensor([1, 3])
    """
    not_yet = (values < bound).cumsum(0) == 0
    return not_yet.sum(0)


def _separable(
    name: str,
    along: Callable[[Tensor], Tensor],
    dim: int,
    wells: tuple[float, ...],
    ridges: tuple[float, ...],
    box: tuple[float, float],
    start: float,
) -> Surface:
    """The sum of one function of each coordinate: critical points are combinations of those on the axes."""
    count = (len(wells) + len(ridges)) ** dim
    if count > 10_000:
        raise ValueError(
            f"{name} of {dim} dimensions has {count} critical points, too many to list: use fewer"
        )
    maxima = tuple(itertools.product(ridges, repeat=dim))
    minima = itertools.product(wells, repeat=dim)
    order = {x: along(torch.tensor(x, dtype=torch.float64)).item() for x in wells}
    rest = itertools.product(wells + ridges, repeat=dim)
    return Surface(
        name,
        lambda x: along(x).sum(-1),
        minima=tuple(sorted(minima, key=lambda point: sum(order[x] for x in point))),
        saddles=tuple(p for p in rest if 0 < sum(x in ridges for x in p) < dim),
        maxima=maxima,
        start=(start,) * dim,
        box=(box,) * dim,
    )


def _root(slope: Callable[[float], float], below: float, above: float) -> float:
    """Where a function that is negative at ``below`` and positive at ``above`` is 0, by halving."""
    for _ in range(60):
        middle = (below + above) / 2
        below, above = (middle, above) if slope(middle) < 0 else (below, middle)
    return (below + above) / 2


def _check_at_least(low: float, **values: float) -> None:
    for name, value in values.items():
        if not value >= low:
            raise ValueError(f"{name} must be at least {low}: got {value}")


def _check_positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} must be positive: got {value}")
