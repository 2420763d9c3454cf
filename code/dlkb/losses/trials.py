"""What comparisons of classification losses need: a small network, its logits, what a call answers."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from dlkb.train import Setting, fit_many

__all__ = ["answer", "columns", "digit_network", "held_out_logits", "steps_until"]


def digit_network(outputs: int = 10, bias: float | None = None) -> nn.Sequential:
    """64 pixels, 64 hidden units, ReLU, ``outputs`` logits, whose biases start at ``bias`` if it is given.

    Example:
        >>> digit_network(outputs=4)(torch.zeros(2, 64)).shape
        torch.Size([2, 4])
    """
    network = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, outputs))
    if bias is not None:
        nn.init.constant_(network[2].bias, bias)
    return network


def held_out_logits(
    settings: Mapping[str, Setting],
    x: Tensor,
    y: Tensor,
    *,
    splits: Sequence[tuple[Tensor, Tensor]],
    count: int,
    **training: Any,
) -> tuple[Tensor, Tensor]:
    """Train with ``fit_many`` and keep, after each step, the logits of held-out samples.

    Args:
        settings, x, y, splits: as in ``fit_many``; the networks have one architecture, without buffers.
        count: how many held-out samples of each seed, from the first.
        training: what else ``fit_many`` takes, such as seeds, steps, batch_size and loss.
    Returns: on the CPU, the logits (settings, seeds, steps, count, classes) and the classes (seeds, count).
    Raises: ValueError: if ``count`` is not from 1 to the number of held-out samples, or as ``fit_many``.
    Example:
        >>> x, y, splits = torch.eye(64), torch.arange(64) % 10, [torch.arange(64).split(32)]
        >>> options = {"seeds": [0], "steps": 2, "batch_size": 8}
        >>> logits, truth = held_out_logits(
        ...     {"a": Setting(digit_network, lr=0.1)}, x, y, splits=splits, count=5, **options)
        >>> logits.shape, truth.shape
        (torch.Size([1, 1, 2, 5, 10]), torch.Size([1, 5]))
    """
    fewest = min(len(rest) for _, rest in splits)
    if not 1 <= count <= fewest:
        raise ValueError(
            f"count must be from 1 to the {fewest} held-out samples: got {count}"
        )
    held = torch.stack([rest[:count] for _, rest in splits]).to(x.device)  # (S, count)
    skeleton = next(iter(settings.values())).model().to(x.device)

    def logits(parameters: Mapping[str, Tensor]) -> Tensor:
        return vmap(lambda p, x: functional_call(skeleton, p, (x,)))(
            parameters, x[held]
        )

    runs = fit_many(
        settings, x, y, splits=splits, record=logits, stack=True, **training
    )
    return runs.recorded.cpu(), y[held].cpu()


def steps_until(reached: Tensor) -> Tensor:
    """Steps until ``reached`` is first true, counted from 1; one more than there are where it never is.

    Args:
        reached: (*, T), boolean.
    Returns: (*), int64.
    Example:
        >>> steps_until(torch.tensor([[False, True, False], [False, False, False]]))
        tensor([2, 4])
    """
    first = reached.to(torch.int64).argmax(-1)
    return torch.where(reached.any(-1), first, reached.shape[-1]) + 1


def answer(call: Callable, *arguments: Any) -> tuple[str, str]:
    """What a call does: ("error", its message), ("warning", its text) or ("silent", "").

    Example:
        >>> answer(torch.add, torch.ones(2), torch.ones(2))
        ('silent', '')
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            call(*arguments)
        except (ValueError, TypeError, RuntimeError, IndexError) as error:
            return "error", str(error)
    return ("warning", str(caught[0].message)) if caught else ("silent", "")


def columns(**named: Sequence[float] | Tensor) -> str:
    """Numbers in aligned columns below their names, to four significant digits; "_" in a name is a space.

    Raises: ValueError: if the columns differ in length.
    Example:
        >>> print(columns(logit=[-20, 20], the_loss=torch.tensor([2.0612e-9, 20.0])))
        logit    the loss
          -20   2.061e-09
           20          20
    """
    lengths = {name: len(values) for name, values in named.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"give columns of one length: got {lengths}")
    texts = []
    for name, values in named.items():
        numbers = values.tolist() if isinstance(values, Tensor) else values
        column = [name.replace("_", " "), *(f"{v + 0.0:.4g}" for v in numbers)]
        texts.append([text.rjust(max(map(len, column))) for text in column])
    return "\n".join("   ".join(row) for row in zip(*texts, strict=True))
