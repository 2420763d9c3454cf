"""Many trainings in one pass: each must be the training that torch's own optimizer and scheduler give."""

from functools import partial

import pytest
import torch
from torch import nn

from dlkb.optimizers.framework import adam_update, sgd_update
from dlkb.optimizers.scheduled_training import (
    ScheduledRuns,
    cross_entropy_by_class,
    fit_scheduled,
    rate_rows,
)
from dlkb.optimizers.schedules import (
    cosine_annealing_lr,
    one_cycle_lr,
    one_cycle_momentum,
)
from dlkb.train import batch_order

SEEDS, STEPS, BATCH = (3, 8), 12, 6


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 4)).double()


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 5, generator=generator, dtype=torch.float64)
    y = torch.randint(4, (40,), generator=generator)
    orders = [torch.randperm(40, generator=generator) for _ in SEEDS]
    parts = [(order[:20], order[20:28], order[28:]) for order in orders]
    return x, y, parts


def train_alone(data, seed, make_optimizer, make_scheduler):
    """(losses; accuracies, losses by step and part) of one run, by torch's optimizer and scheduler."""
    x, y, parts = data
    train, *scored = parts[SEEDS.index(seed)]
    torch.manual_seed(seed)
    model = network()
    optimizer = make_optimizer(model.parameters())
    scheduler = make_scheduler(optimizer)
    generator = torch.Generator().manual_seed(seed)
    losses, accuracies, part_losses = [], [], []
    for batch in train[batch_order(len(train), BATCH, STEPS, generator)]:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.detach())
        with torch.no_grad():
            outputs = [(model(x[own]), y[own]) for own in scored]
        hits = [output.argmax(1) == target for output, target in outputs]
        accuracies.append(torch.stack([hit.double().mean() for hit in hits]))
        part_losses.append([nn.functional.cross_entropy(*pair) for pair in outputs])
    return torch.stack(losses), torch.stack(accuracies), torch.tensor(part_losses)


def fit(data, rates, **options):
    x, y, parts = data
    options = {"seeds": SEEDS, "batch_size": BATCH, "parts": parts, **options}
    return fit_scheduled(network, x, y, rates, **options)


@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_equals_a_run_with_torchs_one_cycle(data, rule):
    # Would catch: rates or momenta shifted by a step, arms and seeds in the wrong order, a parameter
    # written back into the wrong place, the orders of the batches shared between seeds, scores of a part
    # given for another.
    peaks = [0.3, 0.05]
    rates = rate_rows(partial(one_cycle_lr, total_steps=STEPS), peaks, STEPS)
    row = [one_cycle_momentum(step, STEPS) for step in range(STEPS)]
    momenta = torch.tensor([row, row])
    rules = {
        "sgd": sgd_update,
        "adam": lambda lr, momentum: adam_update(lr, (momentum, 0.99)),
    }
    runs = fit(data, rates, rule=rules[rule], momenta=momenta, evaluate_every=3)
    makers = {
        "sgd": partial(torch.optim.SGD, lr=0.1, momentum=0.9),
        "adam": partial(torch.optim.Adam, lr=0.1, betas=(0.9, 0.99)),
    }
    for arm, peak in enumerate(peaks):
        scheduler = partial(
            torch.optim.lr_scheduler.OneCycleLR, max_lr=peak, total_steps=STEPS
        )
        for index, seed in enumerate(SEEDS):
            losses, accuracies, part_losses = train_alone(
                data, seed, makers[rule], scheduler
            )
            torch.testing.assert_close(
                runs.loss[arm, index], losses, rtol=1e-6, atol=1e-8
            )
            assert torch.equal(runs.accuracy[arm, index], accuracies[2::3])
            torch.testing.assert_close(
                runs.part_loss[arm, index], part_losses[2::3], rtol=1e-6, atol=1e-8
            )
    assert runs.steps.tolist() == [3, 6, 9, 12]


def test_a_schedule_differs_from_its_constant_rate(data):
    # Would catch: only the first rate of a row being used.
    rates = rate_rows(partial(cosine_annealing_lr, T_max=STEPS), [0.5], STEPS)
    constant = fit(data, rates[:, :1].expand(1, STEPS)).loss
    scheduled = fit(data, rates).loss
    torch.testing.assert_close(scheduled[..., :2], constant[..., :2])
    assert (scheduled[..., -1] - constant[..., -1]).abs().min() > 1e-4


def test_rates_of_zero_change_nothing(data):
    runs = fit(data, torch.zeros(1, STEPS), evaluate_every=1)
    assert torch.equal(runs.accuracy, runs.accuracy[:, :, :1].expand(-1, -1, STEPS, -1))


def test_a_run_that_diverges_leaves_the_others_alone(data):
    # Would catch: a maximum or a sum over the members in the numerics.
    rates = torch.tensor([[0.1], [torch.inf]]).expand(2, STEPS)
    runs = fit(data, rates)
    assert not runs.loss[1, :, -1].isfinite().any()
    alone = fit(data, rates[:1])
    assert torch.equal(runs.loss[0], alone.loss[0])


def test_scores_what_evaluated_reads_from_the_state(data):
    """An average of iterates is scored as such; training itself is the same."""
    rates = torch.full((1, STEPS), 2.0)
    plain = fit(data, rates)
    halted = fit(data, rates, evaluated=lambda state: 0 * state.param)
    first = torch.stack([data[1][own[1]] == 0 for own in data[2]]).double().mean(1)
    torch.testing.assert_close(halted.accuracy[0, :, 0, 0], first)  # all classes tie
    torch.testing.assert_close(halted.loss, plain.loss)
    assert not torch.equal(halted.accuracy, plain.accuracy)


def test_keeps_dtype_and_torchs_random_state(data):
    x, y, parts = data
    state = torch.get_rng_state()
    runs = fit_scheduled(
        lambda: network().float(),
        *(x.float(), y, torch.ones(1, 2)),
        seeds=SEEDS,
        batch_size=BATCH,
        parts=parts,
    )
    assert runs.loss.dtype == torch.float32
    assert runs.accuracy.shape == runs.part_loss.shape == (1, 2, 1, 2)
    assert runs.accuracy.dtype == runs.part_loss.dtype == torch.float64
    assert torch.equal(state, torch.get_rng_state())


def test_steps_to_by_hand():
    accuracy = torch.tensor([[[0.2, 0.6, 0.5], [0.1, 0.2, 0.3]]]).unsqueeze(-1)
    runs = ScheduledRuns(
        torch.zeros(1, 2, 9), accuracy, accuracy, torch.tensor([3, 6, 9])
    )
    found = runs.steps_to(0.55)
    assert found[0, 0] == 6
    assert found[0, 1].isnan()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_cross_entropy_by_class_is_torchs(dtype, scale):
    # Would catch: the softmax taken over the samples, which a square of logits lets pass in shape.
    generator = torch.Generator().manual_seed(0)
    output = scale * torch.randn(3, 6, 6, generator=generator)
    output = output.to(dtype).requires_grad_()
    target = torch.randint(6, (3, 6), generator=generator)
    ours = torch.func.vmap(cross_entropy_by_class)(output, target)
    torchs = torch.stack([*map(nn.functional.cross_entropy, output, target)])
    assert ours.dtype == dtype
    torch.testing.assert_close(ours, torchs)
    slopes = [torch.autograd.grad(value.sum(), output) for value in (ours, torchs)]
    assert slopes[0][0].isfinite().all()
    tolerance = {} if dtype != torch.bfloat16 else {"rtol": 2e-2, "atol": 2e-3}
    torch.testing.assert_close(*slopes, **tolerance)


@pytest.mark.parametrize(
    ("rates", "options", "message"),
    [
        (torch.ones(3), {}, r"rates must be \(arms, steps\).*\(3,\)"),
        (torch.ones(2, 0), {}, r"at least one of each: got shape \(2, 0\)"),
        (torch.ones(2, 4), {"momenta": torch.ones(2, 3)}, r"shape of rates.*\(2, 3\)"),
        (torch.ones(2, 4), {"seeds": [1]}, "got 1 seeds, 2 parts"),
        (torch.ones(2, 4), {"evaluate_every": 3}, "divide the 4 steps: got 3"),
        (torch.ones(2, 4), {"evaluate_every": 0}, "divide the 4 steps: got 0"),
    ],
)
def test_bad_input_is_named(data, rates, options, message):
    with pytest.raises(ValueError, match=message):
        fit(data, rates, **options)
