"""What is drawn is where the runs are."""

import re

import matplotlib
import pytest
import torch
from matplotlib import pyplot as plt

from dlkb.optimizers.path_pictures import draw_paths, step_paths
from dlkb.optimizers.surfaces import himmelblau, saddle
from dlkb.plotting import COLORS

LINE = torch.tensor([[0.0, 0.0], [1.5, 1.6], [-1.5, -1.6]])  # middle, corner, corner


@pytest.fixture
def axis():
    backend = matplotlib.get_backend()
    plt.switch_backend("Agg")
    figure, axis = plt.subplots()
    yield axis
    plt.close(figure)
    plt.switch_backend(backend)


def test_paths_lie_on_the_axis_where_they_were(axis):
    """Catches coordinates that are swapped, and minima left out."""
    draw_paths(axis, himmelblau(), {"one": LINE, "two": 2 * LINE})
    points = [line.get_xydata() for line in axis.lines]
    assert torch.equal(torch.tensor(points[0], dtype=torch.float32), LINE)
    assert torch.equal(torch.tensor(points[2], dtype=torch.float32), 2 * LINE)
    assert len(points) == 2 * 2 + 1 + 4  # line and dot a path, the start, four minima
    assert axis.get_title() == "Himmelblau"


def circles(frame):
    found = re.findall(r'<circle cx="([-\d.]+)" cy="([-\d.]+)"', frame)
    return [(float(x), float(y)) for x, y in found]


def test_frames_show_each_step_with_y_upwards():
    """Catches y drawn downwards, and a frame that is one step off."""
    page = step_paths({"saddle": (saddle(), {"run": LINE})}, "A run")._repr_html_()
    frames = re.findall(r'<g class="frame".*?</g>', page, flags=re.DOTALL)
    assert [circles(frame) for frame in frames] == [
        [(125.0, 125.0)],
        [(250.0, 0.0)],
        [(0.0, 250.0)],
    ]
    labels = re.findall(r'data-label="([^"]*)"', page)
    assert labels == ["step 0", "step 1", "step 2"]


def test_panels_do_not_overlap_and_every_skips():
    run = {"a<b": LINE, "b": -LINE}
    panels = {name: (saddle(), run) for name in ("one", "two", "three")}
    page = step_paths(panels, "Runs", every=2)._repr_html_()
    assert page.count('class="frame"') == 2
    places = re.findall(r'<svg x="(\d+)" y="(\d+)"', page)
    assert len(set(places)) == 3
    assert "a&lt;b" in page
    assert "a<b" not in page
    assert " id=" not in page


def test_runs_that_diverge_are_left_out():
    """Catches NaN or numbers of hundreds of digits in the page."""
    far = torch.tensor([[0.0, 0.0], [1e30, 0.0], [torch.nan, torch.nan]])
    page = step_paths({"saddle": (saddle(), {"run": far})}, "A run")._repr_html_()
    assert "nan" not in page
    assert max(len(number) for number in re.findall(r"\d+", page)) < 8  # colours have 6


@pytest.mark.parametrize("count", [0, len(COLORS) + 1])
def test_one_colour_a_path(axis, count):
    paths = {str(i): LINE for i in range(count)}
    with pytest.raises(ValueError, match=f"got {count}"):
        draw_paths(axis, saddle(), paths)
