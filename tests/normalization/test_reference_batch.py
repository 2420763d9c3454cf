"""The reference batch is in the statistics, and nowhere else."""

import pytest
import torch
from torch import nn

from dlkb.normalization import ReferenceBatch


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randn(5, 3, dtype=torch.float64, generator=generator),
        torch.randn(40, 3, dtype=torch.float64, generator=generator) * 2 + 1,
    )


def test_outputs_are_those_of_the_joined_batch(data):
    """Would catch statistics of one part alone, and rows of the reference returned."""
    x, reference = data
    both = torch.cat([x, reference])
    expected = (x - both.mean(0)) / (both.var(0, correction=0) + 1e-5).sqrt()
    norm = nn.BatchNorm1d(3, affine=False, dtype=torch.float64)
    torch.testing.assert_close(ReferenceBatch(norm, reference)(x), expected)


def test_running_statistics_are_those_of_the_joined_batch(data):
    x, reference = data
    norm = nn.BatchNorm1d(3, momentum=1.0, dtype=torch.float64)
    ReferenceBatch(norm, reference)(x)
    torch.testing.assert_close(norm.running_mean, torch.cat([x, reference]).mean(0))


def test_the_gradient_flows_through_the_joined_statistics(data):
    x, reference = data
    norm = nn.BatchNorm1d(3, dtype=torch.float64)
    network = ReferenceBatch(norm, reference)
    assert torch.autograd.gradcheck(network, x.requires_grad_())


def test_evaluation_is_the_networks_own(data):
    x, reference = data
    network = ReferenceBatch(nn.BatchNorm1d(3, dtype=torch.float64), reference)
    network(x)
    network.eval()
    torch.testing.assert_close(network(x), network.network(x), rtol=0, atol=0)


def test_the_reference_is_saved_but_not_learned(data):
    network = ReferenceBatch(nn.BatchNorm1d(3), data[1])
    assert "reference" in network.state_dict()
    assert all("reference" not in name for name, _ in network.named_parameters())


def test_another_shape_is_refused_before_the_statistics_move(data):
    network = ReferenceBatch(nn.BatchNorm1d(3), torch.zeros(4, 3))
    with pytest.raises(ValueError, match=r"reference sample, \(3,\): got \(2,\)"):
        network(torch.zeros(6, 2))
    assert network.network.num_batches_tracked == 0
