"""The digest of this processor's arithmetic: the same twice, another with other instructions."""

import os
import subprocess
import sys

from bookkit.arithmetic import GIVEN, is_of_other_arithmetic, this_processor
from bookkit.kernel import FOREIGN, PINNED


def digest(pinned):
    environment = {**os.environ, **pinned}
    command = [sys.executable, "-m", "bookkit.arithmetic"]
    return subprocess.check_output(command, text=True, env=environment).strip()


def test_it_is_the_same_twice_and_another_with_other_instructions(monkeypatch):
    """Fails if something in it is not reproducible, or nothing in it depends on the processor."""
    monkeypatch.delenv(GIVEN)
    here = this_processor()
    assert len(here) == 16
    assert digest(PINNED) == here
    assert digest(FOREIGN) != here


def test_a_notebook_is_of_other_arithmetic_only_if_it_says_so(monkeypatch):
    monkeypatch.setenv(GIVEN, "this")
    for stored, other in (
        ({}, False),
        ({"arithmetic": "this"}, False),
        ({"arithmetic": "that"}, True),
    ):
        assert is_of_other_arithmetic({"metadata": {"dlkb": stored}}) is other
