"""dlkb.environment: a check that fails elsewhere says what it was recorded with, and on what it failed."""

import importlib.metadata
import json
import platform
from urllib.parse import parse_qs, urlsplit

import pytest
import torch

from dlkb import environment
from dlkb.claims import CheckFailed, check

CLAIM = "normalization/bn-parameters"


def fail():
    with pytest.raises(CheckFailed) as failure:
        check(CLAIM, measured=7, expected=6, rival=12, part="count")
    return str(failure.value).splitlines()


def test_a_failed_check_names_bound_both_environments_and_where_to_report():
    first, stored, here, report = fail()
    assert first.startswith(f"{CLAIM}#count: the measurement breaks its bound: ")
    assert "measured 7; bound equal to 6; rival 12" in first
    assert stored == f"stored outputs: {environment.describe_recorded()}"
    assert stored.startswith("stored outputs: torch 2.")
    assert here == f"here: {environment.describe_here()}"
    assert report.startswith("to report it, ")


def test_here_is_read_from_what_is_installed_and_present(monkeypatch):
    said = environment.describe_here()
    version = importlib.metadata.version
    assert said.startswith(
        f"Python {platform.python_version()}, torch {version('torch')}, "
    )
    assert f"numpy {version('numpy')}, " in said

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some GPU")
    assert environment.describe_here().endswith(f", on Some GPU ({platform.machine()})")


def test_a_package_that_is_missing_is_said(monkeypatch):
    monkeypatch.setattr(environment, "PACKAGES", ("torch", "no-such-package"))
    assert ", no-such-package missing, on " in environment.describe_here()


def test_what_was_recorded_is_read_from_the_packages_own_file(tmp_path):
    run = {"device": "cpu", "versions": {"torch": "1.2", "numpy": "3"}}
    (tmp_path / "environment.json").write_text(json.dumps(run))
    assert environment.describe_recorded(tmp_path) == "torch 1.2, numpy 3, on cpu"


def test_a_missing_record_hides_no_failure(tmp_path):
    said = environment.describe_recorded(tmp_path)
    assert said == f"not known: there is no environment.json in {tmp_path}"


def test_with_an_address_the_report_is_an_issue_that_holds_the_message(monkeypatch):
    class Installed:
        def get_all(self, field):
            assert field == "Project-URL"
            return [
                "Homepage, https://owner.github.io/book/",
                "Repository, https://github.com/owner/book",
            ]

    monkeypatch.setattr(importlib.metadata, "metadata", lambda name: Installed())
    *said, report = fail()
    address = urlsplit(report.removeprefix("to report it, open "))
    assert f"{address.netloc}{address.path}" == "github.com/owner/book/issues/new"
    query = parse_qs(address.query)
    assert query["title"] == [f"This fails elsewhere: {CLAIM}#count"]
    assert query["body"] == ["\n".join(said)]


def test_without_an_address_the_reader_is_told_whom_to_send_it(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "metadata", missing)
    assert fail()[-1] == (
        "to report it, send all of this message to where you got the book from"
    )
