"""The learning-rate range test: train a little at rates that grow, and read a rate off the losses."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

__all__ = ["RangeTest", "lr_range_test", "smooth_losses", "suggest_lr"]


class RangeTest(NamedTuple):
    """What a range test recorded.

    Args:
        lrs: the rates, each a constant factor above the last.
        losses: what each step returned.
        diverged: whether the test stopped early, since the loss had exploded.
    """

    lrs: list[float]
    losses: list[float]
    diverged: bool


def lr_range_test(
    train_step: Callable[[float], float],
    start_lr: float = 1e-7,
    end_lr: float = 10.0,
    num_iter: int = 100,
    explosion: float = 4.0,
) -> RangeTest:
    """Do one training step at each of ``num_iter`` rates that grow exponentially, and record the losses.

    Conventions: the model goes on from step to step; begin with a fresh one and discard it afterwards. The
    loss should be the one before the step, as training computes it anyway.
    Args:
        train_step: takes a rate, does one step at it, returns the loss (a number or a tensor of one).
        start_lr: the first rate, positive.
        end_lr: the last rate, above ``start_lr``.
        num_iter: number of rates, at least 2.
        explosion: stops after a smoothed loss of more than this many times the lowest so far (for a lowest
            that is positive), and after one that is not finite; above 1, ``math.inf`` to go on.
    Returns: a ``RangeTest``; the loss that stopped it is the last.
    Raises: ValueError: for an argument outside its range.
    Example:
        >>> position = [1.0]
        >>> def train_step(lr):
        ...     loss = position[0] ** 2
        ...     position[0] -= lr * 2 * position[0]
        ...     return loss
        >>> test = lr_range_test(train_step, 0.001, 100.0, 51)
        >>> test.diverged, test.lrs[-1] > 1.0  # gradient descent is stable up to 1
        (True, True)

    References: Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017, Sec. 3.3,
        arXiv:1506.01186.
    """
    _check_range(start_lr, end_lr, num_iter, explosion)
    factor = (end_lr / start_lr) ** (1 / (num_iter - 1))
    lrs, losses, lowest = [], [], math.inf
    for k in range(num_iter):
        lrs.append(start_lr * factor**k)
        losses.append(float(train_step(lrs[-1])))
        smoothed = smooth_losses(losses)[-1]
        lowest = min(lowest, smoothed)
        exploded = lowest > 0 and smoothed > explosion * lowest
        if exploded or not math.isfinite(losses[-1]):
            return RangeTest(lrs, losses, diverged=True)
    return RangeTest(lrs, losses, diverged=False)


def smooth_losses(losses: Sequence[float], beta: float = 0.9) -> list[float]:
    """A moving average, divided by 1 - beta^t, the weight that its t values have by then.

    Args:
        losses: in turn.
        beta: weight of the past, in [0, 1).
    Returns: as many values.
    Raises: ValueError: if beta is outside [0, 1).
    Example:
        >>> smooth_losses([4.0, 1.0], beta=0.5)  # (0.25 * 4 + 0.5 * 1) / 0.75
        [4.0, 2.0]
    """
    if not 0 <= beta < 1:
        raise ValueError(f"beta must be in [0, 1): got {beta}")
    average, smoothed = 0.0, []
    for step, loss in enumerate(losses, start=1):
        average = beta * average + (1 - beta) * loss
        smoothed.append(average / (1 - beta**step))
    return smoothed


def suggest_lr(
    lrs: Sequence[float],
    losses: Sequence[float],
    method: str = "minimum",
    beta: float = 0.9,
) -> float:
    """Read a rate off a range test's losses, smoothed and up to their lowest point.

    Conventions: ``steepest`` is where the loss falls fastest against the logarithm of the rate; ``valley``
    the geometric middle of the longest stretch over which it falls without a break; ``minimum`` a tenth of
    the rate with the lowest loss. Rules of thumb all: they disagree, and none knows how long you will train.
    ``minimum`` is the default for what the book measured on five small networks with Adam, in the notebook
    on warm-up and one cycle: it and ``valley`` came within a quarter of a decade of the best rate on average,
    not to be told apart, and ``steepest`` was off by more than a decade and a half, as its early jumps, when
    the smoothed loss averages few batches, are steeper than learning.
    Args:
        lrs: positive and rising, evenly spaced in their logarithm.
        losses: as many; what follows the first that is not finite is left out.
        method: ``steepest``, ``valley`` or ``minimum``.
        beta: of ``smooth_losses``; 0 for none.
    Returns: a rate.
    Raises: ValueError: for an unknown method, lengths that differ, rates that do not rise, or losses that
        never fall, which tell nothing.
    Example:
        >>> suggest_lr([0.001, 0.01, 0.1, 1.0, 10.0], [5.0, 4.9, 2.0, 1.9, 80.0], beta=0.0)
        0.1

    References: Smith, WACV 2017, Sec. 3.3, arXiv:1506.01186.
    """
    _check_record(lrs, losses)
    finite = next(
        (k for k, y in enumerate(losses) if not math.isfinite(y)), len(losses)
    )
    smoothed = smooth_losses(losses[:finite], beta)
    lowest = min(range(finite), key=smoothed.__getitem__, default=0)
    if lowest == 0:
        raise ValueError(
            "the losses must fall somewhere to suggest a rate: got none below the first; "
            "start at a lower rate, or look for a mistake in the step"
        )
    methods = {"steepest": _steepest, "valley": _valley, "minimum": _minimum}
    if method not in methods:
        raise ValueError(f"method must be one of {', '.join(methods)}: got {method!r}")
    return methods[method](lrs[: lowest + 1], smoothed[: lowest + 1])


def _steepest(lrs: Sequence[float], losses: Sequence[float]) -> float:
    """By differences over both neighbours, and over one at the ends."""
    logs, last = [math.log(lr) for lr in lrs], len(lrs) - 1

    def slope(k: int) -> float:
        before, after = max(k - 1, 0), min(k + 1, last)
        return (losses[after] - losses[before]) / (logs[after] - logs[before])

    return lrs[min(range(len(lrs)), key=slope)]


def _valley(lrs: Sequence[float], losses: Sequence[float]) -> float:
    start, best = 0, (0, 0)
    for k in range(1, len(losses)):
        if not losses[k] < losses[k - 1]:
            start = k
        if k - start > best[1] - best[0]:
            best = (start, k)
    return math.sqrt(lrs[best[0]] * lrs[best[1]])


def _minimum(lrs: Sequence[float], losses: Sequence[float]) -> float:
    return lrs[-1] / 10  # they end at the lowest loss


def _check_range(
    start_lr: float, end_lr: float, num_iter: int, explosion: float
) -> None:
    if not 0 < start_lr < end_lr:
        raise ValueError(
            f"rates must satisfy 0 < start_lr < end_lr: got {start_lr} and {end_lr}"
        )
    if not num_iter >= 2:
        raise ValueError(f"num_iter must be at least 2: got {num_iter}")
    if not explosion > 1:
        raise ValueError(f"explosion must be above 1: got {explosion}")


def _check_record(lrs: Sequence[float], losses: Sequence[float]) -> None:
    if len(lrs) != len(losses):
        raise ValueError(
            f"lrs and losses must be equally many: got {len(lrs)} and {len(losses)}"
        )
    rising = all(a < b for a, b in pairwise(lrs))
    if not rising or min(lrs, default=0) <= 0:
        raise ValueError(f"lrs must be positive and rise: got {list(lrs)[:5]} ...")
