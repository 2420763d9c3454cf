"""Show a function's source in a notebook, so that no notebook holds a copy."""

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable

__all__ = ["Source", "source"]


class Source:
    """Source code that displays itself: highlighted in a notebook, plain elsewhere."""

    def __init__(self, text: str):
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def _repr_markdown_(self) -> str:
        return f"```python\n{self.text}\n```"


def source(*functions: Callable | type) -> Source:
    """The source of functions and classes, without docstrings, each headed by the file it stands in.

    Raises: TypeError: if one has no Python source (a built-in, an instance), or none is given.
    Example:
        >>> from dlkb.device import choose_device
        >>> print(source(choose_device).text.splitlines()[0])
        # dlkb/device.py
    """
    if not functions:
        raise TypeError("source shows one or more functions or classes: got none")
    return Source("\n\n\n".join(map(_text, functions)))


def _text(function: Callable | type) -> str:
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (TypeError, OSError) as error:
        raise TypeError(
            f"source shows Python functions and classes: got {function!r}; for an instance, pass its type"
        ) from error
    module = sys.modules[function.__module__].__name__
    return f"# {module.replace('.', '/')}.py\n{_without_docstrings(text).rstrip()}"


def _without_docstrings(text: str) -> str:
    lines = text.splitlines()
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, kinds) or ast.get_docstring(node) is None:
            continue
        first = node.body[0]
        if len(node.body) > 1:
            for number in range(first.lineno - 1, first.end_lineno):
                lines[number] = None
            if lines[first.end_lineno] == "":  # the blank line after it
                lines[first.end_lineno] = None
    return "\n".join(line for line in lines if line is not None)
