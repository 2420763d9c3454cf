"""Lion, LARS, LAMB, Adafactor, Muon, schedule-free AdamW: torch's where it has one, else a slow loop; limits.

Adafactor and Muon: 30 steps, three groups with rates and decays of their own, float64 to 1e-10, and the
nearest wrong variants, which must miss by 1e-5. For the others the reference is the paper's algorithm over
plain numbers, written with lists, and shares no line with ours.
"""

import copy
import functools
import inspect
import math

import pytest
import torch

from dlkb.optimizers import (
    LAMB,
    LARS,
    SGD,
    Adafactor,
    AdamW,
    Lion,
    Muon,
    ScheduleFreeAdamW,
    UpdateState,
    adafactor_update,
    lamb_update,
    lars_update,
    lion_update,
    muon_scale,
    muon_update,
    orthogonalize,
    per_tensor,
    schedule_free_average,
    schedule_free_update,
    sgd_update,
    trust_ratio,
)
from dlkb.optimizers.layerwise import tensor_norm, tensor_rms

STEPS = 30
MATRICES = [(4, 3), (3, 7), (6, 2)]
SHAPES = [(4, 3), (5,), (), (2, 3, 4, 2)]


def draw(shape, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def gradient(shape, index, step):
    """Loud, then quiet, then loud again."""
    return (0.02 if 8 <= step < 20 else 2.0) * draw(shape, 1000 + 50 * step + index)


def run(kind, shapes, lr, weight_decay, **settings):
    """Parameters after each step; groups have rates and decays of their own; the rate is halved half-way."""
    params = [torch.nn.Parameter(draw(shape, i)) for i, shape in enumerate(shapes)]
    groups = [
        {"params": params[:1]},
        {"params": params[1:2], "lr": 0.3 * lr, "weight_decay": 3 * weight_decay},
        {"params": params[2:]},
    ]
    optimizer = kind(groups, lr=lr, weight_decay=weight_decay, **settings)
    path = []
    for step in range(STEPS):
        for index, param in enumerate(params):
            param.grad = gradient(param.shape, index, step)
            if index == 1 and step % 5 == 2:
                param.grad = None  # skipped: its step must not count
        optimizer.step()
        path.append([param.detach().clone() for param in params])
        if step == STEPS // 2:
            for group in optimizer.param_groups:
                group["lr"] *= 0.5
    return path, optimizer


def distance(path, other):
    return max(
        (a - b).abs().max().item()
        for params, others in zip(path, other, strict=True)
        for a, b in zip(params, others, strict=True)
    )


def torchs(name):
    if not hasattr(torch.optim, name):
        pytest.skip(f"this torch has no {name}")
    return getattr(torch.optim, name)


def assert_states_equal(optimizer, theirs):
    mine, yours = optimizer.state_dict(), theirs.state_dict()
    assert mine["state"].keys() == yours["state"].keys()
    for index, state in yours["state"].items():
        assert mine["state"][index].keys() == state.keys()
        for name, value in state.items():
            torch.testing.assert_close(
                mine["state"][index][name], value, rtol=0, atol=1e-10
            )


# ----------------------------------------------------------------------------------------------- Adafactor

ADAFACTOR = [
    {"lr": 0.05},
    {"lr": 0.5, "beta2_decay": -0.5, "eps": (1e-3, 0.1), "d": 1.5},
    {"lr": 2.0, "eps": (0.3, 1e-3)},
]


@pytest.mark.parametrize("settings", ADAFACTOR)
def test_adafactor_equals_torch(settings):
    theirs = functools.partial(torchs("Adafactor"), foreach=False)
    options = {"shapes": SHAPES, "weight_decay": 0.1, **settings}
    expected, other = run(theirs, **options)
    path, optimizer = run(Adafactor, **options)
    assert distance(path, expected) < 1e-10
    assert distance(path, [path[0]] * STEPS) > 0.1  # they do move
    assert_states_equal(optimizer, other)


class WrongAdafactor(Adafactor):
    """One thing is otherwise."""

    def __init__(self, params, *, wrong, **settings):
        self.wrong = wrong
        super().__init__(params, **settings)

    def update(self, param, grad, state, group):
        if self.wrong == "size after the decay":
            param.mul_(1 - group["lr"] * group["weight_decay"])
            group = group | {"weight_decay": 0.0}
        if self.wrong == "coupled decay":
            grad = grad + group["weight_decay"] * param
            group = group | {"weight_decay": 0.0}
        if self.wrong == "rate not bounded by 1 / sqrt(t)":
            bound = min(group["lr"], (int(state["step"]) + 1) ** -0.5)
            before, lr = param.clone(), group["lr"]
            super().update(param, grad, state, group)
            kept = before * (1 - lr * group["weight_decay"])
            param.copy_(kept + (param - kept) * lr / bound)
            return
        if self.wrong == "never clipped":
            group = group | {"d": 1e9}
        if self.wrong == "not factored" and param.dim() > 1:
            full = state.setdefault("full", torch.zeros_like(param).flatten())
            inner = {"step": state["step"], "variance": full}
            flat = param.flatten()
            super().update(flat, grad.flatten(), inner, group)
            param.copy_(flat.view_as(param))
            return
        super().update(param, grad, state, group)


@pytest.mark.parametrize(
    "wrong",
    [
        "size after the decay",
        "coupled decay",
        "rate not bounded by 1 / sqrt(t)",
        "never clipped",
        "not factored",
    ],
)
def test_the_nearest_wrong_adafactor_is_told_from_torchs(wrong):
    theirs = functools.partial(torchs("Adafactor"), foreach=False)
    options = {"shapes": SHAPES, "weight_decay": 0.1, "lr": 0.5}
    kind = functools.partial(WrongAdafactor, wrong=wrong)
    assert distance(run(kind, **options)[0], run(theirs, **options)[0]) > 1e-5
    right = functools.partial(WrongAdafactor, wrong=None)
    assert distance(run(right, **options)[0], run(theirs, **options)[0]) < 1e-10


def test_adafactors_factors_are_exact_for_squares_of_rank_one():
    """V is then grad^2 itself, and the first move has size 1 everywhere."""
    grad = draw((4, 1), 0).sign() * torch.outer(draw(4, 1).exp(), draw(3, 2).exp())
    update = adafactor_update(0.5, d=1e9)
    moved = update(UpdateState(torch.ones(4, 3, dtype=torch.float64)), grad).param
    torch.testing.assert_close(moved, 1 - 0.5 * grad.sign())


def test_adafactor_keeps_a_row_and_a_column():
    param = torch.nn.Parameter(draw((40, 30), 0))
    optimizer = Adafactor([param])
    param.grad = draw((40, 30), 1)
    optimizer.step()
    held = {name: tuple(value.shape) for name, value in optimizer.state[param].items()}
    assert held == {"step": (), "row_var": (40, 1), "col_var": (1, 30)}


def test_adafactor_takes_an_empty_parameter_and_zero_gradients():
    params = [torch.nn.Parameter(torch.ones(s)) for s in [(0, 3), (3,), (2, 2), ()]]
    optimizer = Adafactor(params)
    for param in params:
        param.grad = torch.zeros_like(param)
    optimizer.step()
    for param in params:
        assert torch.equal(param.detach(), torch.ones_like(param))


# ---------------------------------------------------------------------------------------------------- Muon

MUON = [
    {"lr": 0.05},
    {"lr": 0.05, "nesterov": False, "momentum": 0.8},
    {"lr": 0.05, "adjust_lr_fn": "match_rms_adamw", "ns_steps": 3},
    {"lr": 0.05, "adjust_lr_fn": "spectral_unclamped"},
    {"lr": 0.05, "ns_coefficients": (2.0, -1.5, 0.5), "eps": 1.0},
]


@pytest.mark.parametrize("settings", MUON)
def test_muon_equals_torch(settings):
    kind, options = torchs("Muon"), {"shapes": MATRICES, "weight_decay": 0.1} | settings
    scale = settings.get("adjust_lr_fn")
    if scale is not None and scale not in inspect.getsource(kind.__init__):
        pytest.skip(f"this torch's Muon has no {scale}")
    expected, other = run(kind, **options)
    path, optimizer = run(Muon, **options)
    assert distance(path, expected) < 1e-10
    assert distance(path, [path[0]] * STEPS) > 0.1
    assert_states_equal(optimizer, other)


class WrongMuon(Muon):
    def __init__(self, params, *, wrong, **settings):
        self.wrong = wrong
        super().__init__(params, **settings)

    def update(self, param, grad, state, group):
        if self.wrong == "Nesterov's look-ahead left out":
            group = group | {"nesterov": False}
        if self.wrong == "coupled decay":
            grad = grad + group["weight_decay"] * param
            group = group | {"weight_decay": 0.0}
        if self.wrong == "scaled by sqrt(max(1, n / m))":
            m, n = param.shape
            ratio = (max(1, n / m) / max(1, m / n)) ** 0.5
            lr, decay = group["lr"] * ratio, group["weight_decay"] / ratio
            group = group | {"lr": lr, "weight_decay": decay}
        if self.wrong == "one step too few":
            group = group | {"ns_steps": 4}
        super().update(param, grad, state, group)


@pytest.mark.parametrize(
    "wrong",
    [
        "Nesterov's look-ahead left out",
        "coupled decay",
        "scaled by sqrt(max(1, n / m))",
        "one step too few",
    ],
)
def test_the_nearest_wrong_muon_is_told_from_torchs(wrong):
    options = {"shapes": MATRICES, "weight_decay": 0.1, "lr": 0.05}
    expected, _ = run(torchs("Muon"), **options)
    kind = functools.partial(WrongMuon, wrong=wrong)
    assert distance(run(kind, **options)[0], expected) > 1e-5
    right = functools.partial(WrongMuon, wrong=None)
    assert distance(run(right, **options)[0], expected) < 1e-10


@pytest.mark.parametrize("shape", [(8, 8), (5, 20), (20, 5)])
def test_orthogonalize_brings_singular_values_near_one_and_keeps_the_vectors(shape):
    """Fails for a missing factor, a Gram matrix of the wrong side, or no division by the norm."""
    matrix = 1e3 * draw(shape, 0)
    turned = orthogonalize(matrix, dtype=torch.float64)
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    found = u.mT @ turned @ vh.mT
    torch.testing.assert_close(found, torch.diag(found.diag()), rtol=0, atol=1e-9)
    a, b, c = 3.4445, -4.775, 2.0315
    expected = s / s.norm()
    for _ in range(5):
        expected = a * expected + b * expected**3 + c * expected**5
    torch.testing.assert_close(found.diag(), expected)
    large = s > 0.05 * s.norm()
    assert large.any()
    assert ((found.diag()[large] > 0.6) & (found.diag()[large] < 1.3)).all()


def test_orthogonalize_with_a_convergent_polynomial_is_u_times_v():
    matrix = draw((4, 6), 0)
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    coefficients = (15 / 8, -10 / 8, 3 / 8)
    turned = orthogonalize(matrix, coefficients, steps=30, dtype=torch.float64)
    torch.testing.assert_close(turned, u @ vh)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3)])
def test_orthogonalize_does_runs_one_by_one_and_takes_zeros(shape):
    stack = torch.stack([draw(shape, seed) for seed in range(3)] + [torch.zeros(shape)])
    together = orthogonalize(stack, dtype=torch.float64)
    for matrix, turned in zip(stack, together, strict=True):
        torch.testing.assert_close(orthogonalize(matrix, dtype=torch.float64), turned)
    assert torch.equal(together[-1], torch.zeros(shape, dtype=torch.float64))


def test_muon_scale_by_hand():
    assert muon_scale((2, 8)) == 1
    assert muon_scale((8, 2), "original") == 2
    assert muon_scale((2, 8), "spectral_unclamped") == 0.5
    assert muon_scale((4, 9), "match_rms_adamw") == pytest.approx(0.6)


def test_muon_refuses_all_but_matrices():
    for bad in [(3,), (2, 2, 2)]:
        with pytest.raises(ValueError, match=r"Muon moves matrices alone: got .*AdamW"):
            Muon([torch.nn.Parameter(torch.zeros(bad))])
        optimizer = Muon([torch.nn.Parameter(torch.zeros(2, 2))])
        with pytest.raises(ValueError, match="Muon moves matrices alone"):
            optimizer.add_param_group({"params": torch.nn.Parameter(torch.zeros(bad))})
        assert len(optimizer.param_groups) == 1


# --------------------------------------------------------------- the others, against loops over plain numbers


def slow(rule, shape, lr, weight_decay, remembered):
    """``rule(w, g, memory, t, lr)`` on flat lists of plain numbers, as ``run`` goes with one parameter."""
    w, memory = draw(shape, 0).flatten().tolist(), copy.deepcopy(remembered)
    path = []
    for t in range(1, STEPS + 1):
        g = gradient(shape, 0, t - 1).flatten().tolist()
        rate = lr if t - 1 <= STEPS // 2 else lr / 2
        w = rule(w, g, memory, t, rate, weight_decay)
        path.append([torch.tensor(w, dtype=torch.float64).view(shape)])
    return path


def first_of(path):
    return [params[:1] for params in path]


def slow_lion(w, g, memory, t, lr, decay):
    past = memory.setdefault("m", [0.0] * len(w))
    c = [0.8 * m + 0.2 * x for m, x in zip(past, g, strict=True)]
    memory["m"] = [0.95 * m + 0.05 * x for m, x in zip(past, g, strict=True)]
    return [
        a - lr * ((x > 0) - (x < 0)) - lr * decay * a for a, x in zip(w, c, strict=True)
    ]


def slow_lars(w, g, memory, t, lr, decay):
    past = memory.setdefault("v", [0.0] * len(w))
    size, slope = math.hypot(*w), math.hypot(*g)
    local = 0.02 * size / (slope + decay * size)
    memory["v"] = [
        0.9 * v + local * (x + decay * a) for v, x, a in zip(past, g, w, strict=True)
    ]
    return [a - lr * v for a, v in zip(w, memory["v"], strict=True)]


def slow_lamb(w, g, memory, t, lr, decay):
    m, v = (
        memory.setdefault("m", [0.0] * len(w)),
        memory.setdefault("v", [0.0] * len(w)),
    )
    for i, x in enumerate(g):
        m[i], v[i] = 0.9 * m[i] + 0.1 * x, 0.999 * v[i] + 0.001 * x * x
    r = [
        a / (1 - 0.9**t) / (math.sqrt(b / (1 - 0.999**t)) + 1e-6) + decay * c
        for a, b, c in zip(m, v, w, strict=True)
    ]
    ratio = math.hypot(*w) / math.hypot(*r)
    return [a - lr * ratio * x for a, x in zip(w, r, strict=True)]


def slow_schedule_free(w, g, memory, t, lr, decay):
    """Keeps x itself."""
    x, z = memory.setdefault("x", list(w)), memory.setdefault("z", list(w))
    v = memory.setdefault("v", [0.0] * len(w))
    rate = lr * min(1, t / 4)
    memory["total"] = memory.get("total", 0.0) + rate**2
    y = []
    for i, a in enumerate(g):
        v[i] = 0.99 * v[i] + 0.01 * a * a
        step = a / (math.sqrt(v[i] / (1 - 0.99**t)) + 1e-8) + decay * w[i]
        z[i] -= rate * step
        share = rate**2 / memory["total"]
        x[i] = (1 - share) * x[i] + share * z[i]
        y.append(0.2 * z[i] + 0.8 * x[i])
    return y


SLOW = {
    "lion": (slow_lion, Lion, {"betas": (0.8, 0.95)}),
    "lars": (slow_lars, LARS, {"trust_coefficient": 0.02}),
    "lamb": (slow_lamb, LAMB, {}),
    "schedule free": (
        slow_schedule_free,
        ScheduleFreeAdamW,
        {"betas": (0.8, 0.99), "warmup_steps": 4},
    ),
}


@pytest.mark.parametrize("case", SLOW)
def test_equal_to_a_slow_loop_over_plain_numbers(case):
    """Fails for swapped betas, a ratio of other norms, decay outside it, shares that ignore warm-up."""
    rule, kind, settings = SLOW[case]
    path, _ = run(kind, SHAPES, lr=0.05, weight_decay=0.1, **settings)
    expected = slow(rule, SHAPES[0], 0.05, 0.1, {})
    assert distance(first_of(path), expected) < 1e-10
    assert distance(first_of(path), [path[0][:1]] * STEPS) > 0.01


WRONG = {
    "lion": {"betas": (0.95, 0.8)},
    "lars": {"trust_coefficient": None},
    "lamb": {"trust": False},
    "schedule free": {"betas": (0.8, 0.99), "warmup_steps": 5},
}


@pytest.mark.parametrize("case", SLOW)
def test_the_slow_loop_is_told_from_another_setting(case):
    rule, kind, settings = SLOW[case]
    path, _ = run(kind, SHAPES, lr=0.05, weight_decay=0.1, **(settings | WRONG[case]))
    assert distance(first_of(path), slow(rule, SHAPES[0], 0.05, 0.1, {})) > 1e-5


# -------------------------------------------------------------------------------------------------- limits


def test_lars_without_trust_is_sgd_with_momentum():
    ours, _ = run(LARS, SHAPES, 0.05, 0.1, momentum=0.9, trust_coefficient=None)
    assert distance(ours, run(SGD, SHAPES, 0.05, 0.1, momentum=0.9)[0]) < 1e-10


def test_lamb_without_trust_is_adamw():
    ours, _ = run(LAMB, SHAPES, 0.05, 0.1, eps=1e-8, trust=False)
    assert distance(ours, run(AdamW, SHAPES, 0.05, 0.1)[0]) < 1e-10


def test_lars_and_lamb_do_not_see_the_gradients_scale_and_move_in_units_of_the_weights():
    grad, weight = draw((4, 3), 0), draw((4, 3), 1)
    for update in (lars_update(0.1, trust_coefficient=0.3), lamb_update(0.03, eps=0)):
        once = update(UpdateState(weight), grad).param
        torch.testing.assert_close(update(UpdateState(weight), 1e4 * grad).param, once)
        torch.testing.assert_close(
            update(UpdateState(5 * weight), grad).param, 5 * once
        )
        torch.testing.assert_close((once - weight).norm(), 0.03 * weight.norm())


def test_zeros_leave_zero_with_a_trust_ratio_of_one():
    for kind in (LARS, LAMB):
        w = torch.nn.Parameter(torch.zeros(3))
        optimizer = kind([w], lr=0.5, weight_decay=0.1)
        w.grad = torch.ones(3)
        optimizer.step()
        torch.testing.assert_close(w.detach(), torch.full((3,), -0.5))
        w.grad = torch.zeros(3)
        optimizer.step()
        assert w.isfinite().all()
    assert torch.equal(trust_ratio(torch.zeros(1), torch.zeros(1)), torch.ones(1))


def test_lions_step_has_one_length():
    path, _ = run(Lion, SHAPES[:1], 0.05, 0.0)
    moves = torch.stack([p[0] for p in path]).diff(dim=0)[: STEPS // 2 - 1]
    torch.testing.assert_close(moves.abs(), torch.full_like(moves, 0.05))
    stays = lion_update(0.5)(UpdateState(torch.ones(2)), torch.zeros(2))
    assert torch.equal(stays.param, torch.ones(2))


def test_schedule_frees_average_is_the_running_mean():
    """For a constant rate; whatever beta1, which decides where gradients are taken."""
    for beta1 in (0.5, 0.9):
        update = schedule_free_update(0.05, (beta1, 0.99), weight_decay=0.1)
        state, points = UpdateState(draw((4, 3), 0)), []
        for step in range(STEPS):
            state = update(state, gradient((4, 3), 0, step))
            points.append(state.first)
            average = schedule_free_average(state, beta1)
            torch.testing.assert_close(average, torch.stack(points).mean(0))


def test_schedule_free_switches_between_y_and_x():
    w = torch.nn.Parameter(draw((3,), 0))
    unused = torch.nn.Parameter(draw((2,), 1))
    optimizer = ScheduleFreeAdamW([w, unused], lr=0.1)
    optimizer.eval()
    optimizer.train()  # before the first step, nothing to switch
    points = []
    for step in range(5):
        w.grad = draw((3,), 10 + step)
        optimizer.step()
        points.append(optimizer.state[w]["z"].clone())
    y, kept = w.detach().clone(), unused.detach().clone()
    optimizer.eval()
    optimizer.eval()
    x = torch.stack(points).mean(0)
    torch.testing.assert_close(w.detach(), x)
    assert (x - y).abs().max() > 1e-3
    with pytest.raises(RuntimeError, match=r"average x since eval\(\): call train\(\)"):
        optimizer.step()
    again = torch.nn.Parameter(w.detach().clone()), torch.nn.Parameter(kept)
    other = ScheduleFreeAdamW(again)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for each, param in ((optimizer, w), (other, again[0])):
        each.train()
        each.train()
        torch.testing.assert_close(param.detach(), y)
        param.grad = draw((3,), 20)
        each.step()
    assert torch.equal(w, again[0])
    assert torch.equal(unused, kept)


def test_schedule_free_with_rate_zero_stays():
    w = torch.nn.Parameter(torch.ones(2))
    optimizer = ScheduleFreeAdamW([w], lr=0.0)
    w.grad = torch.ones(2)
    optimizer.step()
    assert torch.equal(w.detach(), torch.ones(2))


# ------------------------------------------------------------------------------------ many runs, flat vectors

RULES = {
    "lion": lambda lr, dims: lion_update(lr),
    "lars": lambda lr, dims: lars_update(lr, dims, weight_decay=0.1),
    "lamb": lambda lr, dims: lamb_update(lr, dims, weight_decay=0.1),
    "adafactor": lambda lr, dims: adafactor_update(lr, dims, weight_decay=0.1),
    "schedule free": lambda lr, dims: schedule_free_update(lr),
    "muon": lambda lr, dims: (
        muon_update(lr, dtype=torch.float64) if dims == 2 else sgd_update(lr)
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_many_runs_at_once_are_what_each_is_alone(name):
    """Fails for norms or means over the runs too, or tensors cut at the wrong place."""
    shapes, rates = [(4, 3), (3,), (), (2, 3, 2)], [0.01, 0.1]
    size = sum(math.prod(shape) for shape in shapes)
    flat = per_tensor(RULES[name], shapes)
    rate = torch.tensor(rates, dtype=torch.float64)[:, None]
    together = UpdateState(draw((2, size), 0))
    for step in range(5):
        together = flat(rate)(together, draw((2, size), 1 + step))
    for run_, lr in enumerate(rates):
        start = draw((2, size), 0)[run_]
        sizes = [math.prod(shape) for shape in shapes]
        cut = lambda x: [
            p.view(s)
            for p, s in zip(x.split(sizes), shapes, strict=True)  # noqa: B023
        ]
        states = [UpdateState(piece) for piece in cut(start)]
        for step in range(5):
            grads = cut(draw((2, size), 1 + step)[run_])
            states = [
                RULES[name](lr, s.param.dim())(s, g)
                for s, g in zip(states, grads, strict=True)
            ]
        alone = torch.cat([state.param.flatten() for state in states])
        torch.testing.assert_close(together.param[run_], alone)


def test_shapes_that_do_not_fill_the_parameter_are_refused():
    flat = per_tensor(lambda lr, dims: sgd_update(lr), [(2, 2), (3,)])
    with pytest.raises(ValueError, match=r"must fill the flat parameter of 8 .*got 7"):
        flat(0.1)(UpdateState(torch.zeros(1, 8)), torch.zeros(1, 8))


def test_norms_by_hand():
    x = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    assert tensor_norm(x).tolist() == [[5.0]]
    assert tensor_norm(x, 1).tolist() == [[5.0], [0.0]]
    assert tensor_norm(-x, 0).tolist() == x.tolist()
    assert tensor_rms(x).tolist() == [[2.5]]


# ------------------------------------------------------------------------------------------- settings, dtypes

KINDS = [Lion, LARS, LAMB, Adafactor, Muon, ScheduleFreeAdamW]
BAD = [
    (Lion, {"betas": (1.0, 0.9)}, r"betas must be two numbers in \[0, 1\)"),
    (LARS, {"momentum": -1}, "momentum must be finite and at least 0: got -1"),
    (LARS, {"trust_coefficient": -1}, "trust_coefficient must be finite and at least"),
    (LAMB, {"betas": (0.9, 1.0)}, r"betas must be two numbers in \[0, 1\)"),
    (LAMB, {"eps": -1}, "eps must be finite and at least 0: got -1"),
    (Adafactor, {"beta2_decay": 0.1}, "beta2_decay .* must be at most 0: got 0.1"),
    (Adafactor, {"d": 0.5}, "d, .* must be at least 1: got 0.5"),
    (Adafactor, {"eps": (-1.0, 1e-3)}, "eps1 must be finite and at least 0: got -1"),
    (Adafactor, {"eps": (None, -1.0)}, "eps2 must be finite and at least 0: got -1"),
    (Muon, {"momentum": -1}, "momentum must be finite and at least 0: got -1"),
    (Muon, {"eps": -1}, "eps must be finite and at least 0: got -1"),
    (Muon, {"ns_steps": 100}, "ns_steps must be a whole number from 1 to 99: got 100"),
    (Muon, {"ns_coefficients": (1.0, 2.0)}, "ns_coefficients must be three numbers"),
    (Muon, {"adjust_lr_fn": "none"}, "adjust_lr_fn must be None or one of original"),
    (ScheduleFreeAdamW, {"betas": (0.0, 0.9)}, "beta1 must be above 0, since x is"),
    (ScheduleFreeAdamW, {"warmup_steps": -1}, "warmup_steps must be finite and at le"),
    (ScheduleFreeAdamW, {"eps": -1}, "eps must be finite and at least 0: got -1"),
    *((kind, {"lr": -1}, "lr must be finite and at least 0: got -1") for kind in KINDS),
    *(
        (kind, {"weight_decay": -1}, "weight_decay must be finite and")
        for kind in KINDS
    ),
]


@pytest.mark.parametrize(("kind", "settings", "message"), BAD)
def test_settings_out_of_range_are_refused(kind, settings, message):
    with pytest.raises(ValueError, match=message):
        kind([torch.nn.Parameter(torch.ones(2, 2))], **({"lr": 0.1} | settings))


def test_eps_of_adafactor_is_a_pair():
    with pytest.raises(TypeError, match=r"eps must be a pair \(eps1, eps2\): got 0.1"):
        Adafactor([torch.nn.Parameter(torch.ones(2))], eps=0.1)


def trained(kind, params, steps, start=0, **settings):
    optimizer = kind(params, lr=0.05, **settings)
    for step in range(start, start + steps):
        for index, param in enumerate(params):
            param.grad = draw(param.shape, 100 + 10 * step + index, param.dtype)
        optimizer.step()
    return optimizer


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_dtype_is_kept_and_numbers_stay_finite(kind, dtype):
    param = torch.nn.Parameter(draw((4, 3), 0, dtype))
    optimizer = trained(kind, [param], 5)
    assert param.dtype == dtype
    assert param.isfinite().all()
    for name, value in optimizer.state[param].items():
        if name not in ("step", "weight_sum"):
            assert value.dtype == dtype, name


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_state_goes_on_where_it_stopped(kind):
    through = [torch.nn.Parameter(draw((3, 2), 0))]
    optimizer = trained(kind, through, 4)
    stopped = [torch.nn.Parameter(through[0].detach().clone())]
    again = kind(stopped, lr=1.0)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for each, params in ((optimizer, through), (again, stopped)):
        params[0].grad = draw((3, 2), 7)
        each.step()
    assert torch.equal(through[0], stopped[0])
    fresh = torch.nn.Parameter(draw((3, 2), 0))
    with pytest.raises(ValueError, match="another optimizer"):
        kind([fresh], lr=1.0).load_state_dict(
            {
                "state": {0: {"unknown": torch.zeros(3, 2)}},
                "param_groups": copy.deepcopy(optimizer.state_dict()["param_groups"]),
            }
        )


@pytest.mark.parametrize("kind", [k for k in KINDS if k is not Muon])
def test_ascending_is_descending_the_negative(kind):
    params = [torch.nn.Parameter(draw((3, 2), 0)) for _ in range(2)]
    up = kind(params[:1], lr=0.1, maximize=True)
    down = kind(params[1:], lr=0.1)
    for step in range(3):
        params[0].grad = draw((3, 2), step)
        params[1].grad = -params[0].grad
        up.step()
        down.step()
    assert torch.equal(*params)


@pytest.mark.parametrize("kind", [Adafactor, Muon])
def test_arguments_and_saved_states_are_torchs(kind):
    theirs = torchs(kind.__name__)
    wanted = dict(inspect.signature(theirs).parameters)
    wanted.pop("foreach", None)
    ours = dict(inspect.signature(kind).parameters)
    ours.pop("implementation", None)
    assert list(ours) == list(wanted)
    for name, value in ours.items():
        assert value.default == wanted[name].default, name
        assert value.kind == wanted[name].kind, name
    params = [torch.nn.Parameter(draw((3, 2), 0))]
    saved = trained(theirs, params, 4)
    copied = [torch.nn.Parameter(params[0].detach().clone())]
    other = kind(copied)
    other.load_state_dict(copy.deepcopy(saved.state_dict()))
    for each, (param,) in ((saved, params), (other, copied)):
        param.grad = draw((3, 2), 7)
        each.step()
    torch.testing.assert_close(params[0], copied[0], rtol=0, atol=1e-12)


def test_adafactor_takes_torchs_switch_when_off_only():
    params = [torch.nn.Parameter(torch.ones(2))]
    Adafactor(params, foreach=False)
    with pytest.raises(TypeError, match="foreach must be None or False"):
        Adafactor(params, foreach=True)
