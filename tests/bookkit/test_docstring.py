"""Docstrings become RST that says the same and cannot fail."""

import inspect
import warnings

import pytest
from docutils import nodes
from docutils.core import publish_doctree
from docutils.parsers.rst import Directive, directives
from docutils.utils import SystemMessage
from hypothesis import given, settings
from hypothesis import strategies as st

from bookkit.docstring import SECTIONS, to_rst


class CodeBlock(Directive):
    """What Sphinx calls code-block."""

    has_content, required_arguments = True, 1

    def run(self):
        code = "\n".join(self.content)
        return [nodes.literal_block(code, code)]


STRICT = {"halt_level": 2, "report_level": 5}
directives.register_directive("code-block", CodeBlock)


def read(docstring, known=()):
    """The document that a docstring becomes; any complaint of docutils' is an error."""
    rst = to_rst(inspect.cleandoc(docstring), set(known).__contains__)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # docutils' own
        return publish_doctree(rst, settings_overrides=STRICT)


def fields(document):
    return {field[0].astext(): field[1] for field in document.findall(nodes.field)}


HOUSE = r"""
    Normalize |x| over * and \*, see weight_ and `this`.

    y = (input - mean) * weight + bias

    Conventions: the variance is biased (divide by n),
    as torch's; ``weight`` has one value a channel.
    Args:
        input: (N, C, \*), floating point,
            on any device.
        weight, bias: (C,), or None.
    Returns: (N, C, \*), dtype of ``input``.
    Raises: TypeError: if input is not floating point. ValueError: if C is 0: got
        a shape; use another.
    Example:
        >>> f(1)
        2

        >>> f(2)
        3

    References: Wu & He, Sec. 3, arXiv:1803.08494.
"""


def test_every_section_is_a_field_of_one_list():
    document = read(HOUSE)
    expected = "Conventions Args Returns Raises Example References"
    assert list(fields(document)) == expected.split()
    assert len(list(document.findall(nodes.field_list))) == 1


def test_text_is_shown_as_written():
    first, formula = list(read(HOUSE).findall(nodes.paragraph))[:2]
    assert first.astext() == "Normalize |x| over * and *, see weight_ and `this`."
    assert formula.astext() == "y = (input - mean) * weight + bias"


def test_arguments_keep_their_names_and_continuation_lines():
    items = list(fields(read(HOUSE))["Args"].findall(nodes.definition_list_item))
    said = [(i[0].astext(), i[1].astext()) for i in items]
    assert said == [
        ("input", "(N, C, *), floating point, on any device."),
        ("weight, bias", "(C,), or None."),
    ]


def test_each_kind_of_error_stands_apart_and_a_colon_within_does_not_split():
    items = list(fields(read(HOUSE))["Raises"].findall(nodes.definition_list_item))
    said = [(i[0].astext(), i[1].astext()) for i in items]
    assert said == [
        ("TypeError", "if input is not floating point."),
        ("ValueError", "if C is 0: got a shape; use another."),
    ]


def test_an_example_is_code_with_its_blank_lines():
    [code] = fields(read(HOUSE))["Example"].findall(nodes.literal_block)
    assert code.astext() == ">>> f(1)\n2\n\n>>> f(2)\n3"


def test_a_preprint_is_linked():
    [link] = read(HOUSE).findall(nodes.reference)
    assert link["refuri"] == "https://arxiv.org/abs/1803.08494"
    assert link.astext() == "arXiv:1803.08494"


def test_text_after_a_section_and_a_blank_line_is_text_again():
    document = read("Sum.\n\nReturns: a number.\n\nIt is finite.")
    assert document.children[-1].astext() == "It is finite."
    assert fields(document)["Returns"].astext() == "a number."


def test_known_names_of_torch_become_literals_and_others_do_not():
    document = read(
        "As torch.optim.SGD's, not torch.optim.Sgd.", known=["torch.optim.SGD"]
    )
    assert [n.astext() for n in document.findall(nodes.literal)] == ["torch.optim.SGD"]
    assert document.astext() == "As torch.optim.SGD's, not torch.optim.Sgd."


words = st.sampled_from(
    [
        *("``x``", "``", "`", "*", "**", "|", "_", "a_", "\\", "::", ":", "..", "-"),
        *("1.", ">>> f()", "a: b", "http://a_b.c", "[1]_", "=====", "(\\*, 4)", "\n"),
        *("\n\n", "\n    ", " ", "word", "é", "Error: x", "arXiv:1803.08494"),
        *(f"\n{section}: " for section in SECTIONS),
        *(f"\n{section}:\n    " for section in SECTIONS),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(words, max_size=12).map("".join))
def test_whatever_is_written_parses_without_a_warning(text):
    """A colleague's star or underscore must not break the strict build."""
    read(text)


@pytest.mark.parametrize("text", ["*x y", "|x y", "`x y", "a_ b", "**x y"])
def test_unescaped_marks_are_complaints(text):
    """So that the law above can fail."""
    with pytest.raises(SystemMessage):
        publish_doctree(text, settings_overrides=STRICT)
