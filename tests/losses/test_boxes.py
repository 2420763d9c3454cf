"""Boxes against torchvision in value and gradient, by hand, where torchvision gives NaN, and invariances."""

import inspect
import math

import pytest
import torch
import torchvision.ops
from comparing import close, value_and_gradients
from hypothesis import given, settings
from hypothesis import strategies as st

import dlkb.losses
from dlkb.losses import (
    box_area,
    box_iou,
    box_iou_loss,
    complete_box_iou,
    complete_box_iou_loss,
    control_distance_box_iou,
    control_distance_box_iou_loss,
    distance_box_iou,
    distance_box_iou_loss,
    efficient_box_iou,
    efficient_box_iou_loss,
    generalized_box_iou,
    generalized_box_iou_loss,
    log_box_iou_loss,
)

VALUES = [
    box_iou,
    generalized_box_iou,
    distance_box_iou,
    complete_box_iou,
    control_distance_box_iou,
    efficient_box_iou,
]
LOSSES = [
    box_iou_loss,
    log_box_iou_loss,
    generalized_box_iou_loss,
    distance_box_iou_loss,
    complete_box_iou_loss,
    control_distance_box_iou_loss,
    efficient_box_iou_loss,
]
UPPER = dict(
    zip(LOSSES, [1, -math.log(1e-7), 2, 2, math.inf, 2, 3.25], strict=True)
)  # inclusive, for rounding
THEIRS = [name for name in dlkb.losses.boxes.__all__ if hasattr(torchvision.ops, name)]
THEIR_LOSSES = [name for name in THEIRS if name.endswith("_loss")]
THEIR_VALUES = [name for name in THEIRS if name.endswith("iou")]


def named(function):
    return getattr(function, "__name__", function)


def draw(count, seed, spread=30.0, dtype=torch.float64):
    """Boxes of many sizes and aspect ratios: apart, overlapping and nested ones when drawn twice."""
    generator = torch.Generator().manual_seed(seed)
    low = torch.rand(count, 2, generator=generator, dtype=torch.float64) * spread
    sides = torch.rand(count, 2, generator=generator, dtype=torch.float64) * 40 + 1
    return torch.cat([low, low + sides], dim=1).to(dtype)


def boxes(*rows, dtype=torch.float64):
    return torch.tensor(rows, dtype=dtype)


# ------------------------------------------------------------------------ against torchvision


def test_there_is_something_to_compare():
    assert len(THEIR_LOSSES) == 3
    assert len(THEIR_VALUES) == 4


@pytest.mark.parametrize("name", THEIRS)
def test_names_arguments_order_and_defaults_are_torchvisions(name):
    ours, theirs = (
        inspect.signature(getattr(m, name)) for m in (dlkb.losses, torchvision.ops)
    )
    drawn = [
        [(p.name, p.default) for p in s.parameters.values()] for s in (ours, theirs)
    ]
    assert drawn[0][: len(drawn[1])] == drawn[1]


@pytest.mark.parametrize("name", THEIR_LOSSES)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_losses_equal_torchvision_in_value_and_gradient(name, reduction):
    """On unequal aspect ratios. Fails for DIoU in place of CIoU, and for alpha that is not held constant."""
    boxes1, boxes2 = draw(300, 0), draw(300, 1)
    results = [
        value_and_gradients(getattr(m, name), boxes1, boxes2, reduction=reduction)
        for m in (dlkb.losses, torchvision.ops)
    ]
    for ours, theirs in zip(*results, strict=True):
        close(ours, theirs)


def test_the_boxes_tell_ciou_and_diou_apart_and_overlap_in_every_way():
    boxes1, boxes2 = draw(300, 0), draw(300, 1)
    apart = complete_box_iou_loss(boxes1, boxes2) - distance_box_iou_loss(
        boxes1, boxes2
    )
    assert apart.max() > 0.1
    iou = 1 - box_iou_loss(boxes1, boxes2)
    assert (iou == 0).any()
    assert (iou > 0.5).any()
    inside = (boxes1[:, :2] > boxes2[:, :2]) & (boxes1[:, 2:] < boxes2[:, 2:])
    assert inside.all(dim=1).any()


@pytest.mark.parametrize("name", ["generalized_box_iou_loss", "distance_box_iou_loss"])
def test_eps_means_what_it_means_in_torchvision(name):
    """Would catch an eps relative to the boxes, or one outside the square root or the union."""
    boxes1, boxes2 = draw(50, 2) / 40, draw(50, 3) / 40
    results = [
        value_and_gradients(getattr(m, name), boxes1, boxes2, eps=0.3)
        for m in (dlkb.losses, torchvision.ops)
    ]
    for ours, theirs in zip(*results, strict=True):
        close(ours, theirs)


def test_the_complete_losss_eps_reaches_every_denominator():
    """torchvision's reaches alpha alone."""
    pair = boxes([0, 0, 1, 1]), boxes([0, 0, 1, 1])
    assert complete_box_iou_loss(*pair, eps=1.0).item() == pytest.approx(0.5)
    theirs = torchvision.ops.complete_box_iou_loss(*pair, eps=1.0).item()
    assert theirs == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", THEIR_VALUES)
@pytest.mark.parametrize("batch", [(), (2,)])
def test_values_equal_torchvision_for_all_pairs(name, batch):
    """Fails for matched pairs, and for rows and columns exchanged."""
    boxes1, boxes2 = draw(10, 4), draw(14, 5)
    if batch:
        boxes1, boxes2 = boxes1.view(2, 5, 4), boxes2.view(2, 7, 4)
    results = [
        value_and_gradients(getattr(m, name), boxes1, boxes2)
        for m in (dlkb.losses, torchvision.ops)
    ]
    for ours, theirs in zip(*results, strict=True):
        close(ours, theirs)


@pytest.mark.parametrize("fmt", ["xyxy", "xywh", "cxcywh"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.int64, torch.int16])
def test_formats_equal_torchvisions(fmt, dtype):
    boxes1, boxes2 = (draw(6, s).round() for s in (6, 7))
    if fmt != "xyxy":
        boxes1, boxes2 = (
            torchvision.ops.box_convert(b, "xyxy", fmt).to(dtype)
            for b in (boxes1, boxes2)
        )
    boxes1, boxes2 = boxes1.to(dtype), boxes2.to(dtype)
    assert torch.equal(box_area(boxes1, fmt), torchvision.ops.box_area(boxes1, fmt))
    if dtype.is_floating_point or fmt != "cxcywh":  # theirs halves integers in float32
        close(
            box_iou(boxes1, boxes2, fmt),
            torchvision.ops.box_iou(boxes1, boxes2, fmt),
            rtol=1e-6,
            atol=1e-6,
        )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_areas_of_half_types_are_float32(dtype):
    """300 x 300 is infinite in float16."""
    area = box_area(torch.tensor([[0.0, 0, 300, 300]], dtype=dtype))
    assert area.dtype == torch.float32
    assert area.item() == pytest.approx(9e4, rel=0.01)


# ------------------------------------------------------------------------------- worked by hand

ONE = boxes([0, 0, 2, 2])
HALF_TURN = (
    4 / math.pi**2 * (math.atan(2) - math.atan(1)) ** 2
)  # v of 4 x 2 against 2 x 2


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (box_iou_loss, 0.5),
        (log_box_iou_loss, math.log(2)),
        (generalized_box_iou_loss, 0.5),
        (distance_box_iou_loss, 0.5 + 1 / 20),
        (complete_box_iou_loss, 0.5 + 1 / 20 + HALF_TURN**2 / (0.5 + HALF_TURN)),
        (control_distance_box_iou_loss, 0.5 + 2 * 2 / (4 * math.sqrt(20))),
        (efficient_box_iou_loss, 0.5 + 1 / 20 + 4 / 16),
    ],
    ids=named,
)
def test_a_box_within_one_twice_as_wide(loss, expected):
    """IoU 4/8; centres 1 apart; diagonal squared 20; two corners 2 apart."""
    assert loss(ONE, boxes([0, 0, 4, 2])).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (box_iou_loss, 1.0),
        (log_box_iou_loss, -math.log(1e-7)),
        (generalized_box_iou_loss, 1 + 4 / 12),
        (distance_box_iou_loss, 1 + 16 / 40),
        (complete_box_iou_loss, 1 + 16 / 40),  # equal aspect ratios
        (control_distance_box_iou_loss, 1 + 4 / math.sqrt(40)),
        (efficient_box_iou_loss, 1 + 16 / 40),
    ],
    ids=named,
)
def test_equal_squares_apart(loss, expected):
    """Enclosed by 6 x 2."""
    assert loss(ONE, boxes([4, 0, 6, 2])).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("value", "loss"),
    [
        (box_iou, box_iou_loss),
        (generalized_box_iou, generalized_box_iou_loss),
        (distance_box_iou, distance_box_iou_loss),
        (complete_box_iou, complete_box_iou_loss),
        (efficient_box_iou, efficient_box_iou_loss),
    ],
    ids=named,
)
def test_a_loss_is_one_less_its_value(value, loss):
    boxes1, boxes2 = draw(30, 8), draw(30, 9)
    diagonal = value(boxes1, boxes2).diagonal()
    close(loss(boxes1, boxes2), 1 - diagonal, rtol=0, atol=1e-6)


def test_cdiou_weighs_the_corners_that_its_loss_adds():
    boxes1, boxes2 = draw(30, 8), draw(30, 9)
    diou = control_distance_box_iou_loss(boxes1, boxes2) - box_iou_loss(boxes1, boxes2)
    value = control_distance_box_iou(boxes1, boxes2, lambd=0.25).diagonal()
    close(
        value, 1 - box_iou_loss(boxes1, boxes2) + 0.25 * (1 - diou), rtol=0, atol=1e-6
    )
    default = control_distance_box_iou(boxes1, boxes1).diagonal()
    close(default, torch.full_like(default, 1.001), rtol=0, atol=1e-9)


def test_slow_loops_over_corners_and_sides_agree():
    """A second way for the two losses that torchvision lacks."""
    boxes1, boxes2 = draw(40, 10), draw(40, 11)
    iou = (1 - box_iou_loss(boxes1, boxes2, eps=0)).tolist()
    controls = control_distance_box_iou_loss(boxes1, boxes2, eps=0).tolist()
    efficients = efficient_box_iou_loss(boxes1, boxes2, eps=0).tolist()
    for i, (a, b) in enumerate(zip(boxes1.tolist(), boxes2.tolist(), strict=True)):
        corners = [
            math.dist((a[x], a[y]), (b[x], b[y])) for x in (0, 2) for y in (1, 3)
        ]
        wide, tall = (max(a[k + 2], b[k + 2]) - min(a[k], b[k]) for k in (0, 1))
        control = 1 - iou[i] + sum(corners) / (4 * math.hypot(wide, tall))
        assert controls[i] == pytest.approx(control, abs=1e-12)
        centre = math.dist(*[((c[0] + c[2]) / 2, (c[1] + c[3]) / 2) for c in (a, b)])
        width, height = ((a[k + 2] - a[k]) - (b[k + 2] - b[k]) for k in (0, 1))
        efficient = 1 - iou[i] + centre**2 / (wide**2 + tall**2)
        efficient += (width / wide) ** 2 + (height / tall) ** 2
        assert efficients[i] == pytest.approx(efficient, abs=1e-12)


def test_alpha_is_constant_in_backward():
    """Differentiated through alpha, the gradient would be another."""
    one, other = boxes([0, 0, 3, 2]), boxes([1, 1, 5, 2])
    _, ours, _ = value_and_gradients(complete_box_iou_loss, one, other)
    numeric = torch.zeros(1, 4, dtype=torch.float64)
    for k in range(4):
        step = torch.zeros(1, 4, dtype=torch.float64)
        step[0, k] = 1e-6
        up, down = (complete_box_iou_loss(one + s, other) for s in (step, -step))
        numeric[0, k] = (up - down) / 2e-6
    assert (ours / 0.5 - numeric).abs().max() > 1e-3  # the first weight is 0.5


@pytest.mark.parametrize(
    "loss", [f for f in LOSSES if f is not complete_box_iou_loss], ids=named
)
def test_gradients_are_those_of_the_value(loss):
    boxes1, boxes2 = (draw(8, s).requires_grad_() for s in (12, 13))
    assert torch.autograd.gradcheck(loss, (boxes1, boxes2))


# ----------------------------------------------------------------------- limits, ranges, invariances


@pytest.mark.parametrize("loss", LOSSES, ids=named)
def test_equal_boxes_have_no_loss_and_opposite_gradients(loss):
    one = draw(20, 14)
    value, gradient1, gradient2 = value_and_gradients(loss, one, one.clone())
    close(value, torch.zeros_like(value), rtol=0, atol=1e-6)
    close(gradient1, -gradient2, rtol=0, atol=1e-6)


def test_within_the_other_giou_is_iou_and_diou_is_not():
    outer, inner = boxes([0, 0, 10, 10]), boxes([1, 2, 4, 4])
    giou, iou, diou = (
        f(outer, inner)
        for f in (generalized_box_iou_loss, box_iou_loss, distance_box_iou_loss)
    )
    close(giou, iou, rtol=0, atol=1e-8)
    assert (diou - iou).item() == pytest.approx(10.25 / 200, abs=1e-8)


@pytest.mark.parametrize(
    ("loss", "limit"),
    [
        (generalized_box_iou_loss, 2),
        (distance_box_iou_loss, 2),
        (control_distance_box_iou_loss, 2),
        (efficient_box_iou_loss, 2),  # more needs unequal sides
    ],
    ids=named,
)
def test_two_is_a_limit_at_infinite_distance_and_not_reached_by_touching_boxes(
    loss, limit
):
    far, touching = boxes([1e6, 0, 1e6 + 2, 2]), boxes([2, 0, 4, 2])
    assert loss(ONE, far).item() == pytest.approx(limit, abs=1e-5)
    assert loss(ONE, touching).item() < 1.5


def test_eious_largest_loss_is_that_of_two_lines_sharing_an_end():
    lines = boxes([0, 0, 5, 0]), boxes([0, 0, 0, 5])
    assert efficient_box_iou_loss(*lines).item() == pytest.approx(3.25, abs=1e-6)


def test_apart_the_overlap_has_no_gradient_and_its_relatives_have():
    one, far = boxes([0, 0, 2, 3]), boxes([5, 4, 9, 5])
    for loss in LOSSES:
        gradient = value_and_gradients(loss, one, far)[1].abs().sum()
        assert (gradient == 0) == (loss in (box_iou_loss, log_box_iou_loss)), loss


coordinate = st.floats(-50, 50)
side = st.floats(0.5, 60)


@st.composite
def drawn_box(draw_):
    x, y, w, h = (draw_(s) for s in (coordinate, coordinate, side, side))
    return boxes([x, y, x + w, y + h])


@settings(max_examples=60, deadline=None)
@given(
    one=drawn_box(),
    other=drawn_box(),
    scale=st.floats(1e-3, 1e3),
    shift=st.floats(-9, 9),
)
def test_scale_shift_exchange_and_range(one, other, scale, shift):
    """Fails for an absolute distance, and for one box's own diagonal in place of the enclosing box's."""
    flip = [1, 0, 3, 2]
    for loss in LOSSES:
        eps = {"eps": 1e-9 if loss is log_box_iou_loss else 0}
        value = loss(one, other, **eps)
        for pair in (
            (other, one),
            (one * scale, other * scale),
            (one + shift, other + shift),
            (one[:, flip], other[:, flip]),
        ):
            close(loss(*pair, **eps), value, rtol=1e-6, atol=1e-8)
        assert value.item() >= -1e-12
        assert loss(one, other).item() <= UPPER[loss] + 1e-9


# ------------------------------------------------------------------------------------- extremes

DEGENERATE = {
    "equal": ([1, 2, 5, 9], [1, 2, 5, 9]),
    "nested": ([0, 0, 9, 9], [2, 3, 4, 4]),
    "touching sides": ([0, 0, 2, 2], [2, 0, 4, 2]),
    "touching corners": ([0, 0, 2, 2], [2, 2, 4, 3]),
    "apart": ([0, 0, 1, 1], [50, 60, 70, 99]),
    "a line and a box": ([3, 3, 3, 6], [1, 1, 8, 8]),
    "equal lines": ([1, 1, 1, 5], [1, 1, 1, 5]),
    "crossing lines": ([1, 3, 5, 3], [3, 1, 3, 5]),
    "a point and a box": ([3, 3, 3, 3], [1, 1, 8, 8]),
    "a point on a corner": ([1, 1, 1, 1], [1, 1, 8, 8]),
    "equal points": ([4, 4, 4, 4], [4, 4, 4, 4]),
    "points apart": ([0, 0, 0, 0], [4, 4, 4, 4]),
    "equal points at 0": ([0, 0, 0, 0], [0, 0, 0, 0]),
    "thin and tall": ([0, 0, 1, 60000], [0, 0, 60000, 1]),
    "halves' largest": ([-65504, -65504, 65504, 65504], [0, 0, 1, 1]),
}
HUGE = {
    "huge": ([0, 0, 1e30, 2e30], [5e29, 0, 2e30, 1e30]),
    "huge and small": ([0, 0, 1, 1], [0, 0, 3e38, 3e38]),
    "whole range": ([-3e38, -3e38, 3e38, 3e38], [0, 0, 1, 1]),
    "far apart": ([0, 0, 1, 1], [1e30, 1e30, 2e30, 3e30]),
}


@pytest.mark.parametrize("loss", LOSSES, ids=named)
@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64]
)
@pytest.mark.parametrize("eps", [1e-7, 0.0])
def test_values_and_gradients_are_finite(loss, dtype, eps):
    eps = eps or (1e-7 if loss is log_box_iou_loss else 0.0)
    cases = DEGENERATE | (HUGE if dtype not in (torch.float16,) else {})
    for name, (one, other) in cases.items():
        pair = [boxes(row, dtype=dtype) for row in (one, other)]
        for result in value_and_gradients(loss, *pair, eps=eps):
            assert result.isfinite().all(), name
            assert result.dtype == dtype


@pytest.mark.parametrize("value", VALUES, ids=named)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_values_for_all_pairs_are_finite(value, dtype):
    cases = DEGENERATE | (HUGE if dtype != torch.float16 else {})
    pair = [boxes(*rows, dtype=dtype) for rows in zip(*cases.values(), strict=True)]
    for result in value_and_gradients(value, *pair):
        assert result.isfinite().all()
        assert result.dtype == dtype


@pytest.mark.parametrize(
    ("loss", "case", "expected"),
    [
        ("complete_box_iou_loss", "equal points", 1.0),
        ("complete_box_iou_loss", "points apart", 2.0),
        ("complete_box_iou_loss", "a point and a box", 1 + 4.5 / 98 + 0.25**2 / 1.25),
        ("generalized_box_iou_loss", "whole range", 1.0),
        ("distance_box_iou_loss", "far apart", 1 + 6.25 / 13),
    ],
)
def test_where_torchvision_gives_nan_or_infinity(loss, case, expected):
    """Ours is the limit, or the stated convention (a point's angle is 0, empty boxes' IoU is 0)."""
    pair = [boxes(row, dtype=torch.float32) for row in (DEGENERATE | HUGE)[case]]
    theirs = value_and_gradients(getattr(torchvision.ops, loss), *pair)
    assert not all(t.isfinite().all() for t in theirs)
    ours = value_and_gradients(getattr(dlkb.losses, loss), *pair)
    assert all(t.isfinite().all() for t in ours)
    assert ours[0].item() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", THEIR_VALUES)
def test_where_torchvisions_values_are_nan(name):
    point = boxes([4, 4, 4, 4])
    assert getattr(torchvision.ops, name)(point, point).isnan().all()
    assert getattr(dlkb.losses, name)(point, point).item() == 0


def test_huge_boxes_have_the_gradient_of_small_ones():
    """Would catch a gradient that is finite because it vanished."""
    small = [boxes(row, dtype=torch.float32) for row in ([0, 0, 1, 2], [0.5, 0, 2, 1])]
    for loss in LOSSES:
        eps = {"eps": 1e-9 if loss is log_box_iou_loss else 0}
        _, expected, _ = value_and_gradients(loss, *small, **eps)
        for scale in (2.0**100, 2.0**-40):
            _, found, _ = value_and_gradients(loss, *(b * scale for b in small), **eps)
            close(found * scale, expected, rtol=1e-4, atol=1e-5)


def test_half_types_are_computed_in_float32():
    """In float16, 300 x 300 overflows and the loss is NaN."""
    pair = [
        boxes(row, dtype=torch.float16)
        for row in ([0, 0, 300, 400], [0, 100, 300, 400])
    ]
    assert box_iou_loss(*pair).item() == pytest.approx(0.25, abs=1e-3)
    assert box_iou(*pair).item() == pytest.approx(0.75, abs=1e-3)


def test_small_boxes_feel_eps_in_torchvision_too():
    small = boxes([0, 0, 1e-3, 1e-3])
    for loss in (distance_box_iou_loss, torchvision.ops.distance_box_iou_loss):
        assert loss(small, small).item() == pytest.approx(1 / 11, rel=1e-3)
    assert distance_box_iou_loss(small, small, eps=0).item() == 0


def test_nan_stays_nan():
    bad = boxes([0, 0, math.nan, 1], [0, 0, 1, 1])
    good = boxes([0, 0, 1, 1], [0, 0, 1, 1])
    for loss in LOSSES:
        assert loss(bad, good).isnan().tolist() == [True, False], loss


# --------------------------------------------------------------------------------- shapes and errors


@pytest.mark.parametrize("loss", LOSSES, ids=named)
def test_shapes_and_reductions(loss):
    boxes1, boxes2 = draw(6, 15), draw(6, 16)
    each = loss(boxes1, boxes2)
    assert each.shape == (6,)
    close(loss(boxes1, boxes2, "mean"), each.mean())
    close(loss(boxes1, boxes2, "sum"), each.sum())
    close(loss(boxes1[0], boxes2[0]), each[0])
    close(loss(boxes1.view(2, 3, 4), boxes2.view(2, 3, 4)), each.view(2, 3))
    nothing = boxes1[:0].requires_grad_()
    assert loss(nothing, boxes2[:0]).shape == (0,)
    mean = loss(nothing, boxes2[:0], "mean")  # 0, as in torchvision
    mean.backward()
    assert mean.item() == 0


@pytest.mark.parametrize("value", VALUES, ids=named)
def test_all_pairs_with_none(value):
    assert value(draw(3, 17), draw(0, 18)).shape == (3, 0)


def test_integers_and_mixed_types():
    one, other = torch.tensor([[0, 0, 2, 2]]), torch.tensor([[0, 0, 4, 2]])
    assert box_iou_loss(one, other).dtype == torch.float32
    assert box_iou(one, other).item() == 0.5
    assert box_iou_loss(one.double(), other.float()).dtype == torch.float64


@pytest.mark.parametrize("function", [*LOSSES, *VALUES], ids=named)
def test_a_negative_side_is_refused_with_its_row(function):
    good, bad = draw(4, 19), draw(4, 20)
    bad[2] = torch.tensor([5.0, 1.0, 3.0, 9.0])
    expected = r"boxes2 must have x1 <= x2 and y1 <= y2: row 2 is \[5.0, 1.0, 3.0, 9.0\]; order"
    with pytest.raises(ValueError, match=expected):
        function(good, bad)
    bad[0] = torch.nan  # hides no negative side
    with pytest.raises(ValueError, match=r"boxes2 must have x1 <= x2 .* row 2 is"):
        function(good, bad)
    with pytest.raises(ValueError, match=r"boxes1 must have x1 <= x2 .* row 2 is"):
        function(bad, good)


def test_rows_of_other_shapes():
    with pytest.raises(ValueError, match="it is"):
        box_iou_loss(torch.tensor([1.0, 0, 0, 1]), torch.tensor([0.0, 0, 1, 1]))
    bad = draw(6, 21).view(2, 3, 4)
    bad[1, 2, 3] = -99
    with pytest.raises(ValueError, match=r"row \(1, 2\) is"):
        box_iou_loss(bad, draw(6, 22).view(2, 3, 4))
    with pytest.raises(ValueError, match="boxes must have x1 <= x2"):
        box_area(torch.tensor([[0.0, 0.0, -1.0, 1.0]]), "xywh")


@pytest.mark.parametrize("function", [*LOSSES, *VALUES], ids=named)
def test_a_wrong_last_dimension_is_refused(function):
    with pytest.raises(
        ValueError,
        match=r"boxes2 must have a last dimension of 4, .* got shape \(3, 5\)",
    ):
        function(draw(3, 23), torch.zeros(3, 5))
    with pytest.raises(
        ValueError, match=r"boxes1 must have a last dimension of 4.*\(\)"
    ):
        function(torch.tensor(1.0), draw(3, 23))


@pytest.mark.parametrize("loss", LOSSES, ids=named)
def test_other_wrong_arguments_of_losses(loss):
    with pytest.raises(
        ValueError, match=r"one shape.* got \(3, 4\) and \(1, 4\); box_iou"
    ):
        loss(draw(3, 24), draw(1, 25))
    with pytest.raises(
        ValueError, match="reduction must be one of 'none', 'mean', 'sum': got 'avg'"
    ):
        loss(draw(3, 24), draw(3, 25), "avg")
    with pytest.raises(ValueError, match=r"eps must be .* got -1"):
        loss(draw(3, 24), draw(3, 25), eps=-1)


def test_other_wrong_arguments_of_values():
    with pytest.raises(
        ValueError,
        match=r"boxes1 must be \(\*, N, 4\): got shape \(4,\); use boxes1\[None\]",
    ):
        box_iou(draw(3, 26)[0], draw(3, 26))
    with pytest.raises(
        ValueError, match="fmt must be one of 'xyxy', 'xywh', 'cxcywh': got 'yxyx'"
    ):
        box_iou(draw(3, 26), draw(3, 26), "yxyx")
    with pytest.raises(ValueError, match="fmt must be one of"):
        box_area(draw(3, 26), "yxyx")
    with pytest.raises(ValueError, match=r"eps must be in \(0, 1\).* got 0"):
        log_box_iou_loss(draw(3, 26), draw(3, 26), eps=0)


def test_one_number_of_the_boxes_is_read_at_a_time(monkeypatch):
    """Each reading makes a GPU wait: one for both sets of boxes, not one for each or for each row."""
    reads = []
    for name in ("tolist", "item", "__bool__", "__float__", "nonzero"):
        original = getattr(torch.Tensor, name)

        def counted(self, *arguments, name=name, original=original):
            reads.append(name)
            return original(self, *arguments)

        monkeypatch.setattr(torch.Tensor, name, counted)
    boxes1, boxes2 = draw(3, 27), draw(3, 28)
    for function in (*LOSSES, *VALUES):
        reads.clear()
        function(boxes1, boxes2)
        assert reads == ["tolist"], function
