"""Normalization, from scratch: data and activations, with torch's names and torch's meanings."""

from dlkb.normalization.batch import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    batch_norm,
    batch_norm_backward,
    batch_statistics,
    update_running_statistics,
)
from dlkb.normalization.controls import (
    RandomShiftScale,
    ScaleShift,
)
from dlkb.normalization.cross_iteration import (
    IterationStatistics,
    iteration_statistics,
    statistics_error,
    window_statistics,
)
from dlkb.normalization.folding import (
    batch_norm_as_conv,
    fold_batch_norms,
    fuse_conv_bn_eval,
    fuse_conv_bn_weights,
    fuse_linear_bn_eval,
)
from dlkb.normalization.ghost import (
    GhostBatchNorm2d,
    ghost_batch_norm,
)
from dlkb.normalization.gradient_growth import (
    relu_gradient_growth,
)
from dlkb.normalization.group import (
    GroupNorm,
    group_norm,
)
from dlkb.normalization.instance import (
    InstanceNorm2d,
    instance_norm,
)
from dlkb.normalization.layer import (
    LayerNorm,
    layer_norm,
)
from dlkb.normalization.plain import (
    plain_network,
)
from dlkb.normalization.recurrent import (
    NormalizedRNN,
)
from dlkb.normalization.reference_batch import (
    ReferenceBatch,
)
from dlkb.normalization.renorm import (
    BatchRenorm1d,
    BatchRenorm2d,
    batch_renorm,
    renorm_correction,
)
from dlkb.normalization.rms import (
    RMSNorm,
    rms_norm,
)
from dlkb.normalization.saturation import (
    saturated_share,
)
from dlkb.normalization.scaling import (
    min_max_scale,
    percentile_clip,
    scale_by_range,
    scale_by_std,
    standardize,
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
    "GhostBatchNorm2d",
    "GroupNorm",
    "InstanceNorm2d",
    "IterationStatistics",
    "LayerNorm",
    "NormalizedRNN",
    "RMSNorm",
    "RandomShiftScale",
    "ReferenceBatch",
    "ScaleShift",
    "all_reduce_sum",
    "batch_norm",
    "batch_norm_as_conv",
    "batch_norm_backward",
    "batch_renorm",
    "batch_statistics",
    "fold_batch_norms",
    "fuse_conv_bn_eval",
    "fuse_conv_bn_weights",
    "fuse_linear_bn_eval",
    "ghost_batch_norm",
    "group_norm",
    "instance_norm",
    "iteration_statistics",
    "layer_norm",
    "min_max_scale",
    "normalize_shard",
    "percentile_clip",
    "plain_network",
    "relu_gradient_growth",
    "renorm_correction",
    "rms_norm",
    "run_processes",
    "saturated_share",
    "scale_by_range",
    "scale_by_std",
    "standardize",
    "statistics_error",
    "synchronized_batch_norm",
    "synchronized_statistics",
    "update_running_statistics",
    "window_statistics",
]
