"""Where things are in the repository, and how a notebook file is read and written."""

import copy
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Book:
    """The folders of a book."""

    root: Path = ROOT

    @property
    def chapters(self) -> Path:
        return self.root / "chapters"

    @property
    def package(self) -> Path:
        return self.root / "code" / "dlkb"

    @property
    def claims(self) -> Path:
        return self.root / "data" / "claims"

    @property
    def recorded(self) -> Path:
        return self.root / "data" / "recorded"

    @property
    def build(self) -> Path:
        return self.root / "_build"

    def notebooks(self) -> list[Path]:
        """Every notebook, sorted; editors' checkpoints left out."""
        found = self.chapters.glob("**/*.ipynb")
        return sorted(p for p in found if ".ipynb_checkpoints" not in p.parts)

    def name(self, path: Path) -> str:
        """A file's name within the book, with forward slashes."""
        return path.relative_to(self.root).as_posix()


def read_notebook(path: Path) -> dict[str, Any]:
    """A notebook as a dictionary."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_notebook(path: Path, notebook: dict[str, Any]) -> None:
    """Store a notebook, laid out the same way every time."""
    text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    write_text(path, text)


def write_text(path: Path, text: str) -> None:
    """Write beside, then rename: a reader, or an interruption, never meets half a file."""
    handle, beside = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.stem}-", suffix=".part"
    )
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).chmod(0o644)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def without_outputs(notebook: dict[str, Any]) -> dict[str, Any]:
    """A copy of a notebook as it is before it is run."""
    bare = copy.deepcopy(notebook)
    for cell in code_cells(bare):
        cell["outputs"], cell["execution_count"] = [], None
    bare["metadata"].pop("dlkb", None)  # when and on what it was executed
    return bare


def source_of(cell: dict[str, Any]) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def tags_of(cell: dict[str, Any]) -> list[str]:
    return cell["metadata"].get("tags", [])
