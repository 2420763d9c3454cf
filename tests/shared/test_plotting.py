"""The style is readable on both pages and for colour-blind readers: measured, not asserted."""

import itertools

import colorspacious
import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb

from dlkb.plotting import COLORS, INK, use_style

PAGES = {"light": "#ffffff", "dark": "#121212", "dark of GitHub": "#0d1117"}


def luminance(color):
    """Relative luminance, WCAG 2.1."""
    c = np.array(to_rgb(color))
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())
@pytest.mark.parametrize("color", [INK, *COLORS.values()])
def test_contrast_is_three_to_one_on_each_page(page, color):
    """3 to 1 is WCAG's demand on graphics; black or white ink would fail on one page."""
    assert contrast(color, page) >= 3


def test_a_pale_color_would_fail():
    assert contrast("#F0E442", "#ffffff") < 3  # Okabe and Ito's yellow


@pytest.mark.parametrize("deficiency", ["deuteranomaly", "protanomaly", "tritanomaly"])
def test_colors_stay_apart_for_colour_blind_readers(deficiency):
    """Simulated at full severity (Machado et al., 2009), in units of CIELAB."""
    space = {"name": "sRGB1+CVD", "cvd_type": deficiency, "severity": 100}
    assert nearest_pair(COLORS.values(), space) >= 39


def test_okabe_and_itos_mid_tones_would_fail():
    space = {"name": "sRGB1+CVD", "cvd_type": "tritanomaly", "severity": 100}
    assert nearest_pair(["#0072B2", "#D55E00", "#009E73", "#CC79A7"], space) < 16


def nearest_pair(colors, space):
    seen = [colorspacious.cspace_convert(to_rgb(c), space, "CIELab") for c in colors]
    return min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2))


def test_lines_differ_without_color():
    with matplotlib.rc_context():
        use_style()
        styles = [s["linestyle"] for s in matplotlib.rcParams["axes.prop_cycle"]]
    assert len(set(styles)) == len(COLORS)


def test_figures_have_no_background(tmp_path):
    with matplotlib.rc_context():
        use_style()
        figure, axis = plt.subplots(figsize=(1, 1))
        axis.plot([0, 1])
        figure.savefig(tmp_path / "figure.png")
        plt.close(figure)
    pixels = plt.imread(tmp_path / "figure.png")
    assert pixels[0, 0, 3] == 0  # corner: transparent
    assert (pixels[..., 3] > 0).any()


def test_importing_changes_no_default():
    import importlib

    import dlkb.plotting

    before = dict(matplotlib.rcParams)
    importlib.reload(dlkb.plotting)
    assert dict(matplotlib.rcParams) == before
