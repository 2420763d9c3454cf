"""`make test`: every part runs, also after one has failed, and the site's tests run beside the others."""

import subprocess
import sys
import time

import pytest

from bookkit import proof
from bookkit.book import Book

PARTS = ("_style", "_unit", "run_notebooks")


@pytest.fixture
def parts(monkeypatch, tmp_path):
    """``parts(site, _unit=1)`` runs all; ``site`` is the site's program, the others give a status."""

    def run(site="", only=None, before=lambda: None, **status):
        ran = []

        def part(name):
            def one(book):
                ran.append(name)
                before()
                return status.get(name, 0)

            return one

        for name in PARTS:
            monkeypatch.setattr(proof, name, part(name))
        command = [sys.executable, "-c", site]
        monkeypatch.setattr(proof, "_pytest_command", lambda *arguments: command)
        return proof.run(Book(tmp_path), only), ran

    return run


def test_all_parts_run_and_pass(parts, capfd):
    status, ran = parts(site="print('125 passed')")
    assert status == 0
    assert ran == list(PARTS)
    assert "125 passed" in capfd.readouterr().out


@pytest.mark.parametrize("name", PARTS)
def test_a_part_that_fails_is_named_and_the_others_still_run(parts, name, capfd):
    status, ran = parts(site="print('still run')", **{name: 2})
    assert status == 1
    assert ran == list(PARTS)
    said = capfd.readouterr()
    assert "still run" in said.out
    assert f"FAILED: {name.strip('_').removeprefix('run_')}\n" in said.err


def test_a_site_that_fails_fails_the_whole(parts, capfd):
    status, _ = parts(site="print('no such page'); raise SystemExit(1)")
    assert status == 1
    said = capfd.readouterr()
    assert "no such page" in said.out
    assert "FAILED: site" in said.err


def test_one_part_alone(parts):
    assert parts(site="raise SystemExit(1)", only="unit") == (0, ["_unit"])
    assert parts(site="raise SystemExit(1)", only="site") == (1, [])


def test_the_site_is_tested_beside_the_other_parts(parts, tmp_path):
    """Fails if it waits for them, or they for it."""
    there = tmp_path / "there"

    def wait():
        end = time.monotonic() + 60
        while not there.exists():
            assert time.monotonic() < end, "the site's tests were not started"
            time.sleep(0.01)

    write = f"open({str(there)!r}, 'w').close()"
    assert parts(site=write, before=wait) == (0, list(PARTS))


def test_an_interruption_leaves_no_process_behind(parts, monkeypatch):
    started = []
    popen = subprocess.Popen

    def remember(*arguments, **options):
        started.append(popen(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(proof.subprocess, "Popen", remember)

    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        parts(site="import time; time.sleep(600)", before=interrupt)
    assert [process.poll() is not None for process in started] == [True]
