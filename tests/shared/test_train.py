"""fit, fit_many, fit_tuned: the same numbers stacked, looped, and by torch.optim.SGD alone; the best rate."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from dlkb.train import (
    Setting,
    _multiplications,
    _same_architecture,
    _stacking_pays,
    batch_order,
    class_order,
    fit,
    fit_many,
    fit_tuned,
    share_right,
)

X = torch.randn(
    96, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64
)
Y = (X.flatten(1)[:, :3].sum(1) > 0).long() + 2 * (X.mean((1, 2, 3)) > 0).long()
SEEDS = (3, 1, 4)


def mlp(norm=False, width=16):
    def make():
        layers = [
            nn.Flatten(),
            nn.Linear(64, width),
            *([nn.BatchNorm1d(width)] * norm),
            nn.ReLU(),
        ]
        return nn.Sequential(*layers, nn.Linear(width, 4)).double()

    return make


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(144, 4),
    ).double()


SETTINGS = {
    "slow": Setting(mlp(), 0.02),
    "with norm": Setting(mlp(norm=True), 0.1, momentum=0.9, weight_decay=0.01),
    "with norm, fast": Setting(mlp(norm=True), 0.5, weight_decay=0.1),
    "wider": Setting(mlp(width=20), 0.1, momentum=0.5),
    "convolutional": Setting(cnn, 0.05, momentum=0.9),
}


def run(**options):
    defaults = {"seeds": SEEDS, "steps": 20, "batch_size": 16}
    return fit_many(options.pop("settings", SETTINGS), X, Y, **{**defaults, **options})


def splits(sizes=(70, 26)):
    order = [
        torch.randperm(96, generator=torch.Generator().manual_seed(seed))
        for seed in SEEDS
    ]
    return [(o[: sizes[0]], o[sizes[0] : sum(sizes)]) for o in order]


def test_stacked_equals_looped_in_losses_states_accuracies_and_records():
    """Fails for momentum or weight decay shared between members, for buffers that are not per member, and
    for members that see each other's batches."""
    record = lambda p: torch.stack([p[n].flatten(1).norm(dim=1) for n in p], dim=1)
    results = [
        {
            name: run(settings={name: s}, splits=splits(), record=record, stack=stack)
            for name, s in SETTINGS.items()
        }
        for stack in (True, False)
    ]
    together = run(
        settings={k: v for k, v in SETTINGS.items() if "norm" in k},
        splits=splits(),
        stack=True,
    )
    for name in SETTINGS:
        stacked, looped = (result[name] for result in results)
        torch.testing.assert_close(stacked.loss, looped.loss, rtol=0, atol=1e-10)
        torch.testing.assert_close(
            stacked.recorded, looped.recorded, rtol=0, atol=1e-10
        )
        assert torch.equal(stacked.accuracy, looped.accuracy)
        for a, b in zip(stacked.models[name], looped.models[name], strict=True):
            torch.testing.assert_close(
                a.state_dict(), b.state_dict(), rtol=0, atol=1e-10
            )
        if "norm" in name:
            torch.testing.assert_close(
                together.loss[together[name]], stacked.loss[0], rtol=0, atol=1e-10
            )


def test_a_member_is_what_torch_alone_would_train():
    setting = SETTINGS["with norm"]
    runs = run(settings={"a": setting})
    for index, seed in enumerate(SEEDS):
        torch.manual_seed(seed)
        model = setting.model()
        optimizer = torch.optim.SGD(
            model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01
        )
        losses = []
        for batch in batch_order(96, 16, 20, torch.Generator().manual_seed(seed)):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(X[batch]), Y[batch])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        torch.testing.assert_close(
            runs.loss[0, index],
            torch.tensor(losses, dtype=torch.float64),
            atol=1e-10,
            rtol=0,
        )
        torch.testing.assert_close(
            runs.models["a"][index].state_dict(), model.state_dict(), atol=1e-10, rtol=0
        )


def skewed(seeds=SEEDS, indices=tuple(range(96))):
    draws = [torch.Generator().manual_seed(seed) for seed in seeds]
    return [class_order(Y, torch.tensor(indices), 2, 8, 12, draw) for draw in draws]


def test_members_train_on_the_batches_they_are_given():
    """Fails for an order that indexes the split instead of all samples, and for one shared by all seeds."""
    train = sorted(splits()[0][0].tolist())
    orders, parts = skewed(indices=train), [splits()[0]] * 3
    for stack in (True, False):
        runs = fit_many(
            SETTINGS, X, Y, seeds=SEEDS, orders=orders, splits=parts, stack=stack
        )
        for name, setting in SETTINGS.items():
            for index, seed in enumerate(SEEDS):
                torch.manual_seed(seed)
                model = setting.model()
                arms = ("lr", "momentum", "weight_decay")
                options = {arm: getattr(setting, arm) for arm in arms}
                alone = fit(model, X, Y, orders[index], **options)
                found = runs.loss[runs[name], index]
                torch.testing.assert_close(found, alone, rtol=0, atol=1e-10)
    drawn = [batch_order(96, 16, 20, torch.Generator().manual_seed(s)) for s in SEEDS]
    given = fit_many(SETTINGS, X, Y, seeds=SEEDS, orders=drawn)
    torch.testing.assert_close(given.loss, run().loss, rtol=0, atol=1e-12)


def test_arms_are_paired_by_seed_and_seeds_differ():
    runs = run(
        settings={
            "a": Setting(mlp(), 0.1),
            "b": Setting(mlp(), 0.1),
            "c": Setting(mlp(), 0.2),
        }
    )
    assert torch.equal(runs.loss[0], runs.loss[1])
    assert torch.equal(
        runs.loss[0, :, 0], runs.loss[2, :, 0]
    )  # same initialization and first batch
    assert not torch.equal(runs.loss[0, :, -1], runs.loss[2, :, -1])
    assert len(set(runs.loss[0, :, 0].tolist())) == len(SEEDS)


def test_the_order_of_seeds_is_kept_and_the_global_random_state_is_left_alone():
    state = torch.random.get_rng_state()
    forward = run()
    assert torch.equal(torch.random.get_rng_state(), state)
    backward = run(seeds=SEEDS[::-1])
    torch.testing.assert_close(forward.loss, backward.loss.flip(1), rtol=0, atol=1e-12)


def test_held_out_samples_are_never_trained_on():
    poisoned = X.clone()
    parts = splits()
    same = parts[0][1]
    poisoned[same] = float("nan")
    runs = fit_many(
        SETTINGS,
        poisoned,
        Y,
        seeds=SEEDS[:1],
        steps=20,
        batch_size=16,
        splits=parts[:1],
    )
    assert torch.isfinite(runs.loss).all()


def test_accuracy_is_measured_in_evaluation_mode_on_the_held_out():
    parts = splits()
    runs = run(splits=parts)
    for name in SETTINGS:
        for index, (_, rest) in enumerate(parts):
            model = runs.models[name][index].eval()
            expected = (model(X[rest]).argmax(1) == Y[rest]).double().mean()
            assert runs.accuracy[runs[name], index] == expected
    assert run().accuracy.isnan().all()


def test_recorded_values_are_not_changed_by_later_steps():
    for stack in (True, False):
        runs = run(
            settings={"a": Setting(mlp(), 0.1)},
            record=lambda p: p["1.bias"],
            stack=stack,
        )
        assert runs.recorded.shape == (1, 3, 20, 16)
        assert not torch.equal(runs.recorded[:, :, 0], runs.recorded[:, :, -1])


def test_an_epoch_shows_each_sample_once():
    order = batch_order(10, 3, 7, torch.Generator().manual_seed(0))
    assert order.shape == (7, 3)
    for epoch in (order[:3], order[3:6]):
        assert len(set(epoch.flatten().tolist())) == 9
    assert order[:3].flatten().tolist() != order[3:6].flatten().tolist()


def test_class_order_holds_equally_many_of_each_class():
    y = torch.arange(5).repeat(20)
    indices = torch.arange(0, 100, 3)
    order = class_order(y, indices, 2, 8, 50, torch.Generator().manual_seed(0))
    assert order.shape == (50, 8)
    assert set(order.flatten().tolist()) <= set(indices.tolist())
    for batch in order:
        assert y[batch].unique(return_counts=True)[1].tolist() == [4, 4]
    assert len(y[order].unique()) == 5


def test_callback_sees_each_step_after_it():
    model, seen = mlp()(), []
    order = batch_order(96, 16, 3, torch.Generator().manual_seed(0))
    fit(
        model,
        X,
        Y,
        order,
        lr=0.1,
        callback=lambda step, m: seen.append((step, m[1].bias.detach().clone())),
    )
    assert [step for step, _ in seen] == [0, 1, 2]
    assert torch.equal(seen[-1][1], model[1].bias)
    assert not torch.equal(seen[0][1], seen[1][1])


def test_steps_to_a_loss():
    runs = run(settings={"a": Setting(mlp(), 0.1)}, steps=5)
    runs.loss = torch.tensor([[[3.0, 1.0, 2.0, 0.5, 0.4], [3.0, 3, 3, 3, 3]]])
    assert runs.steps_to(1.0).tolist() == [[2, 5]]
    assert runs.steps_to(0.45, window=2).tolist() == [[5, 5]]
    assert runs.steps_to(1.5, window=2).tolist() == [[3, 5]]


def test_stacking_is_chosen_for_small_steps_only():
    small, sample = mlp()(), X[:1]
    assert _stacking_pays(small, sample, 32)
    assert not _stacking_pays(mlp(width=2048)(), sample, 32)
    assert _stacking_pays(cnn(), sample, 8)
    assert not _stacking_pays(cnn(), sample, 4096)
    for model in (small, cnn()):
        assert _multiplications(model, X[:3]) == _multiplications(model, sample)


def test_a_norm_without_running_statistics_can_be_trained():
    """Fails if the size of a step is measured on a single sample, which such a norm refuses."""
    norm = nn.BatchNorm1d(64, track_running_stats=False, dtype=torch.float64)
    make = lambda: nn.Sequential(nn.Flatten(), norm, nn.Linear(64, 4).double())
    assert torch.isfinite(run(settings={"a": Setting(make, 0.1)}).loss).all()


class Scaled(nn.Module):
    """Holds what its ``repr`` does not show."""

    def __init__(self, factor, activation=torch.tanh):
        super().__init__()
        self.factor, self.activation = factor, activation
        self.linear = nn.Linear(64, 4, dtype=torch.float64)

    def forward(self, x):
        return self.linear(self.activation(torch.as_tensor(self.factor) * x.flatten(1)))


def hooked():
    model = mlp()()
    model[1].register_forward_hook(lambda module, inputs, output: 2 * output)
    return model


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (lambda: Scaled(1.0), lambda: Scaled(3.0)),
        (lambda: Scaled(torch.ones(64)), lambda: Scaled(torch.arange(64.0))),
        (lambda: Scaled(np.ones(64)), lambda: Scaled(np.arange(64.0))),
        (lambda: Scaled(1.0), lambda: Scaled(1.0, torch.relu)),
        (mlp(), hooked),
        (
            lambda: nn.Sequential(nn.Flatten(), Scaled(1.0)),
            lambda: nn.Sequential(nn.Flatten(), Scaled(3.0)),
        ),
    ],
    ids=["number", "tensor", "array", "function", "hook", "nested"],
)
def test_networks_that_differ_beside_their_parameters_are_trained_each_with_its_own_code(
    first, second
):
    """Fails if networks of one ``repr`` and one set of shapes are trained with the first one's code."""
    together = run(settings={"a": Setting(first, 0.1), "b": Setting(second, 0.1)})
    alone = run(settings={"b": Setting(second, 0.1)}, stack=False)
    torch.testing.assert_close(together.loss[1:], alone.loss, rtol=0, atol=1e-10)
    assert (together.loss[0] - together.loss[1]).abs().min() > 1e-6


def test_a_setting_whose_networks_differ_from_seed_to_seed_is_looped():
    make = lambda: Scaled(1.0 + torch.rand(()).item())
    free, looped = (
        run(settings={"a": Setting(make, 0.1)}, stack=stack) for stack in (None, False)
    )
    torch.testing.assert_close(free.loss, looped.loss, rtol=0, atol=1e-10)
    with pytest.raises(ValueError, match="differ in their parameters only"):
        run(settings={"a": Setting(make, 0.1)}, stack=True)


def test_equal_networks_are_stacked_together():
    """Fails if what is equal but not identical counts as different: all would be looped, which is slower."""
    models = {
        str(n): [Scaled(torch.ones(64)), Scaled(torch.ones(64))] for n in range(2)
    }
    models |= {str(n): [cnn()] for n in (2, 3)} | {"4": [Scaled(torch.zeros(64))]}
    assert _same_architecture(models) == [["0", "1"], ["2", "3"], ["4"]]


def test_frozen_parameters_stay_as_they_are():
    """Fails if every parameter is trained, or decays, when networks are stacked."""

    def make():
        model = mlp()()
        model[1].weight.requires_grad_(False)
        return model

    names = lambda parameters: torch.stack(
        [p.flatten(1).norm(dim=1) for p in parameters.values()], dim=1
    )
    setting = {"a": Setting(make, 0.1, momentum=0.9, weight_decay=0.1)}
    stacked, looped = (
        run(settings=setting, stack=s, record=names) for s in (True, False)
    )
    torch.testing.assert_close(stacked.recorded, looped.recorded, rtol=0, atol=1e-10)
    for seed, model in zip(SEEDS, stacked.models["a"], strict=True):
        torch.manual_seed(seed)
        fresh = make()
        assert torch.equal(model[1].weight, fresh[1].weight)
        assert not torch.equal(model[3].weight, fresh[3].weight)


def given(orders, **options):
    return fit_many(SETTINGS, X, Y, seeds=SEEDS, orders=orders, **options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: run(settings={}), "got 0 settings, 3 seeds"),
        (lambda: run(seeds=()), "got 5 settings, 0 seeds"),
        (
            lambda: run(splits=splits()[:2]),
            "one split a seed: got 2 splits for 3 seeds",
        ),
        (lambda: run(splits=[*splits()[:2], *splits((60, 36))[2:]]), "same sizes"),
        (lambda: run(batch_size=97), "from 1 to the 96 samples: got 97"),
        (lambda: run(batch_size=0), "got 0"),
        (lambda: fit_many(SETTINGS, X, Y, seeds=SEEDS), "no orders"),
        (lambda: run(orders=skewed()), r"got \(20, 16\) and orders"),
        (lambda: given(skewed()[:2]), "got 2 orders for 3 seeds"),
        (lambda: given([*skewed()[:2], skewed()[2][:5]]), r"\(5, 8\), \(12, 8\)"),
        (lambda: given([order[0] for order in skewed()]), r"shapes \[\(8,\)\]"),
        (lambda: given(skewed(), splits=splits()), "held-out samples: that of seed 3"),
        (
            lambda: class_order(Y, torch.arange(96), 2, 7, 3, torch.Generator()),
            "got classes=2, batch_size=7",
        ),
        (
            lambda: class_order(Y, torch.arange(96), 9, 9, 3, torch.Generator()),
            "from 1 to 4 .*got classes=9",
        ),
        (lambda: Setting(mlp(), -0.1), "lr must not be negative: got -0.1"),
        (lambda: Setting(mlp(), 0.1, weight_decay=float("nan")), "weight_decay"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_unknown_setting_gets_the_known_ones():
    with pytest.raises(KeyError, match="no setting 'x'; there are slow, with norm"):
        run()["x"]


def test_share_right_counts_every_position():
    logits = torch.tensor([[[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]]])  # (1, 2 classes, 3)
    assert share_right(logits, torch.tensor([[0, 0, 0]])) == pytest.approx(2 / 3)


def tuned(parts=None, **options):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(90, 2, generator=generator)
    y = (x[:, 0] > 0).long()
    y[60:] = 1 - y[60:]  # the test part's labels are turned round
    parts = parts or [torch.arange(90).split(30)] * 3
    defaults = {"rates": (0.0, 0.5), "seeds": (7, 5, 6), "parts": parts}
    if "orders" not in options:
        defaults |= {"steps": 30, "batch_size": 10}
    options = {**defaults, **options}
    return x, y, fit_tuned(partial(nn.Linear, 2, 2), x, y, **options)


@pytest.mark.parametrize("tuning_seeds", [1, 2, 3, None])
def test_rate_is_chosen_by_validation_and_tested_on_the_rest(tuning_seeds):
    """Fails for a rate chosen on test data, where the smallest would win, and for seeds mixed up."""
    x, y, found = tuned(tuning_seeds=tuning_seeds)
    assert found.rates == (0.5,) * 3
    assert found.validation.shape == (2, tuning_seeds or 3)
    assert found.validation[1].min() > found.validation[0].max()
    runs = fit_many(
        {"a": Setting(partial(nn.Linear, 2, 2), lr=0.5)},
        *(x, y),
        seeds=(7, 5, 6),
        splits=[(torch.arange(30), torch.arange(60, 90))] * 3,
        steps=30,
        batch_size=10,
    )
    torch.testing.assert_close(found.test, runs.accuracy[0])
    assert found.test.max() < 0.5
    for mine, theirs in zip(found.models, runs.models["a"], strict=True):
        torch.testing.assert_close(mine.state_dict(), theirs.state_dict())


def test_every_option_reaches_the_training():
    order = torch.randint(30, (30, 10), generator=torch.Generator().manual_seed(1))
    options = {"momentum": 0.9, "weight_decay": 0.1}
    options["loss"] = lambda output, y: 2 * nn.functional.cross_entropy(output, y)
    x, y, found = tuned(rates=(0.1,), orders=[order] * 3, **options)
    torch.manual_seed(5)
    model = nn.Linear(2, 2)
    fit(model, x, y, order, lr=0.1, **options)
    torch.testing.assert_close(found.models[1].state_dict(), model.state_dict())


def test_each_seed_may_take_its_own_rate():
    """Fails for a choice by the mean, and for networks that are not those of the chosen rates."""
    first, second, third = torch.arange(90).split(30)
    parts = [(first, second, third), (first, third, second), (first, second, third)]
    x, y, found = tuned(parts=parts, per_seed=True)  # the third part is turned round
    assert found.rates == (0.5, 0.0, 0.5)
    for model, (_, _, test), score in zip(found.models, parts, found.test, strict=True):
        assert share_right(model.eval()(x[test]), y[test]) == score
    torch.manual_seed(5)  # that of the second seed, which was left as it started
    assert torch.equal(found.models[1].weight, nn.Linear(2, 2).weight)


def test_any_score_can_choose_and_one_that_is_nan_does_not_win():
    confident = lambda output, y: -output.abs().max()
    assert tuned(score=confident)[2].rates == (0.0,) * 3
    diverging = lambda output, y: (output.abs().max() - 3).sqrt()
    assert tuned(rates=(0.0, 1e3), score=diverging)[2].rates == (1e3,) * 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tuning_seeds": 0}, "from 1 to the 3 seeds, .*: got 0 and 3 parts"),
        ({"tuning_seeds": 4}, "got 4"),
        ({"tuning_seeds": 2, "per_seed": True}, "all 3 seeds to tune: got .*=2"),
        ({"parts": [torch.arange(90).split(30)] * 2}, "got 3 and 2 parts"),
        ({"orders": [torch.arange(40)[:, None]] * 3}, "that of seed 7"),
    ],
)
def test_bad_input_for_tuning(options, message):
    with pytest.raises(ValueError, match=message):
        tuned(**options)
