"""Random quadratics have the curvatures they claim, runs their losses, and failures count in full."""

import torch

from dlkb.optimizers.bowl_race import race, random_bowls, steps_to_arrive
from dlkb.optimizers.framework import adam_update, sgd_update
from dlkb.optimizers.surfaces import descend, quadratic


def test_curvatures_are_the_same_turned_or_not():
    """Catches axes that are not orthogonal, and bowls that are not turned or all turned alike."""
    expected = torch.tensor([1.0, 4.0, 16.0]).expand(6, 3)
    for turned in (False, True):
        hessians, starts = random_bowls(6, turned, 3, 16.0, seed=0)
        assert hessians.shape == (6, 3, 3)
        assert starts.shape == (6, 3)
        found = torch.linalg.eigvalsh(hessians)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        across = hessians[:, 0, 1:].abs().amax(1)
        assert ((across > 0.1) == turned).all()
    assert not torch.allclose(hessians[0], hessians[1], atol=0.1)


def test_a_seed_fixes_bowls_and_starts():
    """Starts do not depend on the turn, so that both races begin alike."""
    straight, turned = (random_bowls(4, turned, seed=3) for turned in (False, True))
    assert torch.equal(straight[1], turned[1])
    assert torch.equal(turned[0], random_bowls(4, True, seed=3)[0])
    assert not torch.equal(turned[1], random_bowls(4, True, seed=4)[1])


def test_losses_are_those_of_descend():
    """Catches a loss without its half, and the losses after the steps."""
    hessians, starts = random_bowls(3, False, 4, 9.0, seed=1)
    update = adam_update(0.1)
    path = descend(quadratic(9.0, dim=4), update, starts, 20)
    torch.testing.assert_close(
        race(update, hessians, starts, 20), quadratic(9.0, dim=4)(path)
    )


def test_a_turned_bowl_is_run_as_it_is():
    hessians, starts = random_bowls(2, True, 3, 9.0, seed=1)
    after = starts - 0.1 * (hessians @ starts.unsqueeze(-1)).squeeze(-1)
    expected = (after * (hessians @ after.unsqueeze(-1)).squeeze(-1)).sum(-1) / 2
    found = race(sgd_update(0.1), hessians, starts, 1)[1]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_rates_race_all_at_once():
    hessians, starts = random_bowls(3, True, seed=0)
    rates = torch.tensor([0.001, 0.01])
    together = race(sgd_update(rates[:, None, None]), hessians, starts, 5)
    assert together.shape == (6, 2, 3)
    alone = race(sgd_update(0.01), hessians, starts, 5)
    torch.testing.assert_close(together[:, 1], alone)


def test_arrival_by_hand():
    """In turn: arrives at 2; comes back up and arrives at 3; rises above the first; never; diverges."""
    losses = torch.tensor(
        [
            [4.0, 4.0, 4.0, 4.0, 4.0],
            [2.0, 0.5, 5.0, 3.0, 2.0],
            [0.5, 2.0, 0.5, 2.0, torch.inf],
            [0.5, 0.5, 0.5, 2.0, torch.nan],
            [0.0, 0.5, 0.5, 2.0, torch.nan],
        ]
    )
    assert steps_to_arrive(losses, 0.25).tolist() == [2, 3, 4, 4, 4]
