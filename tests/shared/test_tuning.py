"""dlkb.tuning: the rate comes from validation data, the error from test data."""

from functools import partial

import pytest
import torch
from torch import nn

from dlkb.train import Setting, fit_many
from dlkb.tuning import tuned_errors


def problem(seeds=3):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(90, 2, generator=generator)
    y = (x[:, 0] > 0).long()
    order = torch.arange(90)
    return x, y, [(order[:30], order[30:60], order[60:])] * seeds


def test_rate_is_chosen_by_validation_and_error_is_the_tests():
    """Fails for a rate chosen on test data: there the labels are turned round, so the smallest would win."""
    x, y, parts = problem()
    y[60:] = 1 - y[60:]
    arguments = {"steps": 30, "batch_size": 10}
    model = partial(nn.Linear, 2, 2)
    errors, rate = tuned_errors(
        *(model, x, y), rates=(0.0, 0.5), parts=parts, tuning_seeds=2, **arguments
    )
    assert rate == 0.5
    splits = [(train, test) for train, _, test in parts]
    runs = fit_many(
        {"a": Setting(model, lr=0.5)}, x, y, seeds=range(3), splits=splits, **arguments
    )
    torch.testing.assert_close(errors, 100 * (1 - runs.accuracy[0]))
    assert errors.min() > 50


def test_all_seeds_may_tune():
    x, y, parts = problem(2)
    errors, _ = tuned_errors(
        *(partial(nn.Linear, 2, 2), x, y),
        rates=(0.1,),
        parts=parts,
        tuning_seeds=2,
        steps=1,
        batch_size=5,
    )
    assert errors.shape == (2,)


@pytest.mark.parametrize("count", [0, 4])
def test_tuning_seeds_out_of_range(count):
    x, y, parts = problem()
    with pytest.raises(ValueError, match=f"from 1 to the 3 seeds: got {count}"):
        tuned_errors(
            *(partial(nn.Linear, 2, 2), x, y),
            rates=(0.1,),
            parts=parts,
            tuning_seeds=count,
            steps=1,
            batch_size=5,
        )
