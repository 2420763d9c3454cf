"""Learning-rate schedules: pure functions of the step, an adapter to LambdaLR, and the plateau rule.

Each function is ``schedule(step, lr, ...) -> rate``, named and parametrized as torch's class of the same
job (``StepLR`` is ``step_lr``). ``step`` counts from 0, the first update; ``lr`` is what the optimizer was
given, a number or a tensor of many rates, and the rate has its type. A fraction of a step is allowed.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch

__all__ = [
    "Plateau",
    "constant_lr",
    "cosine_annealing_lr",
    "cosine_annealing_warm_restarts",
    "cyclic_lr",
    "cyclic_momentum",
    "exponential_lr",
    "inverse_sqrt_lr",
    "inverse_time_lr",
    "linear_lr",
    "multi_step_lr",
    "one_cycle_lr",
    "one_cycle_momentum",
    "polynomial_lr",
    "sequential_lr",
    "step_lr",
    "to_lambda",
    "warmup_lr",
    "warmup_stable_decay_lr",
]

Rate = TypeVar("Rate", float, torch.Tensor)
Schedule = Callable[[float, Rate], Rate]


def constant_lr(
    step: float, lr: Rate, factor: float = 1 / 3, total_iters: int = 5
) -> Rate:
    """The rate times ``factor`` for the first ``total_iters`` steps, the rate itself afterwards.

    Args:
        step: from 0.
        lr: rate after the start.
        factor: what multiplies it at the start, in [0, 1].
        total_iters: number of steps that are multiplied, at least 0.
    Returns: the rate; past ``total_iters`` it is ``lr``.
    Raises: ValueError: for a negative step or rate, or an argument outside its range.
    Example:
        >>> [constant_lr(step, 1.0, factor=0.5, total_iters=2) for step in range(4)]
        [0.5, 0.5, 1.0, 1.0]
    """
    _check(step, lr)
    _check_between(0, 1, factor=factor)
    _check_at_least(0, total_iters=total_iters)
    return lr * factor if step < total_iters else lr * 1.0


def step_lr(step: float, lr: Rate, step_size: int, gamma: float = 0.1) -> Rate:
    """The rate times ``gamma`` after every ``step_size`` steps.

    Args:
        step: from 0.
        lr: rate at the start.
        step_size: number of steps between two drops, at least 1.
        gamma: what multiplies the rate at a drop, at least 0.
    Returns: lr * gamma^floor(step / step_size); it has no end.
    Raises: ValueError: for a negative step or rate, or an argument outside its range.
    Example:
        >>> [step_lr(step, 8.0, step_size=2, gamma=0.5) for step in range(5)]
        [8.0, 8.0, 4.0, 4.0, 2.0]
    """
    _check(step, lr)
    _check_at_least(1, step_size=step_size)
    _check_at_least(0, gamma=gamma)
    return lr * gamma ** (step // step_size)


def multi_step_lr(
    step: float, lr: Rate, milestones: Sequence[int], gamma: float = 0.1
) -> Rate:
    """The rate times ``gamma`` at every milestone.

    Args:
        step: from 0.
        lr: rate at the start.
        milestones: steps from which on the rate is lower; one that stands twice counts twice.
        gamma: what multiplies the rate at a milestone, at least 0.
    Returns: lr * gamma^(number of milestones reached); past the last it stays.
    Raises: ValueError: for a negative step or rate, unsorted milestones, or a negative gamma.
    Example:
        >>> [multi_step_lr(step, 8.0, [1, 3], gamma=0.5) for step in range(5)]
        [8.0, 4.0, 4.0, 2.0, 2.0]
    """
    _check(step, lr)
    _check_at_least(0, gamma=gamma)
    _check_sorted(milestones)
    return lr * gamma ** bisect_right(milestones, step)


def exponential_lr(step: float, lr: Rate, gamma: float) -> Rate:
    """The rate times ``gamma`` at every step.

    Conventions: e^(-k * step) is ``gamma=math.exp(-k)``.
    Args:
        step: from 0.
        lr: rate at the start.
        gamma: what multiplies the rate at every step, at least 0.
    Returns: lr * gamma^step; it has no end.
    Raises: ValueError: for a negative step, rate or gamma.
    Example:
        >>> [exponential_lr(step, 8.0, gamma=0.5) for step in range(4)]
        [8.0, 4.0, 2.0, 1.0]
    """
    _check(step, lr)
    _check_at_least(0, gamma=gamma)
    return lr * gamma**step


def polynomial_lr(
    step: float, lr: Rate, total_iters: int = 5, power: float = 1.0
) -> Rate:
    """From ``lr`` to 0 in ``total_iters`` steps, as a power of the share of steps that is left.

    Args:
        step: from 0.
        lr: rate at the start.
        total_iters: the step at which 0 is reached, at least 1.
        power: 1 is a straight line; larger falls faster at first. Positive.
    Returns: lr * (1 - step / total_iters)^power; past ``total_iters`` it stays 0.
    Raises: ValueError: for a negative step or rate, or an argument outside its range.
    Example:
        >>> [polynomial_lr(step, 16.0, total_iters=4, power=2.0) for step in range(6)]
        [16.0, 9.0, 4.0, 1.0, 0.0, 0.0]
    """
    _check(step, lr)
    _check_at_least(1, total_iters=total_iters)
    _check_positive(power=power)
    return lr * (1 - min(step, total_iters) / total_iters) ** power


def inverse_time_lr(step: float, lr: Rate, decay_rate: float) -> Rate:
    """The rate divided by a number that grows by ``decay_rate`` at every step.

    Conventions: a function of the step alone. Dividing the last rate by (1 + decay_rate * step) instead would
    multiply all these divisors, and the rate would fall like one over a factorial.
    Args:
        step: from 0.
        lr: rate at the start.
        decay_rate: per step, at least 0.
    Returns: lr / (1 + decay_rate * step); it has no end.
    Raises: ValueError: for a negative step, rate or decay_rate.
    Example:
        >>> [inverse_time_lr(step, 6.0, decay_rate=0.5) for step in (0, 2, 4)]
        [6.0, 3.0, 2.0]
    """
    _check(step, lr)
    _check_at_least(0, decay_rate=decay_rate)
    return lr / (1 + decay_rate * step)


def inverse_sqrt_lr(step: float, lr: Rate, timescale: float = 1.0) -> Rate:
    """The rate divided by the root of time.

    Conventions: with ``timescale`` 1 this is lr / sqrt(t), where t = step + 1 counts the updates from 1.
    After ``w`` steps of ``warmup_lr``, and with ``timescale=w``, it is the Transformer's schedule, lr *
    sqrt(w / step).
    Args:
        step: from 0.
        lr: rate at the start.
        timescale: number of steps after which the rate has fallen to lr / sqrt(2), positive.
    Returns: lr / sqrt(1 + step / timescale); it has no end.
    Raises: ValueError: for a negative step or rate, or a timescale that is not positive.
    Example:
        >>> [inverse_sqrt_lr(step, 6.0) for step in (0, 3, 8)]
        [6.0, 3.0, 2.0]

    References: Vaswani et al., "Attention Is All You Need", NeurIPS 2017, Sec. 5.3, arXiv:1706.03762.
    """
    _check(step, lr)
    _check_positive(timescale=timescale)
    return lr / math.sqrt(1 + step / timescale)


def linear_lr(
    step: float,
    lr: Rate,
    start_factor: float = 1 / 3,
    end_factor: float = 1.0,
    total_iters: int = 5,
) -> Rate:
    """The rate times a factor that goes straight from ``start_factor`` to ``end_factor``.

    Unlike torch: ``start_factor`` may be 0, which torch's recursion could not leave.
    Args:
        step: from 0.
        lr: what the factor multiplies.
        start_factor: factor at step 0, in [0, 1].
        end_factor: factor at step ``total_iters``, in [0, 1].
        total_iters: the step at which ``end_factor`` is reached, at least 1.
    Returns: the rate; past ``total_iters`` it stays lr * end_factor.
    Raises: ValueError: for a negative step or rate, or an argument outside its range.
    Example:
        >>> [linear_lr(step, 8.0, start_factor=0.5, total_iters=2) for step in range(4)]
        [4.0, 6.0, 8.0, 8.0]
    """
    _check(step, lr)
    _check_between(0, 1, start_factor=start_factor, end_factor=end_factor)
    _check_at_least(1, total_iters=total_iters)
    done = min(step, total_iters) / total_iters
    return lr * (start_factor + (end_factor - start_factor) * done)


def cosine_annealing_lr(
    step: float, lr: Rate, T_max: int, eta_min: float = 0.0
) -> Rate:
    """From ``lr`` to ``eta_min`` in ``T_max`` steps along half a cosine, without a restart.

    Unlike torch: past ``T_max`` the rate stays at ``eta_min``. CosineAnnealingLR follows the cosine on and
    rises again, back to ``lr`` at 2 T_max.
    Args:
        step: from 0.
        lr: rate at the start.
        T_max: the step at which ``eta_min`` is reached, at least 1.
        eta_min: rate at the end (a rate, not a factor), at least 0.
    Returns: eta_min + (lr - eta_min) * (1 + cos(pi * step / T_max)) / 2.
    Raises: ValueError: for a negative step or rate, or an argument outside its range.
    Example:
        >>> [round(cosine_annealing_lr(step, 8.0, T_max=2), 3) for step in range(4)]
        [8.0, 4.0, 0.0, 0.0]

    References: Loshchilov & Hutter, "SGDR", ICLR 2017, Eq. 5, arXiv:1608.03983.
    """
    _check(step, lr)
    _check_at_least(1, T_max=T_max)
    _check_at_least(0, eta_min=eta_min)
    return _cosine(lr, eta_min, min(step, T_max) / T_max)


def cosine_annealing_warm_restarts(
    step: float, lr: Rate, T_0: int, T_mult: int = 1, eta_min: float = 0.0
) -> Rate:
    """Half a cosine from ``lr`` towards ``eta_min``, again and again, each ``T_mult`` times as long.

    Conventions: ``eta_min`` itself is never used: where it would be reached, the rate is back at ``lr``.
    Restarts are found by counting; a logarithm of the step, being rounded, may miss one.
    Args:
        step: from 0.
        lr: rate at every restart.
        T_0: number of steps until the first restart, at least 1.
        T_mult: how many times longer each cycle is than the one before, at least 1.
        eta_min: the rate that a cycle runs towards, at least 0.
    Returns: the rate; it has no end.
    Raises: ValueError: for a negative step or rate, or an argument outside its range.
    Example:
        >>> [round(cosine_annealing_warm_restarts(step, 8.0, T_0=2, T_mult=2), 3) for step in range(7)]
        [8.0, 4.0, 8.0, 6.828, 4.0, 1.172, 8.0]

    References: Loshchilov & Hutter, "SGDR", ICLR 2017, Sec. 3, arXiv:1608.03983.
    """
    _check(step, lr)
    _check_at_least(1, T_0=T_0, T_mult=T_mult)
    _check_at_least(0, eta_min=eta_min)
    start, length = 0, T_0
    if T_mult == 1:  # at once, however long ago the first cycle was
        start = step // T_0 * T_0
    while step >= start + length:
        start, length = start + length, length * T_mult
    return _cosine(lr, eta_min, (step - start) / length)


def cyclic_lr(
    step: float,
    base_lr: Rate,
    max_lr: float,
    step_size_up: int = 2000,
    step_size_down: int | None = None,
    mode: str = "triangular",
    gamma: float = 1.0,
) -> Rate:
    """A triangle between two rates, again and again.

    Conventions: torch's CyclicLR without ``scale_fn``, for which write a function of your own.
    Args:
        step: from 0.
        base_lr: the lower rate, with which each cycle starts; the optimizer's own.
        max_lr: the rate at the top of the first triangle, at least ``base_lr``.
        step_size_up: number of steps on the way up, at least 1.
        step_size_down: on the way down; None for as many as up.
        mode: ``triangular`` keeps the height, ``triangular2`` halves it after every cycle, ``exp_range``
            multiplies it by ``gamma`` at every step.
        gamma: for ``exp_range``, positive.
    Returns: base_lr + (max_lr - base_lr) * height; it has no end.
    Raises: ValueError: for a negative step or rate, an unknown mode, or an argument outside its range.
    Example:
        >>> [cyclic_lr(step, 1.0, 3.0, step_size_up=2, mode="triangular2") for step in range(8)]
        [1.0, 2.0, 3.0, 2.0, 1.0, 1.5, 2.0, 1.5]

    References: Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017, arXiv:1506.01186.
    """
    _check(step, base_lr)
    _check_order(base_lr=base_lr, max_lr=max_lr)
    height = _triangle(step, step_size_up, step_size_down, mode, gamma)
    return base_lr + (max_lr - base_lr) * height


def cyclic_momentum(
    step: float,
    base_momentum: float = 0.8,
    max_momentum: float = 0.9,
    step_size_up: int = 2000,
    step_size_down: int | None = None,
    mode: str = "triangular",
    gamma: float = 1.0,
) -> float:
    """The momentum beside ``cyclic_lr``: lowest where the rate is highest.

    Args:
        step: from 0.
        base_momentum: lowest value, in [0, 1).
        max_momentum: value at the start of each cycle, in [0, 1), at least ``base_momentum``.
        step_size_up, step_size_down, mode, gamma: as given to ``cyclic_lr``.
    Returns: max_momentum - (max_momentum - base_momentum) * height; it has no end.
    Raises: ValueError: as ``cyclic_lr``.
    Example:
        >>> [cyclic_momentum(step, 0.5, 0.75, step_size_up=2) for step in range(5)]
        [0.75, 0.625, 0.5, 0.625, 0.75]
    """
    _check(step, 0.0)
    _check_momenta(base_momentum, max_momentum)
    height = _triangle(step, step_size_up, step_size_down, mode, gamma)
    return max_momentum - (max_momentum - base_momentum) * height


def one_cycle_lr(
    step: float,
    max_lr: Rate,
    total_steps: int,
    pct_start: float = 0.3,
    anneal_strategy: str = "cos",
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
    three_phase: bool = False,
) -> Rate:
    """Up to ``max_lr`` and down to almost nothing, once.

    Conventions: the phases end at step ``pct_start * total_steps - 1`` and at ``total_steps - 1``, which is
    the last update (so the lowest rate is used, unlike that of ``cosine_annealing_lr``). With
    ``three_phase``, the way back to the first rate ends at ``2 * pct_start * total_steps - 2``, and the rest
    goes to the last rate.
    Unlike torch: at ``step == total_steps``, which a scheduler reaches after the last update, the last rate
    is kept. OneCycleLR runs on along its line, below zero for ``linear``; both refuse what comes later.
    Args:
        step: from 0 to total_steps.
        max_lr: highest rate; the optimizer's own where ``to_lambda`` is used.
        total_steps: number of updates.
        pct_start: share of them on the way up, in (0, 1], with at least one whole step.
        anneal_strategy: ``cos`` or ``linear``.
        div_factor: max_lr over the first rate, positive.
        final_div_factor: the first rate over the last, positive.
        three_phase: whether to come back to the first rate before the last phase.
    Returns: the rate.
    Raises: ValueError: for a step outside, a negative rate, an unknown strategy, or phases without a step.
    Example:
        >>> rates = [one_cycle_lr(step, 1.0, 10, pct_start=0.5, div_factor=5.0) for step in range(10)]
        >>> [round(rate, 2) for rate in rates]
        [0.2, 0.32, 0.6, 0.88, 1.0, 0.9, 0.65, 0.35, 0.1, 0.0]

    References: Smith & Topin, "Super-Convergence", 2018, arXiv:1708.07120.
    """
    _check(step, max_lr)
    _check_positive(div_factor=div_factor, final_div_factor=final_div_factor)
    first = max_lr / div_factor
    values = [first, max_lr, first / final_div_factor]
    if three_phase:
        values.insert(2, first)
    ends = _phase_ends(total_steps, pct_start, three_phase)
    return _along_phases(step, values, ends, anneal_strategy)


def one_cycle_momentum(
    step: float,
    total_steps: int,
    pct_start: float = 0.3,
    anneal_strategy: str = "cos",
    base_momentum: float = 0.85,
    max_momentum: float = 0.95,
    three_phase: bool = False,
) -> float:
    """The momentum beside ``one_cycle_lr``: lowest where the rate is highest.

    Args:
        step: from 0 to total_steps.
        total_steps, pct_start, anneal_strategy, three_phase: as given to ``one_cycle_lr``.
        base_momentum: value at the highest rate, in [0, 1).
        max_momentum: value at the start and the end, in [0, 1), at least ``base_momentum``.
    Returns: the momentum.
    Raises: ValueError: as ``one_cycle_lr``.
    Example:
        >>> momenta = [one_cycle_momentum(step, 10, pct_start=0.5) for step in (0, 4, 9)]
        >>> [round(momentum, 2) for momentum in momenta]
        [0.95, 0.85, 0.95]
    """
    _check(step, 0.0)
    _check_momenta(base_momentum, max_momentum)
    values = [max_momentum, base_momentum, max_momentum]
    if three_phase:
        values.append(max_momentum)
    ends = _phase_ends(total_steps, pct_start, three_phase)
    return _along_phases(step, values, ends, anneal_strategy)


def sequential_lr(
    step: float, lr: Rate, schedules: Sequence[Schedule], milestones: Sequence[int]
) -> Rate:
    """One schedule after the other, each counting from its own step 0.

    Args:
        step: from 0.
        lr: given to each schedule.
        schedules: functions (step, lr) -> rate, such as ``functools.partial(exponential_lr, gamma=0.9)``.
        milestones: the steps at which the second, the third, ... starts: one fewer than schedules.
    Returns: the rate; past the last milestone the last schedule's.
    Raises: ValueError: for a negative step or rate, unsorted milestones, or a wrong number of them.
    Example:
        >>> from functools import partial
        >>> parts = [partial(linear_lr, start_factor=0.5, total_iters=2), partial(exponential_lr, gamma=0.5)]
        >>> [sequential_lr(step, 8.0, parts, [2]) for step in range(5)]
        [4.0, 6.0, 8.0, 4.0, 2.0]
    """
    _check(step, lr)
    _check_sorted(milestones)
    if len(milestones) != len(schedules) - 1:
        raise ValueError(
            "milestones must be one fewer than schedules: "
            f"got {len(milestones)} and {len(schedules)}; the first starts at 0"
        )
    current = bisect_right(milestones, step)
    start = milestones[current - 1] if current else 0
    return schedules[current](step - start, lr)


def warmup_lr(
    step: float,
    lr: Rate,
    total_iters: int,
    schedule: Schedule | None = None,
    start_factor: float = 0.0,
) -> Rate:
    """A straight way up to ``lr``, then another schedule from its own step 0.

    Conventions: the first update has lr * start_factor, so with the default 0 it moves nothing, and ``lr``
    itself is first used at step ``total_iters``.
    Args:
        step: from 0.
        lr: rate after the warm-up.
        total_iters: number of steps below ``lr``, at least 1.
        schedule: (step, lr) -> rate; None to stay at ``lr``.
        start_factor: share of ``lr`` at step 0, in [0, 1].
    Returns: the rate; past ``total_iters`` the schedule's.
    Raises: ValueError: for a negative step or rate, or an argument outside its range.
    Example:
        >>> [warmup_lr(step, 8.0, total_iters=4) for step in range(6)]
        [0.0, 2.0, 4.0, 6.0, 8.0, 8.0]

    References: Goyal et al., "Accurate, Large Minibatch SGD", 2017, Sec. 2.2, arXiv:1706.02677.
    """
    if schedule is None or step < total_iters:
        return linear_lr(step, lr, start_factor, 1.0, total_iters)
    return schedule(step - total_iters, lr)


def warmup_stable_decay_lr(
    step: float,
    lr: Rate,
    total_steps: int,
    warmup_steps: int,
    decay_steps: int,
    decay: str = "linear",
    min_lr: float = 0.0,
) -> Rate:
    """Up in a straight line, a long constant stretch, down in the last ``decay_steps`` steps (WSD).

    Conventions: with d the share of the decay that is done, what is left of lr - min_lr is 1 - d
    (``linear``), 1 - sqrt(d) (``sqrt``) or (1 + cos(pi d)) / 2 (``cosine``).
    Args:
        step: from 0.
        lr: rate of the constant stretch.
        total_steps: the step at which ``min_lr`` is reached.
        warmup_steps: steps on the way up from 0, at least 0.
        decay_steps: steps on the way down, at least 1.
        decay: ``linear``, ``sqrt`` or ``cosine``.
        min_lr: rate at the end (a rate, not a factor), at least 0.
    Returns: the rate; past ``total_steps`` it stays ``min_lr``.
    Raises: ValueError: for a negative step or rate, an unknown decay, or stretches longer than total_steps.
    Example:
        >>> [warmup_stable_decay_lr(step, 4.0, 8, 2, 4) for step in range(9)]
        [0.0, 2.0, 4.0, 4.0, 4.0, 3.0, 2.0, 1.0, 0.0]

    References: Hu et al., "MiniCPM", 2024, arXiv:2404.06395; Hägele et al., "Scaling Laws and Compute-Optimal
        Training Beyond Fixed Training Durations", NeurIPS 2024, arXiv:2405.18392 (``sqrt``).
    """
    _check(step, lr)
    _check_at_least(0, warmup_steps=warmup_steps, min_lr=min_lr)
    _check_at_least(1, decay_steps=decay_steps)
    _check_option("decay", decay, ("linear", "sqrt", "cosine"))
    if warmup_steps + decay_steps > total_steps:
        raise ValueError(
            "warmup_steps + decay_steps must not exceed total_steps: "
            f"got {warmup_steps} + {decay_steps} > {total_steps}"
        )
    if step < warmup_steps:
        return lr * (step / warmup_steps)
    done = max(0, min(step, total_steps) - (total_steps - decay_steps)) / decay_steps
    if decay == "cosine":
        return _cosine(lr, min_lr, done)
    return min_lr + (lr - min_lr) * (1 - (math.sqrt(done) if decay == "sqrt" else done))


def to_lambda(
    schedule: Callable[..., float], lr: float, **options: Any
) -> Callable[[int], float]:
    """A schedule as torch's LambdaLR wants it: step -> what multiplies the optimizer's own rate.

    Args:
        schedule: a function of this module (step, lr, ...) -> rate.
        lr: the rate that the optimizer was given, positive; for several groups make one lambda each.
        **options: the schedule's further arguments, such as ``T_max=100``.
    Returns: step -> schedule(step, lr, ...) / lr.
    Raises: ValueError: if lr is not positive, for then no factor could give the rate.
    Example:
        >>> optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.5)
        >>> factor = to_lambda(cosine_annealing_lr, 0.5, T_max=2, eta_min=0.1)
        >>> scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        >>> optimizer.step()
        >>> scheduler.step()
        >>> round(scheduler.get_last_lr()[0], 3)
        0.3
    """
    _check_positive(lr=lr)
    return lambda step: schedule(step, lr, **options) / lr


class Plateau:
    """Lower the rate when a metric has stopped improving: a small state machine.

    Conventions: arguments, defaults and meaning are those of torch's ReduceLROnPlateau, with a rate in the
    place of the optimizer. The rate falls at the first bad value beyond ``patience``, so after patience + 1
    bad ones. With ``threshold_mode="rel"`` a value must beat best * (1 - threshold), which a negative best
    passes without improving: use ``abs`` for metrics that may be negative. NaN counts as bad.
    Args:
        lr: rate at the start, at least 0.
        mode: ``min`` or ``max``, what is better.
        factor: what multiplies the rate, in (0, 1).
        patience: number of bad values that are tolerated, at least 0.
        threshold: improvements below it do not count, at least 0; below 1 where it is a share.
        threshold_mode: ``rel`` (a share of the best) or ``abs``.
        cooldown: number of values after a drop that are not counted as bad, at least 0.
        min_lr: the rate does not fall below it, at least 0.
        eps: drops that are not larger than it are left out, at least 0.
    Raises: ValueError: for an unknown mode or an argument outside its range.
    Example:
        >>> plateau = Plateau(1.0, factor=0.5, patience=1)
        >>> [plateau.step(loss) for loss in (3.0, 2.0, 2.0, 2.0, 2.0)]
        [1.0, 1.0, 1.0, 0.5, 0.5]
    """

    def __init__(
        self,
        lr: float,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        _check_option("mode", mode, ("min", "max"))
        _check_option("threshold_mode", threshold_mode, ("rel", "abs"))
        _check_at_least(0, lr=lr, patience=patience, threshold=threshold)
        _check_at_least(0, cooldown=cooldown, min_lr=min_lr, eps=eps)
        if threshold_mode == "rel" and not threshold < 1:
            raise ValueError(
                f"a relative threshold is a share below 1: got {threshold}"
            )
        if not 0 < factor < 1:
            raise ValueError(
                f"factor must be in (0, 1), to lower the rate: got {factor}"
            )
        self.lr, self.mode, self.factor, self.patience = lr, mode, factor, patience
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.cooldown, self.min_lr, self.eps = cooldown, min_lr, eps
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = 0

    def step(self, metrics: float) -> float:
        """Take the next value of the metric (a number or a tensor of one) and return the rate."""
        value = float(metrics)
        if self._is_better(value):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
            lower = max(self.lr * self.factor, self.min_lr)
            if self.lr - lower > self.eps:
                self.lr = lower
        return self.lr

    def _is_better(self, value: float) -> bool:
        sign = -1 if self.mode == "min" else 1
        if self.threshold_mode == "rel":
            bound = self.best * (1 + sign * self.threshold)
        else:
            bound = self.best + sign * self.threshold
        return value < bound if self.mode == "min" else value > bound

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on: options and counters."""
        return dict(vars(self))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a ``state_dict``.

        Raises: ValueError: if its keys are not those of this class.
        """
        if state_dict.keys() != vars(self).keys():
            raise ValueError(
                f"state_dict must have the keys {sorted(vars(self))}: got {sorted(state_dict)}"
            )
        vars(self).update(state_dict)


def _cosine(start: Rate, end: float, done: float) -> Rate:
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2


def _linear(start: Rate, end: float, done: float) -> Rate:
    return start + (end - start) * done


def _triangle(step: float, up: int, down: int | None, mode: str, gamma: float) -> float:
    """Height in [0, 1]: the share of the way from the lower to the upper value."""
    down = up if down is None else down
    _check_at_least(1, step_size_up=up, step_size_down=down)
    _check_option("mode", mode, ("triangular", "triangular2", "exp_range"))
    _check_positive(gamma=gamma)
    cycle, position = divmod(step, up + down)
    height = position / up if position <= up else (up + down - position) / down
    if mode == "triangular2":
        return height / 2**cycle
    return height * gamma**step if mode == "exp_range" else height


def _phase_ends(total_steps: int, pct_start: float, three_phase: bool) -> list[float]:
    """The steps at which the phases of one cycle begin and end."""
    ends = [0.0, pct_start * total_steps - 1, float(total_steps - 1)]
    if three_phase:
        ends.insert(2, 2 * pct_start * total_steps - 2)
    if ends[1] <= 0 or ends != sorted(ends):
        raise ValueError(
            "pct_start and total_steps must give the way up more than one step, and end the phases in turn: "
            f"got {pct_start} of {total_steps}, so that phases end at {ends[1:]}"
        )
    return ends


def _along_phases(
    step: float, values: Sequence[Rate], ends: Sequence[float], anneal_strategy: str
) -> Rate:
    """Where one cycle is at ``step``: between the two values of its phase."""
    _check_option("anneal_strategy", anneal_strategy, ("cos", "linear"))
    last = ends[-1]
    if step > last + 1:
        raise ValueError(
            f"one cycle has {int(last) + 1} steps: got step {step}; give a larger total_steps"
        )
    step = min(step, last)
    phase = next(k for k in range(1, len(ends)) if step <= ends[k])
    done = (step - ends[phase - 1]) / (ends[phase] - ends[phase - 1])
    anneal = _cosine if anneal_strategy == "cos" else _linear
    return anneal(values[phase - 1], values[phase], done)


def _check(step: float, lr: Rate) -> None:
    if not step >= 0:
        raise ValueError(f"step counts updates from 0: got {step}")
    allowed = lr >= 0
    if not (allowed.all() if isinstance(lr, torch.Tensor) else allowed):
        raise ValueError(f"a learning rate must be at least 0: got {lr}")


def _check_at_least(low: float, **values: float) -> None:
    for name, value in values.items():
        if not value >= low:
            raise ValueError(f"{name} must be at least {low}: got {value}")


def _check_positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} must be positive: got {value}")


def _check_between(low: float, high: float, **values: float) -> None:
    for name, value in values.items():
        if not low <= value <= high:
            raise ValueError(f"{name} must be in [{low}, {high}]: got {value}")


def _check_order(**values: Any) -> None:
    (low_name, low), (high_name, high) = values.items()
    ordered = torch.as_tensor(low <= high)
    if not ordered.all():
        raise ValueError(f"{high_name} must be at least {low_name}: got {high} < {low}")


def _check_momenta(base_momentum: float, max_momentum: float) -> None:
    if not 0 <= base_momentum <= max_momentum < 1:
        raise ValueError(
            "momenta must satisfy 0 <= base_momentum <= max_momentum < 1: "
            f"got {base_momentum} and {max_momentum}"
        )


def _check_option(name: str, value: str, options: Sequence[str]) -> None:
    if value not in options:
        raise ValueError(f"{name} must be one of {', '.join(options)}: got {value!r}")


def _check_sorted(milestones: Sequence[int]) -> None:
    if list(milestones) != sorted(milestones):
        raise ValueError(f"milestones must not fall: got {list(milestones)}")
