"""What the stored outputs were made with, what is here, and where to report: said when a check fails."""

import importlib.metadata
import json
import platform
import sys
from pathlib import Path
from urllib.parse import urlencode

__all__ = ["describe_here", "describe_recorded", "how_to_report"]

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn")


def describe_recorded(folder: str | Path | None = None) -> str:
    """The versions and the device with which all stored outputs were made.

    Args:
        folder: where ``environment.json`` lies; None for the one that belongs to this package.
    Example:
        >>> describe_recorded().endswith("on cpu")
        True
    """
    if folder is None:
        shipped = Path(__file__).parent / "_recorded"  # in a wheel
        repository = Path(__file__).parents[2] / "data" / "recorded"
        folder = shipped if shipped.is_dir() else repository
    path = Path(folder) / "environment.json"
    if not path.is_file():
        return f"not known: there is no {path.name} in {path.parent}"
    run = json.loads(path.read_text(encoding="utf-8"))
    return _in_words(run["versions"], run["device"])


def describe_here() -> str:
    """The versions that are installed, and the best device that torch sees, if it was imported."""
    versions = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "missing"
    return _in_words(versions, f"{_best_device()} ({platform.machine()})")


def how_to_report(key: str, message: str) -> str:
    """Where to say that a check fails, as a link that already says which and how, where the address is known.

    Args:
        key: ``chapter/claim`` or ``chapter/claim#part``.
        message: what the reader saw.
    """
    repository = _project_urls().get("Repository")
    if repository is None:
        return "to report it, send all of this message to where you got the book from"
    query = urlencode({"title": f"This fails elsewhere: {key}", "body": message})
    return f"to report it, open {repository}/issues/new?{query}"


def _in_words(versions: dict[str, str], device: str) -> str:
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"{listed}, on {device}"


def _best_device() -> str:
    torch = sys.modules.get("torch")  # a check needs none
    if torch is None:
        return "cpu"
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _project_urls() -> dict[str, str]:
    """The addresses that the installed package names; ``set-repository`` writes them."""
    try:
        found = importlib.metadata.metadata("dlkb").get_all("Project-URL") or []
    except importlib.metadata.PackageNotFoundError:  # on the path, not installed
        return {}
    return dict(entry.split(", ", 1) for entry in found)
