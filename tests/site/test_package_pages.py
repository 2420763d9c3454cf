"""The package's reference as a reader gets it, and the links between it and the notebooks."""

import copy
import re

import pytest
from bs4 import BeautifulSoup

from bookkit import inventory
from bookkit.book import Book, code_cells, read_notebook, write_notebook
from bookkit.package_pages import FOLDER
from bookkit.reference import Package
from bookkit.site import html_folder

BOOK = Book()
PACKAGE = Package(BOOK)
ENTRIES = [(page, entry) for page in PACKAGE.pages for entry in PACKAGE.on(page)]


def address(page, entry):
    return f"{FOLDER}/{page}.html#{entry.name}"


def described(site, page, entry):
    """The description of an entry: what stands below its anchor."""
    anchor = site.places(f"{FOLDER}/{page}.html").get(entry.name)
    assert anchor is not None, f"{page} has no entry {entry.name}"
    return anchor.find_parent("dl")


def links_of(element):
    return [link["href"] for link in element.find_all("a", href=True)]


def test_every_public_name_has_an_entry_with_its_anchor_and_its_source(site):
    assert len(ENTRIES) > 100
    for page, entry in ENTRIES:
        text = described(site, page, entry).text
        if entry.kind != "data":
            file = PACKAGE.file_of(entry.module).relative_to(BOOK.root).as_posix()
            assert f"Source: {file}, line " in text, entry.name
            assert re.search(rf"(def|class) {entry.short}\b", text), entry.name


def test_an_entry_says_what_the_docstring_says(site):
    [(page, entry)] = [
        e for e in ENTRIES if e[1].name == "dlkb.normalization.group_norm"
    ]
    element = described(site, page, entry)
    fields = [name.text.strip(":") for name in element.select("dl.field-list > dt")]
    expected = "Conventions Args Returns Raises Example References"
    assert fields[:6] == expected.split()
    signature = element.find("dt").text
    for part in ("input: torch.Tensor", "num_groups: int", "eps: float = 1e-05"):
        assert part in signature
    assert "(N, C, *), floating point." in element.text
    assert 'r"""' not in element.text  # the source repeats no docstring


def test_each_entry_lists_the_notebooks_that_import_it(site):
    listed = 0
    for page, entry in ENTRIES:
        element = described(site, page, entry)
        hrefs = {href.rpartition("../")[2] for href in links_of(element)}
        for notebook in PACKAGE.used_in(entry.name):
            target = f"{notebook.removeprefix('chapters/')}.html"
            assert target in hrefs, f"{entry.name} does not list {notebook}"
            listed += 1
        assert ("Used in" in element.text) == bool(PACKAGE.used_in(entry.name))
    assert listed > 50


def test_each_notebook_links_what_it_imports(site):
    where = {entry.name: address(page, entry) for page, entry in ENTRIES}
    for notebook, names in PACKAGE.uses.items():
        line = site.article(f"{notebook}.html").select_one(".dlkb-uses")
        hrefs = {f"chapters/{href.rpartition('../')[2]}" for href in links_of(line)}
        assert hrefs == {where[name] for name in names}, notebook


def test_prose_links_the_names_that_it_uses(site):
    notebook = "chapters/normalization/02-what-does-batch-norm-compute"
    paragraphs = site.article(f"{notebook}.html").select("p:not(.dlkb-uses)")
    hrefs = [href for p in paragraphs for href in links_of(p)]
    assert any(h.endswith("#dlkb.normalization.batch_norm_backward") for h in hrefs)


def test_chapter_and_reference_are_linked_both_ways(site):
    for page in PACKAGE.pages:
        if f"chapters/{page}/index.html" in site.pages:
            there = site.article(f"chapters/{page}/index.html")
            assert f"../package/{page}.html" in links_of(there), page
            here = site.article(f"{FOLDER}/{page}.html")
            assert f"../{page}/index.html" in links_of(here), page


def test_the_index_lists_every_name(site):
    hrefs = set(links_of(site.article(f"{FOLDER}.html")))
    expected = {address(p, e).removeprefix("chapters/") for p, e in ENTRIES}
    assert expected <= hrefs


def test_types_lead_to_torchs_documentation(site):
    hrefs = set(links_of(site.article(f"{FOLDER}/normalization.html")))
    outside = {h for h in hrefs if h.startswith(inventory.ADDRESS)}
    assert f"{inventory.ADDRESS}tensors.html#torch.Tensor" in outside
    known = {inventory.ADDRESS + inventory.page_of(name) for name in inventory.names()}
    assert outside <= known


def replace(path, old, new):
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_a_chapter_without_a_page_and_a_wrong_link_fail_the_build(
    build, make_small_book
):
    book = make_small_book(reference=True)
    (book.chapters / "package" / "normalization.rst").unlink()
    with (book.chapters / "glossary.md").open("a", encoding="utf-8") as file:
        file.write(
            "\n{func}`~dlkb.normalization.batch_nrom` {func}`torch.nn.functional.batch_nrom`\n"
        )
    status, out = build(book.root, "--strict")
    assert status != 0
    said = " ".join(out.split())
    assert "the reference has no page chapters/package/normalization.rst" in said
    assert "dlkb.normalization.batch_nrom" in said
    assert "torch.nn.functional.batch_nrom" in said


def test_incremental_builds_follow_docstrings_and_uses(build, make_small_book):
    book = make_small_book(reference=True)
    before = entry_of_group_norm(build, book)
    assert "Normalize each group" in before.text
    assert not links_to_the_notebook(before)
    replace(
        book.package / "normalization" / "group.py",
        "Normalize each group of C / num_groups",
        "Standardize each group of C / num_groups",
    )
    [path] = book.notebooks()
    notebook = read_notebook(path)
    cell = next(
        c for c in code_cells(notebook) if "import torch" in "".join(c["source"])
    )
    cell["source"] = ["from dlkb.normalization import group_norm\n", *cell["source"]]
    write_notebook(path, notebook)
    after = entry_of_group_norm(build, book)
    assert "Standardize each group" in after.text
    assert links_to_the_notebook(after)


def entry_of_group_norm(build, book):
    """Build, and read what the reference then shows."""
    build(book.root)
    page = html_folder(book) / FOLDER / "normalization.html"
    soup = BeautifulSoup(page.read_text("utf-8"), "html.parser")
    return soup.find(id="dlkb.normalization.group_norm").find_parent("dl")


def links_to_the_notebook(entry):
    return [href for href in links_of(entry) if "02-what-does-batch-norm" in href]


@pytest.mark.parametrize("page", list(PACKAGE.pages))
def test_no_markup_is_left_over(site, page):
    """RST that was not understood would show its marks."""
    article = copy.copy(site.article(f"{FOLDER}/{page}.html"))
    for code in article.select("pre, code"):
        code.extract()
    assert not re.findall(r"``|:py:|:doc:|\\ ", article.text)
