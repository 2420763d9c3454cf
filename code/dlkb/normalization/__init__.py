"""Normalization from scratch: batch, layer, instance, group and RMS norm, with torch's names and meanings."""

from dlkb.normalization.batch import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    batch_norm,
    batch_norm_backward,
    batch_statistics,
    update_running_statistics,
)
from dlkb.normalization.ghost import GhostBatchNorm2d, ghost_batch_norm
from dlkb.normalization.group import GroupNorm, group_norm
from dlkb.normalization.instance import InstanceNorm2d, instance_norm
from dlkb.normalization.layer import LayerNorm, layer_norm
from dlkb.normalization.rms import RMSNorm, rms_norm

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "GhostBatchNorm2d",
    "GroupNorm",
    "InstanceNorm2d",
    "LayerNorm",
    "RMSNorm",
    "batch_norm",
    "batch_norm_backward",
    "batch_statistics",
    "ghost_batch_norm",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "rms_norm",
    "update_running_statistics",
]
