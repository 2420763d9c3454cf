"""Each check raises under its mutation: seen, not believed."""

import importlib.util

import pytest

from bookkit.book import Book
from bookkit.ledger import collect_checks
from bookkit.mutation import NOTEBOOK, Mutation, is_caught

BOOK = Book()


def _mutations():
    for path in sorted((BOOK.root / "tests").glob("*/mutations.py")):
        spec = importlib.util.spec_from_file_location(
            f"mutations_of_{path.parent.name}", path
        )
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield from module.MUTATIONS


MUTATIONS = list(_mutations())


@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")
@pytest.mark.parametrize("mutation", MUTATIONS, ids=str)
def test_the_check_raises_under_its_mutation(mutation):
    assert is_caught(BOOK, mutation), f"no check noticed: {mutation}"


def test_each_check_has_a_mutation():
    bounded = {check.key for check in collect_checks(BOOK) if check.record.bound}
    without = bounded - {mutation.check for mutation in MUTATIONS}
    assert not without, f"checks without a mutation: {sorted(without)}"


def test_an_unmutated_notebook_raises_nothing():
    harmless = Mutation(
        "normalization/bn-axes#loop",
        "notebook",
        "per_sample = x.mean",
        "per_sample = 1 * x.mean",
    )
    assert not is_caught(BOOK, harmless)


def test_a_mutation_that_replaces_nothing_is_refused():
    with pytest.raises(ValueError, match="stands 0 times"):
        is_caught(
            BOOK, Mutation("normalization/bn-axes#loop", "notebook", "no such text", "")
        )


def test_a_mutation_of_an_unknown_check_is_refused():
    with pytest.raises(ValueError, match="no notebook has an executed check"):
        is_caught(BOOK, Mutation("normalization/no-such", "notebook", "a", "b"))


def test_the_package_is_restored_after_a_mutation():
    import dlkb.normalization as before

    assert is_caught(BOOK, MUTATIONS[1])
    import dlkb.normalization as after

    assert before is after


def test_a_mutation_that_only_spoils_the_rival_is_not_caught():
    spoiled = Mutation(
        "normalization/bn-axes#loop",
        NOTEBOOK,
        "per_sample = x.mean(dim=(1, 2, 3))",
        "per_sample = layer.running_mean",
    )
    assert not is_caught(BOOK, spoiled)
