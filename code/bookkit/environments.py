"""The environments: ``book`` (no torch) and ``test`` (everything), each from its lock file; and two that
start from the one of ``test``: ``lab``, with JupyterLab, and ``newest``, with the newest torch and its like.

Standard library only, so that it runs with a bare Python on Linux, macOS and Windows.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

from bookkit.book import ROOT, write_text
from bookkit.kernel import PINNED
from dlkb.environment import PACKAGES

UV = "uv==0.13.9"
NAMES = ("book", "test", "lab", "newest")
OLDEST_PYTHON = (3, 11)


def python_of(name: str) -> Path:
    """The interpreter of environment ``name``, whether or not it exists yet."""
    folder = ROOT / ".venv" / name
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def lock_of(name: str) -> Path:
    """The lock file of environment ``name``; ``lab`` and ``newest`` start from the one of ``test``."""
    return ROOT / "requirements" / f"{'book' if name == 'book' else 'test'}.lock"


def ensure(name: str) -> Path:
    """Create or update environment ``name`` if its lock has changed; return its interpreter.

    Raises: ValueError: if ``name`` is none of the environments. RuntimeError: if Python is too old.
    """
    if name not in NAMES:
        raise ValueError(f"an environment is one of {', '.join(NAMES)}: got {name!r}")
    if sys.version_info < OLDEST_PYTHON:
        raise RuntimeError(
            f"Python 3.11 or newer is needed: this is {sys.version.split()[0]}. "
            "Install one, or run make PYTHON=python3.12"
        )
    python = python_of(name)
    wanted = hashlib.sha256(
        b"".join(
            [
                lock_of(name).read_bytes(),
                (ROOT / "pyproject.toml").read_bytes(),
                UV.encode(),
            ]
        )
    ).hexdigest()
    stamp = ROOT / ".venv" / name / ".installed"
    if (
        name != "newest"
        and stamp.is_file()
        and stamp.read_text() == wanted
        and python.is_file()
    ):
        return python
    print(f"Installing the {name!r} environment ...", file=sys.stderr, flush=True)
    if not python.is_file():
        venv.create(python.parent.parent, with_pip=True)
    _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV)
    # Without stored bytecode every kernel would compile torch again: 7.5 s instead of 3.9 s.
    _uv(python, "sync", "--compile-bytecode", str(lock_of(name)))
    _uv(python, "install", "--no-deps", "--editable", str(ROOT / "code" / "bookkit"))
    if name != "book":  # the site reads the package as files and needs no torch
        _uv(python, "install", "--no-deps", "--editable", str(ROOT))
    if name == "lab":
        _uv(python, "install", "--group", "lab", "--constraint", str(lock_of(name)))
    if name == "newest":  # what a reader may have tomorrow: no pin holds them back
        _uv(python, "install", "--upgrade", "--compile-bytecode", *runtime_packages())
    stamp.write_text(wanted)
    return python


def lock() -> None:
    """Write ``requirements/*.lock`` anew: hashes, no index named, one version for all platforms."""
    python = ensure("test")
    for name in ("book", "test"):
        _uv(
            *(python, "compile", "--quiet", "--universal", "--generate-hashes"),
            *("--fork-strategy", "fewest", "--no-annotate", "--python-version", "3.11"),
            *("--custom-compile-command", "python -m bookkit lock"),
            *([] if name == "book" else ["pyproject.toml"]),
            *(
                "--group",
                f"pyproject.toml:{name}",
                "--output-file",
                f"requirements/{name}.lock",
            ),
        )
    write_recorded()


def runtime_packages() -> list[str]:
    """What ``dlkb`` itself depends on, by name."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    needed = tomllib.loads(text)["project"]["dependencies"]
    return [re.match(r"[\w.-]+", requirement)[0] for requirement in needed]


def write_recorded() -> None:
    """Keep in the package what all stored outputs are made with, for the message of a check that fails."""
    lock = lock_of("test").read_text(encoding="utf-8")
    pins: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", lock, flags=re.MULTILINE):
        pins.setdefault(name, []).append(version)
    run = {
        "device": PINNED["DLKB_DEVICE"],
        "versions": {name: " or ".join(pins[name]) for name in PACKAGES},
    }
    text = json.dumps(run, indent=1) + "\n"
    write_text(ROOT / "data" / "recorded" / "environment.json", text)


def _uv(python: Path, command: str, *arguments: str) -> None:
    target = [] if command == "compile" else ["--python", str(python)]
    _run(python, "-m", "uv", "pip", command, *target, *arguments)


def _run(python: Path, *arguments: str) -> None:
    subprocess.run([str(python), *arguments], cwd=ROOT, check=True)
