"""Two tasks on one shared layer: which digit an image shows, and how bright it is."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from dlkb.losses.classification import cross_entropy
from dlkb.losses.regression import mse_loss

__all__ = [
    "TwoTasks",
    "fit_at_rates",
    "minimize",
    "scores",
    "two_losses",
    "two_task_networks",
]


class TwoTasks(nn.Module):
    """64 pixels, a shared layer of 32 units, and a head for each task; ``trunk`` is what they share.

    ``log_variance`` (2,), at 0, takes no part in the output: it may be trained along with the network.

    Example:
        >>> logits, brightness = TwoTasks()(torch.zeros(5, 64))
        >>> logits.shape, brightness.shape
        (torch.Size([5, 10]), torch.Size([5]))
    """

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(64, 32), nn.ReLU())
        self.digit, self.brightness = nn.Linear(32, 10), nn.Linear(32, 1)
        self.log_variance = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 64) to the digits' logits (N, 10) and the brightness (N,)."""
        h = self.trunk(x)
        return self.digit(h), self.brightness(h)[:, 0]


def two_task_networks(
    seeds: Iterable[int], device: torch.device | str
) -> tuple[TwoTasks, dict[str, Tensor]]:
    """One network, and the stacked first parameters (seeds, ...) of one for each seed.

    Conventions: the global random state stays as it was.
    Example:
        >>> network, start = two_task_networks(range(3), "cpu")
        >>> start["digit.weight"].shape
        torch.Size([3, 10, 32])
    """
    networks = []
    for seed in seeds:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            networks.append(TwoTasks().to(device))
    stacked = stack_module_state(networks)[0]
    return networks[0], {name: value.detach() for name, value in stacked.items()}


def two_losses(
    network: TwoTasks, parameters: Mapping[str, Tensor], x: Tensor, y: Tensor
) -> list[Tensor]:
    """Cross-entropy of the digits and squared error of the brightness, with these parameters.

    Args:
        network: gives the architecture alone.
        x: (N, 64).
        y: (N, 2), digit and brightness.
    Example:
        >>> network, x, y = TwoTasks(), torch.zeros(2, 64), torch.tensor([[3.0, 0.5], [7.0, 0.1]])
        >>> [loss.dim() for loss in two_losses(network, dict(network.named_parameters()), x, y)]
        [0, 0]
    """
    logits, brightness = functional_call(network, dict(parameters), (x,))
    return [cross_entropy(logits, y[:, 0].long()), mse_loss(brightness, y[:, 1])]


def fit_at_rates(
    total: Callable[[dict[str, Tensor], Tensor, Tensor], Tensor],
    start: Mapping[str, Tensor],
    x: Tensor,
    y: Tensor,
    orders: Tensor,
    rates: Sequence[float],
) -> list[dict[str, Tensor]]:
    """Train with Adam all networks at all learning rates, each on its own.

    Args:
        total: (parameters, x, y) of one network and batch to its loss, a scalar; under ``vmap``.
        start: stacked first parameters, (seeds, ...) each; they are kept.
        x, y: (N, ...) each.
        orders: (seeds, steps, B), the samples of each step.
        rates: the learning rates.
    Returns: for each rate, the stacked parameters after the last step.
    Example:
        >>> start, zero = {"w": torch.ones(1, 1)}, torch.zeros(1, 1)
        >>> found = fit_at_rates(lambda p, x, y: p["w"].sum(), start, zero, zero,
        ...                      torch.zeros(1, 2, 1, dtype=torch.int64), (0.1, 0.2))
        >>> [round(own["w"].item(), 4) for own in found]  # Adam's step has the size of the rate
        [0.8, 0.6]
    """
    each = vmap(total)
    found = [{k: v.clone().requires_grad_() for k, v in start.items()} for _ in rates]
    optimizer = torch.optim.Adam(
        [
            {"params": list(own.values()), "lr": lr}
            for own, lr in zip(found, rates, strict=True)
        ]
    )
    for step in range(orders.shape[1]):
        indices = orders[:, step].repeat(len(rates), 1)
        stacked = {k: torch.cat([own[k] for own in found]) for k in start}
        optimizer.zero_grad()
        each(stacked, x[indices], y[indices]).sum().backward()
        optimizer.step()
    return found


@torch.no_grad()
def scores(
    network: TwoTasks,
    parameters: Mapping[str, Tensor],
    x: Tensor,
    digit: Tensor,
    brightness: Tensor,
    offset: Tensor | float,
    scale: Tensor | float,
) -> tuple[Tensor, Tensor]:
    """Accuracy, and root mean squared error of the brightness, of each stacked network; (seeds,) on the CPU.

    Args:
        network: gives the architecture alone.
        parameters: stacked, (seeds, ...) each.
        x: (seeds, N, 64).
        digit, brightness: (seeds, N), on the CPU.
        offset, scale: its brightness times ``scale`` plus ``offset`` has the unit of ``brightness``.
    Example:
        >>> network, start = two_task_networks([0], "cpu")
        >>> start = {name: torch.zeros_like(value) for name, value in start.items()}  # says digit 0
        >>> scores(network, start, torch.zeros(1, 2, 64), torch.tensor([[0, 1]]), torch.ones(1, 2), 4.0, 1.0)
        (tensor([0.5000], dtype=torch.float64), tensor([3.], dtype=torch.float64))
    """
    logits, number = vmap(lambda p, x: functional_call(network, p, (x,)))(
        dict(parameters), x
    )
    right = (logits.argmax(2).cpu() == digit).double().mean(1)
    number = number.cpu() * scale + offset
    return right, (number - brightness).square().mean(1).sqrt().double()


def minimize(loss: Callable[[], Tensor], parameters: Iterable[nn.Parameter]) -> None:
    """Move ``parameters`` in place to a minimum of ``loss()`` nearby, by LBFGS with a line search.

    Example:
        >>> w = torch.nn.Parameter(torch.ones(()))
        >>> minimize(lambda: (w - 3).square(), [w])
        >>> round(w.item(), 4)
        3.0
    """
    optimizer = torch.optim.LBFGS(
        parameters,
        line_search_fn="strong_wolfe",
        max_iter=200,
        tolerance_change=0,
        tolerance_grad=1e-6,
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        total = loss()
        total.backward()
        return total

    optimizer.step(closure)
