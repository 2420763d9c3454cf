"""Descents against torch's own SGD, by hand, and from starts of three kinds."""

import math

import pytest
import torch
import torchvision.ops

from dlkb.losses.box_descent import (
    descend_boxes,
    draw_starts,
    first_overlap,
    from_centre,
    steps_to_iou,
)
from dlkb.losses.boxes import (
    box_iou_loss,
    distance_box_iou_loss,
    generalized_box_iou_loss,
)

UNIT = torch.tensor([[0.0, 0.0, 1.0, 1.0]], dtype=torch.float64)
ASIDE = torch.tensor([[3.0, 0.0, 1.0, 1.0]], dtype=torch.float64)


def test_corners_are_torchvisions():
    """Catches sides that are taken for the second corner."""
    boxes = torch.rand(3, 5, 4, dtype=torch.float64)
    expected = torchvision.ops.box_convert(boxes, "cxcywh", "xyxy")
    torch.testing.assert_close(from_centre(boxes), expected)


def test_descent_is_torchs_sgd():
    """To random targets, not only the origin; catches ascent and corners as variables."""
    start, target = draw_starts(4), draw_starts(4).flip(0)
    path = descend_boxes(distance_box_iou_loss, start, target, 20, rate=0.05)
    box = start.clone().requires_grad_()
    optimizer = torch.optim.SGD([box], lr=0.05)
    for expected in path:
        torch.testing.assert_close(box.detach(), expected)
        optimizer.zero_grad()
        corners = [
            torchvision.ops.box_convert(b, "cxcywh", "xyxy") for b in (box, target)
        ]
        torchvision.ops.distance_box_iou_loss(*corners, reduction="sum").backward()
        optimizer.step()


def test_first_step_by_hand():
    """GIoU's loss of unit squares 3 apart is 2 - 2a / (3 + a), a = (w + 1) / 2: by x 1/8, by w -3/16."""
    moved = descend_boxes(generalized_box_iou_loss, ASIDE, UNIT, 1, rate=1.0)[1] - ASIDE
    assert moved[0, 0].item() == pytest.approx(-1 / 8)
    assert moved[0, 2].item() == pytest.approx(3 / 16)


def test_each_box_descends_for_itself_at_its_rate():
    """Catches a mean over the boxes, and one rate for all."""
    rates = torch.tensor([[0.1], [0.4]], dtype=torch.float64)
    both = descend_boxes(
        generalized_box_iou_loss,
        ASIDE.repeat(2, 1),
        UNIT.repeat(2, 1),
        steps=5,
        rate=rates,
    )
    for i, rate in enumerate(rates.flatten().tolist()):
        alone = descend_boxes(generalized_box_iou_loss, ASIDE, UNIT, 5, rate)
        torch.testing.assert_close(both[:, i], alone[:, 0])


def test_sides_stay_positive():
    path = descend_boxes(lambda a, b: (a[:, 2:] - a[:, :2]).sum(1), UNIT, UNIT, 3, 1.0)
    assert path[-1, 0].tolist() == [0, 0, 0.01, 0.01]


def test_descent_keeps_dtype_and_the_start():
    start = ASIDE.float()
    path = descend_boxes(generalized_box_iou_loss, start, UNIT.float(), 2)
    assert path.dtype == torch.float32
    assert not path.requires_grad
    assert start.tolist() == [[3, 0, 1, 1]]


def test_bad_input_of_a_descent():
    with pytest.raises(ValueError, match="0 or more: got -1"):
        descend_boxes(box_iou_loss, UNIT, UNIT, -1)
    with pytest.raises(ValueError, match=r"\(N, 4\) both.*\(1, 4\) and \(2, 4\)"):
        descend_boxes(box_iou_loss, UNIT, UNIT.repeat(2, 1), 1)


def test_first_overlap_is_where_the_intersection_begins():
    """Against torchvision's IoU, with targets off the origin; the last pair never meets."""
    generator = torch.Generator().manual_seed(0)
    start = torch.cat([draw_starts(10, generator)[:10], ASIDE + 50])
    target = torch.cat([draw_starts(10, generator)[20:], UNIT])
    path = descend_boxes(generalized_box_iou_loss, start, target, 100)
    found = first_overlap(path, target)
    for i, step in enumerate(found.tolist()):
        iou = torchvision.ops.box_iou(
            *(
                torchvision.ops.box_convert(b, "cxcywh", "xyxy")
                for b in (path[:, i], target[i : i + 1])
            )
        ).flatten()
        assert (iou[:step] == 0).all()
        assert step == 101 or iou[step] > 0
    assert found[-1] == 101
    assert found[:-1].max() < 101


def test_steps_to_iou_are_counted_on_the_path():
    """One at a time; catches a rate given to the wrong box and a count that begins at 1."""
    start, rates = (
        draw_starts(3, torch.Generator().manual_seed(0)),
        torch.tensor([0.05, 0.4], dtype=torch.float64),
    )
    target = UNIT.expand_as(start)
    found = steps_to_iou(distance_box_iou_loss, start, target, rates, 0.6, most=60)
    for rate, row in zip(rates.tolist(), found, strict=True):
        path = descend_boxes(distance_box_iou_loss, start, target, 60, rate)
        for i, needed in enumerate(row.tolist()):
            own = from_centre(path[:, i])
            near = 1 - box_iou_loss(own, from_centre(UNIT).expand_as(own)) >= 0.6
            expected = near.nonzero()[0].item() if near.any() else 61
            assert needed == expected
    assert (found == 61).any()
    assert (found < 61).any()


def test_starts_are_apart_inside_and_around():
    boxes = draw_starts(500, torch.Generator().manual_seed(0))
    assert boxes.shape == (1500, 4)
    apart, inside, around = from_centre(boxes).view(3, 500, 4)
    square = from_centre(UNIT)
    distance, area = boxes[:500, :2].norm(dim=1), boxes[:, 2:].prod(1).view(3, 500)
    assert 2 <= distance.min() < 2.05 < 2.95 < distance.max() <= 3
    assert (
        torchvision.ops.box_iou(apart, square) == 0
    ).double().mean() > 0.9  # some reach in
    assert ((inside - square)[:, :2] >= 0).all()
    assert ((square - inside)[:, 2:] >= 0).all()
    assert ((square - around)[:, :2] >= 0).all()
    assert ((around - square)[:, 2:] >= 0).all()
    for values, (low, high) in zip(area, ((0.5, 2), (0.05, 0.2), (5, 10)), strict=True):
        assert low <= values.min()
        assert values.max() <= high
        assert values.mean().item() == pytest.approx((low + high) / 2, rel=0.05)
    ratio = (boxes[:, 2] / boxes[:, 3]).log().abs().view(3, 500).amax(1)
    bounds = torch.tensor([1, 1, 0.3], dtype=torch.float64) * math.log(3)
    assert (ratio <= bounds + 1e-12).all()
    assert (ratio > 0.95 * bounds).all()


def test_starts_come_from_the_generator():
    one, again = (draw_starts(5, torch.Generator().manual_seed(3)) for _ in range(2))
    assert one.equal(again)
