"""A moment must be given its own memory, and steps counted from 1."""

import pytest
import torch

from dlkb.optimizers.framework import corrected, ema, total
from dlkb.optimizers.moment_path import moment_path


def test_totals_are_sums_of_all_values():
    values = torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.5, 4.0]])
    assert torch.equal(moment_path(total(), values), values.cumsum(0))


def test_steps_count_from_one():
    """A corrected average of equal values is that value; catches a step 0, which divides by 0."""
    values = torch.full((4, 3), 2.5, dtype=torch.float64)
    found = moment_path(corrected(ema(0.9), 0.9), values)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, values)


def test_what_is_remembered_need_not_be_the_moment():
    """Catches a moment that is handed back as memory."""

    def lagging(memory, value, step):
        return (value if memory is None else memory), value

    found = moment_path(lagging, [torch.tensor(float(n)) for n in (1, 2, 3)])
    assert found.tolist() == [1, 1, 2]


def test_no_values_are_refused():
    with pytest.raises(ValueError, match="at least one value"):
        moment_path(ema(0.9), [])
