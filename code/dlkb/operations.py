"""Count what a computation does, where a time would depend on the machine."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["full_passes"]

VIEWS = {"view", "_unsafe_view", "expand", "detach", "alias", "unsqueeze", "squeeze"}


def full_passes(function: Callable[[Tensor], Any], input: Tensor) -> list[str]:
    """The operations that read or write at least as many values as ``input`` has, in order, views left out.

    Conventions: only what is dispatched is seen: a function that torch fuses into one kernel counts as one.
    Args:
        function: called with ``input``, without recording gradients.
    Returns: names of aten operations.
    Example:
        >>> full_passes(lambda x: (x * 2).sum().sqrt(), torch.ones(3))
        ['mul', 'sum']
    """
    names: list[str] = []

    class Recorder(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            output = func(*args, **(kwargs or {}))
            tensors = [t for t in (*args, output) if isinstance(t, Tensor)]
            name = func.overloadpacket.__name__
            large = max((t.numel() for t in tensors), default=0) >= input.numel()
            if large and name not in VIEWS:
                names.append(name)
            return output

    with torch.no_grad(), Recorder():
        function(input)
    return names
