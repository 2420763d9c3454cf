"""What a moment of the framework makes of values that arrive one by one."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dlkb.optimizers.framework import Moment

__all__ = ["moment_path"]


def moment_path(moment: Moment, values: Sequence[Tensor] | Tensor) -> Tensor:
    """The moment after each value.

    Args:
        moment: of ``dlkb.optimizers.framework``, such as ``ema(0.9)``.
        values: (steps, *), at least one.
    Returns: (steps, *).
    Raises: ValueError: without values.
    Example:
        >>> from dlkb.optimizers.framework import ema
        >>> moment_path(ema(0.5), torch.ones(3))
        tensor([0.5000, 0.7500, 0.8750])
    """
    if len(values) == 0:
        raise ValueError("a moment needs at least one value: got none")
    memory, path = None, []
    for step, value in enumerate(values, start=1):
        now, memory = moment(memory, value, step)
        path.append(now)
    return torch.stack(path)
