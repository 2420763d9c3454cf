"""The helpers by which classification losses are compared."""

import warnings

import pytest
import torch
from torch import nn

from dlkb.losses.trials import (
    answer,
    columns,
    digit_network,
    held_out_logits,
    steps_until,
)
from dlkb.train import Setting, fit_many


def test_the_bias_is_set_only_where_it_is_asked_for():
    """Would catch a bias of 0 taken for none."""
    assert (digit_network(bias=-10.0)[2].bias == -10).all()
    assert (digit_network(bias=0.0)[2].bias == 0).all()
    assert len(digit_network()[2].bias.unique()) == 10


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(40, 64, generator=generator), torch.arange(40) % 10
    orders = [torch.randperm(40, generator=generator) for _ in range(3)]
    return x, y, [order.split([30, 10]) for order in orders]


def test_the_last_logits_are_those_of_the_trained_networks(data):
    """Would catch samples of another seed, training samples, logits before the step, swapped settings."""
    x, y, splits = data
    settings = {str(lr): Setting(digit_network, lr, momentum=0.9) for lr in (0.1, 0.5)}
    training = {"seeds": range(3), "steps": 4, "batch_size": 10}
    logits, truth = held_out_logits(settings, x, y, splits=splits, count=7, **training)
    assert logits.shape == (2, 3, 4, 7, 10)
    runs = fit_many(settings, x, y, splits=splits, **training)
    for setting, name in enumerate(settings):
        for seed, (_, rest) in enumerate(splits):
            assert torch.equal(truth[seed], y[rest[:7]])
            torch.testing.assert_close(
                logits[setting, seed, -1], runs.models[name][seed](x[rest[:7]])
            )


def test_the_first_logits_are_those_after_one_step(data):
    """Would catch the last step's logits kept for every step."""
    x, y, splits = data
    settings, training = {"a": Setting(digit_network, 0.5)}, {"seeds": range(3)}
    long, _ = held_out_logits(
        settings, x, y, splits=splits, count=2, steps=3, batch_size=30, **training
    )
    short, _ = held_out_logits(
        settings, x, y, splits=splits, count=2, steps=1, batch_size=30, **training
    )
    torch.testing.assert_close(long[:, :, :1], short)
    assert (long[:, :, 0] - long[:, :, 1]).abs().max() > 1e-3


@pytest.mark.parametrize("count", [0, 11])
def test_the_count_must_be_there(data, count):
    x, y, splits = data
    with pytest.raises(ValueError, match=f"from 1 to the 10 .* got {count}"):
        held_out_logits(
            {"a": Setting(digit_network, 0.1)},
            *(x, y),
            splits=splits,
            count=count,
            seeds=range(3),
            steps=1,
            batch_size=10,
        )


def test_steps_are_counted_from_one_and_never_is_one_more():
    """Would catch a count from 0, the last instead of the first, and 1 for never."""
    rows = [[1, 0, 0], [0, 0, 1], [0, 1, 1], [0, 0, 0]]
    assert steps_until(torch.tensor(rows).bool()).tolist() == [1, 3, 2, 4]
    assert steps_until(torch.zeros(2, 5, 3).bool()).shape == (2, 5)


def test_answer_tells_errors_warnings_and_silence_apart():
    def warn():
        warnings.warn("look here", UserWarning, stacklevel=1)

    assert answer(warn) == ("warning", "look here")
    assert answer(torch.add, torch.ones(2), torch.ones(1)) == ("silent", "")
    kind, message = answer(nn.Linear(3, 1), torch.ones(2))
    assert kind == "error"
    assert "shapes" in message


def test_answer_lets_other_errors_through():
    with pytest.raises(KeyError):
        answer({}.__getitem__, "a")


def test_columns_are_aligned_and_show_small_numbers():
    """Would catch fixed decimals, which show 2e-9 as 0, and a minus sign before 0."""
    text = columns(a=[1.0, -0.0], long_name=torch.tensor([2.06e-9, 1000.0]))
    assert text.split("\n") == ["a   long name", "1    2.06e-09", "0        1000"]


def test_columns_have_one_length():
    with pytest.raises(ValueError, match="'a': 1, 'b': 2"):
        columns(a=[1], b=[1, 2])
