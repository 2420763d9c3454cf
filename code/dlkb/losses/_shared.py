"""What all losses need: statistics in at least float32, and checks of what they are given."""

import torch
from torch import Tensor

__all__ = []


def _at_least_float32(value: Tensor) -> Tensor:
    return value if value.dtype == torch.float64 else value.float()


def _check_floating(**values: Tensor | None) -> None:
    for name, value in values.items():
        if value is not None and not value.is_floating_point():
            raise TypeError(
                f"{name} must be floating point: got {value.dtype}; use .float()"
            )


def _check_same_shape(input: Tensor, **values: Tensor | None) -> None:
    for name, value in values.items():
        if value is not None and value.shape != input.shape:
            raise ValueError(
                f"{name} must have the shape of input, {tuple(input.shape)}, since others would be "
                f"broadcast: got {tuple(value.shape)}; use .reshape or .squeeze"
            )


def _check_probabilities(name: str, value: Tensor, fix: str) -> None:
    outside = ~((value >= 0) & (value <= 1))  # NaN is outside too
    if _any(outside):
        raise ValueError(
            f"{name} must hold probabilities in [0, 1]: got {_first(value, outside)}; {fix}"
        )


def _check_binary(name: str, value: Tensor) -> None:
    other = (value != 0) & (value != 1)
    if _any(other):
        raise ValueError(
            f"{name} must hold 0 and 1 only: got {_first(value, other)}; threshold it first"
        )


def _check_at_least(low: float, **values: float) -> None:
    for name, value in values.items():
        if not value >= low:
            raise ValueError(f"{name} must be at least {low}: got {value}")


def _check_positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} must be positive: got {value}")


def _any(condition: Tensor) -> bool:
    """Whether any is true; False inside torch.func.vmap, where values cannot be looked at."""
    try:
        return bool(condition.any())
    except RuntimeError as error:
        if "vmap" in str(error):
            return False
        raise


def _first(value: Tensor, condition: Tensor) -> float:
    return value[condition][0].item()
