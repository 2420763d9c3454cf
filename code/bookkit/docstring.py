r"""A docstring of the package, in the house style, turned into reStructuredText for the site.

napoleon, Sphinx's own reader of this style, knows no section that begins on its heading's line
(``Returns: (N, C), ...``), which is how ours begin. Any text gives RST that parses without a warning: of
RST's marks only ````literals```` are kept (the site links those that are names); all else is escaped.
"""

import re
import textwrap
from collections.abc import Callable

SECTIONS = (
    *("Conventions", "Args", "Parameters", "Attributes", "Shape", "Returns"),
    *("Yields", "Raises", "Note", "Example", "References"),
)
_HEADING = re.compile(rf"({'|'.join(SECTIONS)}):(?:\s+(.*))?$")
_ITEM = re.compile(r"\\?(\*{0,2}\w+(?:, \*{0,2}\w+)*): (.*)")
_ERRORS = re.compile(r"(?:^|(?<=[.;] ))([A-Z]\w+(?:(?:, | or | and )[A-Z]\w+)*): ")
_KEPT = re.compile(r"(?<!`)``(?![`\s])[^`]*(?<![`\s])``(?!`)")
_TORCH = re.compile(r"(?<![\w.])torch(?:\.[A-Za-z_]\w*)+")


def to_rst(docstring: str, known: Callable[[str], bool] = lambda name: False) -> str:
    """The docstring as RST: paragraphs, then a list with one field for each section.

    Args:
        docstring: dedented, as ``inspect.cleandoc`` gives it.
        known: whether a dotted name of torch can be linked; such a name becomes a literal.
    """
    parts: list[str] = []
    for heading, lines in _sections(docstring.expandtabs().splitlines()):
        if heading is None:
            parts.append(_paragraphs(lines, known))
        else:
            body = _BODIES.get(heading, _paragraphs)(lines, known)
            # one blank line between fields keeps them in one list
            parts.append(f":{heading}:\n{textwrap.indent(body, '    ')}")
    return "\n\n".join(part for part in parts if part.strip()) + "\n"


def _sections(lines: list[str]) -> list[tuple[str | None, list[str]]]:
    """Heading and lines of each part, text outside of sections having none."""
    found: list[tuple[str | None, list[str]]] = [(None, [])]
    for line in lines:
        heading = _HEADING.match(line)
        if heading:
            found.append((heading[1], [heading[2] or ""]))
        elif line[:1].strip() and found[-1][0] and not found[-1][1][-1].strip():
            found.append((None, [line]))  # plain text again, after a blank line
        else:
            found[-1][1].append(line)
    return found


def _paragraphs(lines: list[str], known: Callable[[str], bool]) -> str:
    blocks = re.split(r"\n\s*\n", "\n".join(lines).strip("\n"))
    return "\n\n".join(_block(block, known) for block in blocks if block.strip())


def _block(block: str, known: Callable[[str], bool]) -> str:
    lines = block.splitlines()
    if lines[0].lstrip().startswith(">>> "):
        return _code(lines)
    if lines[0].lstrip().startswith("- "):
        items = re.split(r"^\s*- ", block, flags=re.MULTILINE)[1:]
        return "\n".join(f"- {_text(item, known)}" for item in items)
    return _text(block, known)


def _items(lines: list[str], known: Callable[[str], bool]) -> str:
    """``name: text``, each with continuation lines that are indented further."""
    items: list[list[str]] = []
    body = textwrap.dedent("\n".join(line for line in lines if line.strip()))
    for line in body.splitlines():
        if line[:1].isspace() and items:
            items[-1].append(line.strip())
        else:
            items.append([line.strip()])
    shown = []
    for text in (" ".join(item) for item in items):
        item = _ITEM.match(text)
        if item:
            names = ", ".join(f"``{name}``" for name in item[1].split(", "))
            shown.append(f"{names}\n    {_text(item[2], known)}")
        else:
            shown.append(_text(text, known))
    return "\n\n".join(shown)


def _errors(lines: list[str], known: Callable[[str], bool]) -> str:
    """``ValueError: if ... TypeError: if ...``, one entry for each kind of error."""
    text = " ".join(line.strip() for line in lines).strip()
    pieces = _ERRORS.split(text)
    if pieces[0].strip():
        return _text(text, known)
    pairs = zip(pieces[1::2], pieces[2::2], strict=True)
    return "\n\n".join(f"``{name}``\n    {_text(why, known)}" for name, why in pairs)


def _example(lines: list[str], known: Callable[[str], bool]) -> str:
    said, shown = (
        (lines[0], lines[1:]) if not lines[0].startswith(">>>") else ("", lines)
    )
    text = _text(said, known) + "\n\n" if said.strip() else ""
    return text + _code(shown)


def _code(lines: list[str]) -> str:
    code = textwrap.dedent("\n".join(lines)).strip("\n")
    return ".. code-block:: pycon\n\n" + textwrap.indent(code, "    ")


def _text(text: str, known: Callable[[str], bool]) -> str:
    """One line of RST that shows ``text``, whatever it is."""
    text = " ".join(text.split())
    shown, end = [], 0
    for kept in _KEPT.finditer(text):
        shown += [_escaped(text[end : kept.start()], known), rf"\ {kept[0]}\ "]
        end = kept.end()
    return r"\ " + "".join([*shown, _escaped(text[end:], known)])


def _escaped(text: str, known: Callable[[str], bool]) -> str:
    text = re.sub(r"\\([*_|`\\])", r"\1", text)  # escaped by the author already
    shown, end = [], 0
    for name in _TORCH.finditer(text):
        if known(name[0]):
            shown += [_plain(text[end : name.start()]), rf"\ ``{name[0]}``\ "]
            end = name.end()
    return "".join([*shown, _plain(text[end:])])


def _plain(text: str) -> str:
    text = re.sub(r"([\\*_|`:<>])", r"\\\1", text)
    return re.sub(
        r"arXiv\\:(\d{4}\.\d{4,5})",
        r"\\ `arXiv:\1 <https://arxiv.org/abs/\1>`__\\ ",
        text,
    )


_BODIES = {
    "Args": _items,
    "Attributes": _items,
    "Raises": _errors,
    "Example": _example,
}
