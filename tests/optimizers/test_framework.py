"""The framework's pieces: histories summed up by hand, many runs at once, rates as functions, purity.

That each method equals torch's is in test_parity.
"""

import math

import pytest
import torch

from dlkb.optimizers import (
    UpdateState,
    adadelta_update,
    adagrad_update,
    adam_update,
    adamw_update,
    corrected,
    ema,
    last,
    look_ahead,
    make_update,
    nadam_moment,
    nadam_update,
    of_squares,
    peak,
    rmsprop_update,
    sgd_update,
    total,
    unit,
    variance,
    velocity,
)

MAKERS = {
    "sgd": sgd_update,
    "momentum": lambda lr=0.05, **s: sgd_update(lr, momentum=0.9, **s),
    "nesterov": lambda lr=0.05, **s: sgd_update(lr, momentum=0.9, nesterov=True, **s),
    "adagrad": adagrad_update,
    "rmsprop": lambda lr=0.05, **s: rmsprop_update(
        lr, momentum=0.5, centered=True, **s
    ),
    "adadelta": adadelta_update,
    "adam": adam_update,
    "amsgrad": lambda lr=0.05, **s: adam_update(lr, amsgrad=True, **s),
    "adamw": adamw_update,
    "nadam": nadam_update,
}


def f64(*values):
    return torch.tensor(values, dtype=torch.float64)


def follow(moment, values):
    """The moments after each value."""
    memory, path = None, []
    for step, value in enumerate(values, start=1):
        m, memory = moment(memory, f64(value), step)
        path.append(m.item())
    return path


def descend(update, param, steps=20, gradient=lambda param: 3 * param + param.sin()):
    state, path = UpdateState(param), [param]
    for _ in range(steps):
        state = update(state, gradient(state.param))
        path.append(state.param)
    return torch.stack(path)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (last(), [4, -2, 6]),
        (unit(), [1, 1, 1]),
        (total(), [4, 2, 8]),
        (of_squares(total()), [16, 20, 56]),
        (velocity(0.5), [4, 0, 6]),
        (velocity(0.5, dampening=0.5), [4, 1, 3.5]),  # the first whole
        (look_ahead(0.5), [4 + 2, -2 + 0, 6 + 3]),
        (ema(0.5), [2, 0, 3]),
        (corrected(ema(0.5), 0.5), [4, 0, 3 / 0.875]),
        (peak(last()), [4, 4, 6]),
        (peak(ema(0.5)), [2, 2, 3]),  # the average goes on from 0, not from the peak
        (variance(0.5), [8 - 4, 6 - 0, 21 - 9]),
    ],
)
def test_histories_by_hand(moment, expected):
    assert follow(moment, [4.0, -2.0, 6.0]) == pytest.approx(expected)


def test_a_corrected_average_of_a_constant_is_that_constant():
    assert follow(corrected(ema(0.9), 0.9), [5.0] * 30) == pytest.approx([5.0] * 30)
    assert follow(ema(0.9), [5.0] * 30)[0] == pytest.approx(0.5)  # uncorrected is short


def test_velocity_of_a_constant_tends_to_its_closed_form():
    path = follow(velocity(0.8), [1.0] * 100)
    expected = [(1 - 0.8**t) / (1 - 0.8) for t in range(1, 101)]
    assert path == pytest.approx(expected)


def test_an_averages_window_holds_its_share():
    """Values older than 1 / (1 - beta) keep beta^window, about 1 / e, of the weight."""
    window = 1000
    path = follow(ema(1 - 1 / window), [1.0] * window)
    assert path[-1] == pytest.approx(1 - math.exp(-1), abs=1e-3)


def test_nadams_moment_by_hand():
    beta, decay = 0.9, 0.5
    mu = [beta * (1 - 0.5 * 0.96 ** (t * decay)) for t in range(4)]
    g1, g2 = 2.0, -3.0
    m1 = (1 - mu[1]) * g1 / (1 - mu[1]) + mu[2] * 0.1 * g1 / (1 - mu[1] * mu[2])
    average = 0.9 * 0.1 * g1 + 0.1 * g2
    m2 = (1 - mu[2]) * g2 / (1 - mu[1] * mu[2])
    m2 += mu[3] * average / (1 - mu[1] * mu[2] * mu[3])
    assert follow(nadam_moment(beta, decay), [g1, g2]) == pytest.approx([m1, m2])


@pytest.mark.parametrize("name", MAKERS)
def test_many_runs_at_once_equal_runs_one_by_one(name):
    """Rates x starts x dimensions; would fail if anything were summed over the runs."""
    rates = f64(0.3, 0.1, 0.01)
    starts = torch.randn(4, 2, dtype=torch.float64, generator=torch.manual_seed(0))
    together = descend(
        MAKERS[name](lr=rates[:, None, None], weight_decay=0.1),
        starts.expand(3, 4, 2),
    )
    assert together.shape == (21, 3, 4, 2)
    for index, rate in enumerate(rates.tolist()):
        for other, start in enumerate(starts):
            alone = descend(MAKERS[name](lr=rate, weight_decay=0.1), start)
            torch.testing.assert_close(
                together[:, index, other], alone, rtol=0, atol=1e-12
            )


def test_betas_may_differ_between_runs():
    betas = f64(0.0, 0.5, 0.9)[:, None]
    together = descend(adam_update(0.1, betas=(betas, betas)), f64(2.0).expand(3, 1))
    for index, beta in enumerate((0.0, 0.5, 0.9)):
        alone = descend(adam_update(0.1, betas=(beta, beta)), f64(2.0))
        torch.testing.assert_close(together[:, index], alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", MAKERS)
def test_an_update_alters_nothing_that_it_was_given(name):
    update = MAKERS[name](lr=0.1, weight_decay=0.1)
    state = update(UpdateState(f64(1.0, 2.0)), f64(3.0, -4.0))
    grad = f64(0.5, 0.25)
    copies = [state.param.clone(), grad.clone()]
    one, two = update(state, grad), update(state, grad)
    assert torch.equal(one.param, two.param)
    assert one.step == two.step == 2
    assert torch.equal(state.param, copies[0])
    assert torch.equal(grad, copies[1])
    assert not torch.equal(one.param, state.param)


@pytest.mark.parametrize("name", sorted(set(MAKERS) - {"adagrad"}))
def test_a_rate_may_be_a_function_that_counts_from_0(name):
    """As LambdaLR counts: the first step takes lr(0). Counting from 1 would take 0.5 at once."""
    rates = [1.0, 0.5, 0.25, 0.125]
    path = descend(MAKERS[name](lr=lambda step: 0.1 * rates[step]), f64(1.0, -2.0), 4)
    state = UpdateState(f64(1.0, -2.0))
    for step, rate in enumerate(rates):
        grad = 3 * state.param + state.param.sin()
        state = MAKERS[name](lr=0.1 * rate)(state, grad)
        torch.testing.assert_close(path[step + 1], state.param, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_is_kept(name, dtype):
    path = descend(MAKERS[name](lr=0.1, weight_decay=0.1), torch.ones(3, dtype=dtype))
    assert path.dtype == dtype


@pytest.mark.parametrize("name", ["adam", "amsgrad", "nadam", "adagrad", "rmsprop"])
def test_without_eps_the_losss_scale_does_not_matter(name):
    paths = [
        descend(
            MAKERS[name](lr=0.1, eps=0.0), f64(1.0, 2.0), gradient=lambda p, c=c: c * p
        )
        for c in (1.0, 1e6)
    ]
    torch.testing.assert_close(*paths, rtol=0, atol=1e-9)


def test_decay_by_hand():
    """Coupled decay enters the gradient and so the root; decoupled takes its share of the weight."""
    state, grad = UpdateState(f64(10.0)), f64(2.0)
    coupled = adam_update(0.5, weight_decay=0.1, eps=0)(state, grad).param.item()
    decoupled = adamw_update(0.5, weight_decay=0.1, eps=0)(state, grad).param.item()
    assert coupled == pytest.approx(10 - 0.5)  # lr * sign(2 + 1)
    assert decoupled == pytest.approx(10 - 0.5 * 0.1 * 10 - 0.5)
    plain = [
        make_update(last(), unit(), 0.5, weight_decay=0.1, decoupled=d)(state, grad)
        for d in (False, True)
    ]
    assert plain[0].param.item() == pytest.approx(plain[1].param.item())  # one for SGD


def test_adadelta_does_not_depend_on_units():
    """With no eps and a past to start from: in units a tenth as large, the same run. Gradient descent's is
    another, and eps, which has a unit, breaks it."""

    def run(update, unit):
        state, path = UpdateState(f64(unit), steps=f64(0.01 * unit**2)), []
        for _ in range(50):
            state = update(state, state.param / unit**2)  # of (param / unit)^2 / 2
            path.append(state.param / unit)
        return torch.stack(path)

    gap = lambda update: (run(update, 1.0) - run(update, 10.0)).abs().max().item()
    assert gap(adadelta_update(eps=0.0)) < 1e-12
    assert gap(adadelta_update(eps=1e-2)) > 1e-3
    assert gap(sgd_update(0.1)) > 1e-3


def test_a_run_that_diverges_leaves_the_others_alone():
    runs = descend(sgd_update(f64(0.1, 1e6)[:, None]), f64(1.0).expand(2, 1), 200)
    assert not runs[-1, 1].isfinite().all()
    assert runs[-1, 0].abs().item() < 1e-6
