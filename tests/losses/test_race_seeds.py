"""Races descended together against races one by one, and errors."""

import pytest
import torch

from dlkb.losses import RACERS, log_box_iou_loss, race
from dlkb.losses.race_seeds import race_seeds


@pytest.mark.parametrize("name", ["smooth L1", "IoU", "CIoU"])
def test_together_is_one_by_one(name):
    """Fails for seeds mixed up or averaged over, and for an error or share taken after the step."""
    seeds, options = (3, 1, 8), {"steps": 30, "rate": 0.2}
    together = race_seeds(RACERS[name], seeds, anchors=4, **options)
    alone = [race(RACERS[name], 4, seed=seed, **options) for seed in seeds]
    assert not torch.allclose(alone[0].error, alone[1].error, rtol=1e-3)
    for found, expected in zip(together, alone, strict=True):
        assert torch.equal(found.anchors, expected.anchors)
        for field in ("error", "converged", "anchor_error", "anchor_converged"):
            torch.testing.assert_close(
                getattr(found, field), getattr(expected, field), rtol=0, atol=5e-6
            )


def test_sides_held_are_counted_over_all_seeds():
    """A rate so high that some sides are held."""
    together = race_seeds(log_box_iou_loss, (1, 2), anchors=4, steps=20, rate=3.0)
    alone = [
        race(log_box_iou_loss, 4, steps=20, rate=3.0, seed=seed).shortest
        for seed in (1, 2)
    ]
    assert sum(alone) > 0
    assert [run.shortest for run in together] == pytest.approx([sum(alone) / 2] * 2)


def test_no_seed_no_step_and_unequal_blocks():
    loss = RACERS["IoU"]
    with pytest.raises(ValueError, match="at least one seed: got none"):
        race_seeds(loss, [])
    with pytest.raises(ValueError, match="steps must be 1 or more: got 0"):
        race_seeds(loss, [0], steps=0)
    with pytest.raises(ValueError, match=r"count must divide 5000.*got 3"):
        race_seeds(loss, [0], anchors=3)
