"""The builder's own promises: numbers in prose are compared, and nothing stale is shown.

Tried on a small book, so that a new chapter does not make each of these builds longer.
"""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from bs4 import BeautifulSoup

from bookkit import repository
from bookkit.book import read_notebook, write_notebook
from bookkit.site import html_folder
from bookkit.sphinx import printed_agrees, printed_number
from dlkb.claims import MIME

INDEX = "chapters/normalization/index.md"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2.31", 2.3051),
        ("2.31", 2.3149),
        ("about 2.31 in all", 2.31),
        ("0", 0),
        ("0.00", 0.004),
        ("4e-16", 4.441e-16),
        ("4.4e-16", 4.441e-16),
        ("-0.5", -0.52),
        ("−0.5", -0.52),
        ("12%", 0.1234),
        ("12.3 %", 0.1234),
        ("1,715,000 boxes", 1715000),
        ("128 numbers", 128),
        ("3", 3.49),
    ],
)
def test_a_printed_number_that_rounds_the_value(text, value):
    assert printed_agrees(text, value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2.31", 2.3049),
        ("2.31", 2.3151),
        ("2.310", 2.3105001),
        ("4e-16", 4.6e-16),
        ("4e-16", 4e-15),
        ("0.5", -0.5),
        ("12%", 0.13),
        ("12", 0.12),
        ("128", 129),
        ("0", 0.4),
    ],
)
def test_a_printed_number_that_does_not(text, value):
    assert not printed_agrees(text, value)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "4.4·10^-16",
            "4.4 million",
            "128 of 999",
            "0.9 ± 0.5",
            "3 to 9000",
            "2/3",
            "1,5",
        ),
        *("minus 0.5", "float32: 7", "½", "–0.5"),
    ],
)
def test_text_that_prints_no_single_plain_number_is_refused(text):
    with pytest.raises(ValueError, match="must print one plain number"):
        printed_number(text)


@pytest.mark.parametrize("text", ["zero up to rounding", "losses/initial-ce"])
def test_text_without_digits_prints_none(text):
    assert printed_number(text) is None


def replace(path, old, new):
    text = path.read_text("utf-8")
    assert text.count(old) >= 1, old
    path.write_text(text.replace(old, new), "utf-8")


FAULTS = {
    "{claim}`0.977 <normalization/bn-definition#small channel>`": (
        "the page says '0.977', but measured of 'normalization/bn-definition#small channel' is 0.877"
    ),
    "{rival}`3.2 <normalization/bn-running-update#average over channels>`": (
        "the page says '3.2', but rival of 'normalization/bn-running-update#average over channels' is 3.028"
    ),
    "{claim}`0.877 <normalization/bn-definitoin#small channel>`": (
        "no executed check 'normalization/bn-definitoin#small channel'; the nearest: normalization/"
    ),
    "{claim}`0.877 <normalization/bn-definition>`": (
        "has parts: say which, one of normalization/bn-definition#value"
    ),
    "{claim}`0.020 <normalization/bn-parameters#buffers>`": "measured is no number",
    "{cite}`nobody2018`": "nobody2018",
}


@pytest.fixture(scope="module")
def faulty(build, make_small_book):
    """Exit status and words of one build of a page with all faults, since a build takes long."""
    book = make_small_book()
    page = book.root / INDEX
    text = page.read_text("utf-8") + "".join(f"\n- {fault}\n" for fault in FAULTS)
    page.write_text(text, "utf-8")
    status, out = build(book.root, "--strict")
    return status, out


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_number_or_name_in_prose_fails_the_build(faulty, fault):
    """Any warning fails a strict build, and each fault gives one."""
    status, out = faulty
    assert status != 0
    assert FAULTS[fault] in " ".join(out.split())


def test_each_fault_is_warned_of_once_and_nothing_else_is(faulty):
    warnings = re.findall("WARNING: .*", faulty[1])
    assert len(warnings) == len(FAULTS), warnings


def test_one_fault_alone_fails_the_build(build, small_book):
    replace(small_book.root / INDEX, "`0.877", "`0.977")
    status, out = build(small_book.root, "--strict")
    assert status != 0
    assert len(re.findall("WARNING: ", out)) == 1, out


def test_the_unchanged_book_builds(build, small_book):
    status, out = build(small_book.root, "--strict")
    assert status == 0, out
    assert "The book is at file:" in out


def page(book, name):
    return BeautifulSoup(
        (html_folder(book) / name).read_text("utf-8"), "html.parser"
    ).article


def change_record(book, part, **changes):
    for path in book.notebooks():
        content = read_notebook(path)
        for cell in content["cells"]:
            for output in cell.get("outputs", []):
                record = output.get("data", {}).get(MIME, {})
                if record.get("part") == part:
                    record.update(changes)
        write_notebook(path, content)


def test_incremental_builds_show_new_numbers_and_new_wording_everywhere(
    build, small_book
):
    """Pages that use a claim are read again when its evidence or its wording changes."""
    book = small_book
    status, out = build(book.root)
    assert status == 0, out
    change_record(book, "small channel", measured=0.5)
    _, out = build(book.root)
    assert (
        "the page says '0.877', but measured of 'normalization/bn-definition#small channel' is 0.5"
        in out
    )
    ledger = page(book, "chapters/ledger.html")
    assert "0.5" in ledger.find(id="claim-normalization-bn-definition").parent.text

    replace(
        book.claims / "normalization.yml", "needs no bias.", "can do without a bias."
    )
    _, out = build(book.root)
    for name in (
        "chapters/ledger.html",
        "chapters/normalization/02-what-does-batch-norm-compute.html",
    ):
        assert "can do without a bias." in page(book, name).text


def test_evidence_that_is_failed_stale_or_missing_fails_the_build(build, small_book):
    book = small_book
    change_record(book, "small channel", passed=False)
    replace(
        book.package / "normalization" / "batch.py",
        "mean = x.mean(dim=dims)",
        "mean = x.mean(dims)",
    )
    entry = (
        "\n- {id: normalization/new, statement: New., verdict: holds, sources: []}\n"
    )
    claims = book.claims / "normalization.yml"
    claims.write_text(claims.read_text() + entry)
    status, out = build(book.root, "--strict")
    assert status != 0
    for said in (
        "stored as not passed",
        "outputs are stale, run `make execute`",
        "new has no executed check",
    ):
        assert said in out


@pytest.fixture
def published(build, small_book):
    """A book whose address was set, and then changed."""
    for address in ("https://github.com/former/book", "git@github.com:owner/book.git"):
        repository.set_repository(small_book, address, "v1.0")
        status, out = build(small_book.root)
        assert status == 0, out
    return small_book


def test_with_an_address_every_button_works(published):
    """One build, since it takes long: what a page offers once the address is set."""
    name = "chapters/normalization/02-what-does-batch-norm-compute"
    soup = BeautifulSoup(
        (html_folder(published) / f"{name}.html").read_text("utf-8"), "html.parser"
    )
    assert "former" not in soup.decode()

    panel = soup.find(id="check-normalization-bn-definition-small-channel")
    title, body = issue(panel.find("a", string="this is wrong"))
    assert title == "This is wrong: normalization/bn-definition#small channel"
    for line in (f"Page: {name}", "Measured: 0.8772", "Bound: ", "Version: 0.1.0"):
        assert line in body

    title, body = issue(soup.select_one("a.btn-source-issues-button"))
    assert title == f"This is wrong: {name}"
    assert f"Page: {name}\nVersion: 0.1.0\n" in body
    links = [a["href"] for a in soup.select("div.article-header-buttons a[href]")]
    on_github = f"owner/book/blob/v1.0/{name}.ipynb"
    assert f"https://colab.research.google.com/github/{on_github}" in links
    binder = "https://mybinder.org/v2/gh/owner/book/v1.0?urlpath=lab/tree/"
    assert f"{binder}{name}.ipynb" in links
    assert f"https://github.com/{on_github}?plain=1" in links

    prose = BeautifulSoup(
        (html_folder(published) / "chapters/ledger.html").read_text("utf-8"),
        "html.parser",
    )
    links = [a["href"] for a in prose.select("div.article-header-buttons a[href]")]
    source = "https://github.com/owner/book/blob/v1.0/chapters/ledger.md?plain=1"
    assert source in links
    assert not [link for link in links if "colab" in link or "binder" in link]
    assert issue(prose.select_one("a.btn-source-issues-button"))[0] == (
        "This is wrong: chapters/ledger"
    )


def issue(link):
    """Title and body of the issue that a link begins."""
    address = urlsplit(link["href"])
    where = f"{address.scheme}://{address.netloc}{address.path}"
    assert where == "https://github.com/owner/book/issues/new"
    query = parse_qs(address.query)
    return query["title"][0], query["body"][0]
