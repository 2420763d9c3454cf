"""Sphinx extension: the package's reference, and links between it and the rest of the book.

.. package-page:: normalization    every public name of a chapter, or of ``shared`` modules
.. package-index::                 all of them by name

Signatures and docstrings are read from the files by sphinx-autoapi: nothing is imported. What a notebook
imports is linked where its prose mentions it as a literal, and listed at its end; the reference says in turn
where a name is used. Literals that name what torch documents are linked to torch's documentation.
"""

import hashlib
import sys
import sysconfig
import textwrap
from pathlib import Path
from typing import Any

from autoapi.extension import run_autoapi
from docutils import nodes
from docutils.statemachine import StringList
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import nested_parse_with_titles

from bookkit import docstring, inventory, reference
from bookkit.book import Book
from bookkit.reference import Entry, Module, Package

logger = logging.getLogger(__name__)
FOLDER = "chapters/package"
OF_TORCH = ("torch's", "torchvision's", "PyTorch's", "timm's")


def _configure(app: Sphinx, config: Any) -> None:
    book = Book(Path(app.confdir))
    config.autoapi_dirs = [str(book.package)]
    config.autoapi_generate_api_docs = False  # the pages are ours
    config.autoapi_add_toctree_entry = False
    config.autodoc_member_order = "bysource"
    # autoapi overlooks the constants of `A, B = ...`, which others may import; a missing entry stays an error
    config.suppress_warnings.append("autoapi.python_import_resolution")
    config.toc_object_entries_show_parents = "hide"
    config.python_maximum_signature_line_length = 80
    packed = Path(app.doctreedir) / "torch.inv"
    inventory.pack(packed)
    config.intersphinx_mapping["torch"] = (inventory.ADDRESS, str(packed))


def _read_package(app: Sphinx) -> None:
    app.env.dlkb_package = Package(Book(Path(app.confdir)))
    app.env.dlkb_torch = inventory.names()
    if not hasattr(app.env, "dlkb_reference"):
        app.env.dlkb_reference = {}


def _read_signatures(app: Sphinx) -> None:
    """Run autoapi where only Python's own library and the package are to be found: else astroid reads half of
    torch where it is installed, which takes 6 s, and pages could differ from those built without it."""
    path = sys.path[:]
    package = Book(Path(app.confdir)).package
    sys.path[:] = [sysconfig.get_path("stdlib"), str(package.parent)]
    try:
        run_autoapi(app)
    finally:
        sys.path[:] = path


def _read_docstring(app: Sphinx, what: str, name: str, *rest: Any) -> None:
    lines = rest[-1]
    known = app.env.dlkb_torch.__contains__
    lines[:] = docstring.to_rst("\n".join(lines), known).splitlines()


# --------------------------------------------------------------- the reference, and when it is outdated


def _digest(env: BuildEnvironment, page: str) -> str:
    """Changes when anything that a page of the reference shows changes."""
    package: Package = env.dlkb_package
    modules = package.pages.get(page, [m for ms in package.pages.values() for m in ms])
    files = [package.file_of(module.name).read_text("utf-8") for module in modules]
    programs = [Path(m.__file__).read_text("utf-8") for m in (docstring, reference)]
    programs.append(Path(__file__).read_text("utf-8"))
    used = [(e.name, package.used_in(e.name)) for m in modules for e in m.entries]
    text = repr((files, programs, used, sorted(env.dlkb_torch)))
    return hashlib.sha256(text.encode()).hexdigest()


def _outdated(
    app: Sphinx, env: BuildEnvironment, added: set, changed: set, removed: set
) -> list[str]:
    shown = env.dlkb_reference.items()
    return [
        docname
        for docname, (page, digest) in shown
        if docname not in removed and _digest(env, page) != digest
    ]


def _forget(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    env.dlkb_reference.pop(docname, None)


class _Generated(SphinxDirective):
    """A directive that writes RST."""

    def parse(self, page: str, lines: list[str]) -> list[nodes.Node]:
        self.env.dlkb_reference[self.env.docname] = (page, _digest(self.env, page))
        holder = nodes.section()
        holder.document = self.state.document
        source = StringList(lines, source=self.get_source_info()[0])
        nested_parse_with_titles(self.state, source, holder)
        return holder.children


class PackagePage(_Generated):
    """Every public name of a chapter, or of the shared modules, file by file."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        page, package = self.arguments[0], self.env.dlkb_package
        if page not in package.pages:
            raise self.error(
                f"a page of the reference is one of {', '.join(package.pages)}: got {page}"
            )
        index = f"chapters/{page}/index"
        there = index in self.env.found_docs
        lines = [f"The chapter: :doc:`/{index}`.", ""] if there else []
        for module in package.pages[page]:
            lines += self._module(package, module)
        return self.parse(page, lines)

    def _module(self, package: Package, module: Module) -> list[str]:
        title = module.name.rpartition(".")[2]
        known = self.env.dlkb_torch.__contains__
        said = docstring.to_rst(package.description(module.name), known)
        lines = ["", title, "-" * len(title), "", *said.splitlines(), ""]
        for entry in module.entries:
            more = [_used_in(package, entry), "", *_source(package, entry)]
            text = textwrap.indent("\n".join(more), "   ")
            lines += [*_directive(entry), "", *text.splitlines(), ""]
        return lines


def _directive(entry: Entry) -> list[str]:
    lines = [f".. autoapi{entry.kind}:: {entry.name}"]
    if entry.members:
        lines += [f"   :members: {', '.join(entry.members)}", "   :undoc-members:"]
    return lines


def _source(package: Package, entry: Entry) -> list[str]:
    """The code, folded away: the description above it is its docstring."""
    if entry.kind == "data":
        return []
    file, line, code = package.source(entry)
    place = f"{file.relative_to(package.book.root).as_posix()}, line {line}"
    block = textwrap.indent(code, "      ").splitlines()
    fold = [f".. dropdown:: Source: {place}", "   :class-container: dlkb-source"]
    return [*fold, "", "   .. code-block:: python", "", *block]


def _used_in(package: Package, entry: Entry) -> str:
    notebooks = package.used_in(entry.name)
    links = ", ".join(f":doc:`/{notebook}`" for notebook in notebooks)
    return f":Used in: {links}" if links else ""


class PackageIndex(_Generated):
    """All public names, by page."""

    def run(self) -> list[nodes.Node]:
        package, lines = self.env.dlkb_package, []
        for page, modules in package.pages.items():
            names = sorted(
                (e for m in modules for e in m.entries), key=lambda e: e.short
            )
            links = ", ".join(f":py:obj:`{e.short} <{e.name}>`" for e in names)
            lines += [f":doc:`/{FOLDER}/{page}`", f"   {links}", ""]
        return self.parse("*", lines)


# ------------------------------------------------------------------------ from the book to the reference


def _link_names(app: Sphinx, doctree: nodes.document) -> None:
    """Link the literals that name what this page uses of the package, or what torch documents."""
    names = _names_on(app.env)
    for literal in list(doctree.findall(nodes.literal)):
        text = literal.astext().removesuffix("()")
        full = inventory.full_name(text)
        target = names.get(text) or (full if full in app.env.dlkb_torch else None)
        if target and not _stays_plain(literal, target, app.env.dlkb_package):
            link = _link(target, app.env.docname)
            literal.replace_self(link)
            link += literal


def _names_on(env: BuildEnvironment) -> dict[str, str]:
    """What a literal on this page stands for: how it is written, and its full name."""
    package: Package = env.dlkb_package
    names = {name: name for name in package.entries}
    folder, _, page = env.docname.rpartition("/")
    chapter = folder.rpartition("/")[2]
    if folder == FOLDER and page in package.pages:
        names |= {entry.short: entry.name for entry in package.on(page)}
    elif env.docname in package.written:
        names |= package.written[env.docname]
    elif page == "index" and chapter in package.pages:
        names |= {entry.short: entry.name for entry in package.on(chapter)}
    return names


NO_LINK_IN = (
    nodes.title,
    nodes.reference,
    nodes.term,
    addnodes.pending_xref,
    addnodes.desc_signature,
)


def _stays_plain(literal: nodes.literal, target: str, package: Package) -> bool:
    """Whether a literal must not be linked: it stands in a title or link, or names something else."""
    if _ancestor(literal, *NO_LINK_IN) is not None:
        return True
    before = literal.parent.children[: literal.parent.index(literal)]
    text = before[-1].astext().replace("’", "'").rstrip() if before else ""
    if target.startswith("dlkb.") and text.endswith(OF_TORCH):
        return True  # "torch's `batch_norm`" is not ours
    described = _ancestor(literal, addnodes.desc)
    if described is None:
        return False
    own = described[0]["ids"][0] if described[0]["ids"] else ""
    entry = package.entries.get(own) or package.entries.get(own.rpartition(".")[0])
    if entry is None or target not in package.entries:
        return False
    of_shared = target not in {e.name for e in _with(package, entry)}
    return target == own or of_shared or literal.astext() in package.inner_names(entry)


def _with(package: Package, entry: Entry) -> list[Entry]:
    """Entries that a short name in ``entry``'s description can mean: its chapter's, else its module's."""
    chapter = entry.module.split(".")[1].replace("_", "-")
    if chapter in package.pages:
        return package.on(chapter)
    return [e for e in package.on(reference.SHARED) if e.module == entry.module]


def _ancestor(node: nodes.Node, *kinds: type) -> nodes.Node | None:
    parent = node.parent
    while parent is not None and not isinstance(parent, kinds):
        parent = parent.parent
    return parent


def _link(
    target: str, docname: str, domain: str = "py", kind: str = "obj"
) -> addnodes.pending_xref:
    return addnodes.pending_xref(
        "",
        refdomain=domain,
        reftype=kind,
        reftarget=target,
        refexplicit=True,
        refwarn=True,
        refdoc=docname,
    )


def _list_uses(app: Sphinx, doctree: nodes.document) -> None:
    """At a notebook's end: what it takes from the package; at the end of a chapter's page: the reference."""
    package: Package = app.env.dlkb_package
    docname = app.env.docname
    chapter = docname.removeprefix("chapters/").removesuffix("/index")
    links = []
    for name in package.uses.get(docname, []):
        links.append(_link(name, docname))
        links[-1] += nodes.literal("", name.rpartition(".")[2])
    if docname == f"chapters/{chapter}/index" and chapter in package.pages:
        title = f"{len(package.on(chapter))} functions and classes"
        links.append(_link(f"/{FOLDER}/{chapter}", docname, "std", "doc"))
        links[-1] += nodes.inline("", title)
    if not links:
        return
    line = nodes.paragraph(
        "", "From the package: ", classes=["dlkb-uses"], translatable=False
    )
    for index, link in enumerate(links):
        if index:
            line += nodes.Text(", ")
        line += link
    line += nodes.Text(".")
    doctree.children[-1] += line


def _excuse(app: Sphinx, domain: Any, node: addnodes.pending_xref) -> bool | None:
    """A type in a signature need not have a page; everything else that is linked must."""
    signature = _ancestor(node, addnodes.desc_signature)
    return True if signature is not None and node.get("reftype") == "class" else None


def _report_missing_pages(app: Sphinx, env: BuildEnvironment) -> None:
    for page in env.dlkb_package.pages:
        if f"{FOLDER}/{page}" not in env.found_docs:
            logger.warning(
                f"the reference has no page {FOLDER}/{page}.rst: write one with a title and "
                f"`.. package-page:: {page}`"
            )


def setup(app: Sphinx) -> dict[str, Any]:
    app.setup_extension("autoapi.extension")
    for listener in app.events.listeners["builder-inited"][:]:
        if listener.handler is run_autoapi:  # called by _read_signatures
            app.disconnect(listener.id)
    app.add_directive("package-page", PackagePage)
    app.add_directive("package-index", PackageIndex)
    app.connect("config-inited", _configure, priority=400)
    app.connect("builder-inited", _read_package, priority=400)  # before autoapi reads
    app.connect("builder-inited", _read_signatures)
    app.connect("autodoc-process-docstring", _read_docstring)
    app.connect("env-get-outdated", _outdated)
    app.connect("env-purge-doc", _forget)
    app.connect("doctree-read", _link_names)
    app.connect("doctree-read", _list_uses, priority=400)  # before the footer
    app.connect("env-check-consistency", _report_missing_pages)
    app.connect("warn-missing-reference", _excuse)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
