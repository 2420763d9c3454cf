"""What the package offers and where the book uses it, read from the files: nothing is imported.

A public name is documented under the shortest address that imports it: ``dlkb.normalization.batch_norm``
for a name on a chapter's public list, else its own module's.
"""

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bookkit.book import Book, code_cells, read_notebook, source_of, tags_of
from bookkit.fresh import BOOTSTRAP, PACKAGE, parse

SHARED = "shared"  # the page of the modules that belong to no chapter


@dataclass(frozen=True)
class Entry:
    """One public name."""

    name: str  # dlkb.normalization.batch_norm
    module: str  # where it is defined: dlkb.normalization.batch
    kind: str  # function, class or data
    members: tuple[str, ...] = ()  # a class's documented methods, a record's fields

    @property
    def short(self) -> str:
        return self.name.rpartition(".")[2]


@dataclass(frozen=True)
class Module:
    """One file of the package, and what of it is public, in the order of its text."""

    name: str
    entries: list[Entry] = field(default_factory=list)


class Package:
    """The book's package: its pages of reference, and which notebook uses what."""

    def __init__(self, book: Book):
        self.book = book
        self._trees: dict[Path, ast.Module] = {}
        self.pages: dict[str, list[Module]] = self._read_pages()
        self.entries = {e.name: e for page in self.pages for e in self.on(page)}
        self._by_home = {(e.module, e.short): e.name for e in self.entries.values()}
        self.written = (
            self._read_written()
        )  # by notebook: as it writes a name, its entry
        self.uses = {
            book: sorted(set(names.values())) for book, names in self.written.items()
        }

    def on(self, page: str) -> list[Entry]:
        """The entries of a page: a chapter's name, or ``shared``."""
        return [entry for module in self.pages[page] for entry in module.entries]

    def used_in(self, name: str) -> list[str]:
        """The notebooks that import ``name``, as names within the book without ``.ipynb``."""
        return [notebook for notebook, names in self.uses.items() if name in names]

    def names_in(self, cells: Iterable[str]) -> dict[str, str]:
        """What some cells import from the package: the name as they write it, and its entry's."""
        bound: dict[str, str] = {}
        modules: dict[str, str] = {}
        trees = [parse(cell) for cell in cells]
        for node in (n for tree in trees for n in ast.walk(tree)):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if self._file(alias.name):
                        modules[alias.asname or alias.name] = alias.name
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    if self._file(inner):
                        modules[alias.asname or alias.name] = inner
                    elif entry := self.find(inner):
                        bound[alias.asname or alias.name] = entry
        for node in (n for tree in trees for n in ast.walk(tree)):
            if isinstance(node, ast.Attribute):
                owner = ast.unparse(node.value)
                if owner in modules:
                    entry = self.find(f"{modules[owner]}.{node.attr}")
                    if entry:
                        bound[f"{owner}.{node.attr}"] = entry
        return bound

    def find(self, name: str) -> str | None:
        """The entry that documents ``name``, by whichever of the package's modules it is imported."""
        module, _, attribute = name.rpartition(".")
        return self._by_home.get(self._home(module, attribute))

    # ------------------------------------------------------------------------------------- reading

    def _read_pages(self) -> dict[str, list[Module]]:
        pages: dict[str, list[Module]] = {}
        for folder in sorted(self.book.package.glob("*/__init__.py")):
            chapter = f"{PACKAGE}.{folder.parent.name}"
            files = sorted(folder.parent.glob("[!_]*.py"))
            names = [f"{chapter}.{file.stem}" for file in files]
            public = {self._home(chapter, n): n for n in self._public(chapter)}
            modules = [self._module(name, chapter, public) for name in names]
            pages[folder.parent.name.replace("_", "-")] = modules
        files = sorted(self.book.package.glob("[!_]*.py"))
        pages[SHARED] = [self._module(f"{PACKAGE}.{f.stem}", "", {}) for f in files]
        return {page: [m for m in ms if m.entries] for page, ms in pages.items()}

    def _module(self, module: str, chapter: str, public: dict) -> Module:
        listed = [
            (name, f"{chapter}.{public[home]}")
            for home in public
            if home[0] == module
            for name in (home[1],)
        ]
        seen = {name for name, _ in listed}
        listed += [(n, f"{module}.{n}") for n in self._public(module) if n not in seen]
        nodes = {
            name: node for node in self._tree(module).body for name in _named(node)
        }
        listed.sort(key=lambda pair: nodes[pair[0]].lineno)
        entries = [
            Entry(address, module, _kind(nodes[name]), _members(nodes[name]))
            for name, address in listed
        ]
        return Module(module, entries)

    def _read_written(self) -> dict[str, dict[str, str]]:
        written = {}
        for path in self.book.notebooks():
            cells = code_cells(read_notebook(path))
            own = [source_of(c) for c in cells if BOOTSTRAP not in tags_of(c)]
            name = self.book.name(path).removesuffix(".ipynb")
            written[name] = self.names_in(own)
        return written

    def _public(self, module: str) -> list[str]:
        for node in self._tree(module).body:
            if "__all__" in _named(node):
                return ast.literal_eval(node.value)
        return []

    def _home(self, module: str, name: str) -> tuple[str, str]:
        """Module and name where ``from module import name`` finds its definition."""
        if self._file(module):
            for node in self._tree(module).body:
                if isinstance(node, ast.ImportFrom) and not node.level and node.module:
                    for alias in node.names:
                        if (alias.asname or alias.name) == name:
                            return self._home(node.module, alias.name)
        return module, name

    def _tree(self, module: str) -> ast.Module:
        path = self._file(module)
        if path not in self._trees:
            self._trees[path] = ast.parse(path.read_text(encoding="utf-8"))
        return self._trees[path]

    def _file(self, module: str) -> Path | None:
        """The file of one of the package's modules; None for anything else."""
        top, *rest = module.split(".")
        if top != PACKAGE:
            return None
        path = self.book.package.joinpath(*rest)
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if file.is_file():
                return file
        return None

    def file_of(self, module: str) -> Path:
        """The file of a module.

        Raises: ValueError: if the package has no such module.
        """
        path = self._file(module)
        if path is None:
            raise ValueError(f"the package has no module {module}")
        return path

    def inner_names(self, entry: Entry) -> set[str]:
        """Arguments and fields: in a description their names mean themselves."""
        node = self._definition(entry)
        arguments = {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}
        return arguments | set(entry.members)

    def _definition(self, entry: Entry) -> ast.stmt:
        body = self._tree(entry.module).body
        return next(node for node in body if entry.short in _named(node))

    def source(self, entry: Entry) -> tuple[Path, int, str]:
        """File, line and text of a definition, without its docstrings."""
        path = self._file(entry.module)
        node = self._definition(entry)
        first = min(n.lineno for n in [node, *getattr(node, "decorator_list", [])])
        kept = set(range(first, node.end_lineno + 1))
        for inner in ast.walk(node):
            if isinstance(inner, ast.FunctionDef | ast.ClassDef):
                docstring = inner.body[0] if ast.get_docstring(inner) else None
                if docstring and len(inner.body) > 1:
                    kept -= set(range(docstring.lineno, inner.body[1].lineno))
        lines = path.read_text(encoding="utf-8").splitlines()
        return path, first, "\n".join(lines[number - 1] for number in sorted(kept))

    def description(self, module: str) -> str:
        """A module's docstring."""
        return ast.get_docstring(self._tree(module)) or ""


def _named(node: ast.stmt) -> list[str]:
    """The names that a statement at the top of a module defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, ast.AnnAssign):
        targets = [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _kind(node: ast.stmt) -> str:
    if isinstance(node, ast.FunctionDef):
        return "function"
    return "class" if isinstance(node, ast.ClassDef) else "data"


def _members(node: ast.stmt) -> tuple[str, ...]:
    """What of a class is shown: documented methods, and the fields of a dataclass or named tuple."""
    if not isinstance(node, ast.ClassDef):
        return ()
    marks = {ast.unparse(mark) for mark in [*node.decorator_list, *node.bases]}
    record = any("dataclass" in m or "NamedTuple" in m for m in marks)
    found = []
    for child in node.body:
        if isinstance(child, ast.AnnAssign) and record:
            found += _named(child)
        elif isinstance(child, ast.FunctionDef) and ast.get_docstring(child):
            found += [child.name] if not child.name.startswith("_") else []
    return tuple(found)
