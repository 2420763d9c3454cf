"""Normalization: scaling of data and batch norm, from scratch."""

from dlkb.normalization.batch import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    batch_norm,
    batch_norm_backward,
    batch_statistics,
    update_running_statistics,
)
from dlkb.normalization.scaling import (
    min_max_scale,
    percentile_clip,
    scale_by_range,
    scale_by_std,
    standardize,
)

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "batch_norm",
    "batch_norm_backward",
    "batch_statistics",
    "min_max_scale",
    "percentile_clip",
    "scale_by_range",
    "scale_by_std",
    "standardize",
    "update_running_statistics",
]
