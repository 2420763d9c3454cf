"""Each check raises under its mutation: seen, not believed."""

import pytest

from bookkit.book import Book
from bookkit.caught import mutations_of, not_on_record
from bookkit.ledger import collect_checks
from bookkit.mutation import NOTEBOOK, Mutation, uncaught

BOOK = Book()
LOOP, PER_SAMPLE = "normalization/bn-axes#loop", "per_sample = x.mean(dim=(1, 2, 3))"


MUTATIONS = mutations_of(BOOK)
TO_TRY = not_on_record(BOOK, MUTATIONS)


@pytest.mark.parametrize("notebook", MUTATIONS)
def test_each_check_raises_under_its_mutations(notebook):
    """Tried here unless the very same was seen before: ``make mutate`` puts it on record."""
    assert MUTATIONS[notebook]
    assert notebook not in TO_TRY or not uncaught(BOOK, MUTATIONS[notebook])


def test_each_check_has_a_mutation():
    bounded = {check.key for check in collect_checks(BOOK) if check.record.bound}
    mutated = {m.check for own in MUTATIONS.values() for m in own}
    assert not bounded - mutated, (
        f"checks without a mutation: {sorted(bounded - mutated)}"
    )
    assert not mutated - bounded, (
        f"mutations without a check: {sorted(mutated - bounded)}"
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("per_sample = x.mean", "per_sample = 1 * x.mean"),  # changes nothing
        (PER_SAMPLE, "per_sample = layer.running_mean"),  # spoils the rival alone
    ],
)
def test_what_does_not_break_the_measurement_is_not_caught(old, new):
    (said,) = uncaught(BOOK, [Mutation(LOOP, NOTEBOOK, old, new)])
    assert said.endswith("no check noticed")


def test_a_crash_is_no_check():
    (said,) = uncaught(BOOK, [Mutation(LOOP, NOTEBOOK, PER_SAMPLE, "1 / 0")])
    assert said.endswith("ZeroDivisionError: division by zero")


def test_a_mutation_that_replaces_nothing_is_refused():
    with pytest.raises(ValueError, match="stands 0 times"):
        uncaught(BOOK, [Mutation(LOOP, NOTEBOOK, "no such text", "")])


def test_a_mutation_of_an_unknown_check_is_refused():
    with pytest.raises(ValueError, match="no notebook has an executed check"):
        uncaught(BOOK, [Mutation("normalization/no-such", NOTEBOOK, "a", "b")])


def test_the_package_is_restored_after_a_mutation():
    from dlkb import losses  # has a module and a function of one name: race
    from dlkb import normalization as before

    held = dict(vars(losses))
    in_module = next(
        m for own in MUTATIONS.values() for m in own if m.target != NOTEBOOK
    )
    assert not uncaught(BOOK, [in_module])
    from dlkb import normalization as after

    assert before is after
    assert {name: vars(losses)[name] for name in held} == held
