"""A trace must hold what each update was done with, not what was set after it."""

from functools import partial

import pytest
import torch
from torch.optim.lr_scheduler import CyclicLR, LinearLR, MultiStepLR

from dlkb.optimizers.scheduler_trace import scheduler_trace


def test_by_hand():
    # Would catch: stepping the scheduler first, so that all is one step early.
    make = partial(MultiStepLR, milestones=[1, 3], gamma=0.1)
    found = scheduler_trace(make, 5, lr=1.0, momentum=0.3)
    expected = torch.tensor([1.0, 0.1, 0.1, 0.01, 0.01], dtype=torch.float64)
    torch.testing.assert_close(found.lr, expected)
    assert found.momentum.tolist() == [0.3] * 5


def test_the_first_entry_is_what_the_scheduler_set():
    make = partial(LinearLR, start_factor=0.25, total_iters=3)
    assert scheduler_trace(make, 1, lr=8.0).lr.tolist() == [2.0]


def test_momentum_is_followed():
    options = {"base_momentum": 0.5, "max_momentum": 0.75, "step_size_up": 2}
    make = partial(CyclicLR, base_lr=1.0, max_lr=3.0, **options)
    found = scheduler_trace(make, 5, momentum=0.9)
    assert found.lr.tolist() == [1.0, 2.0, 3.0, 2.0, 1.0]
    assert found.momentum.tolist() == [0.75, 0.625, 0.5, 0.625, 0.75]


def test_no_steps_are_refused():
    with pytest.raises(ValueError, match="at least 1: got 0"):
        scheduler_trace(LinearLR, 0)
