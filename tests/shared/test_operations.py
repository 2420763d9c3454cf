"""dlkb.operations: what is counted, and what is not."""

import torch

from dlkb.operations import full_passes


def test_views_and_small_results_are_left_out():
    """Fails for a count of all operations: the square root of the sum goes over one value."""
    x = torch.ones(4, 3)
    assert full_passes(lambda x: (x.view(12) * 2).sum().sqrt(), x) == ["mul", "sum"]


def test_an_operation_that_only_writes_all_values_counts():
    assert full_passes(lambda x: x[:1].repeat(4, 1), torch.ones(4, 3))


def test_a_fused_kernel_counts_once():
    x = torch.ones(4, 3)
    names = full_passes(lambda x: torch.nn.functional.layer_norm(x, (3,)), x)
    assert len(names) == 1


def test_gradients_are_not_recorded():
    x = torch.ones(3, requires_grad=True)
    assert full_passes(lambda x: x * 2, x) == ["mul"]
    assert x.grad is None
