"""The authors' gradients, rebuilt here from autograd's pieces and from what is known to differ."""

import json

import pytest
import torch

from dlkb.losses import (
    box_iou_loss,
    complete_box_iou_loss,
    distance_box_iou_loss,
    generalized_box_iou_loss,
    race,
)
from dlkb.losses.race_as_published import (
    PUBLISHED,
    full_published_race,
    published_loss,
)


@pytest.fixture(scope="module")
def boxes():
    """4000 pairs, (centre x, y, width, height): apart along an axis or two, overlapping, nested, spanning."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.rand(2, 4000, 2, generator=generator, dtype=torch.float64) * 3
    sides = torch.rand(2, 4000, 2, generator=generator, dtype=torch.float64) * 2 + 0.1
    return torch.cat([centres, sides], dim=2)


def corners(box):
    return torch.cat(
        [box[..., :2] - box[..., 2:] / 2, box[..., :2] + box[..., 2:] / 2], -1
    )


def descent(loss, boxes):
    """The direction that gradient descent takes in centre and sides, (4000, 4)."""
    own = boxes[0].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(corners(own), corners(boxes[1])).sum(), own)
    return -gradient


def meeting(boxes):
    apart = (boxes[0, :, :2] - boxes[1, :, :2]).abs()
    return (apart < (boxes[0, :, 2:] + boxes[1, :, 2:]) / 2).all(1)


def doubled(direction):
    return direction * torch.tensor([1.0, 1, 2, 2])


def test_iou_counts_sides_twice(boxes):
    """Fails for the halves of the chain rule."""
    true = descent(lambda a, b: box_iou_loss(a, b, eps=0), boxes)
    torch.testing.assert_close(descent(published_loss("IoU"), boxes), doubled(true))


def test_giou_is_right_but_for_sides_where_boxes_meet_and_everywhere_once_clipped(
    boxes,
):
    true = doubled(descent(lambda a, b: generalized_box_iou_loss(a, b, eps=0), boxes))
    theirs = descent(published_loss("GIoU"), boxes)
    clipped = descent(published_loss("GIoU", clip=True), boxes)
    meets = meeting(boxes)
    assert 500 < meets.sum() < 3500
    torch.testing.assert_close(theirs[meets], true[meets])
    torch.testing.assert_close(clipped, true)
    wrong = (theirs - true)[~meets].abs().amax(1)
    assert (wrong > 1e-3).double().mean() > 0.99


def test_giou_apart_has_a_signed_intersection(boxes):
    """Fails for a union without the product of the negative differences."""

    def signed(a, b):
        overlap = torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])
        around = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
        areas = [(c[:, 2:] - c[:, :2]).prod(1) for c in (a, b)]
        return -(sum(areas) - overlap.prod(1)) / around.prod(1)

    apart = ~meeting(boxes)
    theirs = descent(published_loss("GIoU"), boxes)
    torch.testing.assert_close(theirs[apart], doubled(descent(signed, boxes))[apart])


def test_boxes_of_one_height_side_by_side_are_not_drawn_together():
    """By hand: |A or B| = |C| there, and the derivatives along x cancel; clipped, they do not."""
    pair = torch.tensor([[[0.5, 0.5, 1.0, 1.0]], [[3.5, 0.5, 1.0, 1.0]]]).double()
    moved = descent(published_loss("GIoU"), pair)[0]
    assert moved.tolist() == [0, 0, 0, 1 / 2]
    # Right: |A or B| = 2, |C| = 4. By x1: (4 (-1) - 2 (-1)) / 16 = -1/8; by x2: 4 (1) / 16 = 1/4.
    clipped = descent(published_loss("GIoU", clip=True), pair)[0]
    assert clipped[:3].tolist() == pytest.approx([1 / 8, 0, 3 / 8])


def test_diou_counts_both_axes_with_the_wrong_sign(boxes):
    """From the true derivatives of rho^2 and of the enclosing sides, put together as the program does."""
    own = boxes[0].clone().requires_grad_()
    a, b = corners(own), corners(boxes[1])
    around = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
    by = torch.autograd.grad(around.sum(), own)[0]  # by x, y: -1, 0, 1; by w, h: 0 to 1
    rho2 = (own[:, :2] - boxes[1, :, :2]).square().sum(1)
    (by_rho2,) = torch.autograd.grad(rho2.sum(), own)
    c2 = around.square().sum(1, keepdim=True)
    both = around.sum(1, keepdim=True)
    weight = (2 * rho2[:, None] / c2.square()).detach()
    centre = -by_rho2[:, :2] / c2 - weight * both * by[:, :2]
    spans = (by[:, 2:] == 1).double()
    sides = weight * (both * by[:, 2:] - 2 * around * spans)
    assert 0.01 < spans.mean() < 0.5
    found = descent(published_loss("DIoU"), boxes)
    more = found - descent(published_loss("IoU"), boxes)
    torch.testing.assert_close(more, torch.cat([centre, sides], 1).detach())


def test_ciou_adds_the_angle_without_its_denominator(boxes):
    def angle(a, b):  # alpha v, alone
        return complete_box_iou_loss(a, b, eps=1e-9) - distance_box_iou_loss(
            a, b, eps=1e-9
        )

    scaled = descent(angle, boxes) * boxes[0, :, 2:].square().sum(1, keepdim=True)
    more = descent(published_loss("CIoU"), boxes) - descent(
        published_loss("DIoU"), boxes
    )
    torch.testing.assert_close(more, scaled, rtol=1e-4, atol=1e-6)


def test_parts_are_reported_as_the_races_are():
    parts = full_published_race(anchors=10, steps=5)
    assert list(parts) == [*PUBLISHED, "GIoU, clipped"]
    result = json.loads(json.dumps(parts["GIoU"](), allow_nan=False))
    run = race(published_loss("GIoU"), anchors=10, steps=5)
    assert result["cases"] == 3430
    assert result["error"] == pytest.approx(run.error.tolist(), abs=1e-6)
    assert parts["GIoU, clipped"]()["error"] != result["error"]


def test_dtype_is_kept():
    pair = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0)) + 0.1
    pair[..., 2:] += pair[..., :2]
    for name in PUBLISHED:
        assert published_loss(name)(*pair).dtype == torch.float32
        assert published_loss(name)(*pair.double()).dtype == torch.float64


def test_other_names_and_uses_are_refused():
    with pytest.raises(ValueError, match="one of IoU, GIoU, DIoU, CIoU: got 'EIoU'"):
        published_loss("EIoU")
    with pytest.raises(ValueError, match=r"changes GIoU alone.*got it with DIoU"):
        published_loss("DIoU", clip=True)
