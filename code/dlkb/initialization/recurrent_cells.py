"""One step of the simple, LSTM and GRU cells, and a network that answers at the end of a sequence."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

__all__ = ["CELLS", "RecurrentNetwork", "gru_step", "lstm_step", "rnn_step"]

State = tuple[Tensor, ...]


def rnn_step(state: State, driven: Tensor, weight_hh: Tensor, bias_hh: Tensor) -> State:
    """h = tanh(driven + W h + b), Elman's cell with torch's names.

    Args:
        state: (h,), (N, H).
        driven: (N, H), what the input adds, its bias included.
        weight_hh, bias_hh: (H, H), (H,).
    Returns: (h,).
    Example:
        >>> zero = torch.zeros(1, 1)
        >>> rnn_step((zero,), torch.full((1, 1), 0.5), zero, zero[0])
        (tensor([[0.4621]]),)

    References: Elman, "Finding Structure in Time", Cognitive Science 14, 1990.
    """
    (h,) = state
    return (torch.tanh(driven + linear(h, weight_hh, bias_hh)),)


def lstm_step(
    state: State, driven: Tensor, weight_hh: Tensor, bias_hh: Tensor
) -> State:
    """c = f c + i g and h = o tanh(c): the cell's memory c is multiplied by the forget gate f alone.

    Conventions: gates in torch's order, i, f, g, o, along the first axis of the weights.
    Args:
        state: (h, c), each (N, H).
        driven: (N, 4 H).
        weight_hh, bias_hh: (4 H, H), (4 H,).
    Returns: (h, c).
    Example:
        >>> zero, one = torch.zeros(1, 1), torch.ones(1, 1)
        >>> open_gates = torch.tensor([[0.0, 100.0, 0.0, 100.0]])  # keeps all that is in memory
        >>> lstm_step((zero, one), open_gates, torch.zeros(4, 1), torch.zeros(4))
        (tensor([[0.7616]]), tensor([[1.]]))

    References: Hochreiter & Schmidhuber, "Long Short-Term Memory", Neural Computation 9, 1997; Gers,
        Schmidhuber & Cummins, "Learning to Forget", Neural Computation 12, 2000, for the forget gate.
    """
    h, c = state
    i, f, g, o = (driven + linear(h, weight_hh, bias_hh)).chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def gru_step(state: State, driven: Tensor, weight_hh: Tensor, bias_hh: Tensor) -> State:
    """h = (1 - z) n + z h: where the update gate z is 1 the state is kept.

    Conventions: torch's, in which the reset gate acts on W h + b, not on h, and z keeps; gates in the order
    r, z, n.
    Args:
        state: (h,), (N, H).
        driven: (N, 3 H).
        weight_hh, bias_hh: (3 H, H), (3 H,).
    Returns: (h,).
    Example:
        >>> closed = torch.tensor([[0.0, 100.0, 5.0]])
        >>> gru_step((torch.ones(1, 1),), closed, torch.zeros(3, 1), torch.zeros(3))
        (tensor([[1.]]),)

    References: Cho et al., "Learning Phrase Representations Using RNN Encoder-Decoder for Statistical Machine
        Translation", EMNLP 2014, arXiv:1406.1078.
    """
    (h,) = state
    r, z, n = driven.chunk(3, -1)
    own_r, own_z, own_n = linear(h, weight_hh, bias_hh).chunk(3, -1)
    z = torch.sigmoid(z + own_z)
    new = torch.tanh(n + torch.sigmoid(r + own_r) * own_n)
    return ((1 - z) * new + z * h,)


class _Cell:
    """A step, how many rows of gates it has, and which of them keeps the state."""

    def __init__(self, step: Callable, gates: int, states: int, keeps: int | None):
        self.step, self.gates, self.states, self.keeps = step, gates, states, keeps


CELLS = {
    "rnn": _Cell(rnn_step, 1, 1, None),
    "lstm": _Cell(lstm_step, 4, 2, 1),
    "gru": _Cell(gru_step, 3, 1, 1),
}


class RecurrentNetwork(nn.Module):
    r"""A recurrent network that reads a sequence and answers at its end; many of them can train stacked.

    Conventions: parameters have the names, shapes and defaults of nn.RNN, nn.LSTM and nn.GRU with one layer,
    whose ``state_dict`` fits; all start uniform within 1 / sqrt(hidden). The state starts at 0.
    Args:
        cell: "rnn" (tanh), "lstm" or "gru".
        sizes: numbers of inputs, hidden units and outputs.
        keep_bias: start of the bias of the gate that keeps the state, an LSTM's forget gate or a GRU's update
            gate; None for the default. Half of it would be in each of torch's two biases: here all is in
            ``bias_ih_l0``, and 0 in the other.
        recurrent_std: recurrent weights are drawn normal with this standard deviation; None for the default.
    Shape: (N, T, inputs) to (N, outputs).
    Raises: ValueError: for another cell, or keep_bias with "rnn", which has no gate.
    Example:
        >>> network = RecurrentNetwork("lstm", (3, 8, 2), keep_bias=1.0)
        >>> network(torch.zeros(5, 7, 3)).shape
        torch.Size([5, 2])

    References: Jozefowicz, Zaremba & Sutskever, "An Empirical Exploration of Recurrent Network
        Architectures", ICML 2015, for the forget gate's bias of 1.
    """

    def __init__(
        self,
        cell: str,
        sizes: tuple[int, int, int],
        *,
        keep_bias: float | None = None,
        recurrent_std: float | None = None,
    ) -> None:
        super().__init__()
        if cell not in CELLS:
            raise ValueError(f"cell must be one of {', '.join(CELLS)}: got {cell!r}")
        kind = CELLS[cell]
        if keep_bias is not None and kind.keeps is None:
            raise ValueError(
                f"{cell} has no gate that keeps the state: got keep_bias={keep_bias}; leave it out"
            )
        inputs, hidden, outputs = sizes
        rows, limit = kind.gates * hidden, 1 / math.sqrt(hidden)

        def drawn(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape).uniform_(-limit, limit))

        self.cell, self.hidden = cell, hidden
        self.weight_ih_l0 = drawn(rows, inputs)
        self.weight_hh_l0 = drawn(rows, hidden)
        self.bias_ih_l0 = drawn(rows)
        self.bias_hh_l0 = drawn(rows)
        self.outer = nn.Linear(hidden, outputs)
        with torch.no_grad():
            if recurrent_std is not None:
                self.weight_hh_l0.normal_(0, recurrent_std)
            if keep_bias is not None:
                own = slice(kind.keeps * hidden, (kind.keeps + 1) * hidden)
                self.bias_ih_l0[own] = keep_bias
                self.bias_hh_l0[own] = 0

    def last_state(self, input: Tensor) -> Tensor:
        """(N, T, inputs) to the last h, (N, hidden)."""
        kind = CELLS[self.cell]
        driven = linear(input, self.weight_ih_l0, self.bias_ih_l0)  # (N, T, gates H)
        zero = driven.new_zeros(len(input), self.hidden)
        state = (zero,) * kind.states
        for step in range(input.shape[1]):
            state = kind.step(
                state, driven[:, step], self.weight_hh_l0, self.bias_hh_l0
            )
        return state[0]

    def forward(self, input: Tensor) -> Tensor:
        return self.outer(self.last_state(input))
