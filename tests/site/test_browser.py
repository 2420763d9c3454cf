"""The pages in a real browser, and each detector seen to notice what it is for."""

import base64
import io

import pytest

from bookkit import browser
from bookkit.book import Book, read_notebook, source_of
from dlkb.plotting import COLORS, INK

BOOK = Book()
NOTEBOOK = BOOK.notebooks()[0]
PHONE = {"viewport": {"width": browser.PHONE, "height": 844}, "has_touch": True}


@pytest.fixture(scope="module")
def chromium():
    with browser.launched() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def visitor(site, chromium):
    with browser.serving(site.folder) as base:
        yield browser.Visitor(chromium, base)


@pytest.fixture(scope="module")
def visits(site, visitor):
    """Every page, opened once."""
    redirect = "meta[http-equiv=refresh i]"  # of the site's address to the front page
    pages = [page for page, soup in site.pages.items() if not soup.select(redirect)]
    return {page: visitor.visit(page) for page in pages}


def noted(visits, what):
    return {page: seen for page, v in visits.items() if (seen := getattr(v, what))}


@pytest.mark.parametrize("what", ["errors", "strangers", "missing", "mathematics"])
def test_no_page_has(visits, what):
    """Errors on the console, requests to other hosts, files that are not there, raw or broken formulas."""
    assert noted(visits, what) == {}


def test_every_page_was_visited_and_formulas_were_rendered(site, visits):
    assert site.pages.keys() - visits.keys() == {"index.html"}
    assert len(visits) > len(BOOK.notebooks())
    assert visits["chapters/normalization/index.html"].rendered > 10


def test_every_internal_link_and_anchor_resolves(site, visits):
    assert sum(len(visit.links) for visit in visits.values()) > 1000
    assert browser.dead_links(visits, site.folder) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_figure_is_readable(visits, theme):
    """Titles and labels stand out from what is behind them by 3 to 1 at least."""
    found = [(v.page, f) for v in visits.values() for f in v.figures[theme]]
    measured = [figure for _, figure in found if figure.contrast is not None]
    assert len(measured) > len(BOOK.notebooks())
    faint = [
        (page, figure)
        for page, figure in found
        if figure.contrast is not None and figure.contrast < browser.READABLE
    ]
    assert faint == []


# --------------------------------------------------------------------------------------- in the hand


def test_the_phones_menu_opens_and_leads_on(visitor):
    tab = visitor.open("chapters/index.html", **PHONE)
    link = tab.locator(".bd-sidebar-primary a", has_text="Package reference").first
    assert not link.is_visible() or link.bounding_box()["x"] < 0
    tab.locator("button.primary-toggle:visible").first.click()
    link.wait_for(state="visible")
    link.click(timeout=5000)  # only what lies on top, within the window, can be clicked
    tab.wait_for_url("**/package.html")
    tab.context.close()


@pytest.mark.parametrize("width", [browser.DESK, browser.PHONE])
def test_a_page_scrolls_down_only(visits, width):
    wide = {page: visit.wider[width] for page, visit in visits.items()}
    assert {page: by for page, by in wide.items() if by > 0} == {}


def test_the_address_of_the_site_leads_to_the_front_page(visitor):
    tab = visitor.open("index.html")
    tab.wait_for_url("**/chapters/index.html")
    tab.context.close()


def search(visitor, words):
    """Addresses that the search page gives, in its order."""
    tab = visitor.open("chapters/index.html")
    tab.keyboard.press("Control+K")
    tab.keyboard.type(words)
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/search.html?q=**")
    results = tab.locator("#search-results ul.search li a")
    results.first.wait_for(timeout=10_000)
    found = [link.get_attribute("href") for link in results.all()]
    tab.context.close()
    return found


def test_search_finds_a_function(visitor):
    found = search(visitor, "group_norm")
    assert any(
        address.endswith("package/normalization.html#dlkb.normalization.group_norm")
        for address in found[:3]
    ), found


def test_search_finds_a_phrase_of_a_notebook(visitor):
    title = source_of(read_notebook(NOTEBOOK)["cells"][0]).splitlines()[0].strip("# ?")
    found = search(visitor, title.lower())
    assert any(NOTEBOOK.stem in address for address in found[:3]), found


def test_search_finds_nothing_where_nothing_is(visitor):
    tab = visitor.open("search.html?q=qwertyuiopzxcvb")
    tab.get_by_text("did not match any documents").wait_for(timeout=10_000)
    assert tab.locator("#search-results ul.search li").count() == 0
    tab.context.close()


# ------------------------------------------------- the detectors, each seen to notice what it is for


def figure(ink, background="none", picture=False):
    """An image of a small labelled figure, as the source of a page."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(4, 2), facecolor=background)
    axes = drawing.add_subplot(facecolor=background)
    axes.plot([0, 1], color=COLORS["blue"])
    if picture:
        drawing.add_axes((0.35, 0.01, 0.3, 0.5), frameon=False).imshow(
            [[0]], cmap="cividis", aspect="auto"
        )
    axes.set_title("Loss of the first step", color=ink)
    axes.tick_params(colors=ink)
    for side in axes.spines.values():
        side.set_color(ink)
    buffer = io.BytesIO()
    drawing.savefig(buffer, format="png")
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<p><img alt="a figure" src="data:image/png;base64,{data}"></p>'


STYLE = """<style>@media (prefers-color-scheme: dark) { body { background: #14181e } }
img { max-width: 100% }</style>"""


@pytest.fixture(scope="module")
def look(tmp_path_factory, chromium):
    """Visits a page with the given body, in a site of its own."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "favicon.ico").write_bytes(b"")
    (folder / "there.html").write_text('<!doctype html><p id="place">Here.</p>')

    with browser.serving(folder) as base:
        visitor = browser.Visitor(chromium, base)
        there = visitor.visit("there.html")

        def visit(body):
            (folder / "page.html").write_text(
                f"<!doctype html><html><meta charset=utf-8>{STYLE}<body>{body}</html>"
            )
            visits = {"page.html": visitor.visit("page.html"), "there.html": there}
            return visits["page.html"], browser.dead_links(visits, folder)

        yield visit


def test_a_page_without_faults_passes(look):
    body = '<p id="x"><a href="#x">$5 each</a> <a href="there.html#place">there</a></p>'
    body += "<pre>$x$ \\(x\\)</pre>" + figure(INK)
    visit, dead = look(body)
    assert (visit.errors, visit.strangers, visit.missing) == ([], [], [])
    assert (visit.mathematics, dead) == ([], [])
    assert visit.wider == {browser.DESK: 0, browser.PHONE: 0}
    for theme in ("light", "dark"):
        assert visit.figures[theme][0].contrast > browser.READABLE


@pytest.mark.parametrize(
    ("body", "what", "said"),
    [
        ("<script>console.error('boom')</script>", "errors", "boom"),
        ("<script>undefinedFunction()</script>", "errors", "undefinedFunction"),
        ("<script>Promise.reject(new Error('late'))</script>", "errors", "late"),
        (
            '<img src="https://example.org/x.png">',
            "strangers",
            "https://example.org/x.png",
        ),
        (
            "<style>@import url(//example.org/x.css)</style>",
            "strangers",
            "example.org/x.css",
        ),
        (
            "<script>setTimeout(() => fetch('http://example.org/late'))</script>",
            "strangers",
            "http://example.org/late",
        ),
        ('<img src="gone.png">', "missing", "404"),
        ('<script src="gone.js"></script>', "missing", "gone.js"),
        ("<p>where $x = 1$ holds</p>", "mathematics", "raw: where $x = 1$"),
        (r"<p>where \(x\) holds</p>", "mathematics", "raw: where"),
        (r"<p>a \frac{1}{2}</p>", "mathematics", "raw: a"),
        ('<span class="math">x</span>', "mathematics", "not rendered: x"),
        (
            "<mjx-container><mjx-merror>Missing }</mjx-merror></mjx-container>",
            "mathematics",
            "error: Missing }",
        ),
    ],
)
def test_a_fault_is_noticed(look, body, what, said):
    visit, _ = look(body)
    assert said in " ".join(getattr(visit, what))


def test_what_all_pages_miss_is_noticed_on_each(look):
    """Though the browser keeps what it loaded for one page for the next."""
    for _ in range(3):
        visit, _ = look('<img src="_static/a.png"><script src="_static/a.js"></script>')
        assert sorted(said.rpartition("/")[2] for said in visit.missing) == [
            "a.js",
            "a.png",
        ]


@pytest.mark.parametrize(
    "href", ["#nowhere", "gone.html", "there.html#nowhere", "there.html#Place"]
)
def test_a_dead_link_is_noticed(look, href):
    _, dead = look(f'<a href="{href}">x</a>')
    assert dead == [
        f"page.html: {href}" if href[0] != "#" else f"page.html: page.html{href}"
    ]


@pytest.mark.parametrize(
    ("ink", "background", "readable"),
    [
        (
            "black",
            "none",
            {"light": True, "dark": False},
        ),  # matplotlib's own, made clear
        ("white", "none", {"light": False, "dark": True}),
        ("#333333", "none", {"light": True, "dark": False}),
        ("#999999", "none", {"light": False, "dark": True}),
        ("black", "white", {"light": True, "dark": True}),  # brings its own background
        ("#cccccc", "white", {"light": False, "dark": False}),
        (INK, "none", {"light": True, "dark": True}),
    ],
)
def test_a_figures_ink_is_measured_against_what_is_behind_it(
    look, ink, background, readable
):
    visit, _ = look(figure(ink, background))
    for theme, expected in readable.items():
        [found] = visit.figures[theme]
        assert (found.contrast >= browser.READABLE) == expected, (theme, found)


def test_a_picture_in_a_figure_is_not_its_ink(look):
    """A dark picture that reaches into the margin does not make its labels unreadable."""
    visit, _ = look(figure(INK, picture=True))
    for theme in ("light", "dark"):
        assert visit.figures[theme][0].contrast >= browser.READABLE


def test_contrast_is_that_of_the_standard(look):
    """Black on white is 21 to 1; the book's ink 4.54 to 1 (#767676 is the standard's own border case)."""
    for ink, expected in (("black", 21.0), (INK, 4.54)):
        visit, _ = look(figure(ink))
        assert visit.figures["light"][0].contrast == pytest.approx(expected, abs=0.01)


def test_a_filter_of_the_themes_counts(look):
    """As the theme lays over images in the dark."""
    visit, _ = look("<style>img { filter: brightness(0.3) }</style>" + figure(INK))
    assert visit.figures["light"][0].contrast > 4.54
    assert visit.figures["dark"][0].contrast < browser.READABLE


def test_a_page_wider_than_the_window_is_noticed(look):
    visit, _ = look('<div style="width: 1500px">wide</div>')
    assert visit.wider[browser.DESK] > 200
    visit, _ = look('<div style="width: 500px">wide in the hand</div>')
    assert visit.wider[browser.DESK] == 0
    assert visit.wider[browser.PHONE] > 100


# ----------------------------------------------------------------------------- getting a browser


@pytest.fixture
def nothing_there(monkeypatch):
    """A machine without a browser, where nothing can be installed."""
    monkeypatch.setattr(browser, "COMMANDS", ("no-such-browser",))
    monkeypatch.setattr(browser, "PLACES", ())
    monkeypatch.setattr(browser, "_playwrights", lambda: None)
    monkeypatch.delenv(browser.VARIABLE, raising=False)
    ran = []

    def run(command, tried, seconds=600):
        ran.append(command[0] if "playwright" not in command else "playwright")
        tried.append(f"{ran[-1]}: failed")
        return False

    monkeypatch.setattr(browser, "_ran", run)
    return ran


def test_without_any_browser_the_tests_fail_and_say_why(nothing_there, monkeypatch):
    monkeypatch.setattr(browser.shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match="none could be had") as failure:
        browser.ensure()
    assert nothing_there == ["playwright"]
    for said in (
        "no-such-browser",
        "playwright: failed",
        "no apt-get",
        browser.VARIABLE,
    ):
        assert said in str(failure.value)


def test_what_is_missing_is_installed_in_turn(nothing_there, monkeypatch):
    """playwright's own first; the system's package only as root, where apt is."""
    installed = set()
    monkeypatch.setattr(browser.os, "geteuid", lambda: 0, raising=False)
    monkeypatch.setattr(
        browser.shutil,
        "which",
        lambda name: (
            f"/usr/bin/{name}" if name == "apt-get" or name in installed else None
        ),
    )

    def run(command, tried, seconds=600):
        nothing_there.append(
            " ".join(command[:2]) if "playwright" not in command else "playwright"
        )
        if "chromium" in command and command[0] == "apt-get":
            installed.add("chromium")
        return "playwright" not in command

    monkeypatch.setattr(browser, "_ran", run)
    assert browser.ensure() == "/usr/bin/chromium"
    expected = ["playwright", "apt-get update", "apt-get install"]
    assert nothing_there[:3] == expected


def test_a_browser_that_does_not_start_is_passed_over(tmp_path, monkeypatch):
    broken, sound = tmp_path / "broken", tmp_path / "sound"
    for path, status in ((broken, 127), (sound, 0)):
        path.write_text(f"#!/bin/sh\nexit {status}\n")
        path.chmod(0o755)
    monkeypatch.delenv(browser.VARIABLE, raising=False)
    monkeypatch.setattr(browser, "COMMANDS", (str(broken), str(sound)))
    monkeypatch.setattr(browser, "PLACES", ())
    assert browser.ensure() == str(sound)


def test_a_browser_can_be_named(tmp_path, monkeypatch):
    path = tmp_path / "mine"
    path.write_text("#!/bin/sh\nexit 0\n")
    path.chmod(0o755)
    monkeypatch.setenv(browser.VARIABLE, str(path))
    assert browser.ensure() == str(path)
