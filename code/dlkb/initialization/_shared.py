"""What the chapter's functions need: values in at least float32, and checks of what they are given."""

from torch import Tensor

__all__ = []


def _at_least_float32(value: Tensor) -> Tensor:
    return value if value.itemsize >= 4 else value.float()


def _check_floating(**values: Tensor) -> None:
    for name, value in values.items():
        if not value.is_floating_point():
            raise TypeError(
                f"{name} must be floating point: got {value.dtype}; use .float()"
            )


def _check_positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} must be positive: got {value}")


def _check_at_least(low: float, **values: float) -> None:
    for name, value in values.items():
        if not value >= low:
            raise ValueError(f"{name} must be at least {low}: got {value}")


def _check_one_of(options: tuple[str, ...], **values: str) -> None:
    for name, value in values.items():
        if value not in options:
            raise ValueError(
                f"{name} must be one of {', '.join(options)}: got {value!r}"
            )
