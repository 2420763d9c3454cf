"""Cells against torch's in value and gradient; gradients by input against a loop; the task by hand."""

import math

import pytest
import torch
from torch import nn

from dlkb.initialization.recurrent_cells import (
    RecurrentNetwork,
    gru_step,
    lstm_step,
    rnn_step,
)
from dlkb.initialization.recurrent_gradients import input_gradient_norms, remember_first
from dlkb.train import Setting, fit_many

TORCHS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
every_cell = pytest.mark.parametrize("cell", list(TORCHS))


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def make(cell, seed=0, **options):
    torch.manual_seed(seed)
    return RecurrentNetwork(cell, (3, 4, 2), **options).double()


@every_cell
def test_equals_torchs_in_value_and_gradients(cell):
    """Catches gates in another order, a reset that acts before the product, and a GRU that forgets by z."""
    network = make(cell)
    torchs = TORCHS[cell](3, 4, batch_first=True, dtype=torch.float64)
    own = network.state_dict()
    torchs.load_state_dict({k: v for k, v in own.items() if "outer" not in k})
    x, end = draw(5, 7, 3).requires_grad_(), draw(5, 4, seed=1)
    found, expected = network.last_state(x), torchs(x)[0][:, -1]
    torch.testing.assert_close(found, expected)
    ours = [x, *(getattr(network, name) for name, _ in torchs.named_parameters())]
    gradients = [
        torch.autograd.grad(found, ours, end),
        torch.autograd.grad(expected, [x, *torchs.parameters()], end),
    ]
    torch.testing.assert_close(*gradients)
    torch.testing.assert_close(network(x), network.outer(found))


@every_cell
def test_starts_as_torchs(cell):
    """Every parameter uniform within 1 / sqrt(hidden), as nn.RNN draws it from the same random state."""
    torch.manual_seed(3)
    torchs = TORCHS[cell](6, 16)
    torch.manual_seed(3)
    network = RecurrentNetwork(cell, (6, 16, 2))
    for name, p in torchs.named_parameters():
        torch.testing.assert_close(getattr(network, name).data, p.data)


@pytest.mark.parametrize(("cell", "gate"), [("lstm", 1), ("gru", 1)])
def test_the_keeping_gate_gets_its_bias_once(cell, gate):
    """Catches the bias in both of torch's terms, and in a neighbouring gate."""
    plain, network = make(cell), make(cell, keep_bias=1.5)
    total = (network.bias_ih_l0 + network.bias_hh_l0).view(-1, 4)
    before = (plain.bias_ih_l0 + plain.bias_hh_l0).view(-1, 4)
    assert total[gate].tolist() == [1.5] * 4
    rest = [row for row in range(len(total)) if row != gate]
    assert torch.equal(total[rest], before[rest])


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_wide_open_gate_keeps_the_state(cell):
    """With a gate at 1 the gradient of the last state by the first input does not depend on the length."""
    network = make(cell, keep_bias=40.0)
    with torch.no_grad():
        network.weight_hh_l0.zero_()
    x = draw(6, 30, 3)
    if cell == "gru":  # nothing enters either
        assert network.last_state(x).abs().max().item() < 1e-12
    else:
        sizes = input_gradient_norms([network], x, generator=torch.Generator())[0]
        assert sizes[:25].min().item() > 0.01 * sizes.max().item()
        leaky = make(cell, keep_bias=-2.0)
        gone = input_gradient_norms([leaky], x, generator=torch.Generator())[0]
        assert gone[0].item() < 1e-12


def test_recurrent_std():
    torch.manual_seed(0)
    network = RecurrentNetwork("rnn", (3, 200, 2), recurrent_std=0.05)
    std = network.weight_hh_l0.std().item()
    assert std == pytest.approx(0.05, rel=4 / math.sqrt(2 * 40_000))
    assert network.weight_hh_l0.abs().max().item() > 0.15  # not uniform


def test_steps_by_hand():
    h, one = torch.tensor([[0.5]]), torch.ones(1, 1)
    (found,) = rnn_step((h,), one, 2 * one, torch.tensor([0.25]))
    assert found.item() == pytest.approx(math.tanh(2.25))
    s = lambda v: 1 / (1 + math.exp(-v))
    weights, bias = torch.tensor([[1.0], [2.0], [3.0], [4.0]]), torch.zeros(4)
    h_new, c = lstm_step((h, one), torch.zeros(1, 4), weights, bias)
    memory = s(1.0) * 1 + s(0.5) * math.tanh(1.5)
    assert c.item() == pytest.approx(memory)
    assert h_new.item() == pytest.approx(s(2.0) * math.tanh(memory))
    (found,) = gru_step((h,), torch.zeros(1, 3), weights[:3], torch.tensor([0, 0, 1.0]))
    z, n = s(1.0), math.tanh(s(0.5) * 2.5)
    assert found.item() == pytest.approx((1 - z) * n + z * 0.5)


@every_cell
def test_gradient_norms_equal_a_loop(cell):
    """Catches a mean over networks, roots before the mean over samples, and the order of steps."""
    networks, x = [make(cell, seed) for seed in range(3)], draw(5, 7, 3)
    found = input_gradient_norms(
        networks, x, generator=torch.Generator().manual_seed(1)
    )
    ends = draw(3, 5, 4, seed=1)
    for network, end, row in zip(networks, ends, found, strict=True):
        own = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(network.last_state(own), own, end)
        expected = gradient.square().sum(-1).mean(0).sqrt()
        torch.testing.assert_close(row, expected)


def test_gradient_norms_estimate_the_jacobians():
    network, x = make("rnn"), draw(1, 4, 3)
    many = x.expand(20_000, 4, 3)
    found = input_gradient_norms([network], many, generator=torch.Generator())[0]
    jacobian = torch.autograd.functional.jacobian(
        network.last_state, x
    )  # (1, H, 1, T, I)
    expected = jacobian[0, :, 0].square().sum((0, 2)).sqrt()
    torch.testing.assert_close(found, expected, rtol=0.03, atol=0)


def test_parameters_get_no_gradient():
    network = make("gru")
    input_gradient_norms([network], draw(2, 3, 3).float().double())
    assert all(p.grad is None and p.requires_grad for p in network.parameters())


@every_cell
def test_many_train_at_once_as_alone(cell):
    x, y = remember_first(60, 2, 3, generator=torch.Generator().manual_seed(0))
    settings = {"a": Setting(lambda: RecurrentNetwork(cell, (3, 6, 3)).double(), 1.0)}
    options = {"seeds": (0, 1), "steps": 40, "batch_size": 20}
    both = [
        fit_many(settings, x.double(), y, stack=stack, **options)
        for stack in (True, False)
    ]
    torch.testing.assert_close(both[0].loss, both[1].loss, rtol=0, atol=1e-10)
    assert (both[0].loss[..., -1] < both[0].loss[..., 0]).all()


def test_the_first_symbol_is_the_class_and_the_others_are_independent():
    """Catches the last symbol, and a symbol that is repeated."""
    x, y = remember_first(4000, 3, 5, generator=torch.Generator().manual_seed(0))
    assert (x.sum(-1) == 1).all()
    symbols = x.argmax(-1)
    assert torch.equal(symbols[:, 0], y)
    for later in (1, 2):
        same = (symbols[:, later] == y).double().mean().item()
        assert same == pytest.approx(0.2, abs=4 * math.sqrt(0.16 / 4000))
    counts = y.bincount(minlength=5) / 4000
    assert counts.tolist() == pytest.approx([0.2] * 5, abs=0.03)


def test_dtype_is_kept():
    network = RecurrentNetwork("lstm", (3, 4, 2)).to(torch.bfloat16)
    x = draw(2, 3, 3).to(torch.bfloat16)
    assert network(x).dtype == torch.bfloat16
    assert input_gradient_norms([network], x).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: RecurrentNetwork("mgu", (1, 2, 3)), "rnn, lstm, gru: got 'mgu'"),
        (lambda: make("rnn", keep_bias=1.0), r"no gate.*keep_bias=1\.0"),
        (lambda: input_gradient_norms([], draw(1, 2, 3)), "got 0 networks"),
        (lambda: input_gradient_norms([make("rnn")], draw(2, 0, 3)), r"\(2, 0, 3\)"),
        (lambda: remember_first(1, 0, generator=torch.Generator()), "length=0"),
        (lambda: remember_first(1, 2, 1, generator=torch.Generator()), "classes=1"),
    ],
)
def test_wrong_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
