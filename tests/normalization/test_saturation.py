"""The saturated share by hand, and for a normal input."""

import math

import pytest
import torch
from torch import nn

from dlkb.normalization import saturated_share


def test_both_ends_count_in_each_layer():
    """Would catch one end alone, and a mean over layers."""
    network = nn.Sequential(nn.Sigmoid(), nn.Flatten(), nn.Sigmoid())
    x = torch.tensor([[-9.0, 0.0], [9.0, 9.0]])
    assert saturated_share(network, x) == [0.75, 0.0]  # the second sees 0 to 1


def test_a_normal_input_is_beyond_the_limits_as_often_as_the_normal_law_says():
    x = torch.randn(1000, 1000, generator=torch.Generator().manual_seed(0))
    expected = math.erfc(math.log(19) / math.sqrt(2))
    (found,) = saturated_share(nn.Sequential(nn.Sigmoid()), x)
    assert found == pytest.approx(expected, rel=0.1)
    (wide,) = saturated_share(nn.Sequential(nn.Sigmoid()), x, 0.5, 0.5 + 1e-9)
    assert wide == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("limits", [(0.0, 0.9), (0.5, 0.5), (0.9, 0.1), (0.1, 1.0)])
def test_limits_out_of_order_are_refused(limits):
    with pytest.raises(ValueError, match="0 < low < high < 1"):
        saturated_share(nn.Sequential(nn.Sigmoid()), torch.zeros(1, 1), *limits)


def test_a_network_without_sigmoids_is_refused():
    with pytest.raises(ValueError, match="no innermost module"):
        saturated_share(nn.Sequential(nn.ReLU()), torch.zeros(1, 1))
