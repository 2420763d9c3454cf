"""Both layers' statistics, against those that hooks see in the network itself."""

import torch
from torch.func import stack_module_state

from dlkb.normalization.two_layers import TwoLayers, two_layer_statistics


def network_and_batch():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return TwoLayers(), torch.randn(6, 64, dtype=torch.float64) + 0.5


def test_statistics_are_those_of_the_networks_own_layers():
    """Would catch a second layer without the norm, without ReLU, or normalized by running statistics."""
    network, batch = network_and_batch()
    seen = []
    for layer in (network[0], network[3]):
        layer.register_forward_hook(lambda _, __, output: seen.append(output.detach()))
    network(batch)
    found = two_layer_statistics(
        batch, network[0].weight.detach(), network[3].weight.detach()
    )
    for statistics, output in zip(found, seen, strict=True):
        torch.testing.assert_close(statistics.mean, output.mean(0))
        torch.testing.assert_close(statistics.square, output.square().mean(0))


def test_weights_come_back_in_the_order_of_the_layers():
    """Would catch swapped layers and the last layer's weight in place of the second's."""
    networks = [network_and_batch()[0], TwoLayers()]
    found = TwoLayers.weights_of(stack_module_state(networks)[0])
    for row, network in zip(found, networks, strict=True):
        first, second = row.split([32 * 64, 32 * 32])
        assert torch.equal(first.view(32, 64), network[0].weight)
        assert torch.equal(second.view(32, 32), network[3].weight)


def test_training_and_evaluation_agree():
    """Without running statistics they must; would catch a norm that keeps them."""
    network, batch = network_and_batch()
    torch.testing.assert_close(network.train()(batch), network.eval()(batch))
    assert all(value.dtype == torch.float64 for value in network.parameters())
