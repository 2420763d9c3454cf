"""Second-order methods: Newton, conjugate gradients, BFGS and L-BFGS, with the evaluations that each took.

They take a function of one vector, (d,) -> scalar, which torch.func differentiates. They are meant to be read
and counted; each returns the points that it went through.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = [
    "LinearSolution",
    "Minimization",
    "bfgs",
    "bfgs_inverse",
    "conjugate_gradient",
    "lbfgs",
    "newton",
    "newton_step",
    "two_loop",
]

Function = Callable[[Tensor], Tensor]
Pair = tuple[Tensor, Tensor]  # step s and change of gradient y


class Minimization(NamedTuple):
    """Where a minimization ended, and what it cost.

    Args:
        x: (d,), the last point.
        value: of the function at ``x``.
        gradient: (d,), at ``x``.
        path: (iterations + 1, d), the start first.
        converged: whether no component of the gradient exceeds ``gtol``.
        function_evaluations, gradient_evaluations, hessian_evaluations: counted, the line searches' included;
            each gradient takes an evaluation of the function too.
    """

    x: Tensor
    value: Tensor
    gradient: Tensor
    path: Tensor
    converged: bool
    function_evaluations: int
    gradient_evaluations: int
    hessian_evaluations: int = 0


class LinearSolution(NamedTuple):
    """Where conjugate gradients ended.

    Args:
        x: (d,), the last point.
        path: (products with A + 1, d), the start first.
        residuals: (products with A + 1,), norms of b - A x as the recursion has them.
        converged: whether the last is at most ``rtol`` times the norm of b.
    """

    x: Tensor
    path: Tensor
    residuals: Tensor
    converged: bool


# ------------------------------------------------------------------------------------------------- Newton


def newton_step(f: Function, x: Tensor, damping: float = 0.0) -> Tensor:
    """The step to the critical point of the second-order model, -(H + damping I)^-1 g.

    Conventions: a critical point, not a minimum: where H has a negative eigenvalue, the undamped
    step goes uphill along it. A ``damping`` above minus the lowest eigenvalue turns it downhill.
    Args:
        f: (d,) -> scalar.
        x: (d,), floating point.
        damping: added to the Hessian's diagonal, at least 0.
    Returns: the step, (d,).
    Raises: ValueError: for another shape, a negative damping, or a singular H + damping I.
    Example:
        >>> newton_step(lambda x: (x * x).sum(), torch.tensor([3.0, -1.0]))
        tensor([-3.,  1.])
    """
    _check_point(x)
    _check_at_least(0, damping=damping)
    gradient = torch.func.grad(f)(x)
    return _solve_newton(_hessian(f, x), gradient, damping)


def newton(
    f: Function,
    x0: Tensor,
    damping: float = 0.0,
    max_iter: int = 50,
    gtol: float = 1e-8,
) -> Minimization:
    """Repeat ``newton_step``, whole, without a line search.

    Conventions: stops where the gradient is small, which may be a saddle or a maximum.
    Args:
        f, damping: as for ``newton_step``.
        x0: (d,), where to start.
        max_iter: number of steps at most.
        gtol: stops when no component of the gradient exceeds it.
    Returns: a ``Minimization``.
    Raises: ValueError: as ``newton_step``, and for a negative max_iter or gtol.
    Example:
        >>> found = newton(lambda x: (x * x).sum(), torch.tensor([3.0, -1.0]))
        >>> found.x, found.hessian_evaluations
        (tensor([0., 0.]), 1)

    References: Nocedal & Wright, "Numerical Optimization", 2nd ed., Springer 2006, Ch. 3.3.
    """
    _check_point(x0)
    _check_at_least(0, damping=damping, max_iter=max_iter, gtol=gtol)
    counted = _Counted(f)
    path, hessians = [x0], 0
    value, gradient = counted.both(x0)
    while _largest(gradient) > gtol and len(path) <= max_iter:
        step = _solve_newton(_hessian(f, path[-1]), gradient, damping)
        hessians += 1
        path.append(path[-1] + step)
        value, gradient = counted.both(path[-1])
    return counted.result(path, value, gradient, gtol, hessians)


def _hessian(f: Function, x: Tensor) -> Tensor:
    return torch.func.jacrev(torch.func.grad(f))(x)


def _solve_newton(hessian: Tensor, gradient: Tensor, damping: float) -> Tensor:
    identity = torch.eye(len(gradient), dtype=hessian.dtype, device=hessian.device)
    step, info = torch.linalg.solve_ex(hessian + damping * identity, -gradient)
    if info.item() != 0:
        raise ValueError(
            "the Hessian plus damping must be invertible: "
            f"got a singular matrix with damping={damping}; use a larger damping"
        )
    return step


# ------------------------------------------------------------------------------------- conjugate gradients


def conjugate_gradient(
    A: Tensor | Callable[[Tensor], Tensor],
    b: Tensor,
    x0: Tensor | None = None,
    rtol: float = 1e-5,
    max_iter: int | None = None,
) -> LinearSolution:
    """Solve A x = b for a symmetric positive definite A, that is, minimize x.A x / 2 - b.x.

    Every direction is conjugate to those before, p.A q = 0, so that in exact arithmetic as many steps are
    enough as A has different eigenvalues, d at most.
    Args:
        A: (d, d), or a function that multiplies by it, such as a Hessian-vector product.
        b: (d,).
        x0: (d,), where to start; None for 0.
        rtol: stops when the residual's norm is at most rtol times b's.
        max_iter: number of products with A at most, apart from one at a start that is not 0; None for 10 d.
    Returns: a ``LinearSolution``.
    Raises: ValueError: for wrong shapes, or a direction along which A is not positive.
    Example:
        >>> A, b = torch.diag(torch.tensor([1.0, 4.0])), torch.tensor([1.0, 4.0])
        >>> found = conjugate_gradient(A, b)
        >>> found.x.round(decimals=4), len(found.path) - 1
        (tensor([1., 1.]), 2)

    References: Hestenes & Stiefel, "Methods of Conjugate Gradients for Solving Linear Systems", Journal of
        Research of the National Bureau of Standards 49, 1952.
    """
    _check_point(b)
    if isinstance(A, Tensor) and A.shape != (len(b), len(b)):
        raise ValueError(
            f"A must be ({len(b)}, {len(b)}) to go with b: got {tuple(A.shape)}"
        )
    multiply = A if callable(A) else A.__matmul__
    max_iter = 10 * len(b) if max_iter is None else max_iter
    _check_at_least(0, rtol=rtol, max_iter=max_iter)
    x = torch.zeros_like(b) if x0 is None else x0
    residual = b if x0 is None else b - multiply(x0)
    direction, square = residual, residual @ residual
    path, squares, bound = [x], [square], rtol * b.norm()
    while square.sqrt() > bound and len(path) <= max_iter:
        image = multiply(direction)
        curvature = direction @ image
        if not curvature > 0:
            raise ValueError(
                "A must be positive definite: got a direction p with "
                f"p.A p = {curvature.item():.3g}; for a Hessian, add damping"
            )
        length = square / curvature
        x = x + length * direction
        residual = residual - length * image
        before, square = square, residual @ residual
        direction = residual + square / before * direction
        path.append(x)
        squares.append(square)
    residuals = torch.stack(squares).sqrt()
    return LinearSolution(x, torch.stack(path), residuals, bool(square.sqrt() <= bound))


# ------------------------------------------------------------------------------------------- quasi-Newton


def bfgs_inverse(inverse: Tensor, s: Tensor, y: Tensor) -> Tensor:
    """The inverse Hessian after one more pair: the nearest symmetric matrix that maps y to s.

    H+ = (I - s y^T / y.s) H (I - y s^T / y.s) + s s^T / y.s

    Args:
        inverse: (d, d), the estimate H so far, symmetric positive definite.
        s: (d,), the step.
        y: (d,), how it changed the gradient.
    Returns: (d, d), symmetric; positive definite, since y.s is.
    Raises: ValueError: if y.s is not positive, for then no positive definite matrix maps y to s.
    Example:
        >>> bfgs_inverse(torch.eye(2), torch.tensor([1.0, 0.0]), torch.tensor([4.0, 0.0]))
        tensor([[0.2500, 0.0000],
                [0.0000, 1.0000]])

    References: Nocedal & Wright, 2006, Eq. 6.17.
    """
    _check_pair(s, y)
    rho = 1 / (y @ s)
    identity = torch.eye(len(s), dtype=s.dtype, device=s.device)
    left = identity - rho * torch.outer(s, y)
    return left @ inverse @ left.T + rho * torch.outer(s, s)


def two_loop(
    vector: Tensor, pairs: Sequence[Pair], scale: float | Tensor = 1.0
) -> Tensor:
    """``bfgs_inverse`` of all pairs in turn, times a vector, without ever holding a matrix.

    Conventions: the estimate starts from scale * I. Time and memory are 2 d for each pair.
    Args:
        vector: (d,), such as the gradient.
        pairs: (s, y), the oldest first.
        scale: of the matrix at the start.
    Returns: (d,).
    Raises: ValueError: for a pair with y.s that is not positive.
    Example:
        >>> pair = torch.tensor([1.0, 0.0]), torch.tensor([4.0, 0.0])
        >>> two_loop(torch.tensor([8.0, 3.0]), [pair])
        tensor([2., 3.])

    References: Nocedal, "Updating Quasi-Newton Matrices with Limited Storage", Mathematics of Computation 35,
        1980; Nocedal & Wright, 2006, Alg. 7.4.
    """
    shares = []
    for s, y in reversed(pairs):
        _check_pair(s, y)
        share = (s @ vector) / (y @ s)
        vector = vector - share * y
        shares.append(share)
    vector = scale * vector
    for (s, y), share in zip(pairs, reversed(shares), strict=True):
        vector = vector + (share - (y @ vector) / (y @ s)) * s
    return vector


def bfgs(
    f: Function,
    x0: Tensor,
    line_search: str = "strong_wolfe",
    max_iter: int = 200,
    gtol: float = 1e-5,
) -> Minimization:
    """Minimize with a dense estimate of the inverse Hessian, (d, d), from changes of the gradient.

    Conventions: the estimate starts as I, scaled by y.s / y.y before the first pair enters. A pair without
    positive y.s, which ``armijo`` does not exclude, is left out.
    Args:
        f: (d,) -> scalar.
        x0: (d,), where to start.
        line_search: ``strong_wolfe``, which bounds the slope at the new point too, or ``armijo``, which
            halves the step until the value falls enough.
        max_iter: number of iterations at most.
        gtol: stops when no component of the gradient exceeds it.
    Returns: a ``Minimization``; it ends early, not converged, when the line search finds no lower point, as
        happens when ``gtol`` asks for more than the value's digits can show.
    Raises: ValueError: for another shape, an unknown line search, or a negative max_iter or gtol.
    Example:
        >>> start = torch.tensor([3.0, -1.0], dtype=torch.float64)
        >>> found = bfgs(lambda x: (x - 2).pow(4).sum() + x.square().sum(), start)
        >>> found.converged, [round(number, 3) for number in found.x.tolist()]
        (True, [1.165, 1.165])

    References: Nocedal & Wright, 2006, Alg. 6.1.
    """
    inverse = None

    def direction(gradient: Tensor, pairs: Sequence[Pair], is_new: bool) -> Tensor:
        nonlocal inverse
        if is_new:
            if inverse is None:
                eye = torch.eye(len(x0), dtype=x0.dtype, device=x0.device)
                inverse = _first_scale(*pairs[-1]) * eye
            inverse = bfgs_inverse(inverse, *pairs[-1])
        return -gradient if inverse is None else -(inverse @ gradient)

    return _quasi_newton(f, x0, direction, 1, line_search, max_iter, gtol)


def lbfgs(
    f: Function,
    x0: Tensor,
    history_size: int = 10,
    line_search: str = "strong_wolfe",
    max_iter: int = 200,
    gtol: float = 1e-5,
) -> Minimization:
    """BFGS from the last ``history_size`` pairs alone: 2 d numbers for each instead of d^2.

    Conventions: every estimate starts from I scaled by y.s / y.y of the newest pair. Pairs as in ``bfgs``.
    Unlike torch's LBFGS, which is an optimizer's step with a fixed budget, this runs until it has converged.
    Args:
        f, x0, line_search, max_iter, gtol: as for ``bfgs``.
        history_size: number of pairs that are kept, at least 1.
    Returns, Raises: as ``bfgs``; ValueError also for a history_size below 1.
    Example:
        >>> start = torch.tensor([3.0, -1.0], dtype=torch.float64)
        >>> found = lbfgs(lambda x: (x - 2).pow(4).sum() + x.square().sum(), start)
        >>> found.converged, [round(number, 3) for number in found.x.tolist()]
        (True, [1.165, 1.165])

    References: Liu & Nocedal, "On the Limited Memory BFGS Method for Large Scale Optimization", Mathematical
        Programming 45, 1989.
    """
    _check_at_least(1, history_size=history_size)

    def direction(gradient: Tensor, pairs: Sequence[Pair], is_new: bool) -> Tensor:
        scale = _first_scale(*pairs[-1]) if pairs else 1.0
        return -two_loop(gradient, pairs, scale)

    return _quasi_newton(f, x0, direction, history_size, line_search, max_iter, gtol)


def _first_scale(s: Tensor, y: Tensor) -> Tensor:
    return (y @ s) / (y @ y)


def _quasi_newton(
    f: Function,
    x0: Tensor,
    direction: Callable[[Tensor, Sequence[Pair], bool], Tensor],
    history_size: int,
    line_search: str,
    max_iter: int,
    gtol: float,
) -> Minimization:
    _check_point(x0)
    _check_at_least(0, max_iter=max_iter, gtol=gtol)
    searches = {"strong_wolfe": _strong_wolfe, "armijo": _armijo}
    if line_search not in searches:
        raise ValueError(
            f"line_search must be one of {', '.join(searches)}: got {line_search!r}"
        )
    counted, path, pairs, is_new = _Counted(f), [x0], [], False
    value, gradient = counted.both(x0)
    while _largest(gradient) > gtol and len(path) <= max_iter:
        step = direction(gradient, pairs, is_new)
        length = 1.0 if pairs else min(1.0, 1 / gradient.abs().sum().item())
        line = _Line(counted, path[-1], step, value, gradient)
        found = searches[line_search](line, length)
        if (
            found is None
        ):  # no lower point: rounding, or a gradient that is not the function's
            break
        length, value, new_gradient = found
        s, y = length * step, new_gradient - gradient
        is_new = bool(y @ s > torch.finfo(x0.dtype).eps * (y @ y))
        if is_new:
            pairs = [*pairs, (s, y)][-history_size:]
        path.append(path[-1] + s)
        gradient = new_gradient
    return counted.result(path, value, gradient, gtol)


# ------------------------------------------------------------------------------------------- line searches

ENOUGH = 1e-4  # c1: share of the first slope by which the value must fall (Armijo)
FLATTER = 0.9  # c2: share of the first slope that may be left (strong Wolfe)
TRIALS = 30

Found = tuple[float, Tensor, Tensor]  # step length, value and gradient there


class _Counted:
    """A function that counts how often it, and its gradient, are evaluated."""

    def __init__(self, f: Function) -> None:
        self.f, self.functions, self.gradients = f, 0, 0

    def value(self, x: Tensor) -> Tensor:
        self.functions += 1
        with torch.no_grad():
            return self.f(x)

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        self.functions += 1
        self.gradients += 1
        gradient, value = torch.func.grad_and_value(self.f)(x)
        return value, gradient

    def result(
        self,
        path: list[Tensor],
        value: Tensor,
        gradient: Tensor,
        gtol: float,
        hessians: int = 0,
    ) -> Minimization:
        converged = bool(_largest(gradient) <= gtol)
        counts = self.functions, self.gradients, hessians
        points = torch.stack(path)
        return Minimization(path[-1], value, gradient, points, converged, *counts)


class _Line:
    """The function along a direction: phi(length) = f(x + length * direction)."""

    def __init__(
        self,
        counted: _Counted,
        x: Tensor,
        direction: Tensor,
        value: Tensor,
        gradient: Tensor,
    ) -> None:
        self.counted, self.x, self.direction = counted, x, direction
        self.start, self.slope = value.item(), (gradient @ direction).item()

    def value(self, length: float) -> Tensor:
        return self.counted.value(self.x + length * self.direction)

    def both(self, length: float) -> tuple[Tensor, Tensor]:
        return self.counted.both(self.x + length * self.direction)

    def is_low(self, length: float, value: float) -> bool:
        enough = self.start + ENOUGH * length * self.slope  # rounded to start if tiny
        return value <= enough and value < self.start


def _armijo(line: _Line, length: float) -> Found | None:
    """Halve the step until the value has fallen enough; the gradient is taken there only."""
    if not line.slope < 0:
        return None
    for _ in range(TRIALS):
        if line.is_low(length, line.value(length).item()):
            return length, *line.both(length)
        length /= 2
    return None


def _strong_wolfe(line: _Line, length: float) -> Found | None:
    """A step that is low enough and where the slope has become flat enough, of either sign.

    Double the step until two lengths bracket such a point, then narrow the bracket (Nocedal & Wright, 2006,
    Alg. 3.5 and 3.6). ``low`` is the end with the lower value; the slope at it points into the bracket.
    """
    if not line.slope < 0:
        return None
    low = (0.0, line.start, line.slope)  # length, value, slope
    best, high = None, None
    for _ in range(TRIALS):
        value, gradient = line.both(length)
        here = (length, value.item(), (gradient @ line.direction).item())
        if not line.is_low(*here[:2]) or (low[0] > 0 and here[1] >= low[1]):
            high = here
        else:
            best = (length, value, gradient)
            if abs(here[2]) <= -FLATTER * line.slope:
                return best
            towards_high = here[2] * ((high[0] if high else torch.inf) - low[0])
            if towards_high >= 0:
                high = low
            low = here
        length = 2 * length if high is None else _between(low, high)
    return best  # low enough, if not flat enough; None if nothing was


def _between(low: tuple[float, ...], high: tuple[float, ...]) -> float:
    """The lowest point of the parabola through both values with the slope at ``low``, kept off the ends."""
    (a, value, slope), (b, other, _) = low, high
    width = b - a
    bend = other - value - slope * width
    share = -slope * width / (2 * bend) if bend > 0 else 0.5
    return a + min(max(share, 0.1), 0.9) * width


def _largest(gradient: Tensor) -> Tensor:
    return gradient.abs().max()


def _check_point(x: Tensor) -> None:
    if x.dim() != 1 or len(x) == 0 or not x.is_floating_point():
        raise ValueError(
            "a floating point vector (d,) with d at least 1 is needed: "
            f"got shape {tuple(x.shape)}, {x.dtype}; flatten the parameters"
        )


def _check_pair(s: Tensor, y: Tensor) -> None:
    if not y @ s > 0:
        raise ValueError(
            f"a pair needs y.s > 0 to keep the estimate positive: got {(y @ s).item():.3g}; leave it out"
        )


def _check_at_least(low: float, **values: float) -> None:
    for name, value in values.items():
        if not value >= low:
            raise ValueError(f"{name} must be at least {low}: got {value}")
