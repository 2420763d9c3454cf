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
from dlkb.normalization.folding import (
    batch_norm_as_conv,
    fold_batch_norms,
    fuse_conv_bn_eval,
    fuse_conv_bn_weights,
    fuse_linear_bn_eval,
)
from dlkb.normalization.gradient_growth import (
    relu_gradient_growth,
)
from dlkb.normalization.plain import (
    plain_network,
)
from dlkb.normalization.reference_batch import (
    ReferenceBatch,
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

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "RandomShiftScale",
    "ReferenceBatch",
    "ScaleShift",
    "batch_norm",
    "batch_norm_as_conv",
    "batch_norm_backward",
    "batch_statistics",
    "fold_batch_norms",
    "fuse_conv_bn_eval",
    "fuse_conv_bn_weights",
    "fuse_linear_bn_eval",
    "min_max_scale",
    "percentile_clip",
    "plain_network",
    "relu_gradient_growth",
    "saturated_share",
    "scale_by_range",
    "scale_by_std",
    "standardize",
    "update_running_statistics",
]
