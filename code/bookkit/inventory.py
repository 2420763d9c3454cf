"""Where torch documents the names that the book mentions: a small inventory, kept in the repository.

Sphinx would fetch torch's whole inventory at every build. ``python -m bookkit inventory`` (which needs torch,
to see which names exist) writes ``torch-inventory.txt``; the build only packs it, and needs no network.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from bookkit.book import Book, read_notebook, source_of, write_text

FILE = Path(__file__).with_name("torch-inventory.txt")
ADDRESS = "https://docs.pytorch.org/docs/stable/"
_NAME = re.compile(r"(?<![\w.])(?:torch|nn|F)(?:\.[A-Za-z_]\w*)+")
_SHORT = {"nn": "torch.nn", "F": "torch.nn.functional", "Tensor": "torch.Tensor"}

# Which page of torch's documentation describes a name: the first pattern that matches the whole name.
_PAGES = (
    (r"torch\.Tensor", "tensors.html"),
    (r"torch\.(dtype|device|layout|memory_format)", "tensor_attributes.html"),
    (r"torch\.Size", "size.html"),
    (r"torch\.optim\.Optimizer", "optim.html"),
    (r"torch\.nn\.init\.\w+", "nn.init.html"),
    (r"torch\.utils\.data\.\w+", "data.html"),
    (r"torch\.distributed\.\w+", "distributed.html"),
    (r"torch\.(Tensor\.|nn\.functional\.|nn\.utils\.|func\.|linalg\.)?\w+", None),
    (r"torch\.(nn\.|optim\.|optim\.lr_scheduler\.|autograd\.|cuda\.)\w+", None),
)


def full_name(name: str) -> str:
    """``nn.Linear`` as ``torch.nn.Linear``, ``Tensor`` as ``torch.Tensor``; others as they are."""
    first, dot, rest = name.partition(".")
    return _SHORT.get(first, first) + dot + rest


def names_mentioned(book: Book) -> set[str]:
    """Names of torch in the docstrings and annotations of the package, and in the book's prose."""
    found: set[str] = set()
    for path in sorted(book.package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                found |= set(_NAME.findall(ast.get_docstring(node) or ""))
            for annotation in _annotations(node):
                found |= {full_name(part) for part in _dotted(annotation)}
    for path in sorted(book.chapters.rglob("*.md")):
        found |= set(_NAME.findall(path.read_text(encoding="utf-8")))
    for path in book.notebooks():
        for cell in read_notebook(path)["cells"]:
            if cell["cell_type"] == "markdown":
                found |= set(_NAME.findall(source_of(cell)))
    return {full_name(name) for name in found if full_name(name).startswith("torch.")}


def write(book: Book) -> None:
    """Write the inventory anew; needs torch."""
    lines = [line for name in sorted(names_mentioned(book)) if (line := line_for(name))]
    head = ["# Sphinx inventory version 2", "# Project: torch", "# Version: stable"]
    head += ["# The remainder of this file is compressed using zlib."]
    write_text(FILE, "\n".join([*head, *lines]) + "\n")


def names() -> set[str]:
    """The names that can be linked."""
    lines = FILE.read_text(encoding="utf-8").splitlines()
    return {line.split(" ")[0] for line in lines if line and not line.startswith("#")}


def pack(target: Path) -> None:
    """The inventory in the form that Sphinx reads."""
    import sphobjinv

    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(sphobjinv.compress(FILE.read_bytes()))


def page_of(name: str) -> str | None:
    """The page that describes a name of torch, with its anchor; None if no rule tells.

    Example:
        >>> page_of("torch.nn.Linear")
        'generated/torch.nn.Linear.html#torch.nn.Linear'
        >>> page_of("torch.nn.init.ones_")
        'nn.init.html#torch.nn.init.ones_'
    """
    if name == "torch.nn.Parameter":  # documented under its module's name
        name = "torch.nn.parameter.Parameter"
        return f"generated/{name}.html#{name}"
    for pattern, page in _PAGES:
        if re.fullmatch(pattern, name):
            return f"{page or f'generated/{name}.html'}#{name}"
    return None


def line_for(name: str) -> str | None:
    """The line of a name that torch has and documents; None for a module, a constant, a private name."""
    import torch

    value = torch
    for part in name.split(".")[1:]:
        value = getattr(value, part, None)
    page = page_of(name)
    if page is None or not callable(value) or re.search(r"\._", name):
        return None
    role = "class" if isinstance(value, type) else "function"
    if name.startswith("torch.Tensor."):
        role = "method"
    return f"{name} py:{role} 1 {page} -"


def _annotations(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation:
        yield node.annotation
    if isinstance(node, ast.FunctionDef) and node.returns:
        yield node.returns


def _dotted(annotation: ast.AST) -> Iterator[str]:
    for node in ast.walk(annotation):
        if isinstance(node, ast.Name | ast.Attribute):
            yield ast.unparse(node)
