"""dlkb.bank: each member is trained as if it were alone."""

import itertools

import pytest
import torch
from torch import nn

from dlkb.bank import Bank, RecurrentBank, accuracies, class_order, fit_bank
from dlkb.train import batch_order, fit

SEEDS, RATES = (3, 3, 5), torch.tensor([0.1, 0.3, 0.1])


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 4, generator=generator, dtype=torch.float64)
    return x, (x[:, 0] > x[:, 1]).long()


def orders():
    draws = [torch.Generator().manual_seed(s) for s in (0, 0, 1)]
    return torch.stack([batch_order(40, 8, 12, draw) for draw in draws], -1)


def alone(bank, member):
    """The same network from torch's modules."""
    widths = [w.shape[1] for w in bank.weights] + [bank.weights[-1].shape[2]]
    layers = []
    for index, (i, o) in enumerate(itertools.pairwise(widths)):
        last = index == len(widths) - 2
        linear = nn.Linear(i, o, bias=last, dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(bank.weights[index][member].T)
            if last:
                linear.bias.copy_(bank.bias[member])
        layers += (
            [linear]
            if last
            else [linear, nn.BatchNorm1d(o, dtype=torch.float64), nn.ReLU()]
        )
    return nn.Sequential(*layers)


def test_members_train_as_if_alone(data):
    """Losses and answers. Fails for a rate, batch or channel that reaches another member."""
    x, y = data
    bank = Bank((4, 6, 5, 2), SEEDS, nn.BatchNorm1d).double()
    single = [alone(bank, m) for m in range(3)]
    history = fit_bank(bank, x, y, orders(), RATES, momentum=0.9)
    samples = torch.arange(40)[:, None].expand(-1, 3)
    shares = accuracies(bank, x, y, samples)
    for m, network in enumerate(single):
        expected = fit(
            network, x, y, orders()[..., m], lr=RATES[m].item(), momentum=0.9
        )
        torch.testing.assert_close(history[:, m], expected, rtol=0, atol=1e-7)
        answer = network.eval()(x)
        torch.testing.assert_close(bank(x[samples])[:, m], answer, rtol=0, atol=1e-6)
        assert shares[m] == (answer.argmax(1) == y).double().mean()


def test_a_seed_fixes_the_initial_weights():
    bank = Bank((4, 6, 2), SEEDS, nn.BatchNorm1d)
    assert torch.equal(bank.weights[0][0], bank.weights[0][1])
    assert not torch.equal(bank.weights[0][0], bank.weights[0][2])
    assert bank.weights[0].abs().max() <= 0.5


def test_layer_inputs_are_what_enters_each_linear_layer(data):
    bank = Bank((4, 6, 2), (0,), nn.BatchNorm1d).double()
    x = data[0][:, None]
    first, second = bank.layer_inputs(x)
    assert first is x
    torch.testing.assert_close(bank(x), second @ bank.weights[1][0] + bank.bias)


def test_recurrent_members_equal_a_loop_over_steps():
    norms = [nn.BatchNorm1d(8, affine=False), nn.BatchNorm1d(8, affine=False)]
    bank = RecurrentBank((1, 4, 2), (0, 1), norms).double()
    x = torch.randn(
        5, 2, 3, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    answers = bank(x)
    for m in range(2):
        state = torch.zeros(5, 4, dtype=torch.float64)
        for t in range(3):
            sums = x[:, m, t] @ bank.inner[m] + state @ bank.recurrent[m]
            normed = nn.functional.batch_norm(sums, None, None, training=True)
            state = torch.tanh(normed + bank.shift[m])
            expected = state @ bank.outer[m] + bank.bias[m]
            torch.testing.assert_close(answers[:, m, t], expected)
    assert norms[0].num_batches_tracked == 1
    assert norms[1].num_batches_tracked == 2  # the last is used for all later steps


def test_sequences_are_trained_on_every_step():
    x = torch.randn(20, 3, 1, generator=torch.Generator().manual_seed(0))
    y = (x[..., 0] > 0).long()
    norm = nn.GroupNorm(2, 8, affine=False)
    bank = RecurrentBank((1, 4, 2), (0, 1), [norm])
    before = nn.functional.cross_entropy(
        bank(x[:, None].expand(-1, 2, -1, -1))[:, 0].movedim(-1, 1), y
    )
    order = torch.arange(20).expand(60, 20)[..., None].expand(-1, -1, 2)
    seen = []
    history = fit_bank(
        *(bank, x, y, order, torch.tensor([0.5, 0.0])),
        callback=lambda step, bank: seen.append(step),
    )
    assert seen == list(range(60))
    assert history[0, 0].item() == pytest.approx(before.item(), rel=1e-5)
    assert history[-1, 0] < 0.5 * history[0, 0]
    assert history[-1, 1] == pytest.approx(history[0, 1].item())  # rate 0
    assert accuracies(bank, x, y, order[0]).shape == (2, 3)


def test_class_order_holds_equally_many_of_each_class():
    y = torch.arange(5).repeat(20)
    indices = torch.arange(0, 100, 3)
    order = class_order(y, indices, 2, 8, 50, torch.Generator().manual_seed(0))
    assert order.shape == (50, 8)
    assert set(order.flatten().tolist()) <= set(indices.tolist())
    for batch in order:
        assert y[batch].unique(return_counts=True)[1].tolist() == [4, 4]
    assert len(y[order].unique()) == 5


def test_wrong_arguments(data):
    with pytest.raises(ValueError, match=r"two sizes and one seed: got \(4,\)"):
        Bank((4,), (0,), nn.BatchNorm1d)
    with pytest.raises(ValueError, match="at least one norm and one seed: got 0 norms"):
        RecurrentBank((1, 2, 2), (0,), [])
    bank = Bank((4, 3, 2), (0, 1), nn.BatchNorm1d).double()
    with pytest.raises(ValueError, match=r"\(T, B, 2\) and lr \(2,\)"):
        fit_bank(bank, *data, torch.zeros(3, 4, 3, dtype=torch.long), torch.ones(2))
    with pytest.raises(ValueError, match="got classes=2, batch_size=7"):
        class_order(
            data[1], torch.arange(40), 2, 7, 3, torch.Generator().manual_seed(0)
        )
