"""Normalization from scratch, with torch's names and torch's meanings."""

from dlkb.normalization.batch import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    batch_norm,
    batch_norm_backward,
    batch_statistics,
    update_running_statistics,
)
from dlkb.normalization.cross_iteration import (
    IterationStatistics,
    iteration_statistics,
    statistics_error,
    window_statistics,
)
from dlkb.normalization.renorm import (
    BatchRenorm1d,
    BatchRenorm2d,
    batch_renorm,
    renorm_correction,
)
from dlkb.normalization.synchronized import (
    all_reduce_sum,
    normalize_shard,
    run_processes,
    synchronized_batch_norm,
    synchronized_statistics,
)

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "BatchRenorm1d",
    "BatchRenorm2d",
    "IterationStatistics",
    "all_reduce_sum",
    "batch_norm",
    "batch_norm_backward",
    "batch_renorm",
    "batch_statistics",
    "iteration_statistics",
    "normalize_shard",
    "renorm_correction",
    "run_processes",
    "statistics_error",
    "synchronized_batch_norm",
    "synchronized_statistics",
    "update_running_statistics",
    "window_statistics",
]
