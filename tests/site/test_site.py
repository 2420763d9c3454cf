"""What a reader's browser gets, read from the built pages."""

import re
from urllib.parse import unquote, urlsplit

from bookkit import repository
from bookkit.book import Book, code_cells, read_notebook
from bookkit.ledger import claim_label, collect_checks
from dlkb.claims import load_claims

BOOK = Book()
CHECKS = collect_checks(BOOK)
PAGES_OF_NOTEBOOKS = {
    BOOK.name(p).replace(".ipynb", ".html"): p for p in BOOK.notebooks()
}


def plain(text):
    """Without typographic quotes and line breaks."""
    return " ".join(text.replace("’", "'").replace("“", '"').replace("”", '"').split())


def test_every_notebook_and_page_is_there(site):
    assert set(PAGES_OF_NOTEBOOKS) <= set(site.pages)
    for page in (
        "index",
        "chapters/index",
        "chapters/ledger",
        "chapters/glossary",
        "chapters/references",
    ):
        assert f"{page}.html" in site.pages


def test_nothing_is_loaded_from_another_host(site):
    for page, soup in site.pages.items():
        for tag, attribute in (
            ("script", "src"),
            ("img", "src"),
            ("iframe", "src"),
            ("link", "href"),
        ):
            for element in soup.find_all(tag, **{attribute: True}):
                if tag == "link" and "canonical" in element.get("rel", []):
                    continue
                assert not urlsplit(element[attribute]).netloc, f"{page}: {element}"
        for script in soup.find_all("script", src=False):
            assert "unpkg.com" not in script.text, page
            assert "cdn" not in script.text.lower(), page
    for path in site.folder.glob("_static/**/*.css"):
        assert not re.search(
            r"""(url\(|@import)\s*["']?(https?:)?//""", path.read_text("utf-8")
        ), path


def test_every_internal_link_and_anchor_resolves(site):
    ids = {
        page: {e["id"] for e in soup.find_all(id=True)}
        for page, soup in site.pages.items()
    }
    for page, soup in site.pages.items():
        for link in soup.find_all("a", href=True):
            parts = urlsplit(link["href"])
            if parts.scheme or parts.netloc:
                continue
            target = (
                (site.folder / page).parent / unquote(parts.path)
                if parts.path
                else site.folder / page
            )
            assert target.exists(), f"{page}: {link['href']}"
            name = target.resolve().relative_to(site.folder.resolve()).as_posix()
            if parts.fragment and name in ids:
                assert unquote(parts.fragment) in ids[name] | {""}, (
                    f"{page}: {link['href']}"
                )


def test_scripts_and_styles_exist(site):
    for page, soup in site.pages.items():
        for element in soup.select("script[src], link[rel=stylesheet][href]"):
            address = urlsplit(element.get("src") or element.get("href")).path
            assert ((site.folder / page).parent / address).exists(), (
                f"{page}: {address}"
            )


def test_mathematics_is_served_with_its_fonts(site):
    soup = site.pages["chapters/normalization/index.html"]
    assert soup.select("div.math, span.math")
    assert any(
        "mathjax/tex-chtml.js" in s.get("src", "") for s in soup.find_all("script")
    )
    assert list(site.folder.glob("_static/mathjax/output/chtml/fonts/woff-v2/*.woff"))


def test_every_figure_has_alt_text(site):
    images = 0
    for page, soup in site.pages.items():
        for image in soup.select("article img"):
            images += 1
            assert len(image.get("alt", "")) >= 60, f"{page}: {image.get('alt')}"
            assert not re.search(r"[0-9a-f]{32}", image["alt"]), page
    assert images


def test_every_check_stands_on_its_page_with_its_claim(site):
    claims = load_claims()
    for check in CHECKS:
        panel = site.places(f"{check.notebook}.html").get(check.label)
        assert panel is not None, check.key
        assert "rival" in panel.text or not check.record.bound
        assert panel.select(f'a[href$="ledger.html#{claim_label(check.id)}"]')
    for page in PAGES_OF_NOTEBOOKS:
        text = plain(site.article(page).text)
        for id in {c.id for c in CHECKS if f"{c.notebook}.html" == page}:
            assert text.count(plain(claims[id].statement)) == 1, f"{page}: {id}"


def test_the_ledger_has_a_row_for_each_claim_and_a_link_for_each_check(site):
    ledger = site.places("chapters/ledger.html")
    for id, claim in load_claims().items():
        row = ledger[claim_label(id)].find_parent("tr")
        assert plain(claim.statement) in plain(row.text)
        for check in (c for c in CHECKS if c.id == id):
            assert row.select(f'a[href$="#{check.label}"]'), check.key


def test_the_front_page_counts_what_is_there(site):
    text = " ".join(site.article("chapters/index.html").text.split())
    checked = len({check.id for check in CHECKS})
    assert f"So far it checks {checked} claims with {len(CHECKS)} checks." in text


def test_each_notebook_says_when_and_on_what_it_was_executed(site):
    for page, path in PAGES_OF_NOTEBOOKS.items():
        run = read_notebook(path)["metadata"]["dlkb"]
        footer = site.article(page).select_one(".dlkb-executed").text
        for key in ("executed", "seconds", "device", "torch", "python"):
            assert str(run[key]) in footer
    assert not site.article("chapters/index.html").select(".dlkb-executed")


def test_the_bootstrap_cell_is_hidden_and_solutions_are_folded(site):
    for page, path in PAGES_OF_NOTEBOOKS.items():
        article = site.article(page)
        assert "REPOSITORY" not in article.text
        folded = [
            c
            for c in code_cells(read_notebook(path))
            if "hide-cell" in c["metadata"].get("tags", [])
        ]
        assert article.text.count("Show the solution") == len(folded)


def test_each_notebook_can_be_downloaded(site):
    for page, path in PAGES_OF_NOTEBOOKS.items():
        links = [
            a["href"] for a in site.pages[page].select("a.btn-download-source-button")
        ]
        assert len(links) == 1
        assert (
            (site.folder / page).parent / links[0]
        ).read_bytes() == path.read_bytes()


def test_each_notebook_can_be_downloaded_without_its_outputs(site):
    for page, path in PAGES_OF_NOTEBOOKS.items():
        links = site.pages[page].select("a.btn-download-without-outputs-button")
        assert [link.text.strip() for link in links] == ["Without outputs"], page
        bare = read_notebook((site.folder / page).parent / links[0]["href"])
        stored = read_notebook(path)
        assert [c["source"] for c in bare["cells"]] == [
            c["source"] for c in stored["cells"]
        ]
        for cell in code_cells(bare):
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
        assert "dlkb" not in bare["metadata"]
    for page in site.pages.keys() - PAGES_OF_NOTEBOOKS.keys():
        assert not site.pages[page].select("a.btn-download-without-outputs-button")


def test_there_is_no_dead_button(site):
    """While no address is set, nothing leads to the repository, to Colab or to Binder; then all does.
    (An entry of the bibliography may lead to the code of others.)"""
    address = repository.read(BOOK)
    for page, soup in site.pages.items():
        found = soup.find_all("a", href=True)
        links = [
            link["href"] for link in found if not link.find_parent(class_="citation")
        ]
        assert not {"", "None"} & set(links), page
        hosts = {urlsplit(link).netloc for link in links}
        elsewhere = {"github.com", "colab.research.google.com", "mybinder.org"}
        if not address.url:
            assert not hosts & elsewhere, page
        elif page in PAGES_OF_NOTEBOOKS:
            assert elsewhere <= hosts, page


def test_pages_start_in_the_readers_own_light_or_dark(site):
    assert all(
        soup.html["data-theme"] == "auto"
        for soup in site.pages.values()
        if soup.article
    )


def test_citations_resolve_to_the_bibliography(site):
    references = site.article("chapters/references.html")
    assert "Batch normalization" in references.text
    cited = site.article("chapters/normalization/index.html").select(
        "a[href*='references.html#id']"
    )
    assert cited
