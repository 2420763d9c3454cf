"""What is drawn is where the boxes are."""

import matplotlib
import pytest
import torch
from matplotlib import pyplot as plt

from dlkb.losses.box_pictures import (
    draw_atlas,
    draw_boxes,
    draw_landscape,
    draw_situations,
    landscape,
    step_descents,
)
from dlkb.losses.boxes import box_iou_loss, generalized_box_iou_loss
from dlkb.plotting import COLORS

LINE = torch.linspace(-2, 2, 9, dtype=torch.float64)


@pytest.fixture
def axis():
    backend = matplotlib.get_backend()
    plt.switch_backend("Agg")
    figure, axis = plt.subplots()
    yield axis
    plt.close(figure)
    plt.switch_backend(backend)


def moving(x, y):
    return x, y, 0.4, 0.8


def test_boxes_are_drawn_where_they_are(axis):
    """Catches a second corner that is taken for sides."""
    predicted, target = torch.tensor([[1.0, 2.0, 4.0, 3.0], [3.0, 1.0, 6.0, 5.0]])
    draw_boxes(axis, predicted, target, enclosing=True)
    found = [p.get_bbox().extents.tolist() for p in axis.patches]
    assert found == [[3, 1, 6, 5], [1, 2, 4, 3], [1, 1, 6, 5]]
    diagonal, centres = (line.get_xydata().tolist() for line in axis.lines)
    assert diagonal == [[1, 1], [6, 5]]
    assert centres == [[2.5, 2.5], [4.5, 3]]


def test_two_boxes_alone(axis):
    draw_boxes(axis, torch.tensor([0.0, 0, 1, 1]), torch.tensor([0.0, 0, 2, 2]))
    assert len(axis.patches) == 2
    assert not axis.lines


@pytest.mark.usefixtures("axis")
def test_situations_have_their_names_and_one_scale():
    boxes = {"small": torch.tensor([0.0, 0, 1, 1]), "far": torch.tensor([5.0, 0, 9, 4])}
    figure = draw_situations(boxes, torch.tensor([0.0, 0, 2, 2]))
    assert [axis.get_xlabel() for axis in figure.axes] == ["small", "far"]
    for axis, box in zip(figure.axes, boxes.values(), strict=True):
        assert axis.patches[1].get_bbox().extents.tolist() == box.tolist()
        low, high = axis.get_xlim()
        assert low < 0 < 9 < high
    plt.close(figure)


@pytest.mark.usefixtures("axis")
def test_an_atlas_has_a_column_a_loss_and_a_row_a_cut():
    """IoU is flat apart, so its arrows are fewer: catches losses that are swapped."""
    losses = {"IoU": box_iou_loss, "GIoU": generalized_box_iou_loss}
    cuts = {
        ("x", "y"): moving,
        ("width", "x"): lambda width, x: (x, 0.0, 2.5 + width, 1.0),
    }
    figure = draw_atlas(losses, cuts)
    assert [axis.get_title() for axis in figure.axes] == ["IoU", "GIoU", "", ""]
    assert [axis.get_xlabel() for axis in figure.axes] == ["x", "x", "width", "width"]
    assert [axis.get_ylabel() for axis in figure.axes] == ["y", "", "x", ""]
    arrows = [
        sum(
            (~c.Umask).sum() if c.Umask is not False else c.U.size
            for c in axis.collections
            if isinstance(c, matplotlib.quiver.Quiver)
        )
        for axis in figure.axes
    ]
    assert arrows[0] < arrows[1]
    plt.close(figure)


def test_landscape_points_downhill():
    """GIoU falls towards the target from everywhere outside, and a step along the arrow lowers it."""
    value, direction = landscape(generalized_box_iou_loss, moving, LINE, LINE)
    assert value.shape == (9, 9)
    grid = torch.stack(torch.meshgrid(LINE, LINE, indexing="xy"))
    outside = (grid.abs() > torch.tensor([0.7, 0.9])[:, None, None]).any(0)
    assert ((direction * grid).sum(0)[outside] < 0).all()
    torch.testing.assert_close(
        direction.norm(dim=0)[outside], torch.ones_like(value[outside])
    )
    x, y = grid + 0.01 * direction
    for row, column in outside.nonzero().tolist():
        point = x[row, column].view(1), y[row, column].view(1)
        lower, _ = landscape(generalized_box_iou_loss, moving, *point)
        assert lower.item() < value[row, column]


def test_landscape_has_no_direction_where_it_is_flat():
    value, direction = landscape(box_iou_loss, moving, LINE[:2], LINE)
    assert (value == 1).all()
    assert direction.isnan().all()
    rounding = landscape(lambda box, _: 1e-12 * box.sum(-1), moving, LINE, LINE)
    direction = rounding[1]
    assert direction.isnan().all()


def test_rows_are_the_second_coordinate():
    value, _ = landscape(
        generalized_box_iou_loss, moving, LINE.new_tensor([0.0]), LINE.abs()
    )
    assert value.shape == (9, 1)
    assert value[0] > value[4]


def test_landscape_is_drawn_with_arrows(axis):
    draw_landscape(axis, generalized_box_iou_loss, moving)
    (arrows,) = [c for c in axis.collections if isinstance(c, matplotlib.quiver.Quiver)]
    assert arrows.U[0] == pytest.approx(-arrows.U[8], abs=1e-2)
    assert arrows.X.min() == pytest.approx(-2 + 8 / 59)


def test_descents_to_step_through():
    """A box 2 to the right and 1 up is drawn 68 right of the target's centre and 34 above it."""
    path = torch.tensor([[2.0, 1.0, 1.0, 3.0], [1.0, 1.0, 2.0, 1.0]])
    shown = step_descents({"one": path, "two": path}, "Boxes", every=1)
    page = shown._repr_html_()
    assert repr(shown) == "2 steps, from step 0 to step 1: Boxes"
    box = (
        'x="121.0" y="65.0" width="34.0" height="102.0"'  # 70 + 68 - 17, 150 - 34 - 51
    )
    assert page.count(box) == 1
    assert page.count(box.replace("121.0", "351.0")) == 1
    assert page.count("area 3.00, centres 2.24 apart") == 2
    assert all(page.count(f">{name}</text>") == 1 for name in ("one", "two"))
    assert 'cx="138.0" cy="116.0"' in page


def test_as_many_descents_as_colours():
    paths = {str(i): torch.ones(2, 4) for i in range(len(COLORS) + 1)}
    with pytest.raises(ValueError, match=f"1 to {len(COLORS)} paths.*got 5"):
        step_descents(paths, "Boxes")
    with pytest.raises(ValueError, match="got 0"):
        step_descents({}, "Boxes")
