"""dlkb.optimizers.schedules against torch's schedulers, at every step; then edges, errors, identities."""

import math
from functools import partial

import pytest
import torch
from torch.optim import lr_scheduler as torchs

from dlkb.optimizers.schedules import (
    Plateau,
    constant_lr,
    cosine_annealing_lr,
    cosine_annealing_warm_restarts,
    cyclic_lr,
    cyclic_momentum,
    exponential_lr,
    inverse_sqrt_lr,
    inverse_time_lr,
    linear_lr,
    multi_step_lr,
    one_cycle_lr,
    one_cycle_momentum,
    polynomial_lr,
    sequential_lr,
    step_lr,
    to_lambda,
    warmup_lr,
    warmup_stable_decay_lr,
)

LR = 0.3


def followed(make, steps, lr=LR):
    """The rates and momenta of torch's scheduler, at the update of each step."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=lr, momentum=0.7)
    scheduler = make(optimizer)
    rates, momenta = [], []
    for step in range(steps):
        if step > 0:
            optimizer.step()
            scheduler.step()
        rates.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.param_groups[0]["momentum"])
    return rates, momenta


# name: torch's scheduler, ours, how many steps they agree (the end and what comes after included)
CASES = {
    "constant": (
        partial(torchs.ConstantLR, factor=0.25, total_iters=4),
        partial(constant_lr, factor=0.25, total_iters=4),
        9,
    ),
    "constant, defaults": (torchs.ConstantLR, constant_lr, 9),
    "step": (
        partial(torchs.StepLR, step_size=3, gamma=0.5),
        partial(step_lr, step_size=3, gamma=0.5),
        13,
    ),
    "step, default gamma": (
        partial(torchs.StepLR, step_size=2),
        partial(step_lr, step_size=2),
        7,
    ),
    "multistep": (
        partial(torchs.MultiStepLR, milestones=[2, 5, 5, 9], gamma=0.5),
        partial(multi_step_lr, milestones=[2, 5, 5, 9], gamma=0.5),
        13,
    ),
    "exponential": (
        partial(torchs.ExponentialLR, gamma=0.8),
        partial(exponential_lr, gamma=0.8),
        20,
    ),
    "polynomial": (
        partial(torchs.PolynomialLR, total_iters=8, power=2.5),
        partial(polynomial_lr, total_iters=8, power=2.5),
        13,
    ),
    "polynomial, defaults": (torchs.PolynomialLR, polynomial_lr, 9),
    "linear": (
        partial(torchs.LinearLR, start_factor=0.1, end_factor=0.7, total_iters=6),
        partial(linear_lr, start_factor=0.1, end_factor=0.7, total_iters=6),
        11,
    ),
    "linear, defaults": (torchs.LinearLR, linear_lr, 9),
    "cosine": (
        partial(torchs.CosineAnnealingLR, T_max=9, eta_min=0.02),
        partial(cosine_annealing_lr, T_max=9, eta_min=0.02),
        10,
    ),
    "restarts": (
        partial(torchs.CosineAnnealingWarmRestarts, T_0=4, eta_min=0.02),
        partial(cosine_annealing_warm_restarts, T_0=4, eta_min=0.02),
        18,
    ),
    "restarts, twice as long": (
        partial(torchs.CosineAnnealingWarmRestarts, T_0=3, T_mult=2, eta_min=0.02),
        partial(cosine_annealing_warm_restarts, T_0=3, T_mult=2, eta_min=0.02),
        50,
    ),
    "restarts, three times as long": (
        partial(torchs.CosineAnnealingWarmRestarts, T_0=1, T_mult=3),
        partial(cosine_annealing_warm_restarts, T_0=1, T_mult=3),
        130,
    ),
    "warm-up, then cosine": (
        lambda optimizer: torchs.SequentialLR(
            optimizer,
            [
                torchs.LinearLR(optimizer, start_factor=0.1, total_iters=5),
                torchs.CosineAnnealingLR(optimizer, T_max=8, eta_min=0.02),
            ],
            milestones=[5],
        ),
        partial(
            warmup_lr,
            total_iters=5,
            schedule=partial(cosine_annealing_lr, T_max=8, eta_min=0.02),
            start_factor=0.1,
        ),
        14,
    ),
    "three in a row": (
        lambda optimizer: torchs.SequentialLR(
            optimizer,
            [
                torchs.ConstantLR(optimizer, factor=0.1, total_iters=3),
                torchs.ExponentialLR(optimizer, gamma=0.8),
                torchs.PolynomialLR(optimizer, total_iters=4),
            ],
            milestones=[3, 9],
        ),
        partial(
            sequential_lr,
            schedules=[
                partial(constant_lr, factor=0.1, total_iters=3),
                partial(exponential_lr, gamma=0.8),
                partial(polynomial_lr, total_iters=4),
            ],
            milestones=[3, 9],
        ),
        16,
    ),
}


def agree(ours, theirs, atol=1e-12):
    return all(
        abs(a - b) <= atol * max(1, abs(b)) for a, b in zip(ours, theirs, strict=True)
    )


@pytest.mark.parametrize("case", CASES)
def test_parity_at_every_step(case):
    make, ours, steps = CASES[case]
    theirs, _ = followed(make, steps)
    assert agree([ours(step, LR) for step in range(steps)], theirs)


@pytest.mark.parametrize("case", CASES)
def test_the_comparison_notices_one_step_too_many_or_too_few_and_a_constant(case):
    make, ours, steps = CASES[case]
    theirs, _ = followed(make, steps)
    assert not agree([ours(step + 1, LR) for step in range(steps)], theirs, 1e-4)
    assert not agree(
        [ours(max(step - 1, 0), LR) for step in range(steps)], theirs, 1e-4
    )
    assert not agree([ours(0, LR)] * steps, theirs, 1e-4)


@pytest.mark.parametrize("case", CASES)
def test_a_length_that_is_off_by_one_is_noticed(case):
    """The nearest wrong end: reached a step early, or never."""
    make, ours, steps = CASES[case]
    theirs, _ = followed(make, steps)
    lengths = (
        {"total_iters", "step_size", "T_max", "T_0"} & ours.keywords.keys()
        if (isinstance(ours, partial))
        else set()
    )
    for name in lengths:
        for change in (-1, 1):
            if ours.keywords[name] + change > 0:
                other = partial(ours, **{name: ours.keywords[name] + change})
                wrong = [other(step, LR) for step in range(steps)]
                assert not agree(wrong, theirs, 1e-4), (name, change)


CYCLES = [
    {"step_size_up": 4},
    {"step_size_up": 3, "step_size_down": 5},
    {"step_size_up": 5, "step_size_down": 2, "mode": "triangular2"},
    {"step_size_up": 4, "mode": "exp_range", "gamma": 0.97},
    {"step_size_up": 1, "step_size_down": 1, "mode": "triangular2"},
]


@pytest.mark.parametrize("options", CYCLES)
def test_parity_with_cyclic_lr(options):
    """Would notice a triangle2 that halves every step, exp_range by cycle, or a down as long as up."""
    rates, momenta = followed(
        lambda optimizer: torchs.CyclicLR(
            optimizer, 0.1, 0.7, base_momentum=0.6, max_momentum=0.95, **options
        ),
        35,
    )
    assert agree([cyclic_lr(step, 0.1, 0.7, **options) for step in range(35)], rates)
    ours = [cyclic_momentum(step, 0.6, 0.95, **options) for step in range(35)]
    assert agree(ours, momenta)
    late = [cyclic_lr(step + 1, 0.1, 0.7, **options) for step in range(35)]
    assert not agree(late, rates, 1e-4)
    assert not agree(ours[1:] + ours[:1], momenta, 1e-4)


def test_the_momentum_defaults_of_the_cycle_are_torchs():
    _, momenta = followed(
        lambda optimizer: torchs.CyclicLR(optimizer, 0.1, 0.7, step_size_up=4), 12
    )
    ours = [cyclic_momentum(step, step_size_up=4) for step in range(12)]
    assert agree(ours, momenta)


ONE_CYCLES = [
    {"total_steps": 20},
    {"total_steps": 17, "pct_start": 0.25},
    {"total_steps": 20, "anneal_strategy": "linear"},
    {"total_steps": 23, "three_phase": True},
    {"total_steps": 23, "three_phase": True, "anneal_strategy": "linear"},
    {"total_steps": 10, "pct_start": 1.0},
    {"total_steps": 12, "pct_start": 0.5, "three_phase": True},
]
FACTORS = {"div_factor": 7.0, "final_div_factor": 90.0}
MOMENTA = {"base_momentum": 0.6, "max_momentum": 0.9}


@pytest.mark.parametrize("options", ONE_CYCLES)
@pytest.mark.parametrize(("factors", "momenta"), [({}, {}), (FACTORS, MOMENTA)])
def test_parity_with_one_cycle_lr(options, factors, momenta):
    """Would notice phases that end a step late (pct_start * total_steps without the -1)."""
    steps = options["total_steps"]
    rates, their_momenta = followed(
        lambda optimizer: torchs.OneCycleLR(
            optimizer, LR, **options, **factors, **momenta
        ),
        steps,
    )
    ours = [one_cycle_lr(step, LR, **options, **factors) for step in range(steps)]
    assert agree(ours, rates)
    momentum = partial(one_cycle_momentum, **options, **momenta)
    assert agree([momentum(step) for step in range(steps)], their_momenta)
    longer = options | {"total_steps": steps + 1}
    wrong = [one_cycle_lr(step, LR, **longer, **factors) for step in range(steps)]
    assert not agree(wrong, rates, 1e-4)
    wrong = [one_cycle_momentum(step, **longer, **momenta) for step in range(steps)]
    assert not agree(wrong, their_momenta, 1e-4)


def test_one_cycle_past_its_end():
    """The scheduler's step after the last update is allowed; torch's line runs below zero there."""
    rates, _ = followed(
        lambda optimizer: torchs.OneCycleLR(
            optimizer, LR, total_steps=20, anneal_strategy="linear"
        ),
        21,
    )
    assert rates[20] < 0
    ours = partial(one_cycle_lr, max_lr=LR, total_steps=20, anneal_strategy="linear")
    assert ours(20) == ours(19) == pytest.approx(LR / 25 / 1e4)
    with pytest.raises(ValueError, match="20 steps: got step 21"):
        ours(21)
    with pytest.raises(ValueError, match="20 steps: got step 21"):
        one_cycle_momentum(21, 20)


def test_the_cosine_stays_down_where_torchs_rises():
    theirs, _ = followed(partial(torchs.CosineAnnealingLR, T_max=5, eta_min=0.1), 11)
    ours = [cosine_annealing_lr(step, LR, 5, 0.1) for step in range(11)]
    assert agree(ours[:6], theirs[:6])
    assert set(ours[5:]) == {0.1}
    assert theirs[10] == pytest.approx(LR)


# ---------------------------------------------------------------------- the adapter


@pytest.mark.parametrize("case", CASES)
def test_a_schedule_drives_lambda_lr(case):
    make, ours, steps = CASES[case]
    theirs, _ = followed(make, steps)
    factor = to_lambda(ours, LR)
    adapted, _ = followed(lambda optimizer: torchs.LambdaLR(optimizer, factor), steps)
    assert agree(adapted, theirs)


@pytest.mark.parametrize(
    ("schedule", "options", "by_hand"),
    [
        (inverse_time_lr, {"decay_rate": 0.25}, lambda t: 1 / (1 + 0.25 * t)),
        (inverse_sqrt_lr, {}, lambda t: (t + 1) ** -0.5),
        (exponential_lr, {"gamma": math.exp(-0.2)}, lambda t: math.exp(-0.2 * t)),
        (warmup_lr, {"total_iters": 4}, lambda t: min(t, 4) / 4),
    ],
)
def test_what_torch_has_no_class_for(schedule, options, by_hand):
    """Against LambdaLR of the formula; the recursive readings are far off."""
    theirs, _ = followed(lambda optimizer: torchs.LambdaLR(optimizer, by_hand), 12)
    ours = [schedule(step, LR, **options) for step in range(12)]
    assert agree(ours, theirs)
    assert not agree(ours[1:], theirs[:-1], 1e-4)
    recursive = [LR]
    for step in range(1, 12):
        recursive.append(recursive[-1] * schedule(step, 1.0, **options))
    assert not agree(recursive, theirs, 1e-3)


def test_groups_of_different_rates_get_a_lambda_each():
    first, second = torch.zeros(1), torch.zeros(1)
    groups = [{"params": [first], "lr": 0.1}, {"params": [second], "lr": 0.02}]
    schedule = partial(to_lambda, cosine_annealing_lr, T_max=4, eta_min=0.01)
    results = []
    for make in (
        lambda o: torchs.LambdaLR(o, [schedule(0.1), schedule(0.02)]),
        lambda o: torchs.CosineAnnealingLR(o, 4, 0.01),
    ):
        optimizer = torch.optim.SGD([dict(group) for group in groups])
        scheduler = make(optimizer)
        rates = []
        for _ in range(4):
            optimizer.step()
            scheduler.step()
            rates += scheduler.get_last_lr()
        results.append(rates)
    assert agree(*results)


def test_a_rate_of_zero_has_no_factor():
    with pytest.raises(ValueError, match="lr must be positive: got 0"):
        to_lambda(step_lr, 0.0, step_size=2)


# ---------------------------------------------------------------------- identities and tensors


def test_warm_up_and_inverse_root_are_the_transformers_schedule():
    width, warmup = 512, 40
    peak = width**-0.5 * warmup**-0.5
    ours = partial(
        warmup_lr,
        lr=peak,
        total_iters=warmup,
        schedule=partial(inverse_sqrt_lr, timescale=warmup),
    )
    for step in range(1, 200):
        published = width**-0.5 * min(step**-0.5, step * warmup**-1.5)
        assert ours(step) == pytest.approx(published, rel=1e-12)


@pytest.mark.parametrize("decay", ["linear", "sqrt", "cosine"])
def test_warmup_stable_decay_by_hand(decay):
    left = {"linear": 0.75, "sqrt": 0.5, "cosine": (1 + math.cos(math.pi / 4)) / 2}
    rate = partial(
        warmup_stable_decay_lr,
        lr=1.0,
        total_steps=20,
        warmup_steps=5,
        decay_steps=8,
        decay=decay,
        min_lr=0.2,
    )
    assert [rate(step) for step in (0, 1, 4)] == pytest.approx([0, 0.2, 0.8])
    assert [rate(step) for step in (5, 9, 12)] == pytest.approx([1, 1, 1])
    assert rate(14) == pytest.approx(0.2 + 0.8 * left[decay])
    assert rate(13) < 1
    assert rate(19) > 0.2
    assert [rate(step) for step in (20, 21, 99)] == pytest.approx([0.2] * 3)


def test_warmup_stable_decay_without_warmup_is_a_straight_line():
    for step in range(12):
        ours = warmup_stable_decay_lr(step, LR, 10, 0, 10)
        assert ours == pytest.approx(polynomial_lr(step, LR, 10))


def test_restarts_are_found_where_a_logarithm_would_miss_them():
    """log(243) / log(3) is below 5 in floating point: step 121 is a restart nevertheless."""
    assert int(math.log(243, 3)) == 4
    assert cosine_annealing_warm_restarts(121, 1.0, 1, 3) == 1.0
    assert cosine_annealing_warm_restarts(10**9, 1.0, 10) == 1.0


@pytest.mark.parametrize(
    "schedule",
    [
        partial(constant_lr),
        partial(step_lr, step_size=2),
        partial(multi_step_lr, milestones=[1, 3]),
        partial(exponential_lr, gamma=0.9),
        partial(polynomial_lr, total_iters=9),
        partial(inverse_time_lr, decay_rate=0.1),
        partial(inverse_sqrt_lr),
        partial(linear_lr),
        partial(cosine_annealing_lr, T_max=9, eta_min=0.01),
        partial(cosine_annealing_warm_restarts, T_0=3, T_mult=2),
        partial(cyclic_lr, max_lr=2.0, step_size_up=3),
        partial(one_cycle_lr, total_steps=10),
        partial(warmup_lr, total_iters=4),
        partial(warmup_stable_decay_lr, total_steps=9, warmup_steps=2, decay_steps=3),
    ],
    ids=lambda schedule: schedule.func.__name__,
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_many_rates_at_once(schedule, dtype):
    rates = torch.tensor([[0.5], [0.1], [0.02]], dtype=dtype)
    for step in range(10):
        ours = schedule(step, rates)
        alone = [[schedule(step, rate.item())] for rate in rates]
        torch.testing.assert_close(ours, torch.tensor(alone, dtype=dtype))
    with pytest.raises(ValueError, match="step counts updates from 0: got -1"):
        schedule(-1, rates)
    with pytest.raises(ValueError, match="step counts updates from 0: got nan"):
        schedule(math.nan, 0.1)
    for bad in (-0.1, math.nan, -rates):
        with pytest.raises(ValueError, match="rate must be at least 0: got"):
            schedule(1, bad)


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: constant_lr(0, 1.0, factor=2.0), r"factor must be in \[0, 1\]: got 2"),
        (lambda: constant_lr(0, 1.0, total_iters=-1), "total_iters must be at least 0"),
        (lambda: step_lr(0, 1.0, 0), "step_size must be at least 1: got 0"),
        (lambda: step_lr(0, 1.0, 2, gamma=-1.0), "gamma must be at least 0: got -1"),
        (lambda: multi_step_lr(0, 1.0, [3, 2]), r"not fall: got \[3, 2\]"),
        (lambda: multi_step_lr(0, 1.0, [3], -1.0), "gamma must be at least 0"),
        (lambda: exponential_lr(0, 1.0, -0.1), "gamma must be at least 0: got -0.1"),
        (lambda: polynomial_lr(0, 1.0, 0), "total_iters must be at least 1: got 0"),
        (lambda: polynomial_lr(0, 1.0, 5, 0.0), "power must be positive: got 0"),
        (lambda: inverse_time_lr(0, 1.0, -0.5), "decay_rate must be at least 0"),
        (lambda: inverse_sqrt_lr(0, 1.0, 0.0), "timescale must be positive: got 0"),
        (lambda: linear_lr(0, 1.0, 1.5), r"start_factor must be in \[0, 1\]: got 1.5"),
        (lambda: linear_lr(0, 1.0, 0.5, -0.1), r"end_factor must be in \[0, 1\]"),
        (lambda: linear_lr(0, 1.0, total_iters=0), "total_iters must be at least 1"),
        (lambda: cosine_annealing_lr(0, 1.0, 0), "T_max must be at least 1: got 0"),
        (lambda: cosine_annealing_lr(0, 1.0, 5, -1.0), "eta_min must be at least 0"),
        (lambda: cosine_annealing_warm_restarts(0, 1.0, 0), "T_0 must be at least 1"),
        (
            lambda: cosine_annealing_warm_restarts(0, 1.0, 2, 0),
            "T_mult must be at least 1: got 0",
        ),
        (
            lambda: cosine_annealing_warm_restarts(0, 1.0, 2, eta_min=-1.0),
            "eta_min must be at least 0",
        ),
        (
            lambda: cyclic_lr(0, 1.0, 0.5),
            "max_lr must be at least base_lr: got 0.5 < 1",
        ),
        (lambda: cyclic_lr(0, 1.0, 2.0, 0), "step_size_up must be at least 1: got 0"),
        (lambda: cyclic_lr(0, 1.0, 2.0, 2, 0), "step_size_down must be at least 1"),
        (
            lambda: cyclic_lr(0, 1.0, 2.0, mode="saw"),
            "triangular2, exp_range: got 'saw'",
        ),
        (lambda: cyclic_lr(0, 1.0, 2.0, gamma=0.0), "gamma must be positive: got 0"),
        (
            lambda: cyclic_momentum(0, 0.9, 0.8),
            "momenta must satisfy .* got 0.9 and 0.8",
        ),
        (lambda: cyclic_momentum(0, 0.9, 1.0), "momenta must satisfy .* got 0.9 and 1"),
        (lambda: cyclic_momentum(-1), "step counts updates from 0: got -1"),
        (
            lambda: one_cycle_lr(0, 1.0, 3),
            "in turn: got 0.3 of 3",
        ),
        (lambda: one_cycle_lr(0, 1.0, 10, 0.0), "the way up more than one step"),
        (lambda: one_cycle_lr(0, 1.0, 10, 1.5), "the way up more than one step"),
        (
            lambda: one_cycle_lr(0, 1.0, 20, 0.6, three_phase=True),
            "the way up more than one step",
        ),
        (
            lambda: one_cycle_lr(0, 1.0, 20, div_factor=0.0),
            "div_factor must be positive",
        ),
        (
            lambda: one_cycle_lr(0, 1.0, 20, final_div_factor=-1.0),
            "final_div_factor must be positive: got -1",
        ),
        (
            lambda: one_cycle_lr(0, 1.0, 20, anneal_strategy="cosine"),
            "must be one of cos, linear: got 'cosine'",
        ),
        (
            lambda: one_cycle_momentum(0, 20, base_momentum=0.99),
            "momenta must satisfy .* got 0.99 and 0.95",
        ),
        (
            lambda: sequential_lr(0, 1.0, [linear_lr], [3]),
            "one fewer than schedules: got 1 and 1",
        ),
        (lambda: sequential_lr(0, 1.0, [linear_lr] * 3, [3, 1]), r"got \[3, 1\]"),
        (lambda: warmup_lr(0, 1.0, 0), "total_iters must be at least 1: got 0"),
        (lambda: warmup_lr(0, 1.0, 5, linear_lr, 2.0), "start_factor must be in"),
        (
            lambda: warmup_stable_decay_lr(0, 1.0, 10, 6, 5),
            r"not exceed total_steps: got 6 \+ 5 > 10",
        ),
        (
            lambda: warmup_stable_decay_lr(0, 1.0, 10, 2, 5, "square"),
            "decay must be one of linear, sqrt, cosine: got 'square'",
        ),
        (
            lambda: warmup_stable_decay_lr(0, 1.0, 10, 2, 0),
            "decay_steps must be at least 1: got 0",
        ),
        (
            lambda: warmup_stable_decay_lr(0, 1.0, 10, -1, 2),
            "warmup_steps must be at least 0: got -1",
        ),
        (
            lambda: warmup_stable_decay_lr(0, 1.0, 10, 1, 2, min_lr=-1.0),
            "min_lr must be at least 0: got -1",
        ),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---------------------------------------------------------------------- the plateau


def losses(steps=120, seed=0, shift=0.0):
    """Falls, stalls, is noisy, and has values exactly on and next to the thresholds."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(steps, generator=generator, dtype=torch.float64)
    values = [
        3 * 0.97 ** (step // 4) + 0.2 * noise[step].item() for step in range(steps)
    ]
    values[20:30] = [values[19]] * 10
    values[40:44] = [values[39] * (1 - 1e-2), values[39] * (1 - 1e-4), math.nan, 0.9]
    return [value + shift for value in values]


PLATEAUS = [
    {},
    {"patience": 0},
    {"patience": 3, "factor": 0.5},
    {"patience": 3, "threshold": 0.05},
    {"patience": 3, "threshold": 0.05, "threshold_mode": "abs"},
    {"patience": 2, "cooldown": 5, "factor": 0.7},
    {"patience": 2, "cooldown": 1, "factor": 0.7},
    {"patience": 1, "factor": 0.3, "min_lr": 0.01},
    {"patience": 1, "factor": 0.5, "eps": 0.02},
]


def plateau_followed(values, **options):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=LR)
    scheduler = torchs.ReduceLROnPlateau(optimizer, **options)
    rates = []
    for value in values:
        scheduler.step(value)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates, scheduler


@pytest.mark.parametrize("options", PLATEAUS)
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("shift", [0.0, -5.0])
def test_parity_with_reduce_lr_on_plateau(options, mode, shift):
    """At every step, rates and counters; with negative metrics too, which pass a relative threshold."""
    for seed in range(3):
        values = losses(seed=seed, shift=shift)
        if mode == "max":
            values = [-value for value in values]
        theirs, scheduler = plateau_followed(values, mode=mode, **options)
        plateau = Plateau(LR, mode=mode, **options)
        assert [plateau.step(value) for value in values] == theirs
        for name in ("best", "num_bad_epochs", "cooldown_counter"):
            assert getattr(plateau, name) == getattr(scheduler, name), name


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("patience", 3, 2),
        ("patience", 3, 4),
        ("cooldown", 5, 4),
        ("cooldown", 5, 0),
        ("threshold", 0.05, 0.0),
        ("threshold_mode", "abs", "rel"),
        ("min_lr", 0.05, 0.0),
        ("factor", 0.5, 0.4),
        ("eps", 0.1, 0.0),
    ],
)
def test_the_comparison_notices_each_of_the_plateaus_options(name, one, other):
    options = {"patience": 2, "factor": 0.7, "threshold": 0.02} | {name: one}
    theirs, _ = plateau_followed(losses(), **options)
    right, wrong = Plateau(LR, **options), Plateau(LR, **options | {name: other})
    assert [right.step(value) for value in losses()] == theirs
    assert [wrong.step(value) for value in losses()] != theirs


def test_patience_by_hand():
    plateau = Plateau(1.0, factor=0.5, patience=2)
    rates = [plateau.step(torch.tensor(1.0)) for _ in range(7)]
    assert rates == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]


def test_a_negative_best_passes_a_relative_threshold_without_improving():
    relative = Plateau(1.0, patience=1)
    absolute = Plateau(1.0, patience=1, threshold_mode="abs")
    assert [relative.step(-1.0) for _ in range(9)][-1] == 1
    assert [absolute.step(-1.0) for _ in range(9)][-1] == pytest.approx(1e-4)


def test_the_plateau_goes_on_from_its_state():
    values = losses()
    whole, first = (
        Plateau(LR, patience=2, cooldown=2),
        Plateau(LR, patience=2, cooldown=2),
    )
    expected = [whole.step(value) for value in values]
    for value in values[:50]:
        first.step(value)
    second = Plateau(9.0)
    second.load_state_dict(first.state_dict())
    assert [second.step(value) for value in values[50:]] == expected[50:]
    with pytest.raises(ValueError, match=r"must have the keys .* got \['lr'\]"):
        second.load_state_dict({"lr": 1.0})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1.0}, "lr must be at least 0: got -1"),
        ({"mode": "least"}, "mode must be one of min, max: got 'least'"),
        ({"threshold_mode": "share"}, "one of rel, abs: got 'share'"),
        ({"factor": 1.0}, r"factor must be in \(0, 1\), to lower the rate: got 1"),
        ({"factor": 0.0}, r"factor must be in \(0, 1\)"),
        ({"patience": -1}, "patience must be at least 0: got -1"),
        ({"threshold": -1.0}, "threshold must be at least 0: got -1"),
        ({"threshold": 1.0}, "a relative threshold is a share below 1: got 1"),
        ({"cooldown": -1}, "cooldown must be at least 0: got -1"),
        ({"min_lr": -1.0}, "min_lr must be at least 0: got -1"),
        ({"eps": -1.0}, "eps must be at least 0: got -1"),
    ],
)
def test_what_the_plateau_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        Plateau(**{"lr": 1.0} | options)
