"""The two tasks on one shared layer, against networks that are trained one by one."""

import pytest
import torch
from torch.nn import functional as F

from dlkb.losses.two_tasks import (
    TwoTasks,
    fit_at_rates,
    minimize,
    scores,
    two_losses,
    two_task_networks,
)


def images(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def targets(count):
    return torch.stack([torch.arange(count) % 10.0, images(count, seed=1)], 1)


def test_networks_are_those_of_their_seeds_and_leave_the_global_state():
    """Would catch one start for all seeds, and a draw that moves the caller's random numbers."""
    state = torch.random.get_rng_state()
    _, start = two_task_networks([3, 4], "cpu")
    assert torch.equal(torch.random.get_rng_state(), state)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        alone = TwoTasks()
    for name, value in alone.named_parameters():
        assert torch.equal(start[name][1], value)
    assert not torch.equal(start["digit.weight"][0], start["digit.weight"][1])


def test_losses_are_torchs():
    """Would catch swapped targets, and the parameters of the network in place of those given."""
    (network, start), x, y = two_task_networks([0, 1], "cpu"), images(6, 64), targets(6)
    own = {name: value[1] for name, value in start.items()}
    other = TwoTasks()
    other.load_state_dict(own)
    logits, brightness = other(x)
    expected = [
        F.cross_entropy(logits, y[:, 0].long()),
        F.mse_loss(brightness, y[:, 1]),
    ]
    for found, value in zip(two_losses(network, own, x, y), expected, strict=True):
        torch.testing.assert_close(found, value)


def test_training_together_is_training_each_alone():
    """Would catch mixed up rates, seeds or batches, one step too few, and a start that is overwritten."""
    (network, start), x, y = (
        two_task_networks([0, 1], "cpu"),
        images(12, 64),
        targets(12),
    )
    before = {name: value.clone() for name, value in start.items()}
    orders = torch.stack(
        [torch.arange(12).view(3, 4), torch.arange(12).flip(0).view(3, 4)]
    )
    found = fit_at_rates(
        lambda p, x, y: sum(two_losses(network, p, x, y)),
        start,
        x,
        y,
        orders,
        (0.01, 0.1),
    )
    for rate, stacked in zip((0.01, 0.1), found, strict=True):
        for seed, order in enumerate(orders):
            alone = TwoTasks()
            alone.load_state_dict({name: value[seed] for name, value in start.items()})
            optimizer = torch.optim.Adam(alone.parameters(), lr=rate)
            for batch in order:
                optimizer.zero_grad()
                sum(
                    two_losses(
                        alone, dict(alone.named_parameters()), x[batch], y[batch]
                    )
                ).backward()
                optimizer.step()
            for name, value in alone.named_parameters():
                torch.testing.assert_close(
                    stacked[name][seed], value, rtol=0, atol=1e-4
                )
    assert all(torch.equal(start[name], before[name]) for name in start)


def test_scores_by_hand():
    """Says digit 0 and brightness 2 * 10 + 1 = 21; fails for a mean over seeds, and for the offset scaled."""
    network, start = two_task_networks([0, 1], "cpu")
    zero = {name: torch.zeros_like(value) for name, value in start.items()}
    zero["brightness.bias"] += 2
    digit = torch.tensor([[0, 1, 0, 0], [1, 2, 3, 4]])
    brightness = torch.tensor([[21.0, 21, 21, 21], [18.0, 24, 18, 24]])
    right, error = scores(network, zero, images(2, 4, 64), digit, brightness, 1.0, 10.0)
    assert right.tolist() == [0.75, 0.0]
    assert error.tolist() == pytest.approx([0.0, 3.0])


def test_minimize_finds_a_minimum_far_away():
    """exp(-s) * 3000 + s is lowest at log 3000, from 0. Would catch a single step of gradient descent."""
    s = torch.nn.Parameter(torch.zeros(()))
    minimize(lambda: 3000 * torch.exp(-s) + s, [s])
    assert s.item() == pytest.approx(torch.tensor(3000.0).log().item(), abs=1e-3)
