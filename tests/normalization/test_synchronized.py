"""dlkb.normalization.synchronized in real processes, against torch's batch norm of the whole batch."""

import pytest
import torch

from dlkb.normalization import (
    all_reduce_sum,
    normalize_shard,
    run_processes,
    synchronized_batch_norm,
    synchronized_statistics,
)


def draw(shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64) * 3 + 1


def close(actual, expected, atol=1e-12):
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol)


def shard_with_state(x, weight, bias, grad_output):
    """Run in the processes: all that synchronized batch norm gives and changes."""
    mean, var = torch.full((3,), 2.0).double(), torch.full((3,), 5.0).double()
    inputs = [t.clone().requires_grad_() for t in (x, weight, bias)]
    y = synchronized_batch_norm(
        inputs[0], mean, var, *inputs[1:], training=True, momentum=0.3, eps=1e-3
    )
    gradients = torch.autograd.grad(y, inputs, grad_output)
    evaluated = synchronized_batch_norm(x, mean, var, weight, bias)
    return y.detach(), *gradients, mean, var, evaluated


def raise_in_one(x):
    if x.item() == 1:
        raise ValueError("one process failed")
    return (x,)


def shard_with_nan(x):
    with pytest.raises(ValueError, match="must be finite"):
        synchronized_statistics(x)
    return (x,)


def too_few(x):
    with pytest.raises(ValueError, match="in all shards together: got 1"):
        synchronized_statistics(x)
    return (x,)


@pytest.mark.parametrize("sizes", [(4, 4), (1, 6, 0, 3)])
def test_value_gradient_and_state_are_those_of_the_whole_batch(sizes):
    """Shards of unlike levels and sizes, one with a single sample and one empty: fails for plain averages of
    means or variances, for a backward pass without all-reduce, and for a count of one shard in the state."""
    x = draw((sum(sizes), 3, 2), 1) + torch.arange(sum(sizes)).view(-1, 1, 1)
    weight, bias, g = draw((3,), 2), draw((3,), 3), draw(x.shape, 4)
    found = run_processes(
        shard_with_state,
        [
            (a, weight, bias, b)
            for a, b in zip(x.split(sizes), g.split(sizes), strict=True)
        ],
    )
    y, grad_x, grad_weight, grad_bias, mean, var, evaluated = zip(*found, strict=True)

    inputs = [t.clone().requires_grad_() for t in (x, weight, bias)]
    running = torch.full((3,), 2.0).double(), torch.full((3,), 5.0).double()
    whole = torch.nn.functional.batch_norm(
        inputs[0], *running, *inputs[1:], True, 0.3, 1e-3
    )
    expected = torch.autograd.grad(whole, inputs, g)
    close(torch.cat(y), whole.detach())
    close(torch.cat(grad_x), expected[0])
    close(torch.stack(grad_weight).sum(0), expected[1])  # each has its share
    close(torch.stack(grad_bias).sum(0), expected[2])
    for own_mean, own_var in zip(mean, var, strict=True):
        close(own_mean, running[0])
        close(own_var, running[1])
    in_evaluation = torch.nn.functional.batch_norm(x, *running, weight, bias)
    close(torch.cat(evaluated), in_evaluation)


def test_without_synchronizing_each_shard_is_alone():
    x, g = draw((8, 3), 1), draw((8, 3), 2)
    found = run_processes(
        normalize_shard,
        [(a, b, False) for a, b in zip(x.split(4), g.split(4), strict=True)],
    )
    for (y, _), own in zip(found, x.split(4), strict=True):
        close(y, torch.nn.functional.batch_norm(own, None, None, training=True))


def test_one_process_is_batch_norm():
    x, g = draw((8, 3), 1), draw((8, 3), 2)
    ((y, _),) = run_processes(normalize_shard, [(x, g)])
    close(y, torch.nn.functional.batch_norm(x, None, None, training=True))


def test_bad_shards_are_refused_in_every_process():
    bad = draw((4, 3))
    bad[0, 0] = float("nan")
    run_processes(shard_with_nan, [(bad,), (draw((4, 3)),)])
    run_processes(too_few, [(draw((1, 3)),), (draw((0, 3)),)])


def test_an_error_in_one_process_arrives_here():
    """The cause, not that the other process then misses its peer."""
    with pytest.raises(RuntimeError, match="ValueError: one process failed"):
        run_processes(raise_in_one, [(torch.tensor(0),), (torch.tensor(1),)], 20.0)


def test_without_a_group_it_says_what_to_do():
    """Falling back to the shard's own statistics would be the very mistake, in silence."""
    with pytest.raises(RuntimeError, match="none is initialized: call"):
        all_reduce_sum(torch.ones(3))
    with pytest.raises(RuntimeError, match="none is initialized"):
        synchronized_batch_norm(torch.ones(4, 3), None, None, training=True)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="arguments for each process: got none"):
        run_processes(normalize_shard, [])
    with pytest.raises(ValueError, match="must be importable"):
        run_processes(lambda x: (x,), [(torch.ones(1),)])
    with pytest.raises(TypeError, match="floating point"):
        synchronized_statistics(torch.ones(4, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match="each of the 3 channels"):
        synchronized_batch_norm(torch.ones(4, 3), torch.ones(2), None, training=True)
