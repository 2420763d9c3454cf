"""A recurrent network with a normalization inside its recurrence."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["NormalizedRNN"]


class NormalizedRNN(nn.Module):
    """A simple recurrent network that normalizes its sums at every step, and answers at every step.

    h_t = tanh(norm_t(W x_t + U h_(t-1)) + b), answer_t = V h_t + c

    Args:
        sizes: numbers of inputs, hidden units and classes.
        norms: one normalization of (N, hidden) for each step; later steps use the last one. They need no
            scale or shift of their own, since b follows.
    Conventions: weights start as in nn.Linear, b at 0, and the state at 0.
    Raises: ValueError: if there are no norms.
    Example:
        >>> network = NormalizedRNN((1, 4, 2), [nn.LayerNorm(4)])
        >>> network(torch.zeros(5, 7, 1)).shape  # 5 sequences, 2 classes, 7 steps
        torch.Size([5, 2, 7])

    References: Elman, "Finding Structure in Time", Cognitive Science 14, 1990; Cooijmans et al., "Recurrent
        Batch Normalization", ICLR 2017, arXiv:1603.09025, for statistics of each step.
    """

    def __init__(self, sizes: tuple[int, int, int], norms: Sequence[nn.Module]) -> None:
        super().__init__()
        if not len(norms):
            raise ValueError("give at least one norm, for the first step: got none")
        inputs, hidden, classes = sizes
        self.inner = nn.Linear(inputs, hidden, bias=False)
        self.recurrent = nn.Linear(hidden, hidden, bias=False)
        self.shift = nn.Parameter(torch.zeros(hidden))
        self.outer = nn.Linear(hidden, classes)
        self.norms = nn.ModuleList(norms)

    def forward(self, input: Tensor) -> Tensor:
        """(N, T, inputs) to (N, classes, T)."""
        driven = self.inner(input)  # (N, T, hidden)
        state, states = torch.zeros_like(driven[:, 0]), []
        for step in range(input.shape[1]):
            norm = self.norms[min(step, len(self.norms) - 1)]
            sums = driven[:, step] + self.recurrent(state)
            state = torch.tanh(norm(sums) + self.shift)
            states.append(state)
        return self.outer(torch.stack(states, dim=1)).transpose(1, 2)
