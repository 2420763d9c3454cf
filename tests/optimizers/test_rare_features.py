"""Data with known frequencies and known weights, and their loss against an independent one."""

import pytest
import torch
from torch.distributions import Bernoulli, kl_divergence

from dlkb.optimizers.framework import adam_update, sgd_update
from dlkb.optimizers.rare_features import RareFeatures, draw_rare_features

FREQUENCY = torch.tensor([0.5, 0.1, 0.02], dtype=torch.float64)


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    return draw_rare_features(5, FREQUENCY, samples=4000, new=300, generator=generator)


def test_shapes_and_values(data):
    assert data.truth.shape == (5, 1, 3)
    assert data.truth.abs().unique().tolist() == [1.5]
    assert data.x.shape == (5, 4000, 3)
    assert data.new_x.shape == (5, 300, 3)
    assert data.y.shape == (5, 4000)
    assert data.x.unique().tolist() == [0, 1]
    assert data.y.unique().tolist() == [0, 1]
    assert data.x.dtype == data.y.dtype == data.truth.dtype == torch.float64


def test_features_come_as_often_as_said(data):
    # Five standard errors. Would catch: frequencies of the complement, or one for all features.
    count = 5 * 4000
    spread = (FREQUENCY * (1 - FREQUENCY) / count).sqrt()
    assert ((data.x.mean((0, 1)) - FREQUENCY).abs() < 5 * spread).all()


def test_labels_follow_the_truth(data):
    # Would catch: labels of another draw of features, or of weights with their signs turned.
    p = torch.sigmoid(data.x @ data.truth.mT).squeeze(-1)
    score = ((data.y - p) / (p * (1 - p)).sqrt()).mean()
    assert abs(score) < 5 / (5 * 4000) ** 0.5
    seen = data.x[..., 0] == 1
    assert ((data.y - 0.5) * data.truth[..., 0])[seen].mean() > 0.2


def test_new_probabilities_are_those_of_the_truth(data):
    expected = torch.sigmoid((data.new_x * data.truth).sum(-1))
    torch.testing.assert_close(data.new_p, expected)


def test_divergence_is_that_of_coins(data):
    weights = torch.randn(5, 7, 3, dtype=torch.float64)
    probabilities = torch.sigmoid(weights @ data.new_x.mT)
    true = data.new_p.unsqueeze(1).expand_as(probabilities)
    coins = kl_divergence(Bernoulli(true), Bernoulli(probabilities))
    torch.testing.assert_close(data.divergence(weights), coins.mean(-1))
    assert (data.divergence(data.truth) == 0).all()


def test_divergence_of_extreme_weights_is_finite(data):
    weights = torch.full((5, 1, 3), 1e6, dtype=torch.float64)
    assert data.divergence(weights).isfinite().all()


def test_training_is_that_of_autograd(data):
    # Would catch: a sum in the place of the mean, or the data sets mixed up.
    rates = torch.tensor([0.1, 0.5], dtype=torch.float64)
    found = data.train(sgd_update(rates.unsqueeze(1)), rates=2, batch_size=7)
    for index, rate in enumerate(rates):
        w = torch.zeros(3, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.SGD([w], lr=rate.item())
        for rows, labels in zip(data.x[3].split(7), data.y[3].split(7), strict=True):
            optimizer.zero_grad()
            logits = rows @ w
            torch.nn.functional.binary_cross_entropy_with_logits(
                logits, labels
            ).backward()
            optimizer.step()
        torch.testing.assert_close(found[3, index], w.detach())


def test_training_learns_the_truth(data):
    weights = data.train(adam_update(0.02), batch_size=8)
    assert weights.shape == (5, 1, 3)
    start = data.divergence(torch.zeros_like(weights))
    assert (data.divergence(weights) < start / 5).all()


def test_a_rate_is_chosen_by_some_sets_and_reported_on_the_others(data):
    # Would catch: a choice by all sets, reports on those that chose, or errors with another rate.
    rates = torch.tensor([[0.001], [0.05], [0.5], [8.0]], dtype=torch.float64)
    found = data.tuned(sgd_update(rates), rates=4, tune=2, batch_size=8)
    alone = [data.train(sgd_update(rate.item()), batch_size=8) for rate in rates]
    curve = torch.cat([data.divergence(weights) for weights in alone], 1)
    torch.testing.assert_close(found.curve, curve)
    best = curve[:2].mean(0).argmin().item()
    assert 0 < best < 3
    assert found.best == best
    torch.testing.assert_close(found.loss, curve[2:, best])
    error = (alone[best] - data.truth)[2:, 0].square() / 1.5**2
    torch.testing.assert_close(found.error, error)


def test_the_choice_is_that_of_the_first_sets():
    # By hand: one feature, one sample, one step; the labels are 1, then 0, and the truth says 1.
    one = torch.ones(2, 1, 1)
    y = torch.tensor([[1.0], [0.0]])
    data = RareFeatures(2 * one, one, y, one, torch.ones(2, 1))
    found = data.tuned(sgd_update(torch.tensor([[0.0], [2.0]])), rates=2, tune=1)
    assert found.best == 1  # the second set would choose 0
    assert found.error.item() == ((-1 - 2) / 2) ** 2


@pytest.mark.parametrize("tune", [0, 5, -1])
def test_some_sets_must_choose_and_some_report(data, tune):
    with pytest.raises(ValueError, match=f"from 1 to 4, one less.*got {tune}"):
        data.tuned(sgd_update(0.1), rates=1, tune=tune)


def test_data_can_be_given_by_hand():
    # One sample with its one feature: the gradient from 0 is sigmoid(0) - 1 = -1/2.
    one = torch.ones(1, 1, 1)
    data = RareFeatures(one, one, one[..., 0], one, one[..., 0])
    assert data.train(sgd_update(1.0)).item() == 0.5


def test_frequencies_are_checked():
    with pytest.raises(ValueError, match=r"0 to 1: got 0.5 to 1.5"):
        draw_rare_features(1, torch.tensor([0.5, 1.5]))
