"""Where to compute: one choice, made in one place, overridden by one variable."""

import os

import torch

__all__ = ["choose_device"]

VARIABLE = "DLKB_DEVICE"


def choose_device(name: str | None = None) -> torch.device:
    """The device to compute on: ``name``, else $DLKB_DEVICE, else cuda, mps or cpu, the first present.

    Nothing global is changed: no default device, no precision flag.
    Args:
        name: a torch device such as "cpu", "cuda" or "cuda:1"; None to choose.
    Raises: ValueError: if the device is unknown or absent here.
    Example:
        >>> choose_device("cpu")
        device(type='cpu')
    """
    origin = "device" if name else VARIABLE
    name = name or os.environ.get(VARIABLE)
    if not name:
        return torch.device(
            next(kind for kind in ("cuda", "mps", "cpu") if _count(kind))
        )
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(
            f"{origin} must name a torch device, such as cpu, cuda, cuda:1 or mps: got {name!r}"
        ) from error
    if (device.index or 0) >= _count(device.type):
        present = ", ".join(kind for kind in ("cuda", "mps", "cpu") if _count(kind))
        raise ValueError(
            f"{origin} must name a device that is here ({present}): got {name!r}"
        )
    return device


def _count(kind: str) -> int:
    """How many devices of a kind can be used here."""
    if kind == "cuda":
        return torch.cuda.device_count()
    if kind == "mps":
        return int(torch.backends.mps.is_available())
    return int(kind == "cpu")
