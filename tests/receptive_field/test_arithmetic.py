"""dlkb.receptive_field.arithmetic: the recursion against a direct search, and its laws."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlkb.receptive_field.arithmetic import (
    PIXELS,
    WHOLE,
    Window,
    gather,
    slide,
    spread,
    unite,
)
from dlkb.receptive_field.drawing import cone

windows = st.builds(
    Window, st.integers(1, 5), st.integers(1, 3), st.integers(0, 3), st.integers(1, 3)
)


def through(layers):
    reach = PIXELS
    for layer in layers:
        reach = slide(reach, layer)
    return reach


@given(st.lists(windows, min_size=1, max_size=5), st.integers(-3, 7))
def test_field_is_what_a_search_from_the_unit_down_finds(layers, unit):
    """``cone`` knows no recursion: it collects the taps, layer by layer. Fails for any wrong jump or
    offset."""
    pixels = cone(layers, unit)[0]
    assert through(layers).of(unit) == (pixels[0], pixels[-1])


@given(st.lists(windows, min_size=1, max_size=5))
def test_size_and_jump_are_the_textbooks(layers):
    size, jump = 1, 1
    for kernel, stride, _, dilation in layers:
        size, jump = size + (kernel - 1) * dilation * jump, jump * stride
    reach = through(layers)
    assert (reach.size, reach.jump) == (size, jump)


@given(windows)
def test_one_tap_changes_nothing_and_order_matters_by_the_stride_alone(window):
    reach = slide(PIXELS, window)
    assert slide(reach, Window(1)) == reach
    later = slide(slide(PIXELS, Window(3)), window)
    assert later.size - reach.size == 2
    assert slide(reach, Window(3)).size - reach.size == 2 * window.stride


@given(windows, st.integers(-5, 5))
def test_transposed_convolution_by_search(window, unit):
    """Unit i adds to the units i s - p + t d. Fails for a padding of the wrong sign."""
    kernel, stride, padding, dilation = window
    places = [
        i
        for i in range(-30, 31)
        if any(i * stride - padding + t * dilation == unit for t in range(kernel))
    ]
    low, high = spread(PIXELS, window).of(unit)
    assert (low, high) == (
        (min(places), max(places)) if places else (math.inf, -math.inf)
    )


def test_enlarging_by_two_makes_two_kinds_of_units():
    """The second half of a small U-Net: pooled by 2, convolved, enlarged by 2, convolved."""
    reach = spread(slide(slide(PIXELS, Window(2, 2)), Window(3)), Window(2, 2))
    assert reach.jump == Fraction(1)
    assert [reach.of(unit) for unit in range(3)] == [(0, 5), (0, 5), (2, 7)]
    wider = slide(
        reach, Window(2)
    )  # one of the two units in an even, one in an odd place
    assert [wider.of(unit) for unit in range(3)] == [(0, 5), (0, 7), (2, 7)]
    assert wider.size == 8


def test_branches_meet_in_the_union_of_shifted_fields():
    """The centres differ by 2: a union by the larger size, 5, would be too small by 1."""
    left, right = slide(PIXELS, Window(5, 1, 4)), slide(PIXELS, Window(3, 1, 1))
    union = unite(left, right)
    assert (union.low, union.high, union.size) == ((-4,), (1,), 6)
    assert unite(union, WHOLE) == WHOLE
    assert unite(left) == left
    with pytest.raises(ValueError, match="same number of pixels: got 1 and 3/2"):
        unite(left, gather(PIXELS, lambda o: (3 * o // 2,), 2, 3))


def test_a_unit_that_sees_nothing_has_size_0():
    """Stride 3 and kernel 1: a transposed convolution leaves two of three units without input."""
    reach = spread(PIXELS, Window(1, 3))
    assert [reach.of(unit) for unit in (0, 1, 3)] == [
        (0, 0),
        (math.inf, -math.inf),
        (1, 1),
    ]
    assert reach.size == 1
    assert spread(slide(PIXELS, Window(2)), Window(1, 3)).size == 2


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (Window(0), "kernel must be at least 1: got 0"),
        (Window(1, 0), "stride must be at least 1: got 0"),
        (Window(1, 1, -1), "padding must be at least 0: got -1"),
        (Window(1, 1, 0, 0), "dilation must be at least 1: got 0"),
    ],
)
def test_windows_that_cannot_slide(window, message):
    with pytest.raises(ValueError, match=f"here: {message}"):
        window.checked("here: ")


def test_windows_of_other_types():
    for wrong in (2.0, True, "3"):
        with pytest.raises(TypeError, match="kernel must be an int"):
            Window(wrong).checked()
