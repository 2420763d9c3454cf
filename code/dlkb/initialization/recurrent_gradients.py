"""How much of a recurrent network's last state depends on inputs long ago, and a task that needs it."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from dlkb.initialization.recurrent_cells import RecurrentNetwork

__all__ = ["input_gradient_norms", "remember_first"]


def input_gradient_norms(
    networks: Sequence[RecurrentNetwork],
    input: Tensor,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Size of the derivative of the last state by the input of each step, for each network.

    The last state is multiplied by a standard normal vector and differentiated: the root mean square length
    of that gradient, over samples, estimates the Frobenius norm of the Jacobian.

    Args:
        networks: S, of one cell and one size.
        input: (N, T, inputs), the sequences, the same for all networks.
        generator: draws the vectors, on the device of ``input``.
    Returns: (S, T), dtype and device of ``input``; the last column is that of the last input.
    Raises: ValueError: if there is no network, sample or step.
    Example:
        >>> networks = [RecurrentNetwork("gru", (3, 8, 2)) for _ in range(4)]
        >>> input_gradient_norms(networks, torch.randn(5, 30, 3)).shape
        torch.Size([4, 30])

    References: Bengio, Simard & Frasconi, "Learning Long-Term Dependencies with Gradient Descent Is
        Difficult", IEEE Transactions on Neural Networks 5, 1994.
    """
    if not len(networks) or not input.numel():
        raise ValueError(
            "give at least one network, sample and step: "
            f"got {len(networks)} networks and input of shape {tuple(input.shape)}"
        )
    skeleton = networks[0]
    parameters, _ = stack_module_state(list(networks))
    parameters = {name: p.detach() for name, p in parameters.items()}

    def last(parameters: dict[str, Tensor], input: Tensor) -> Tensor:
        return functional_call(_LastState(skeleton), _inside(parameters), (input,))

    sequences = input.detach().expand(len(networks), *input.shape).clone()
    with torch.enable_grad():
        state = vmap(last)(parameters, sequences.requires_grad_())  # (S, N, H)
    end = torch.empty_like(state).normal_(generator=generator)
    (gradient,) = torch.autograd.grad(state, sequences, end)  # (S, N, T, inputs)
    return gradient.square().sum(-1).mean(1).sqrt()


class _LastState(torch.nn.Module):
    """Calls the network's ``last_state``, since functional_call knows forward only."""

    def __init__(self, network: RecurrentNetwork):
        super().__init__()
        self.network = network

    def forward(self, input: Tensor) -> Tensor:
        return self.network.last_state(input)


def _inside(parameters: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"network.{name}": value for name, value in parameters.items()}


def remember_first(
    count: int, length: int, classes: int = 4, *, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Sequences of random symbols whose class is the first one: all later ones only disturb.

    Args:
        count: number of sequences.
        length: symbols in each.
        classes: how many different symbols, at least 2.
    Returns: x (count, length, classes), one-hot, float32; y (count,), int64.
    Raises: ValueError: if a size is too small.
    Example:
        >>> x, y = remember_first(6, 10, generator=torch.Generator().manual_seed(0))
        >>> x.shape, torch.equal(x[:, 0].argmax(-1), y)
        (torch.Size([6, 10, 4]), True)

    References: after Hochreiter & Schmidhuber 1997, Sec. 5.
    """
    if count < 1 or length < 1 or classes < 2:
        raise ValueError(
            "count and length must be at least 1, classes at least 2: "
            f"got count={count}, length={length}, classes={classes}"
        )
    symbols = torch.randint(classes, (count, length), generator=generator)
    return torch.nn.functional.one_hot(symbols, classes).float(), symbols[:, 0].clone()
