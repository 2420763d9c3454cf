"""Is what a notebook shows what its code would give today? Answered without running it.

A fingerprint is a hash of all that can change the outputs: the code cells (the bootstrap cell apart), the
modules of ``dlkb`` that they reach, the chapter's recorded runs, the pins of the run-time packages and of the
processor.
Prose and the wording of claims are no part of it. What is reached is found statically: ``sys.modules``
would miss imports that happen late.
"""

import ast
import hashlib
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

from bookkit.book import Book, code_cells, read_notebook, source_of, tags_of
from bookkit.kernel import PINNED

PACKAGE = "dlkb"
BOOTSTRAP = "bootstrap"
# Said only where a check fails, and an output with a failed check is never stored.
NEVER_STORED = {f"{PACKAGE}.environment"}


class Fingerprints:
    """Computes the fingerprints of a book's notebooks, with the package read once."""

    def __init__(self, book: Book):
        self.book = book
        self._graph = _import_graph(book)
        self._pins = repr((runtime_pins(book), sorted(PINNED.items()))).encode()

    def of(self, path: Path, notebook: dict[str, Any]) -> str:
        """The fingerprint of the notebook at ``path``.

        Raises: ValueError: naming notebook and cell, if a cell is not Python or imports what is not there.
        """
        digest = hashlib.sha256()
        modules = set()
        for number, cell in enumerate(code_cells(notebook), start=1):
            if BOOTSTRAP in tags_of(cell):
                continue
            _add(digest, "cell", source_of(cell).encode())
            try:
                modules |= self.reached(source_of(cell))
            except (SyntaxError, ImportError) as error:
                raise ValueError(
                    f"{self.book.name(path)}, cell [{number}]: {error}"
                ) from error
        for module in sorted(modules):
            _add(digest, module, self._file(module).read_bytes())
        recorded = self.book.recorded / path.parent.name
        files = (p for p in recorded.rglob("[!.]*") if p.is_file())  # none half-made
        for record in sorted(files):
            _add(digest, record.relative_to(recorded).as_posix(), record.read_bytes())
        _add(digest, "pins", self._pins)
        return digest.hexdigest()[:16]

    def reached(self, cell: str) -> set[str]:
        """Modules of the package whose text can change what a cell does.

        Raises: SyntaxError: if the cell is not Python. ImportError: if it imports a module that is not there.
        """
        direct = self._named(parse(cell))
        for module in direct - self._graph.modules:
            raise ImportError(f"there is no module {module}")
        upstream = {
            u for module in direct for u in self._graph.find_upstream_modules(module)
        }
        # the top holds a version and imports nothing
        return (direct | upstream) - {PACKAGE} - NEVER_STORED

    def _named(self, tree: ast.AST) -> set[str]:
        found = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
                found |= {n for n in names if n.split(".")[0] == PACKAGE}
            elif (
                isinstance(node, ast.ImportFrom)
                and (node.module or "").split(".")[0] == PACKAGE
            ):
                found |= {self._home(node.module, alias.name) for alias in node.names}
        return found

    def _home(self, module: str, name: str) -> str:
        """The module in which ``from module import name`` finds its name: a submodule, or where a
        chapter's public list took it from, so that a change to one file of a chapter leaves alone the
        notebooks that use another. (A test sees to it that a public list does nothing but import.)"""
        if f"{module}.{name}" in self._graph.modules:
            return f"{module}.{name}"
        file = self._file(module)
        if file.name == "__init__.py":
            for node in reversed(ast.parse(file.read_text(encoding="utf-8")).body):
                if isinstance(node, ast.ImportFrom) and node.level == 0:
                    for alias in node.names:
                        if (alias.asname or alias.name) == name:
                            return self._home(node.module, alias.name)
        return module

    def _file(self, module: str) -> Path:
        path = self.book.package.parent.joinpath(*module.split("."))
        return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def runtime_pins(book: Book) -> list[str]:
    """The locked versions of the packages that the package itself depends on: not the whole lock, since
    a new linter must not re-run the book."""
    project = tomllib.loads((book.root / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    names = {_normal(re.match(r"[\w.-]+", d).group()) for d in project["dependencies"]}
    lock = (book.root / "requirements" / "test.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^([\w.-]+)==(\S+)", lock, flags=re.MULTILINE)
    return sorted(
        f"{_normal(name)}=={version}"
        for name, version in pins
        if _normal(name) in names
    )


def _normal(name: str) -> str:
    """A package's name as PEP 503 writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def stale_notebooks(
    book: Book, fingerprints: Fingerprints | None = None
) -> dict[Path, str]:
    """Notebooks whose stored outputs are not those of today's code, each with the reason."""
    fingerprints = fingerprints or Fingerprints(book)
    stale = {}
    for path in book.notebooks():
        notebook = read_notebook(path)
        stored = notebook["metadata"].get("dlkb", {}).get("fingerprint")
        if stored is None:
            stale[path] = "was never executed by `make execute`"
        elif stored != fingerprints.of(path, notebook):
            stale[path] = (
                "its code, or code that it reaches, has changed since it was executed"
            )
    return stale


def _import_graph(book: Book):
    """Which module of the book's package imports which, read from the files."""
    import grimp

    imported = sys.modules.pop(PACKAGE, None)  # else grimp would read that one's files
    sys.path.insert(0, str(book.package.parent))
    try:
        return grimp.build_graph(PACKAGE, cache_dir=None)
    finally:
        sys.path.remove(str(book.package.parent))
        if imported is not None:
            sys.modules[PACKAGE] = imported


def parse(cell: str) -> ast.AST:
    try:
        return ast.parse(cell)
    except SyntaxError:  # magics, or not Python after all
        from IPython.core.inputtransformer2 import TransformerManager

        return ast.parse(TransformerManager().transform_cell(cell))


def _add(digest, name: str, content: bytes) -> None:
    digest.update(f"{name}:{len(content)}:".encode() + content)
