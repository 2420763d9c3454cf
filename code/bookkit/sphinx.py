"""Sphinx extension: checks rendered where they stand, numbers in prose compared, the ledger, the footer.

{claim}`2.31 <losses/initial-ce>`        a measured number: linked, and compared with the output
{claim}`2.31 <losses/initial-ce#part>`   the same for one part of a claim
{rival}`3.4 <losses/initial-ce>`         the number that the rival gave
{claim}`losses/initial-ce`               a link alone
{claim-count}`checked`                   how many claims are checked; or a verdict, or "checks"
```{ledger}                              all claims, by chapter and by verdict
"""

import difflib
import hashlib
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlencode

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

import dlkb.claims
from bookkit import ledger
from bookkit.book import Book, read_notebook, without_outputs, write_notebook
from bookkit.fresh import stale_notebooks
from bookkit.ledger import Check, claim_label, collect_checks, problems
from dlkb.claims import MIME, VERDICTS, Claim, Record, describe_bound, load_claims, show

logger = logging.getLogger(__name__)
EVERYTHING = "*"
VERDICT_NAMES = {
    "holds": "Holds",
    "conditional": "Holds under a condition",
    "wrong": "Wrong in the source notes",
    "opinion": "A matter of opinion",
}


@dataclass(frozen=True)
class Evidence:
    """The claims and their checks, as they stand when the site is built."""

    claims: dict[str, Claim]
    checks: list[Check]
    context: str  # what else decides how they are shown: the repository's address, this program's own text

    def of(self, id: str) -> list[Check]:
        return [check for check in self.checks if check.id == id]

    def digest(self, id: str) -> str:
        """Changes when anything that a page may show of this claim (or of any, for ``*``) changes."""
        shown = (
            (self.claims, self.checks)
            if id == EVERYTHING
            else (self.claims.get(id), self.of(id))
        )
        return hashlib.sha256(repr((shown, self.context)).encode()).hexdigest()


# ------------------------------------------------------------------- which pages show which claims


def _read_evidence(app: Sphinx) -> None:
    book = Book(Path(app.confdir))
    load_claims.cache_clear()
    claims, checks = load_claims(book.claims), collect_checks(book)
    for problem in problems(claims, checks):
        logger.warning(problem)
    for path, reason in stale_notebooks(book).items():
        logger.warning(
            f"the outputs are stale, run `make execute`: {reason}", location=str(path)
        )
    programs = [
        Path(module.__file__) for module in (sys.modules[__name__], ledger, dlkb.claims)
    ]
    texts = [path.read_text(encoding="utf-8") for path in programs]
    context = repr(
        (app.config.html_theme_options.get("repository_url"), dlkb.__version__, texts)
    )
    app.env.dlkb_evidence = Evidence(
        claims, checks, hashlib.sha256(context.encode()).hexdigest()
    )
    if not hasattr(app.env, "dlkb_shown"):
        app.env.dlkb_shown = {}


def _show_on(env: BuildEnvironment, id: str) -> None:
    """Remember that the page being read shows claim ``id``, so that a change of it re-reads the page."""
    env.dlkb_shown.setdefault(env.docname, {})[id] = env.dlkb_evidence.digest(id)


def _outdated(
    app: Sphinx, env: BuildEnvironment, added: set, changed: set, removed: set
) -> list[str]:
    return [
        page
        for page, shown in env.dlkb_shown.items()
        if page not in removed
        and any(env.dlkb_evidence.digest(id) != digest for id, digest in shown.items())
    ]


def _forget(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    env.dlkb_shown.pop(docname, None)


# ----------------------------------------------------------------------------- a check, on its page


class ClaimRenderer:
    """Renders a check's output: the statement, the verdict, what was measured, where to object."""

    mime_priority_overrides: ClassVar = [("*", MIME, 1)]

    @staticmethod
    def handle_mime(
        renderer: Any, data: Any, inline: bool
    ) -> list[nodes.Element] | None:
        if inline or data.mime_type != MIME:
            return None
        env = renderer.renderer.sphinx_env
        check = Check(Record(**data.content), env.docname)
        _show_on(env, check.id)
        claim = env.dlkb_evidence.claims.get(check.id)
        if claim is None:
            logger.warning(
                f"check {check.id} has no claim in data/claims", location=env.docname
            )
            return []
        first = check.id not in env.temp_data.setdefault("dlkb_stated", set())
        env.temp_data["dlkb_stated"].add(check.id)
        return [_panel(env, renderer.renderer.document, claim, check, first)]


def _panel(env, document, claim: Claim, check: Check, first: bool) -> nodes.Element:
    panel = nodes.container(
        classes=["dlkb-check", f"dlkb-{claim.verdict}"], ids=[check.label]
    )
    domain = env.get_domain("std")
    domain.note_hyperlink_target(check.label, env.docname, check.label, check.key)
    if first:  # a claim's parts follow each other: say it once
        panel += _statement(claim)
    facts = _facts(check)
    line = nodes.paragraph(classes=["dlkb-facts"])
    line += nodes.inline(
        "",
        "✓ " + (check.record.part or check.id.partition("/")[2]),
        classes=["dlkb-part"],
    )
    line += nodes.Text(": ")
    line += facts
    line += nodes.Text(" · ")
    line += _link(claim_label(check.id), "ledger", env.docname)
    report = _report_url(env, check)
    if report:
        line += nodes.Text(" · ")
        line += nodes.reference(
            "", "this is wrong", refuri=report, classes=["dlkb-report"]
        )
    panel += line
    return panel


def _statement(claim: Claim) -> nodes.Element:
    paragraph = nodes.paragraph(classes=["dlkb-claim"])
    paragraph += nodes.inline(
        "", VERDICT_NAMES[claim.verdict], classes=["dlkb-verdict"]
    )
    said = "The notes say: " if claim.verdict == "wrong" else ""
    paragraph += nodes.Text(f" {said}{claim.statement}")
    if claim.stands:
        paragraph += nodes.strong("", f" {claim.stands}")
    return paragraph


def _facts(check: Check) -> list[nodes.Node]:
    found: list[nodes.Node] = []
    for index, (name, value) in enumerate(check.record.facts()):
        found.append(nodes.Text(f" · {name} " if index else f"{name} "))
        found.append(nodes.Text(value) if index else nodes.literal("", value))
    return found


def _link(label: str, text: str, docname: str) -> addnodes.pending_xref:
    link = addnodes.pending_xref(
        "",
        refdomain="std",
        reftype="ref",
        reftarget=label,
        refexplicit=True,
        refwarn=True,
        refdoc=docname,
    )
    link += nodes.inline("", text)
    return link


def _report_url(env: BuildEnvironment, check: Check) -> str | None:
    """Address of a new issue that already says which claim, which value, which version."""
    facts = {
        "Claim": check.key,
        "Page": check.notebook,
        "Measured": show(check.record.measured),
        "Bound": describe_bound(check.record.bound),
    }
    return _issue_url(env.config, check.key, facts)


def _issue_url(config: Any, about: str, facts: dict[str, str]) -> str | None:
    """Address of a new issue with its first lines filled in; None while no address is set: no dead link."""
    repository = config.html_theme_options.get("repository_url")
    if not repository:
        return None
    facts = {**facts, "Version": dlkb.__version__}
    lines = "".join(f"{name}: {value}\n" for name, value in facts.items())
    body = f"{lines}\nWhat is wrong, and how do you know?\n"
    query = urlencode({"title": f"This is wrong: {about}", "body": body})
    return f"{repository.rstrip('/')}/issues/new?{query}"


# -------------------------------------------------------------------------------- numbers in prose


DIGITS = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
NUMBER = re.compile(rf"(?<![\w.,])[-−+]?(?:{DIGITS})(?:[eE][-−+]?\d+)?(?![\w]|[.,]\d)")


def printed_number(text: str) -> str | None:
    """The one number that ``text`` prints, or None if it prints no digit.

    Raises: ValueError: if it prints more than one number, or one in a form that cannot be compared.
    """
    if not any(character.isnumeric() for character in text):
        return None
    found = NUMBER.findall(text)
    rest = NUMBER.sub("", text)
    if (
        len(found) != 1
        or any(c.isnumeric() for c in rest)
        or re.search(r"[±^/–]|million|minus", rest)
    ):
        raise ValueError(
            f"{text!r} must print one plain number, such as 2.31, 4e-16, 1,024 or 12%"
        )
    return found[0]


def printed_agrees(text: str, value: float) -> bool:
    """Whether ``value`` rounds to the number printed in ``text``; 12% stands for 0.12."""
    number = printed_number(text).replace(",", "").replace("−", "-")
    digits, _, exponent = number.lower().partition("e")
    decimals = len(digits.partition(".")[2])
    unit = 10.0 ** (int(exponent or 0) - decimals)
    if "%" in text:
        value *= 100
    if float(number) == 0 and decimals == 0:
        return value == 0  # "0" says nothing at all was found
    return abs(float(number) - value) <= 0.5 * unit * (1 + 1e-9)


class ClaimRole(SphinxRole):
    """A link to a check, and the promise that the number printed is the number found."""

    quantity = "measured"

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        match = re.fullmatch(
            r"(?P<text>.*?)\s*<(?P<key>[^<>]+)>", self.text, flags=re.DOTALL
        )
        text, key = (match["text"], match["key"]) if match else (self.text, self.text)
        id = key.partition("#")[0]
        evidence = self.env.dlkb_evidence
        _show_on(self.env, id)
        checks = [c for c in evidence.of(id) if "#" not in key or c.key == key]
        if not checks:
            keys = [check.key for check in evidence.checks]
            near = (
                ", ".join(difflib.get_close_matches(key, keys, n=3, cutoff=0.4))
                or "none is near"
            )
            self._warn(f"no executed check {key!r}; the nearest: {near}")
            return [nodes.literal("", text)], []
        if match:
            self._compare(text, key, checks)
        return [_link(checks[0].label, text, self.env.docname)], []

    def _compare(self, text: str, key: str, checks: list[Check]) -> None:
        try:
            if printed_number(text) is None:
                return
        except ValueError as error:
            self._warn(str(error))
            return
        if len(checks) > 1:
            self._warn(
                f"{key!r} has parts: say which, one of {', '.join(c.key for c in checks)}"
            )
            return
        value = getattr(checks[0].record, self.quantity)
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._warn(f"{key!r}: {self.quantity} is no number: {value!r}")
        elif not printed_agrees(text, value):
            self._warn(
                f"the page says {text!r}, but {self.quantity} of {key!r} is {value:.6g}"
            )

    def _warn(self, message: str) -> None:
        logger.warning(f"claim: {message}", location=self.get_location())


class RivalRole(ClaimRole):
    quantity = "rival"


class ClaimCountRole(SphinxRole):
    """How many claims are there, checked, of one verdict; or how many checks."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        _show_on(self.env, EVERYTHING)
        evidence = self.env.dlkb_evidence
        counts = {
            verdict: sum(c.verdict == verdict for c in evidence.claims.values())
            for verdict in VERDICTS
        }
        counts["claims"] = len(evidence.claims)
        counts["checked"] = len(
            {check.id for check in evidence.checks} & evidence.claims.keys()
        )
        counts["checks"] = len(evidence.checks)
        if self.text not in counts:
            logger.warning(
                f"claim-count takes one of {', '.join(counts)}: got {self.text!r}",
                location=self.get_location(),
            )
        return [nodes.Text(str(counts.get(self.text, "?")))], []


# -------------------------------------------------------------------------------------- the ledger


class LedgerDirective(SphinxDirective):
    """Every claim by chapter, with verdict, measurement, bound, rival and link; then by verdict."""

    def run(self) -> list[nodes.Node]:
        _show_on(self.env, EVERYTHING)
        claims = self.env.dlkb_evidence.claims
        chapters = dict.fromkeys(id.partition("/")[0] for id in claims)
        sections = []
        for chapter in chapters:
            own = [c for c in claims.values() if c.id.startswith(f"{chapter}/")]
            title = f"{chapter.replace('-', ' ').capitalize()} ({len(own)})"
            section = self._section(f"ledger-{chapter}", title)
            section += self._table(own)
            sections.append(section)
        for verdict in VERDICTS:
            own = [c for c in claims.values() if c.verdict == verdict]
            section = self._section(
                f"ledger-verdict-{verdict}", f"{VERDICT_NAMES[verdict]} ({len(own)})"
            )
            section += self._list(own)
            sections.append(section)
        return sections

    def _section(self, label: str, title: str) -> nodes.section:
        section = nodes.section("", nodes.title("", title), ids=[label], names=[label])
        self.env.get_domain("std").note_hyperlink_target(
            label, self.env.docname, label, title
        )
        return section

    def _list(self, claims: list[Claim]) -> nodes.Node:
        if not claims:
            return nodes.paragraph("", "None so far.")
        bullets = nodes.bullet_list()
        for claim in claims:
            item = nodes.paragraph(
                "", "", _link(claim_label(claim.id), claim.id, self.env.docname)
            )
            item += nodes.Text(f": {claim.stands or claim.statement}")
            bullets += nodes.list_item("", item)
        return bullets

    def _table(self, claims: list[Claim]) -> nodes.table:
        table = nodes.table(classes=["dlkb-ledger", "colwidths-given"])
        group = nodes.tgroup(cols=3)
        group += [nodes.colspec(colwidth=width) for width in (42, 14, 44)]
        head = nodes.row()
        for title in ("Claim", "Verdict", "Measured"):
            head += nodes.entry("", nodes.paragraph("", title))
        group += nodes.thead("", head)
        body = nodes.tbody()
        for claim in claims:
            body += self._row(claim)
        group += body
        table += group
        return table

    def _row(self, claim: Claim) -> nodes.row:
        label = claim_label(claim.id)
        self.env.get_domain("std").note_hyperlink_target(
            label, self.env.docname, label, claim.id
        )
        said = nodes.entry(
            "", nodes.paragraph("", "", nodes.literal("", claim.id)), ids=[label]
        )
        said += nodes.paragraph("", claim.statement)
        if claim.stands:
            said += nodes.paragraph("", "", nodes.strong("", claim.stands))
        row = nodes.row("", said)
        row += nodes.entry("", nodes.paragraph("", VERDICT_NAMES[claim.verdict]))
        measured = nodes.entry()
        for check in self.env.dlkb_evidence.of(claim.id):
            line = nodes.paragraph(
                "",
                "",
                _link(check.label, check.record.part or "check", self.env.docname),
            )
            line += nodes.Text(": ")
            line += _facts(check)
            measured += line
        row += measured
        return row


# ------------------------------------------------------------------------------------ every notebook


def _add_footer(app: Sphinx, doctree: nodes.document) -> None:
    """Say at a notebook's end when, on what and for how long it was executed."""
    stored = app.env.metadata[app.env.docname].get("dlkb")
    if stored is None:
        return
    run = json.loads(stored) if isinstance(stored, str) else stored
    text = (
        f"Executed on {run['executed']} in {run['seconds']} s on {run['device']}, "
        f"with torch {run['torch']} and Python {run['python']}."
    )
    # the last section, not the document: what follows a top-level section would be cut off
    doctree.children[-1] += nodes.paragraph(
        "", text, classes=["dlkb-executed"], translatable=False
    )


def _add_buttons(
    app: Sphinx, pagename: str, templatename: str, context: dict, doctree: Any
) -> None:
    """Every page: "this is wrong", instead of the theme's empty issue. Every notebook: also a copy
    without outputs, to be run. (Colab, Binder, the notebook itself, its source: the theme's buttons.)"""
    groups = {button.get("label"): button for button in context["header_buttons"]}
    if "source-buttons" in groups:
        page = pagename if doctree else "the book"
        for button in groups["source-buttons"]["buttons"]:
            if button["label"] == "source-issues-button":
                button["url"] = _issue_url(app.config, page, {"Page": page})
                button["text"], button["tooltip"] = "This is wrong", "Say what is wrong"
    source = Path(app.env.doc2path(pagename)) if doctree else Path()
    if source.suffix != ".ipynb":
        return
    name = f"_downloads/{pagename}.ipynb"
    copy = Path(app.outdir) / name
    copy.parent.mkdir(parents=True, exist_ok=True)
    write_notebook(copy, without_outputs(read_notebook(source)))
    buttons = groups["download-buttons"]["buttons"]
    for button in buttons:
        if button["label"] == "download-source-button":
            button["text"], button["tooltip"] = "With outputs", "Download the notebook"
            at = buttons.index(button) + 1
    bare = {
        "type": "link",
        "url": context["pathto"](name, 1),
        "text": "Without outputs",
        "tooltip": "Download the notebook as it is before it is run",
        "icon": "fas fa-file",
        "label": "download-without-outputs-button",
    }
    buttons.insert(at, bare)


def _drop_thebe(
    app: Sphinx, pagename: str, templatename: str, context: dict, doctree: Any
) -> None:
    # Jupyter Book always loads sphinx-thebe, whose script is added twice and so raises on every page.
    context["script_files"] = [
        script
        for script in context["script_files"]
        if "sphinx-thebe" not in str(script.filename)
        and "THEBE" not in script.attributes.get("body", "")
    ]


def _set_theme_options(app: Sphinx, config: Any) -> None:
    # In _config.yml, html_theme_options would replace the whole dictionary and lose what Jupyter Book sets.
    config.html_theme_options[
        "navbar_persistent"
    ] = []  # else a second, dead top bar on phones
    config.html_theme_options["pygments_light_style"] = "a11y-high-contrast-light"
    config.html_theme_options["pygments_dark_style"] = "a11y-high-contrast-dark"
    config.html_context["default_mode"] = "auto"
    if config.html_theme_options.get(
        "repository_url"
    ):  # else these buttons would be dead
        for button in (
            "use_source_button",
            "use_repository_button",
            "use_issues_button",
        ):
            config.html_theme_options[button] = True
        config.html_theme_options["launch_buttons"] = {
            "colab_url": "https://colab.research.google.com",
            "binderhub_url": "https://mybinder.org",
            "notebook_interface": "jupyterlab",
        }


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_role("claim", ClaimRole())
    app.add_role("rival", RivalRole())
    app.add_role("claim-count", ClaimCountRole())
    app.add_directive("ledger", LedgerDirective)
    app.connect("config-inited", _set_theme_options)
    app.connect("builder-inited", _read_evidence)
    app.connect("env-get-outdated", _outdated)
    app.connect("env-purge-doc", _forget)
    app.connect("doctree-read", _add_footer)
    app.connect("html-page-context", _add_buttons, priority=900)
    app.connect("html-page-context", _drop_thebe, priority=900)
    return {
        "version": dlkb.__version__,
        "parallel_read_safe": False,
        "parallel_write_safe": True,
    }
