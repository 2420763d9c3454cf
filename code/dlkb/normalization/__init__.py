"""Normalization: batch norm from scratch, with torch's names and torch's meanings."""

from dlkb.normalization.batch import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    batch_norm,
    batch_norm_backward,
    batch_statistics,
    update_running_statistics,
)
from dlkb.normalization.controls import RandomShiftScale, ScaleShift

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "RandomShiftScale",
    "ScaleShift",
    "batch_norm",
    "batch_norm_backward",
    "batch_statistics",
    "update_running_statistics",
]
