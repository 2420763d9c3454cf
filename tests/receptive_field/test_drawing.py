"""dlkb.receptive_field.drawing: what is drawn lies where the table says."""

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from torch import nn

from dlkb.receptive_field import (
    cone,
    draw,
    draw_cone,
    effective_receptive_field,
    receptive_field,
)


@pytest.fixture(autouse=True)
def no_window():
    mpl.use("agg")
    yield
    plt.close("all")


def test_field_is_a_box_around_whole_pixels_and_the_ellipse_is_two_sigma():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.Conv2d(4, 4, (3, 5)))
    row = receptive_field(model, (1, 40, 60))["1"]
    found = effective_receptive_field(model, (1, 40, 60), "1", unit=(5, 6))
    axis = draw(np.zeros((40, 60)), row, (5, 6), found)
    box, ellipse = axis.patches
    (top, bottom), (left, right) = row.field((5, 6))
    assert box.get_xy() == (left - 0.5, top - 0.5)
    assert (box.get_width(), box.get_height()) == (right - left + 1, bottom - top + 1)
    assert (box.get_width(), box.get_height()) == row.size[::-1]
    assert tuple(ellipse.center) == found.centre[::-1]
    assert (ellipse.width, ellipse.height) == found.width[::-1]
    (point,) = axis.lines
    assert point.get_xydata().tolist() == [[(left + right) / 2, (top + bottom) / 2]]


def test_whole_input_and_colour_images():
    model = nn.Sequential(nn.Conv2d(3, 1, 3), nn.AdaptiveAvgPool2d(1))
    axis = draw(np.zeros((8, 6, 3)), receptive_field(model, (3, 8, 6)).last)
    (box,) = axis.patches
    assert (box.get_xy(), box.get_width(), box.get_height()) == ((-0.5, -0.5), 6, 8)


def test_errors():
    table = receptive_field([(3,)], (9,))
    with pytest.raises(ValueError, match="an image has two axes: got fields along 1"):
        draw(np.zeros((9, 9)), table.last)
    row = receptive_field(nn.Conv2d(1, 1, 3), (1, 9, 9)).last
    with pytest.raises(ValueError, match=r"is \(7, 7\): got unit \(7, 0\)"):
        draw(np.zeros((9, 9)), row, (7, 0))
    with pytest.raises(ValueError, match="layer 2: stride must be at least 1"):
        cone([(3,), (3, 0)])


def test_cone_by_hand_and_drawn():
    """5 pixels in the padding's first place: 3/2/1 then 3/1/1 from unit 0 reaches pixels -3 to 3."""
    layers = [(3, 2, 1), (3, 1, 1)]
    assert cone(layers, 0) == [[-3, -2, -1, 0, 1, 2, 3], [-1, 0, 1], [0]]
    axis = draw_cone(layers, 0, 9)
    points = [line for line in axis.lines if line.get_marker() == "o"]
    pixels = [
        line.get_xdata().tolist() for line in points if set(line.get_ydata()) == {0}
    ]
    assert pixels == [list(range(9)), [0, 1, 2, 3]]
    hollow = [line for line in axis.lines if line.get_marker() == "s"]
    assert [line.get_xdata().tolist() for line in hollow] == [[-3, -2, -1], [-2], []]
    edges = [line for line in axis.lines if line.get_linestyle() == "-"]
    assert len(edges) == 2 * 3 + 3  # of the two real units of layer 1, and of the unit
