"""The command line and the Makefile that forwards to it."""

import json
import re
import subprocess
import sys

import pytest

from bookkit import environments
from bookkit.__main__ import main
from bookkit.book import Book, read_notebook

ROOT = Book().root
COMMANDS = "book test serve lab execute foreign mutate bench set-repository clean help"


def test_help_lists_every_command(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    for command in [*COMMANDS.split(), "plain"]:
        if command != "help":
            assert re.search(rf"^    {command}\s", text, flags=re.MULTILINE)


def test_the_makefile_has_every_command_and_explains_it():
    shown = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for command in COMMANDS.split():
        assert re.search(rf"make {command}\b", shown), command


def test_an_unknown_command_is_refused():
    with pytest.raises(SystemExit) as stop:
        main(["no-such"])
    assert stop.value.code == 2


def test_errors_are_one_line(capsys):
    assert main(["execute", "nothing-like-it"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("bookkit: no notebook's name contains 'nothing-like-it'")
    assert "Traceback" not in err


def test_setting_up_needs_the_standard_library_only(tmp_path):
    """It runs before anything is installed."""
    program = "import bookkit.__main__, bookkit.environments; print('ok')"
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        cwd=ROOT / "code",
        capture_output=True,
        text=True,
    )
    assert done.stdout == "ok\n", done.stderr


def test_an_unknown_environment_is_refused():
    with pytest.raises(ValueError, match="one of book, test, lab, newest: got 'prod'"):
        environments.ensure("prod")


def test_an_old_python_is_refused(monkeypatch):
    monkeypatch.setattr(environments.sys, "version_info", (3, 10, 1))
    with pytest.raises(RuntimeError, match=r"3\.11 or newer is needed.*make PYTHON="):
        environments.ensure("book")


def test_the_newest_torch_is_fetched_every_time_and_held_back_by_nothing(
    monkeypatch, tmp_path
):
    ran = []
    monkeypatch.setattr(environments, "_run", lambda python, *words: ran.append(words))
    monkeypatch.setattr(environments.venv, "create", lambda *a, **k: None)
    python = tmp_path / ".venv" / "newest" / "bin" / "python"
    monkeypatch.setattr(environments, "python_of", lambda name: python)
    monkeypatch.setattr(environments, "ROOT", tmp_path)
    for name in ("pyproject.toml", "requirements/test.lock"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / ".venv" / "newest").mkdir(parents=True)
    for _ in range(2):  # the second time too: there may be a newer one
        ran.clear()
        assert environments.ensure("newest") == python
        last = ran[-1]
        assert {"install", "--upgrade", "torch", "torchvision", "numpy"} <= set(last)
        assert not [w for w in last if "==" in w or "constraint" in w or ".lock" in w]


@pytest.mark.parametrize("name", ["book", "test"])
def test_locks_have_hashes_and_name_no_index(name):
    text = (ROOT / "requirements" / f"{name}.lock").read_text()
    pins = re.findall(r"^[\w.-]+==\S+", text, flags=re.MULTILINE)
    assert len(pins) > 50
    assert "://" not in text
    blocks = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in block for block in blocks)


def test_the_pinned_pair_is_in_the_lock():
    assert "\ntorch==2.15.0" in (ROOT / "requirements" / "test.lock").read_text()


def test_what_a_failed_check_tells_is_what_the_lock_pins():
    """Each notebook is executed with the locked versions on this device, or not at all."""
    lock = (ROOT / "requirements" / "test.lock").read_text()
    run = json.loads((Book().recorded / "environment.json").read_text())
    for name, versions in run["versions"].items():
        pins = re.findall(rf"^{name}==(\S+)", lock, flags=re.MULTILINE)
        assert versions.split(" or ") == pins, f"{name}: run `make lock`"
    for path in Book().notebooks():
        executed = read_notebook(path)["metadata"]["dlkb"]
        assert executed["torch"] == run["versions"]["torch"]
        assert executed["device"] == run["device"]
