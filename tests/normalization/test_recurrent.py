"""The recurrent network: equal to torch's without a norm, and a norm of its own for each step."""

import pytest
import torch
from torch import nn

from dlkb.normalization import NormalizedRNN
from dlkb.train import Setting, fit_many


def draw(*shape):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def test_without_a_norm_it_is_torchs():
    """Value and gradient. Fails for a state that is not carried on, or steps and classes exchanged."""
    network = NormalizedRNN((3, 4, 2), [nn.Identity()]).double()
    nn.init.normal_(network.shift)
    torchs = nn.RNN(3, 4, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        torchs.weight_ih_l0.copy_(network.inner.weight)
        torchs.weight_hh_l0.copy_(network.recurrent.weight)
        torchs.bias_ih_l0.copy_(network.shift)
        torchs.bias_hh_l0.zero_()
    x, g = draw(5, 7, 3).requires_grad_(), draw(5, 2, 7)
    found, expected = network(x), network.outer(torchs(x)[0]).transpose(1, 2)
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(y, x, g)[0] for y in (found, expected)]
    torch.testing.assert_close(*gradients)


def test_each_step_has_its_norm_and_later_steps_the_last():
    norms = [nn.BatchNorm1d(4, affine=False), nn.BatchNorm1d(4, affine=False)]
    network = NormalizedRNN((1, 4, 2), norms).double()
    x, state = draw(5, 3, 1), torch.zeros(5, 4, dtype=torch.float64)
    answers = network(x)
    for t in range(3):
        sums = x[:, t] @ network.inner.weight.T + state @ network.recurrent.weight.T
        normed = nn.functional.batch_norm(sums, None, None, training=True)
        state = torch.tanh(normed + network.shift)
        torch.testing.assert_close(answers[:, :, t], network.outer(state))
    assert norms[0].num_batches_tracked == 1
    assert norms[1].num_batches_tracked == 2


@pytest.mark.parametrize("norm", [nn.LayerNorm, nn.BatchNorm1d])
def test_many_train_at_once_as_alone(norm):
    def make():
        return NormalizedRNN((1, 4, 2), [norm(4), norm(4)]).double()

    x = draw(40, 3, 1)
    y = (x[..., 0] > 0).long()
    options = {"seeds": (0, 1), "steps": 10, "batch_size": 8}
    both = [
        fit_many({"a": Setting(make, 0.5)}, x, y, stack=stack, **options)
        for stack in (True, False)
    ]
    torch.testing.assert_close(both[0].loss, both[1].loss, rtol=0, atol=1e-10)
    assert (both[0].loss[..., -1] < both[0].loss[..., 0]).all()


def test_dtype_is_kept_and_a_norm_is_needed():
    assert NormalizedRNN((1, 4, 2), [nn.LayerNorm(4)])(torch.zeros(2, 3, 1)).dtype == (
        torch.float32
    )
    with pytest.raises(ValueError, match="at least one norm"):
        NormalizedRNN((1, 2, 2), [])
