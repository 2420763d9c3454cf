"""Every optimizer against torch's: 30 steps, three groups, parameters and state; and the nearest wrong ones.

One gradient a step is given to all, drawn beforehand, with quiet and loud stretches, so that averages, sums
and maxima differ; the learning rate is halved half-way. What is wrong must miss torch by 1e-5 at least, ten
thousand times what is allowed and more.
"""

import functools

import pytest
import torch

from dlkb.optimizers import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    NAdam,
    Optimizer,
    RAdam,
    RMSprop,
    UpdateState,
    adadelta_update,
    adagrad_update,
    adam_update,
    adamw_update,
    corrected,
    ema,
    last,
    make_update,
    nadam_update,
    of_squares,
    peak,
    rmsprop_update,
    sgd_update,
    total,
    unit,
    velocity,
)

STEPS = 30
SHAPES = [(4, 3), (5,), (), (2, 3, 4, 2), (0, 3)]


def draw(shape, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def gradient(index, step):
    """Loud at first, quiet in the middle, then loud again."""
    scale = 0.02 if 8 <= step < 20 else 2.0
    return scale * draw(SHAPES[index], 1000 + 50 * step + index)


def parameters(dtype=torch.float64):
    params = [draw(shape, index).to(dtype) for index, shape in enumerate(SHAPES)]
    params[3] = params[3].to(memory_format=torch.channels_last)
    return [torch.nn.Parameter(param) for param in params]


def groups(params, settings):
    """Each has its own rate and decay; the second a large eps too, so that its place shows."""
    lr, weight_decay = settings["lr"], settings["weight_decay"]
    loud = {"eps": 0.03} if "eps" in settings else {}
    return [
        {"params": params[:2]},
        {
            "params": params[2:4],
            "lr": 0.3 * lr,
            "weight_decay": 3 * weight_decay,
            **loud,
        },
        {"params": params[4:]},
    ]


def run(kind, settings, dtype=torch.float64):
    """Parameters after each step, and the optimizer."""
    params = parameters(dtype)
    optimizer = kind(groups(params, settings), **settings)
    path = []
    for step in range(STEPS):
        for index, param in enumerate(params):
            param.grad = gradient(index, step).to(dtype)
            if index == 1 and step % 5 == 2:
                param.grad = None  # skipped: its step must not count
        optimizer.step()
        path.append([param.detach().clone() for param in params])
        if step == STEPS // 2:
            for group in optimizer.param_groups:
                group["lr"] *= 0.5
    return path, optimizer


def distance(path, other):
    """The largest distance of two paths at any step in any parameter."""
    return max(
        (a - b).abs().max().item()
        for params, others in zip(path, other, strict=True)
        for a, b in zip(params, others, strict=True)
        if a.numel()
    )


class Pure(Optimizer):
    """Runs a pure ``update(state, grad)`` of the framework, or a wrong one, as an optimizer."""

    def __init__(self, make, params, **settings):
        self.make = make
        super().__init__(params, settings)

    def update(self, param, grad, state, group):
        settings = {name: value for name, value in group.items() if name != "maximize"}
        before = state.get("pure", UpdateState(param.detach().clone()))
        state["pure"] = self.make(**settings)(before, grad)
        param.copy_(state["pure"].param)


def pure(make):
    return functools.partial(Pure, make)


# class, name in torch, framework's maker (None where it has none), settings
CASES = {
    "sgd": (SGD, "SGD", sgd_update, {"momentum": 0}),
    "sgd momentum": (SGD, "SGD", sgd_update, {"momentum": 0.9}),
    "sgd dampening": (SGD, "SGD", sgd_update, {"momentum": 0.9, "dampening": 0.3}),
    "sgd nesterov": (SGD, "SGD", sgd_update, {"momentum": 0.9, "nesterov": True}),
    "adagrad": (Adagrad, "Adagrad", adagrad_update, {"eps": 1e-10}),
    "adagrad decaying": (Adagrad, "Adagrad", adagrad_update, {"lr_decay": 0.1}),
    "adagrad started": (Adagrad, "Adagrad", None, {"initial_accumulator_value": 0.5}),
    "rmsprop": (RMSprop, "RMSprop", rmsprop_update, {"alpha": 0.9, "eps": 1e-8}),
    "rmsprop momentum": (RMSprop, "RMSprop", rmsprop_update, {"momentum": 0.8}),
    "rmsprop centered": (
        RMSprop,
        "RMSprop",
        rmsprop_update,
        {"alpha": 0.9, "centered": True, "momentum": 0.5, "eps": 1e-3},
    ),
    "adadelta": (Adadelta, "Adadelta", adadelta_update, {"eps": 1e-6, "lr": 0.5}),
    "adam": (Adam, "Adam", adam_update, {"eps": 1e-8}),
    "adam betas": (Adam, "Adam", adam_update, {"betas": (0.5, 0.8), "eps": 1e-4}),
    "adam amsgrad": (
        Adam,
        "Adam",
        adam_update,
        {"amsgrad": True, "betas": (0.9, 0.9), "eps": 1e-8},
    ),
    "adamw": (AdamW, "AdamW", adamw_update, {"eps": 1e-8}),
    "adamw amsgrad": (AdamW, "AdamW", adamw_update, {"amsgrad": True, "eps": 1e-8}),
    "nadam": (NAdam, "NAdam", nadam_update, {"eps": 1e-8}),
    "nadam decoupled": (
        NAdam,
        "NAdam",
        nadam_update,
        {"decoupled_weight_decay": True, "momentum_decay": 0.1, "betas": (0.8, 0.9)},
    ),
    "radam": (RAdam, "RAdam", None, {"betas": (0.9, 0.99), "eps": 1e-8}),
    "radam decoupled": (
        RAdam,
        "RAdam",
        None,
        {"decoupled_weight_decay": True, "betas": (0.5, 0.8), "eps": 1e-3},
    ),
    "adamax": (Adamax, "Adamax", None, {"betas": (0.9, 0.9), "eps": 1e-8}),
}
COMMON = {"lr": 0.05, "weight_decay": 0.1}


@pytest.fixture(autouse=True)
def _wide_counters():
    """Else torch keeps NAdam's product of mu in float32, which shows at 1e-9."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@functools.cache
def torchs(case):
    name, settings = CASES[case][1], COMMON | CASES[case][3]
    return run(functools.partial(getattr(torch.optim, name), foreach=False), settings)


@pytest.mark.parametrize("case", CASES)
def test_parameters_and_state_equal_torch(case):
    ours, _, _, settings = CASES[case]
    expected, theirs = torchs(case)
    path, optimizer = run(ours, COMMON | settings)
    assert distance(path, expected) < 1e-10
    assert distance(path, [path[0]] * STEPS) > 0.1  # they do move
    mine, yours = optimizer.state_dict(), theirs.state_dict()
    assert mine["state"].keys() == yours["state"].keys()
    for index, state in yours["state"].items():
        assert mine["state"][index].keys() == state.keys()
        for name, value in state.items():
            torch.testing.assert_close(
                mine["state"][index][name], value, rtol=0, atol=1e-10
            )
    for group, other in zip(mine["param_groups"], yours["param_groups"], strict=True):
        for name, value in group.items():
            assert other[name] == value, name


@pytest.mark.parametrize("case", [c for c in CASES if CASES[c][2]])
def test_the_framework_equals_torch(case):
    _, _, make, settings = CASES[case]
    path, _ = run(pure(make), COMMON | settings)
    assert distance(path, torchs(case)[0]) < 1e-10


def test_nadam_keeps_its_product_as_narrow_as_torch_does():
    torch.set_default_dtype(torch.float32)
    path, optimizer = run(NAdam, COMMON)
    expected, theirs = run(functools.partial(torch.optim.NAdam, foreach=False), COMMON)
    assert distance(path, expected) < 1e-12
    for params in (optimizer, theirs):
        state = params.state_dict()["state"][0]
        assert state["mu_product"].dtype == state["step"].dtype == torch.float32
    wide, _ = run(pure(nadam_update), COMMON)
    assert 1e-12 < distance(wide, expected) < 1e-7


# ------------------------------------------------------------------------------ the nearest wrong variants


def inside_root(phi, psi, lr, eps, **options):
    """eps added to V, under the root."""

    def shifted(memory, value, step):
        moment, memory = psi(memory, value, step)
        return moment + eps, memory

    return make_update(phi, shifted, lr, **options)


def dampened_from_the_start(lr, momentum, dampening, weight_decay):
    def phi(memory, value, step):
        past = torch.zeros_like(value) if memory is None else memory
        memory = momentum * past + (1 - dampening) * value
        return memory, memory

    return make_update(phi, unit(), lr, weight_decay=weight_decay)


def rate_inside_the_velocity(lr, momentum, weight_decay):
    def update(state, grad):
        past = 0 if state.steps is None else state.steps
        steps = momentum * past + lr * (grad + weight_decay * state.param)
        return UpdateState(state.param - steps, state.step + 1, steps=steps)

    return update


def rate_decaying_from_the_start(lr, lr_decay, weight_decay):
    rate = lambda step: lr / (1 + (step + 1) * lr_decay)
    return make_update(
        last(), of_squares(total()), rate, eps=1e-10, weight_decay=weight_decay
    )


def momentum_of_gradients(lr, momentum, weight_decay):
    return make_update(
        velocity(momentum),
        of_squares(ema(0.99)),
        lr,
        eps=1e-8,
        weight_decay=weight_decay,
    )


def eps_outside_adadelta(lr, eps, weight_decay, rho=0.9):
    def update(state, grad):
        grad = grad + weight_decay * state.param
        moved = torch.zeros_like(grad) if state.steps is None else state.steps
        V, second = of_squares(ema(rho))(state.second, grad, 1)
        delta = (moved.sqrt() + eps) / (V.sqrt() + eps) * grad
        _, steps = of_squares(ema(rho))(moved, delta, 1)
        return UpdateState(state.param - lr * delta, 0, None, second, steps)

    return update


def rate_remembered_by_adadelta(lr, eps, weight_decay, rho=0.9):
    update = adadelta_update(1.0, rho, eps, weight_decay)

    def scaled(state, grad):
        before = torch.zeros_like(grad) if state.steps is None else state.steps
        after = update(state, grad)
        delta = state.param - after.param
        steps = rho * before + (1 - rho) * (lr * delta).square()
        return after._replace(param=state.param - lr * delta, steps=steps)

    return scaled


def adam_like(
    lr,
    eps,
    weight_decay,
    betas=(0.9, 0.999),
    amsgrad=False,
    *,
    first=True,
    second=True,
    decoupled=False,
):
    """Adam with or without each correction."""
    beta1, beta2 = betas
    mean, square = ema(beta1), peak(ema(beta2)) if amsgrad else ema(beta2)
    return make_update(
        corrected(mean, beta1) if first else mean,
        of_squares(corrected(square, beta2) if second else square),
        lr,
        eps=eps,
        weight_decay=weight_decay,
        decoupled=decoupled,
    )


def missing_parentheses(lr, eps, weight_decay, beta1=0.9, beta2=0.999):
    """m / 1 - beta1^t, read as it stands."""

    def less(moment, beta):
        def value(memory, x, step):
            average, memory = moment(memory, x, step)
            return average / 1 - beta**step, memory

        return value

    def psi(memory, x, step):
        V, memory = of_squares(less(ema(beta2), beta2))(memory, x, step)
        return V.abs(), memory  # it would be negative

    return make_update(
        less(ema(beta1), beta1), psi, lr, eps=eps, weight_decay=weight_decay
    )


def adam_inside(lr, eps, weight_decay):
    return inside_root(
        corrected(ema(0.9), 0.9),
        of_squares(corrected(ema(0.999), 0.999)),
        lr,
        eps,
        weight_decay=weight_decay,
    )


def eps_before_the_correction(lr, eps, weight_decay):
    def update(state, grad):
        shrunk = eps / (1 - 0.999 ** (state.step + 1)) ** 0.5
        return adam_like(lr, shrunk, weight_decay)(state, grad)

    return update


def ratchet(beta):
    """The maximum fed back into the average."""

    def moment(memory, value, step):
        past = torch.zeros_like(value) if memory is None else memory
        top = torch.maximum(past, beta * past + (1 - beta) * value)
        return top, top

    return moment


def amsgrad_by(average, lr, eps, weight_decay, betas, amsgrad):
    assert amsgrad
    beta1, beta2 = betas
    return make_update(
        corrected(ema(beta1), beta1),
        of_squares(average(beta2)),
        lr,
        eps=eps,
        weight_decay=weight_decay,
    )


def decay_without_rate(lr, eps, weight_decay):
    def update(state, grad):
        moved = adam_like(lr, eps, 0.0)(state, grad)
        return moved._replace(param=moved.param - weight_decay * state.param)

    return update


def nadam_like(lr, eps, weight_decay, mu):
    """NAdam with another schedule of mu."""

    def phi(memory, value, step):
        past, product = memory or (torch.zeros_like(value), 1.0)
        mean = 0.9 * past + 0.1 * value
        product = product * mu(step)
        ahead = mu(step + 1)
        m = (1 - mu(step)) / (1 - product) * value
        return m + ahead / (1 - product * ahead) * mean, (mean, product)

    return make_update(
        phi,
        of_squares(corrected(ema(0.999), 0.999)),
        lr,
        eps=eps,
        weight_decay=weight_decay,
    )


class RAdamAtFour(RAdam):
    """Rectifies as soon as that is real, at 4, as the paper does."""

    def update(self, param, grad, state, group):
        beta2, step = group["betas"][1], int(state["step"]) + 1
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * step * beta2**step / (1 - beta2**step)
        if not 4 < length <= 5:
            return super().update(param, grad, state, group)
        before, rate = param.clone(), group["lr"]
        super().update(param, grad, state, group)
        r = (length - 4) * (length - 2) * longest
        r /= (longest - 4) * (longest - 2) * length
        root = (state["exp_avg_sq"] / (1 - beta2**step)).sqrt()
        mean = state["exp_avg"] / (1 - group["betas"][0] ** step)
        param.copy_(before - rate * r**0.5 * mean / root)
        return None


class AdamaxEpsOutside(Adamax):
    """eps added to the maximum, not under it."""

    def update(self, param, grad, state, group):
        before = param.clone()
        super().update(param, grad, state, group | {"eps": 0.0})
        mean, top = state["exp_avg"], state["exp_inf"] + group["eps"]
        beta1, step = group["betas"][0], int(state["step"])
        param.copy_(before - group["lr"] / (1 - beta1**step) * mean / top)


partial = functools.partial
WRONG = {
    ("sgd dampening", "also of the first gradient"): pure(dampened_from_the_start),
    ("sgd momentum", "rate inside the velocity"): pure(rate_inside_the_velocity),
    ("sgd momentum", "decoupled decay"): pure(
        lambda lr, momentum, weight_decay: make_update(
            velocity(momentum), unit(), lr, weight_decay=weight_decay, decoupled=True
        )
    ),
    ("sgd nesterov", "plain momentum"): pure(
        lambda nesterov, **settings: sgd_update(**settings)
    ),
    ("adagrad", "eps inside the root"): pure(
        partial(inside_root, last(), of_squares(total()))
    ),
    ("adagrad", "an average, not a sum"): pure(
        lambda **settings: rmsprop_update(alpha=0.5, **settings)
    ),
    ("adagrad decaying", "from the start"): pure(rate_decaying_from_the_start),
    ("rmsprop", "eps inside the root"): pure(
        lambda alpha, **settings: inside_root(
            last(), of_squares(ema(alpha)), **settings
        )
    ),
    ("rmsprop", "corrected"): pure(
        lambda alpha, **settings: adam_update(betas=(0.0, alpha), **settings)
    ),
    ("rmsprop momentum", "of gradients"): pure(momentum_of_gradients),
    ("rmsprop centered", "not centred"): pure(
        lambda centered, **settings: rmsprop_update(**settings)
    ),
    ("adadelta", "eps outside the roots"): pure(eps_outside_adadelta),
    ("adadelta", "remembers the scaled step"): pure(rate_remembered_by_adadelta),
    ("adam", "biased"): pure(partial(adam_like, first=False, second=False)),
    ("adam", "first moment biased"): pure(partial(adam_like, first=False)),
    ("adam", "second moment biased"): pure(partial(adam_like, second=False)),
    ("adam", "missing parentheses"): pure(missing_parentheses),
    ("adam", "eps inside the root"): pure(adam_inside),
    ("adam", "eps before the correction"): pure(eps_before_the_correction),
    ("adam", "decoupled decay"): pure(partial(adam_like, decoupled=True)),
    ("adam amsgrad", "ratchet"): pure(
        partial(amsgrad_by, lambda beta: corrected(ratchet(beta), beta))
    ),
    ("adam amsgrad", "maximum of the corrected"): pure(
        partial(amsgrad_by, lambda beta: peak(corrected(ema(beta), beta)))
    ),
    ("adam amsgrad", "no maximum"): pure(
        lambda amsgrad, **settings: adam_update(**settings)
    ),
    ("adamw", "coupled decay"): pure(adam_like),
    ("adamw", "decay not scaled by the rate"): pure(decay_without_rate),
    ("nadam", "no look-ahead"): pure(adam_like),
    ("nadam", "constant mu"): pure(partial(nadam_like, mu=lambda step: 0.9)),
    ("nadam", "schedule a step late"): pure(
        partial(
            nadam_like,
            mu=lambda step: 0.9 * (1 - 0.5 * 0.96 ** ((step - 1) * 4e-3)),
        )
    ),
    ("radam", "rectified at 4"): RAdamAtFour,
    ("radam", "never rectified"): pure(
        lambda betas, **settings: adam_update(betas=betas, **settings)
    ),
    ("adamax", "eps outside the maximum"): AdamaxEpsOutside,
}


@pytest.mark.parametrize(("case", "what"), WRONG)
def test_the_nearest_wrong_variant_is_told_from_torchs(case, what):
    path, _ = run(WRONG[case, what], COMMON | CASES[case][3])
    assert distance(path, torchs(case)[0]) > 1e-5


def test_the_wrong_variants_differ_in_what_they_say_alone():
    """Their machinery, put right, is torch's: so it is the named change that was seen."""
    right = {
        "adam": adam_like,
        "nadam": partial(
            nadam_like, mu=lambda step: 0.9 * (1 - 0.5 * 0.96 ** (step * 4e-3))
        ),
        "adam amsgrad": partial(
            amsgrad_by, lambda beta: corrected(peak(ema(beta)), beta)
        ),
    }
    for case, make in right.items():
        path, _ = run(pure(make), COMMON | CASES[case][3])
        assert distance(path, torchs(case)[0]) < 1e-10, case
