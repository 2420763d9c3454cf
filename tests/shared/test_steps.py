"""Frames that the browser switches: which one shows, what is read out, and that the text stays the same."""

import pytest
from bs4 import BeautifulSoup

from dlkb.steps import step_through

FRAMES, LABELS = ["<rect x='1'/>", "<rect x='2'/>", "<rect x='3'/>"], ["a", "b<2", "c"]


def parsed(**arguments):
    shown = step_through(FRAMES, LABELS, "One & two", (30, 20), **arguments)
    return BeautifulSoup(shown._repr_html_(), "html.parser")


def test_the_first_frame_alone_shows_before_any_script_runs():
    frames = parsed().select("svg g.frame")
    assert [f["display"] for f in frames] == ["inline", "none", "none"]
    assert [f.rect["x"] for f in frames] == ["1", "2", "3"]


def test_the_slider_reaches_every_frame_and_labels_are_text():
    soup = parsed()
    assert (soup.input["min"], soup.input["max"], soup.input["value"]) == (
        "0",
        "2",
        "0",
    )
    assert [f["data-label"] for f in soup.select("g.frame")] == LABELS
    assert soup.output.text == "a"


def test_it_is_named_for_who_does_not_see_it():
    soup = parsed()
    assert soup.svg["role"] == "img"
    assert soup.svg["aria-label"] == "One & two"
    assert soup.input["aria-label"]
    assert soup.button.text == "Play"


def test_the_slider_speaks_of_the_label_and_not_of_the_frames_number():
    soup = parsed()
    assert soup.input["aria-valuetext"] == soup.output.text == "a"
    assert "this.setAttribute('aria-valuetext',t)" in soup.input["oninput"]


def test_the_drawing_is_read_as_its_title_alone():
    (drawn,) = parsed().svg.find_all(recursive=False)
    assert drawn["aria-hidden"] == "true"
    assert len(drawn.select("g.frame")) == 3


def test_what_is_still_lies_below_the_frames():
    children = parsed(still="<circle r='1'/>").svg.g.find_all(recursive=False)
    assert [c.name for c in children] == ["circle", "g", "g", "g"]


def test_it_is_the_same_each_time_and_asks_no_other_host():
    one, other = (step_through(FRAMES, LABELS, "t", (3, 2)) for _ in range(2))
    assert one._repr_html_() == other._repr_html_()
    assert "//" not in one._repr_html_()
    assert " id=" not in one._repr_html_()


def test_elsewhere_it_is_a_line_of_text():
    assert repr(step_through(FRAMES, LABELS, "t", (3, 2))) == "3 steps, from a to c: t"


@pytest.mark.parametrize("frames", [[], FRAMES[:2]])
def test_each_frame_has_a_label(frames):
    with pytest.raises(ValueError, match=f"got {len(frames)} frames and 3 labels"):
        step_through(frames, LABELS, "t", (3, 2))
