"""Claims against checks: each way to be out of step is found and named."""

import pytest

from bookkit.ledger import Check, check_label, claim_label, problems
from dlkb.claims import Claim, Record


def check(id="a/x", part=None, notebook="n1", passed=True):
    bound = {"rule": "side", "above": 0, "margin": 0}
    return Check(Record(id, part, 1.0, bound, 0, passed), notebook)


CLAIMS = {"a/x": Claim("a/x", "X.", "holds", ())}


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        ([], "claim a/x has no executed check"),
        ([check(), check("a/y")], "check a/y in n1 has no claim"),
        (
            [check(), check(part="p", notebook="n2")],
            "claim a/x is checked in 2 notebooks: n1, n2",
        ),
        ([check(), check()], "check a/x stands 2 times"),
        ([check(part="p"), check(part="p")], "check a/x#p stands 2 times"),
        (
            [check(part="p 1"), check(part="p-1")],
            "the address check-a-x-p-1 stands for 2 checks",
        ),
        ([check(passed=False)], "check a/x is stored as not passed"),
    ],
)
def test_what_is_out_of_step_is_named(checks, said):
    assert any(said in problem for problem in problems(CLAIMS, checks))


def test_what_is_in_step_is_not():
    assert problems(CLAIMS, [check(part="p"), check(part="q")]) == []


def test_labels_are_stable_and_fit_for_an_address():
    assert claim_label("losses/initial-ce") == "claim-losses-initial-ce"
    assert check_label(check("losses/initial-ce").record) == "check-losses-initial-ce"
    assert (
        check_label(check("losses/initial-ce", "Part, two").record)
        == "check-losses-initial-ce-part-two"
    )
