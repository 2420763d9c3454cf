"""Stacked training against torch's SGD and clipping, one network at a time; rates that work by hand."""

import math

import pytest
import torch
from torch import nn

from dlkb.initialization.watched_training import fit_watched, working_rates
from dlkb.train import batch_order, fit


def data(count=24):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    return x, torch.randint(4, (count,), generator=generator)


def networks(count=3, norm=False):
    torch.manual_seed(0)
    middle = lambda: nn.BatchNorm1d(5) if norm else nn.Identity()
    make = lambda: nn.Sequential(nn.Linear(3, 5), middle(), nn.Tanh(), nn.Linear(5, 4))
    return [make().double() for _ in range(count)]


def orders(count=3, steps=12):
    seeded = [torch.Generator().manual_seed(seed) for seed in range(count)]
    return [batch_order(24, 8, steps, generator) for generator in seeded]


def alone(model, x, y, order, *, lr, max_norm=None, normalize=False, **options):
    """What torch does: clip, then decay and momentum in its SGD."""
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, **options)
    start = [p.detach().clone() for p in model.parameters()]
    losses, norms, lengths, weights, moved = [], [], [], [], []
    for indices in order:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x[indices]), y[indices])
        loss.backward()
        parameters = list(model.parameters())
        norms.append(torch.stack([p.grad.norm() for p in parameters]))
        weights.append(torch.stack([p.detach().norm() for p in parameters]))
        if max_norm is not None:
            nn.utils.clip_grad_norm_(parameters, max_norm)
        if normalize:
            total = torch.cat([p.grad.flatten() for p in parameters]).norm()
            for p in parameters:
                p.grad /= total
        before = [p.detach().clone() for p in parameters]
        optimizer.step()
        moves = [(p - b).flatten() for p, b in zip(parameters, before, strict=True)]
        lengths.append(torch.cat(moves).detach().norm())
        moves = [
            (p.detach() - s).norm() for p, s in zip(parameters, start, strict=True)
        ]
        moved.append(torch.stack(moves))
        losses.append(loss.detach())
    return [torch.stack(v) for v in (losses, norms, lengths, weights, moved)]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_norm": 0.3},
        {"normalize": True},
        {"max_norm": 0.3, "weight_decay": 0.1, "momentum": 0.9},
        {"normalize": True, "weight_decay": 0.1, "momentum": 0.5},
    ],
)
def test_equals_torch_one_network_at_a_time(options):
    """Catches one norm for all networks, for each parameter, or of the decayed gradient; a limit behind the
    momentum; and norms that are taken after the limit or after the step."""
    x, y = data()
    lr = [0.5, 0.1, 1.0]
    ours, theirs = networks(), networks()
    run = fit_watched(ours, x, y, orders(), lr=lr, **options)
    seen = (run.loss, run.gradients, run.steps, run.weights, run.moved)
    for index, model in enumerate(theirs):
        expected = alone(model, x, y, orders()[index], lr=lr[index], **options)
        for found, wanted in zip(seen, expected, strict=True):
            torch.testing.assert_close(found[index], wanted, rtol=1e-6, atol=1e-9)
        for p, q in zip(ours[index].parameters(), model.parameters(), strict=True):
            torch.testing.assert_close(p, q)
    assert run.names == tuple(name for name, _ in theirs[0].named_parameters())


def test_equals_the_shared_trainer_with_norms_and_frozen_parameters():
    """Buffers move, frozen parameters do not and are not reported."""
    x, y = data()
    ours, theirs = networks(norm=True), networks(norm=True)
    for model in (*ours, *theirs):
        model[0].weight.requires_grad_(False)
    run = fit_watched(ours, x, y, orders(), lr=0.3)
    assert "0.weight" not in run.names
    for index, model in enumerate(theirs):
        curve = fit(model, x, y, orders()[index], lr=0.3)
        torch.testing.assert_close(run.loss[index], curve)
        for (name, v), w in zip(
            ours[index].state_dict().items(), model.state_dict().values(), strict=True
        ):
            torch.testing.assert_close(v, w, msg=name)


def test_the_largest_singular_value_where_asked_for():
    x, y = data()
    run = fit_watched(networks(), x, y, orders(), lr=0.1, spectral=["0.weight"])
    fresh = networks()
    for index, model in enumerate(fresh):
        first = run.weights[index, 0]
        norm = torch.linalg.matrix_norm(model[0].weight, 2).item()
        assert first[run["0.weight"]].item() == pytest.approx(norm)
        other = model[3].weight.norm().item()
        assert first[run["3.weight"]].item() == pytest.approx(other)


def test_the_whole_gradients_norm():
    x, y = data()
    run = fit_watched(networks(), x, y, orders(), lr=0.1)
    torch.testing.assert_close(run.gradient, run.gradients.square().sum(-1).sqrt())
    torch.testing.assert_close(run.steps, 0.1 * run.gradient)


def test_normalized_steps_keep_their_length_and_clipped_ones_end():
    """At the bottom of a bowl: what the chapter says of the two."""
    x, y = torch.zeros(4, 1), torch.zeros(4, 1)
    mse = nn.functional.mse_loss
    found = []
    for options in ({"normalize": True}, {"max_norm": 1.0}):
        model = nn.Linear(1, 1)
        nn.init.constant_(model.bias, 0.55)
        order = torch.arange(4).expand(50, 4)
        found.append(fit_watched([model], x, y, [order], lr=0.2, loss=mse, **options))
    hover, rest = (run.steps[0] for run in found)
    assert hover.tolist() == pytest.approx([0.2] * 50, rel=1e-4)
    assert rest[-1].item() < 1e-8


def test_a_gradient_of_zero_stays_zero():
    x, y = torch.zeros(4, 1), torch.zeros(4, 1)
    model = nn.Linear(1, 1)
    nn.init.zeros_(model.bias)
    options = {"normalize": True, "loss": nn.functional.mse_loss}
    run = fit_watched([model], x, y, [torch.arange(4).expand(3, 4)], lr=1.0, **options)
    assert run.steps.tolist() == [[0, 0, 0]]


def test_a_run_that_diverges_shows_and_disturbs_no_other():
    x, y = data()
    options = {"lr": [1e200, 0.1], "spectral": ["0.weight"], "max_norm": 1e300}
    run = fit_watched(networks(2), x * 1e3, y, orders(2), **options)
    assert not run.weights[0].isfinite().all()
    assert run.weights[1].isfinite().all()
    expected = fit_watched(networks(2)[1:], x * 1e3, y, orders(2)[1:], lr=0.1)
    torch.testing.assert_close(run.loss[1], expected.loss[0])


def test_a_norm_that_overflows_does_not_stop_a_run_silently():
    """1 / infinity would be a step of 0, which looks like a run that has settled."""
    model = nn.Linear(1, 1)
    x, y = torch.full((4, 1), 1e25), torch.zeros(4)
    options = {"max_norm": 1.0, "loss": lambda output, _: output.mean()}
    run = fit_watched([model], x, y, [torch.arange(4).expand(1, 4)], lr=1.0, **options)
    assert run.gradient.isinf().all()
    assert model.weight.abs().item() > 1e24


def test_weights_that_are_nan_have_no_singular_value():
    """torch's decomposition raises for them."""
    x, y = data()
    options = {"lr": [math.inf, 0.1], "spectral": ["0.weight"]}
    run = fit_watched(networks(2), x, y, orders(2), **options)
    assert run.weights[0, 1:, run["0.weight"]].isnan().all()
    assert run.weights[1].isfinite().all()


def test_dtype_is_kept():
    x, y = data()
    models = [model.float() for model in networks()]
    run = fit_watched(models, x.float(), y, orders(), lr=0.1, max_norm=1.0)
    assert {t.dtype for t in (run.loss, run.gradients, run.steps, run.weights)} == {
        torch.float32
    }
    with pytest.raises(KeyError, match=r"no parameter .w.; there are 0\.weight"):
        run["w"]


def test_rates_that_work_by_hand():
    """Catches all rates that work instead of an unbroken run, and an interval one rate too wide."""
    nan, inf = math.nan, math.inf
    rates = [0.01, 0.1, 1.0, 10.0, 100.0]
    loss = torch.tensor(
        [
            [2.0, 0.5, 0.5, 2.0, 2.0],
            [0.5, 2.0, 0.5, 1.0, nan],
            [0.5, 2.0, 2.0, 2.0, 0.5],
            [2.0, 2.0, nan, inf, 2.0],
            [0.5, 0.5, 0.5, 0.5, 0.5],
            [2.0, 2.0, 2.0, 2.0, 0.5],
        ]
    )
    first, last, decades = working_rates(rates, loss, 1.0)
    expected = torch.tensor(
        [
            [0.1, 1.0, 1.0],
            [1.0, 10.0, 1.0],
            [0.01, 0.01, 0.0],
            [nan, nan, nan],
            [0.01, 100.0, 4.0],
            [100.0, 100.0, 0.0],
        ]
    )
    found = torch.stack([first, last, decades], dim=1).float()
    torch.testing.assert_close(found, expected, equal_nan=True)
    each = working_rates(rates, loss, torch.full((6, 1), 1.0))
    torch.testing.assert_close(each, (first, last, decades), equal_nan=True)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x, y, o: fit_watched([], x, y, [], lr=1.0), "got 0 networks"),
        (lambda m, x, y, o: fit_watched(m, x, y, o[:2], lr=1.0), "2 orders"),
        (lambda m, x, y, o: fit_watched(m, x, y, o, lr=[1.0]), "1 rates"),
        (
            lambda m, x, y, o: fit_watched(m, x, y, o, lr=1.0, max_norm=0.0),
            r"max_norm=0\.0",
        ),
        (
            lambda m, x, y, o: fit_watched(
                m, x, y, o, lr=1.0, max_norm=1.0, normalize=True
            ),
            "normalize=True",
        ),
        (
            lambda m, x, y, o: fit_watched(m, x, y, o, lr=1.0, spectral=["0.bias"]),
            "0.weight, 3.weight: got 0.bias",
        ),
        (lambda m, x, y, o: working_rates([1.0], torch.ones(2), 1.0), "for 2"),
        (lambda m, x, y, o: working_rates([1.0, 1.0], torch.ones(2), 1.0), "rising"),
        (lambda m, x, y, o: working_rates([0.0, 1.0], torch.ones(2), 1.0), "positive"),
    ],
)
def test_wrong_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call(networks(), *data(), orders())
