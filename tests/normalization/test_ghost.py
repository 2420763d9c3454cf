"""dlkb.normalization.ghost: batch norm of parts, by a loop over torch's batch norm."""

import pytest
import torch
from torch.func import functional_call, grad, stack_module_state, vmap

from dlkb.normalization import BatchNorm2d, GhostBatchNorm2d, ghost_batch_norm

batch_norm = torch.nn.functional.batch_norm


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64) * 3 + 1


@pytest.mark.parametrize("ghost_size", [1, 2, 3, 6])
@pytest.mark.parametrize("momentum", [0.1, 1.0])
def test_value_gradient_and_state_equal_a_loop_over_the_parts(ghost_size, momentum):
    """Fails for interleaved parts, the biased variance in the state, and one step per part."""
    x, weight, bias = (
        draw(6, 3, 2, 2).requires_grad_(),
        draw(3, seed=1),
        draw(3, seed=2),
    )
    mean, var = draw(3, seed=3), draw(3, seed=4).abs() + 1
    ours, states = [mean.clone(), var.clone()], []
    output = ghost_batch_norm(x, ghost_size, *ours, weight, bias, True, momentum, 0.1)
    expected = []
    for part in x.split(ghost_size):
        state = [mean.clone(), var.clone()]
        expected.append(batch_norm(part, *state, weight, bias, True, momentum, 0.1))
        states.append(state)
    expected = torch.cat(expected)
    grad_output = draw(6, 3, 2, 2, seed=5)
    gradients = [torch.autograd.grad(y, x, grad_output)[0] for y in (output, expected)]
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-11)
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-11)
    for index in range(2):
        average = torch.stack([state[index] for state in states]).mean(0)
        torch.testing.assert_close(ours[index], average, rtol=0, atol=1e-12)


def test_the_whole_batch_in_one_part_is_batch_norm():
    x = draw(4, 3, 2, 2).float()
    ours, plain = GhostBatchNorm2d(3, ghost_size=4), BatchNorm2d(3)
    torch.testing.assert_close(ours(x), plain(x))
    torch.testing.assert_close(ours.running_var, plain.running_var)
    torch.testing.assert_close(ours.eval()(x), plain.eval()(x))
    assert list(ours.state_dict()) == list(plain.state_dict())


def test_by_hand_without_state_and_affine():
    x = torch.tensor([[1.0], [3.0], [10.0], [30.0]])
    output = ghost_batch_norm(x, 2, None, None, training=True, eps=1e-12)
    assert output.flatten().tolist() == pytest.approx([-1, 1, -1, 1])


def test_it_can_be_vectorized():
    """Fails for a check that looks at values, which torch.func cannot follow."""
    layers = [GhostBatchNorm2d(3, ghost_size=2) for _ in range(2)]
    parameters, buffers = stack_module_state(layers)
    x = draw(2, 4, 3, 2, 2).float()

    def loss(parameters, buffers, x):
        return functional_call(layers[0], (parameters, buffers), (x,)).pow(3).sum()

    vmap(grad(loss))(parameters, buffers, x)
    layers[1](x[1])
    torch.testing.assert_close(buffers["running_mean"][1], layers[1].running_mean)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x: ghost_batch_norm(x, 3, None, None, training=True),
            "divide the 4 samples: got 3",
        ),
        (
            lambda x: ghost_batch_norm(x, 0, None, None, training=True),
            "at least 1.*got 0",
        ),
        (lambda x: GhostBatchNorm2d(3, 0), "ghost_size must be at least 1: got 0"),
        (
            lambda x: GhostBatchNorm2d(2, 1)(x),
            r"num_features=2: got shape \(4, 3, 2, 2\)",
        ),
        (
            lambda x: ghost_batch_norm(x[:, :, :1, :1], 1, None, None, training=True),
            "at least 2 values per channel",
        ),
        (lambda x: ghost_batch_norm(x, 2, None, None), "evaluation needs running"),
    ],
)
def test_wrong_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.ones(4, 3, 2, 2))
