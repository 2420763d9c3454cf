"""The race against a slow loop with torchvision's losses; its anchors, its cases and its report."""

import json
import math

import pytest
import torch
import torchvision.ops
from scipy.special import kolmogorov

from dlkb.losses import (
    RACERS,
    box_iou_loss,
    complete_box_iou_loss,
    distance_box_iou_loss,
    full_race,
    generalized_box_iou_loss,
    race,
    race_anchors,
)

RATIOS = (1 / 4, 1 / 3, 1 / 2, 1, 2, 3, 4)
SCALES = (0.5, 0.67, 0.75, 1, 1.33, 1.5, 2)


def all_cases(x, y):
    """Boxes and targets (x, y, w, h), by loops."""
    rows = [
        (
            (x, y, math.sqrt(s * r), math.sqrt(s / r)),
            (10, 10, math.sqrt(t), math.sqrt(1 / t)),
        )
        for t in RATIOS
        for s in SCALES
        for r in RATIOS
    ]
    boxes, targets = (
        torch.tensor(part, dtype=torch.float64) for part in zip(*rows, strict=True)
    )
    return boxes, targets


def slow_race(loss, anchors, steps, rate):
    """The update as published, differentiated by centre and sides, in float64, with torchvision's IoU."""
    convert = torchvision.ops.box_convert
    errors, shares = torch.zeros(steps + 1), torch.zeros(steps + 1)
    for x, y in anchors.tolist():
        boxes, targets = all_cases(x, y)
        corners = convert(targets, "cxcywh", "xyxy")
        for step in range(steps + 1):
            boxes.requires_grad_()
            own = convert(boxes, "cxcywh", "xyxy")
            iou = torchvision.ops.box_iou(own.detach(), corners).diagonal()
            errors[step] += (boxes - targets).abs().sum(1).mean().item() / len(anchors)
            shares[step] += (iou >= 0.95).double().mean().item() / len(anchors)
            (gradient,) = torch.autograd.grad(loss(own, corners).sum(), boxes)
            eta = rate * (
                1 if step < 0.8 * steps else 0.1 if step < 0.9 * steps else 0.01
            )
            boxes = boxes.detach() - eta * (2 - iou)[:, None] * gradient
    return errors, shares


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (generalized_box_iou_loss, torchvision.ops.generalized_box_iou_loss),
        (distance_box_iou_loss, torchvision.ops.distance_box_iou_loss),
        (complete_box_iou_loss, torchvision.ops.complete_box_iou_loss),
    ],
)
def test_a_slow_loop_finds_the_same_errors(ours, theirs):
    """Fails for a constant rate, a missing (2 - IoU), sides' gradients not halved, targets not of area 1."""
    run = race(ours, anchors=4, steps=20, rate=0.2)
    errors, shares = slow_race(theirs, run.anchors, 20, 0.2)
    torch.testing.assert_close(run.error, errors.double(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(run.converged, shares.double(), rtol=0, atol=2 / 1372)


def test_the_start_is_the_papers():
    """|dx| + |dy| is the anchor's distance, and the sides' part is the same for every anchor."""
    run = race(box_iou_loss, anchors=5, steps=1)
    boxes, targets = all_cases(10, 10)
    sides = (boxes - targets).abs().sum(1).mean()
    expected = (run.anchors - 10).abs().sum(1).mean() + sides
    assert run.error[0].item() == pytest.approx(expected.item(), abs=1e-5)
    assert len(boxes) * 5000 == 1_715_000


def test_anchors_fill_the_disk_evenly():
    """Fails for a radius drawn uniformly, which crowds the centre."""
    points = race_anchors() - 10
    radius = points.square().sum(1).sqrt()
    assert points.shape == (5000, 2)
    assert radius.max() <= 3
    for uniform in (
        (radius / 3).square(),
        torch.atan2(*points.T) / (2 * math.pi) + 0.5,
    ):
        ranks = torch.arange(1, 5001) / 5000
        distance = (uniform.sort().values - ranks).abs().max().item()
        assert kolmogorov(math.sqrt(5000) * distance) > 1e-3


@pytest.mark.parametrize("count", [1, 50, 100, 200, 500])
def test_a_part_is_taken_from_all_and_spread_like_all(count):
    part, whole = race_anchors(count, seed=3), race_anchors(5000, seed=3)
    found = (part[:, None] == whole).all(dim=2)
    assert found.sum(1).eq(1).all()
    assert found.any(dim=0).sum() == count
    if count == 100:  # ten rings of 500 points each, ten points from each
        radius = (whole - 10).square().sum(1)
        rank = radius.argsort().argsort()
        rings = rank[found.int().argmax(dim=1)] // 500
        assert rings.bincount().tolist() == [10] * 10


def test_seeds_count():
    assert torch.equal(race_anchors(10, 1), race_anchors(10, 1))
    assert not torch.equal(race_anchors(10, 1), race_anchors(10, 2))
    assert not torch.equal(
        race_anchors(5000, 1).sort(0).values, race_anchors(5000, 2).sort(0).values
    )


def test_cases_run_apart_give_what_they_give_together():
    one, many = (
        race(generalized_box_iou_loss, anchors=4, steps=5, cases_at_once=n)
        for n in (343, 10**6)
    )
    for name in ("error", "converged", "anchor_error", "anchor_converged"):
        torch.testing.assert_close(
            getattr(one, name), getattr(many, name), rtol=1e-5, atol=1e-6
        )


def test_means_by_step_and_by_anchor_agree():
    run = race(distance_box_iou_loss, anchors=10, steps=40, rate=0.3)
    assert run.error[-1].item() == pytest.approx(
        run.anchor_error.mean().item(), rel=1e-5
    )
    assert run.converged[-1].item() == pytest.approx(
        run.anchor_converged.mean().item(), abs=1e-6
    )
    assert run.anchor_error.shape == run.anchor_converged.shape == (10,)
    assert run.anchors.shape == (10, 2)


def test_without_overlap_iou_stands_still_and_the_others_do_not():
    """The rival: a race in which the loss does not matter."""
    start = race(box_iou_loss, anchors=25, steps=1)
    far = (start.anchors - 10).square().sum(1).sqrt() > 2.5  # no box reaches its target
    assert far.any()
    for name, loss in RACERS.items():
        run = race(loss, anchors=25, steps=60)
        nearer = start.anchor_error[far] - run.anchor_error[far]
        if name == "IoU":
            assert nearer.abs().max() < 1e-5
        else:
            assert nearer.min() > 0.1, name


def test_sides_are_held_and_counted():
    def shrink(boxes1, boxes2):
        return (boxes1[:, 2:] - boxes1[:, :2]).sum(1) * 100

    run = race(shrink, anchors=1, steps=3)
    assert run.shortest == 1.0
    assert run.error.isfinite().all()
    assert race(distance_box_iou_loss, anchors=1, steps=3).shortest == 0


def test_the_full_race_reports_what_json_can_hold():
    parts = full_race(anchors=50, steps=10)
    assert list(parts) == [*RACERS, "rates"]
    result = json.loads(json.dumps(parts["DIoU"](), allow_nan=False))
    run = race(distance_box_iou_loss, anchors=50, steps=10)
    assert result["cases"] == 50 * 343
    assert result["error"] == pytest.approx(run.error.tolist(), abs=1e-6)
    assert result["converged"] == pytest.approx(run.converged.tolist(), abs=1e-6)
    assert result["final"]["error"] == pytest.approx(run.error[-1].item(), abs=1e-5)
    spread = run.anchor_error.std().item() / math.sqrt(50)
    assert result["final"]["error_standard_error"] == pytest.approx(spread, abs=1e-5)
    assert len(result["map"]) == 24 * 24
    x, y = run.anchors[7].tolist()
    column, row = math.floor((x - 7) * 4), math.floor((y - 7) * 4)
    same = [
        run.anchor_error[i].item()
        for i, (u, v) in enumerate(run.anchors.tolist())
        if (math.floor((u - 7) * 4), math.floor((v - 7) * 4)) == (column, row)
    ]
    assert result["map"][row * 24 + column] == pytest.approx(
        sum(same) / len(same), abs=1e-4
    )
    assert result["map"][0] is None  # a corner, outside the disk


def test_rates_are_the_same_for_every_loss():
    grid = full_race(anchors=10, steps=2)["rates"]()
    assert set(grid) == set(RACERS)
    rates = {tuple(entry["rate"] for entry in entries) for entries in grid.values()}
    assert rates == {(0.025, 0.05, 0.1, 0.2, 0.4)}
    assert grid["GIoU"][0]["error"] != grid["GIoU"][-1]["error"]


@pytest.mark.parametrize("count", [0, 3, 10_000])
def test_a_count_that_divides_nothing_is_refused(count):
    with pytest.raises(
        ValueError, match=f"count must divide 5000.* got {count}; 100 is 1/50"
    ):
        race(box_iou_loss, anchors=count)


def test_no_steps_are_refused():
    with pytest.raises(ValueError, match="steps must be 1 or more: got 0"):
        race(box_iou_loss, anchors=1, steps=0)
