"""Several rules in one batch: each row is what its rule does alone."""

import pytest
import torch

from dlkb.optimizers.by_rows import by_rows
from dlkb.optimizers.framework import UpdateState, adam_update, sgd_update
from dlkb.optimizers.lion import lion_update

RULES = [lambda lr: sgd_update(lr, 0.9), adam_update, lion_update]
ROWS = [2, 3, 1]


def draw(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(6, 4, generator=generator, dtype=torch.float64)


def test_each_row_follows_its_own_rule():
    """Fails for rows cut elsewhere, a state shared by rules, or rates of other rows."""
    rates = torch.logspace(-3, -1, 6, dtype=torch.float64)[:, None]
    together = UpdateState(draw(0))
    for step in range(5):
        together = by_rows(RULES, ROWS)(rates)(together, draw(1 + step))
    place = 0
    for rule, count in zip(RULES, ROWS, strict=True):
        for row in range(place, place + count):
            state = UpdateState(draw(0)[row])
            for step in range(5):
                state = rule(rates[row].item())(state, draw(1 + step)[row])
            torch.testing.assert_close(together.param[row], state.param)
        place += count
    assert together.step == 5


def test_a_run_that_diverges_leaves_the_others_alone():
    grad = draw(1)
    grad[0, 0] = torch.nan
    after = by_rows(RULES, ROWS)(torch.full((6, 1), 0.1))(UpdateState(draw(0)), grad)
    assert after.param[0].isnan().any()
    assert after.param[1:].isfinite().all()


def test_rows_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="got 3 rules, 2 numbers"):
        by_rows(RULES, [1, 5])
    with pytest.raises(ValueError, match=r"must be all 6 runs: got \[1, 1, 1\], 3"):
        by_rows(RULES, [1, 1, 1])(torch.ones(6, 1))
