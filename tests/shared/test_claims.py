"""dlkb.claims: each kind of bound, each way to fail, and the message that says why."""

import json
import math

import numpy as np
import pytest
import torch

from dlkb import claims
from dlkb.claims import (
    MIME,
    CheckFailed,
    check,
    check_opinion,
    describe_bound,
    load_claims,
)

FACT, OPINION = "test/fact", "test/opinion"


@pytest.fixture(autouse=True)
def shown(monkeypatch):
    """Two claims to check, and a list of the records that checks leave."""
    table = {
        FACT: claims.Claim(FACT, "Two and two is four.", "holds", ()),
        "test/other-fact": claims.Claim(
            "test/other-fact", "Said.", "wrong", (), "Stands."
        ),
        OPINION: claims.Claim(OPINION, "Better.", "opinion", (), "Some say so."),
    }
    monkeypatch.setattr(claims, "load_claims", lambda: table)
    records = []
    monkeypatch.setattr(claims, "_display", records.append)
    return records


# ------------------------------------------------------------------------------------- kinds of bound

PASSING = [
    ({"measured": 4, "expected": 4, "rival": 5}, "equal to 4"),
    (
        {"measured": 2.3, "expected": math.log(10), "atol": 0.05, "rival": 3.4},
        "within 0.05 of 2.303",
    ),
    (
        {"measured": 101.0, "expected": 100, "rtol": 0.01, "rival": 102},
        "within 1 of 100",
    ),
    (
        {
            "measured": [1.0, 2.0],
            "expected": [1.0, 2.05],
            "atol": 0.1,
            "rival": [1.0, 2.2],
        },
        None,
    ),
    (
        {
            "measured": torch.ones(2, 3),
            "expected": np.ones((2, 3)),
            "rival": torch.zeros(2, 3),
        },
        None,
    ),
    ({"measured": "abc", "expected": "abc", "rival": "abd"}, "equal to abc"),
    (
        {"measured": ["a", "b"], "expected": ["a", "b"], "rival": ["b", "a"]},
        "equal to [a, b]",
    ),
    ({"measured": ["a"], "expected": ["a"], "rival": []}, "equal to [a]"),
    ({"measured": 0.9, "above": 0.5, "rival": 0.5}, "above 0.5"),
    (
        {"measured": 0.9, "above": 0.5, "margin": 0.4, "rival": 0.89},
        "above 0.5 by 0.4 or more",
    ),
    ({"measured": 0.1, "below": 0.5, "rival": 0.5}, "below 0.5"),
    (
        {"measured": 0.3, "above": 0.2, "below": 0.4, "rival": 0.5},
        "above 0.2 and below 0.4",
    ),
    (
        {"samples": [1.0, 1.1, 0.9, 1.0], "above": 0, "rival": [-1.0, -1.1, 0.9, 0.0]},
        "above 0",
    ),
    ({"samples": [1.0, 1.1, 0.9], "above": 0, "rival": -1.0}, "above 0"),
    (
        {
            "samples": [1.0, 1.01, 0.99],
            "expected": 1,
            "atol": 0.1,
            "rival": [1.2, 1.3, 1.4],
        },
        "within 0.1 of 1",
    ),
    ({"measured": 1, "above": 0, "rival": float("nan")}, "above 0"),
]


@pytest.mark.parametrize(("arguments", "words"), PASSING)
def test_a_measurement_within_its_bound_leaves_a_record(arguments, words, shown):
    check(FACT, **arguments)
    (record,) = shown
    assert record.passed
    if words is not None:
        assert describe_bound(record.bound) == words


@pytest.mark.parametrize("arguments", [a for a, _ in PASSING])
def test_the_same_check_fails_for_its_rival(arguments, shown):
    found = (
        "samples"
        if isinstance(arguments["rival"], list) and "samples" in arguments
        else "measured"
    )
    swapped = {
        k: v for k, v in arguments.items() if k not in ("samples", "measured", "rival")
    }
    with pytest.raises(CheckFailed, match="breaks its bound") as failure:
        check(FACT, **swapped, **{found: arguments["rival"]}, rival=arguments["rival"])
    assert (failure.value.key, failure.value.reason) == (FACT, "measured")
    assert shown == []


@pytest.mark.parametrize("arguments", [a for a, _ in PASSING])
def test_the_same_check_fails_if_its_rival_would_pass(arguments):
    rival = arguments.get("measured", arguments.get("samples"))
    with pytest.raises(CheckFailed, match="its rival would pass"):
        check(FACT, **{**arguments, "rival": rival})


def test_a_wide_interval_fails_although_its_mean_is_right():
    with pytest.raises(
        CheckFailed, match=r"95% t interval over 3 samples -1\.\d+ to 3\.\d+"
    ):
        check(FACT, samples=[1.0, 2.0, 0.0], above=0, rival=-1.0)


def test_the_interval_is_students():
    """Published table: the 97.5% point of Student's t with 4 degrees of freedom is 2.776."""
    interval = claims._student_interval(FACT, [1.0, 2.0, 3.0, 4.0, 5.0], 0.95)
    half = 2.776 * math.sqrt(2.5) / math.sqrt(5)
    assert (interval["low"], interval["high"]) == pytest.approx(
        (3 - half, 3 + half), abs=1e-3
    )
    assert (interval["n"], interval["kind"]) == (5, "95% t interval")


def test_the_edge_of_a_tolerance_is_within_and_of_a_side_is_without():
    check(FACT, measured=1.5, expected=1.0, atol=0.5, rival=2.0)
    with pytest.raises(CheckFailed):
        check(FACT, measured=0.5, above=0.5, rival=0.0)


@pytest.mark.parametrize(
    "bound", [{"expected": 1.0, "atol": 9.0}, {"above": 0}, {"below": 0}]
)
def test_nan_passes_no_bound(bound):
    with pytest.raises(CheckFailed, match="measured nan"):
        check(FACT, measured=float("nan"), **bound, rival=99)


def test_nan_inside_an_array_passes_no_bound():
    with pytest.raises(CheckFailed):
        check(
            FACT,
            measured=[1.0, float("nan")],
            expected=[1.0, 2.0],
            atol=9.0,
            rival=[50.0, 2.0],
        )


def test_a_rival_does_not_fail_for_being_noisy_alone():
    with pytest.raises(CheckFailed, match="its rival would pass") as failure:
        check(FACT, samples=[0.01, 0.011, 0.009], above=0, rival=[0.5, 2.0, 9.0])
    assert failure.value.reason == "rival"


def test_a_rival_without_a_difference_fails_on_either_side_of_the_limit():
    for rival in ([1.1, 0.9, 1.01], [1.1, 0.9, 0.99]):
        check(FACT, samples=[1.4, 1.5, 1.3], above=1, rival=rival)


def test_a_bound_is_inclusive_up_to_rounding_and_no_further():
    check(FACT, measured=1.1, expected=1.0, atol=0.1, rival=1.2)
    check(FACT, measured=0.3, above=0.1, margin=0.2, rival=0.2)
    with pytest.raises(
        CheckFailed, match=r"measured 1\.100000001; bound within 0\.1 of 1"
    ):
        check(FACT, measured=1.100000001, expected=1.0, atol=0.1, rival=1.2)
    with pytest.raises(CheckFailed, match=r"measured 0\.1000000015"):
        check(FACT, measured=torch.tensor(0.1), expected=0.1, rival=0.2)


def test_samples_may_be_all_equal(shown):
    """A count, such as how many rates of a grid train, can come out alike for every seed."""
    check(FACT, samples=[3, 3, 3], above=1, rival=[0, -1, 0])
    assert (shown[0].interval["low"], shown[0].interval["high"]) == (3, 3)


def test_a_rival_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="rival of another shape"):
        check(FACT, measured=[1, 2], expected=[1, 2], rival=[1, 2, 3])


def test_integers_that_float64_cannot_hold_are_refused():
    for measured, expected in ((2**62, -(2**62)), (np.uint64(2**64 - 1), -1)):
        with pytest.raises(ValueError, match=r"up to 2\*\*53"):
            check(FACT, measured=measured, expected=expected, rival=0)


def test_a_difference_of_shape_is_named():
    with pytest.raises(CheckFailed, match=r"shape \(3,\) instead of \(2,\)"):
        check(FACT, measured=[1, 2, 3], expected=[1, 2], rival=[0, 0])


def test_the_message_has_id_part_measured_bound_and_rival():
    message = r"test/fact#gradient: .*measured 3; bound within 0.5 of 1; rival 7"
    with pytest.raises(CheckFailed, match=message) as failure:
        check(FACT, part="gradient", measured=3, expected=1, atol=0.5, rival=7)
    assert failure.value.key == "test/fact#gradient"


# ------------------------------------------------------------------------------- what makes no check


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"measured": True, "expected": 1, "rival": 0},
            TypeError,
            "not the result of a comparison",
        ),
        (
            {"measured": torch.tensor([True]), "expected": [1], "rival": [0]},
            TypeError,
            "comparison",
        ),
        (
            {"measured": 1, "expected": 1, "rival": None},
            TypeError,
            "nearest wrong answer",
        ),
        ({"expected": 1, "rival": 0}, TypeError, "either measured= or samples="),
        (
            {"measured": 1, "samples": [1, 2, 3], "expected": 1, "rival": 0},
            TypeError,
            "either measured=",
        ),
        ({"measured": 1, "rival": 0}, TypeError, "give a bound"),
        (
            {"measured": 1, "expected": 1, "above": 0, "rival": 0},
            TypeError,
            "give a bound",
        ),
        ({"measured": 1, "above": 0, "atol": 1, "rival": 0}, TypeError, "take margin="),
        (
            {"measured": 1, "expected": 1, "margin": 1, "rival": 0},
            TypeError,
            "takes atol=",
        ),
        (
            {"measured": "a", "expected": "a", "atol": 1, "rival": "b"},
            TypeError,
            "compared exactly",
        ),
        (
            {"measured": 1, "expected": 1, "atol": -1, "rival": 0},
            ValueError,
            "atol.*not negative: got -1",
        ),
        (
            {"measured": 1, "expected": 1, "atol": math.inf, "rival": 0},
            ValueError,
            "atol must be finite",
        ),
        (
            {"measured": 1, "expected": math.nan, "rival": 0},
            ValueError,
            "expected must be finite",
        ),
        ({"measured": [], "expected": [], "rival": [1]}, ValueError, "not empty"),
        (
            {"measured": 1, "above": math.inf, "rival": 0},
            ValueError,
            "limit must be finite",
        ),
        (
            {"measured": [1.0, 2.0], "above": 0, "rival": -1},
            TypeError,
            "one number, or samples=",
        ),
        (
            {"samples": [1.0, 2.0], "above": 0, "rival": -1},
            ValueError,
            "at least 3 finite numbers",
        ),
        (
            {"samples": [1.0, 2.0, math.nan], "above": 0, "rival": -1},
            ValueError,
            "at least 3 finite",
        ),
        (
            {"samples": [1, 2, 3], "expected": [1, 2], "rival": -1},
            TypeError,
            "bounded by one number",
        ),
        (
            {"samples": [1, 2, 3], "above": 0, "confidence": 95, "rival": -1},
            ValueError,
            "got 95",
        ),
        (
            {"measured": object(), "expected": 1, "rival": 0},
            TypeError,
            "numbers are needed",
        ),
    ],
)
def test_arguments_that_make_no_check(arguments, error, message):
    with pytest.raises(error, match=message):
        check(FACT, **arguments)


def test_an_unknown_id_gets_the_nearest():
    with pytest.raises(KeyError, match=r"no claim 'test/fakt'.*nearest are test/fact"):
        check("test/fakt", measured=1, expected=1, rival=0)


# ------------------------------------------------------------------------------------------- opinions


def test_an_opinion_states_what_was_seen_and_who_says_what(shown):
    check_opinion(OPINION, measured=0.5, cite="wu2018group")
    (record,) = shown
    assert (record.measured, record.cite, record.rival) == (0.5, "wu2018group", None)
    assert "see wu2018group" in record._text()


@pytest.mark.parametrize("measured", [math.nan, [1.0, math.inf]])
def test_an_opinion_states_finite_numbers(measured):
    with pytest.raises(ValueError, match="measured must be finite"):
        check_opinion(OPINION, measured=measured, cite="wu2018group")


def test_tensors_inside_lists_and_with_gradients_are_numbers(shown):
    check(
        FACT,
        measured=[torch.ones((), requires_grad=True), 2.0],
        expected=[1.0, 2.0],
        rival=[0, 0],
    )
    assert shown[0].measured == 0


def test_facts_and_opinions_are_not_mixed_up():
    with pytest.raises(ValueError, match="use check_opinion"):
        check(OPINION, measured=1, expected=1, rival=0)
    with pytest.raises(ValueError, match="'holds': prove it with check"):
        check_opinion(FACT, measured=1, cite="wu2018group")
    with pytest.raises(ValueError, match=r"key of references\.bib: got ''"):
        check_opinion(OPINION, measured=1, cite="")


# ----------------------------------------------------------------------------------------- the output


def test_the_record_is_json_with_the_documented_fields(shown):
    check(
        FACT,
        part="p",
        measured=torch.tensor(2.0),
        expected=2,
        atol=0.1,
        rival=np.float32(3),
    )
    bundle = shown[0]._repr_mimebundle_()
    record = json.loads(json.dumps(bundle[MIME], allow_nan=False))
    assert record == {
        "id": FACT,
        "part": "p",
        "measured": 2.0,
        "bound": {"rule": "equal", "expected": 2, "tolerance": 0.1},
        "rival": 3.0,
        "passed": True,
        "interval": None,
        "cite": None,
    }
    assert (
        bundle["text/plain"]
        == "✓ test/fact#p: measured 2; bound within 0.1 of 2; rival 3 (fails)"
    )
    assert "<code>test/fact#p</code>" in bundle["text/html"]


def test_an_infinite_rival_is_still_json(shown):
    check(FACT, measured=1.0, below=2, rival=math.inf)
    assert (
        json.loads(json.dumps(shown[0]._repr_mimebundle_()[MIME], allow_nan=False))[
            "rival"
        ]
        == "inf"
    )


def test_text_in_the_output_is_escaped(shown):
    check(FACT, measured="<b>", expected="<b>", rival="a")
    assert "<b>&lt;b&gt;</b>" in shown[0]._html()


def test_outside_a_notebook_a_check_prints(capsys, monkeypatch):
    monkeypatch.undo()
    check("normalization/bn-axes", measured=1, expected=1, rival=0)
    assert capsys.readouterr().out.startswith("✓ normalization/bn-axes: measured 1;")


# ------------------------------------------------------------------------------------ the claims files

GOOD = "- id: c/a\n  statement: s\n  verdict: holds\n  sources: []\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "- id: c/a\n  statement: s\n  sources: []\n",
            r"c.yml, entry 'c/a': field 'verdict' is missing",
        ),
        ("- statement: s\n", r"c.yml, entry .*: field 'id' is missing"),
        (
            GOOD.replace("holds", "maybe"),
            "verdict must be one of holds, .*: got 'maybe'",
        ),
        (GOOD.replace("holds", "wrong"), "field 'stands' is missing; 'wrong' needs it"),
        (GOOD.replace("c/a", "d/a"), "field 'id' must start with 'c/'"),
        (GOOD.replace("[]", "x"), "field 'sources' must be a list: got 'x'"),
        (GOOD.replace(": s\n", ": 3\n"), "field 'statement' must be a str: got 3"),
        (GOOD + "  because: x\n", "unknown field 'because'; fields are id"),
        (GOOD + GOOD, "'c/a' is there twice"),
        ("- just text\n", "entry 'just text': a claim is a mapping"),
        ("id: c/a\n", "must be a list of claims: got dict"),
        ("- [", "c.yml is not YAML"),
    ],
)
def test_a_malformed_file_is_named_with_entry_and_field(tmp_path, text, message):
    (tmp_path / "c.yml").write_text(text)
    with pytest.raises(ValueError, match=message):
        load_claims(tmp_path)


@pytest.mark.parametrize("folder", ["empty", "absent"])
def test_a_folder_without_claims_is_refused(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=rf"with \*\.yml files: got .*{folder}"):
        load_claims(tmp_path / folder)


def test_a_good_file(tmp_path):
    (tmp_path / "c.yml").write_text(GOOD)
    assert load_claims(tmp_path) == {"c/a": claims.Claim("c/a", "s", "holds", ())}
