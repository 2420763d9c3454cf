"""The one reduction: its values, its gradients, and that every loss goes through it before it computes."""

import inspect

import pytest
import torch

import dlkb.losses
from dlkb.losses._reduction import check_reduction, reduce

WITH_REDUCTION = [
    name
    for name in dlkb.losses.__all__
    if inspect.isfunction(getattr(dlkb.losses, name))
    and "reduction" in inspect.signature(getattr(dlkb.losses, name)).parameters
]
UNKNOWN = ["avg", "batchmean", "Mean", "", None, True]


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_by_hand(dtype):
    """Fails for a mean over rows, or over all but the batch axis."""
    loss = torch.tensor([[1.0, 3.0, 5.0], [7.0, 0.0, 2.0]], dtype=dtype)
    assert reduce(loss, "none") is loss
    for name, expected in (("mean", 3.0), ("sum", 18.0)):
        found = reduce(loss, name)
        assert (found.item(), found.shape, found.dtype) == (expected, (), dtype)


def test_gradients_by_hand():
    """A mean that is detached, or divided by the batch alone, would have another."""
    for name, expected in (("mean", 1 / 6), ("sum", 1.0)):
        loss = torch.rand(2, 3, requires_grad=True)
        reduce(loss, name).backward()
        torch.testing.assert_close(loss.grad, torch.full((2, 3), expected))


def test_nothing_has_the_sum_0_and_no_mean():
    nothing = torch.zeros(0, 3)
    assert reduce(nothing, "sum").item() == 0
    assert reduce(nothing, "mean").isnan()
    assert reduce(nothing, "none").shape == (0, 3)


def test_a_scalar_stays_what_it_is():
    for name in ("none", "mean", "sum"):
        assert reduce(torch.tensor(2.5), name).item() == 2.5


@pytest.mark.parametrize("reduction", UNKNOWN)
def test_an_unknown_reduction_is_refused_with_the_list(reduction):
    expected = f"reduction must be one of 'none', 'mean', 'sum': got {reduction!r}$"
    for refused in (check_reduction, lambda name: reduce(torch.ones(1), name)):
        with pytest.raises(ValueError, match=expected):
            refused(reduction)


def test_many_losses_take_a_reduction():
    assert len(WITH_REDUCTION) >= 20


@pytest.mark.parametrize("name", WITH_REDUCTION)
def test_every_loss_refuses_before_it_looks_at_anything(name):
    """Fails for a loss with a ladder of its own that takes any other word for "none"."""
    function = getattr(dlkb.losses, name)
    required = [
        p
        for p in inspect.signature(function).parameters.values()
        if p.default is inspect.Parameter.empty
    ]
    with pytest.raises(ValueError, match=r"reduction must be one of .* got 'average'"):
        function(*[torch.rand(3, 4)] * len(required), reduction="average")
