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
from dlkb.normalization.gradient_growth import relu_gradient_growth
from dlkb.normalization.plain import plain_network
from dlkb.normalization.reference_batch import ReferenceBatch
from dlkb.normalization.saturation import saturated_share

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "ReferenceBatch",
    "batch_norm",
    "batch_norm_backward",
    "batch_statistics",
    "plain_network",
    "relu_gradient_growth",
    "saturated_share",
    "update_running_statistics",
]
