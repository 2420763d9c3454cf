"""Run an experiment that is too long for a notebook, without Jupyter, and keep what it found.

    python -m dlkb.record                 list the experiments
    python -m dlkb.record losses/race     run one and write data/recorded/losses/race.json

An experiment consists of parts. Each is kept as soon as it is done, so that an interrupted run goes on where
it stopped; the file gets its name when all are there. A notebook reads it with ``recorded``.
"""

import argparse
import ast
import difflib
import hashlib
import json
import pkgutil
import platform
import sys
import time
from pathlib import Path
from typing import Any

__all__ = ["EXPERIMENTS", "code_digest", "record", "recorded"]

# Name of the record: module and function. The function takes a torch.device and returns, by name, the parts:
# functions without arguments that return what JSON can hold.
EXPERIMENTS = {
    "losses/race": "dlkb.losses.race:full_race",
    "losses/race-as-published": "dlkb.losses.race_as_published:full_published_race",
}


def recorded(name: str, folder: str | Path | None = None) -> dict[str, Any]:
    """A recorded run: ``result`` by part, ``command``, ``code``, ``versions``, ``device``, ``seconds``.

    Args:
        name: ``chapter/experiment``.
        folder: where records lie; None for those that belong to this package.
    Raises: ValueError: if it was never recorded, with the names that were.
    """
    folder = Path(folder) if folder is not None else _recorded_folder()
    path = folder / f"{name}.json"
    if not path.is_file():
        there = [
            p.relative_to(folder).with_suffix("").as_posix()
            for p in sorted(folder.glob("*/*.json"))
        ]
        raise ValueError(
            f"no recorded run {name!r}; there are {', '.join(there) or 'none'}; "
            f"make it by python -m dlkb.record {name}"
        )
    return json.loads(path.read_text(encoding="utf-8"))


def record(
    name: str, device: str | None = None, folder: str | Path | None = None
) -> Path:
    """Run an experiment and write ``<folder>/<name>.json``; return its path.

    Args:
        name: one of ``EXPERIMENTS``.
        device: as for ``dlkb.device.choose_device``.
        folder: where records lie; None for ``data/recorded`` in the repository.
    Raises: ValueError: if there is no such experiment, or no repository to write to.
    """
    from dlkb.device import choose_device

    if name not in EXPERIMENTS:
        near = difflib.get_close_matches(name, EXPERIMENTS, n=3, cutoff=0.3)
        raise ValueError(
            f"an experiment is one of {', '.join(EXPERIMENTS) or 'none so far'}: got {name!r}"
            + (f"; the nearest: {', '.join(near)}" if near else "")
        )
    path = _writable(folder) / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    chosen = choose_device(device)
    parts = pkgutil.resolve_name(EXPERIMENTS[name])(chosen)
    run = _begin(path, name, chosen)
    for part, action in parts.items():
        if part in run["result"]:
            print(f"{name}, {part}: kept from before", file=sys.stderr)
            continue
        started = time.perf_counter()
        run["result"][part] = action()
        run["seconds"][part] = round(time.perf_counter() - started, 1)
        _write(_partial(path), run)
        print(f"{name}, {part}: {run['seconds'][part]} s", file=sys.stderr)
    _write(path, run)
    _partial(path).unlink(missing_ok=True)
    return path


def code_digest(text: str) -> str:
    """A digest of what Python text does: comments, docstrings and layout do not count, on any version.

    Example:
        >>> code_digest("x = 1  # one") == code_digest("x = (1)")
        True
    """
    digest = hashlib.sha256()
    tree = ast.parse(text)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_text(body[0]):
            del body[0]
    for node in ast.walk(tree):
        plain = [
            value
            for _, value in ast.iter_fields(node)
            if isinstance(value, str | int | float | complex | bytes)
        ]
        digest.update(f"{type(node).__name__} {plain!r}\n".encode())
    return digest.hexdigest()[:16]


def _is_text(node: ast.stmt) -> bool:
    value = getattr(node, "value", None)
    return (
        isinstance(node, ast.Expr)
        and isinstance(value, ast.Constant)
        and isinstance(value.value, str)
    )


def _begin(path: Path, name: str, device) -> dict[str, Any]:
    """What an interrupted run of the same code on the same machine left, or a new run without parts."""
    new = {
        "command": f"python -m dlkb.record {name}",
        "versions": _versions(),
        "device": _device_name(device),
        "code": _code(EXPERIMENTS[name].partition(":")[0]),
        "result": {},
        "seconds": {},
    }
    if not _partial(path).is_file():
        return new
    left = json.loads(_partial(path).read_text(encoding="utf-8"))
    same = ("command", "versions", "device", "code")
    return left if all(left[key] == new[key] for key in same) else new


def _code(module: str) -> dict[str, str]:
    """Digests of a module of the package and of all that it imports from the package, directly or not.

    (The packages' own files only gather names; a module must import from where a name is defined.)
    """
    found: dict[str, str] = {}
    ahead = [module]
    while ahead:
        name = ahead.pop()
        if name in found or _file_of(name) is None:
            continue
        text = _file_of(name).read_text(encoding="utf-8")
        found[name] = code_digest(text)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                ahead.append(node.module)
                ahead += [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                ahead += [alias.name for alias in node.names]
    return dict(sorted(found.items()))


def _file_of(module: str) -> Path | None:
    """The file of a module of this package, or None if it is none."""
    path = Path(__file__).parents[1].joinpath(*module.split(".")).with_suffix(".py")
    return path if module.startswith("dlkb.") and path.is_file() else None


def _versions() -> dict[str, str]:
    import numpy as np
    import torch

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def _device_name(device) -> str:
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        return f"{platform.machine()}, {torch.get_num_threads()} threads"
    return device.type


def _recorded_folder() -> Path:
    shipped = Path(__file__).parent / "_recorded"  # in a wheel
    return shipped if shipped.is_dir() else _repository_folder()


def _repository_folder() -> Path:
    return Path(__file__).parents[2] / "data" / "recorded"


def _writable(folder: str | Path | None) -> Path:
    if folder is not None:
        return Path(folder)
    if not _repository_folder().is_dir():
        raise ValueError(
            "records are written into the repository's data/recorded, which is not here: "
            "run this in a checkout, or give --folder"
        )
    return _repository_folder()


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.stem}.part")


def _write(path: Path, run: dict[str, Any]) -> None:
    """Write beside, then rename: an interruption never leaves half a file."""
    beside = path.with_name(f".{path.stem}.writing")
    text = json.dumps(run, indent=1, sort_keys=True, allow_nan=False)
    beside.write_text(text + "\n", encoding="utf-8")
    beside.replace(path)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m dlkb.record", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("name", nargs="?", help="chapter/experiment; none lists them")
    parser.add_argument("--device", help="cpu, cuda, mps; the best one if not given")
    parser.add_argument("--folder", help="where to write; data/recorded if not given")
    options = parser.parse_args(arguments)
    if options.name is None:
        print("\n".join(EXPERIMENTS) or "no experiment so far")
        return 0
    try:
        print(record(options.name, options.device, options.folder))
    except ValueError as error:
        print(f"dlkb.record: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
