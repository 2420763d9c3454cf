"""Losses, from scratch: for classes, masks, numbers and boxes, with torch's names and meanings."""

from dlkb.losses.classification import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    log_softmax,
    nll_loss,
)
from dlkb.losses.imbalance import (
    asymmetric_loss,
    class_balanced_weights,
    effective_number,
    prior_bias,
    sigmoid_focal_loss,
)
from dlkb.losses.metric import (
    info_nce_loss,
    triplet_margin_loss,
)
from dlkb.losses.regression import (
    huber_loss,
    l1_loss,
    mse_loss,
    smooth_l1_loss,
)
from dlkb.losses.segmentation import (
    dice_loss,
    jaccard_loss,
    lovasz_hinge,
    tversky_loss,
)
from dlkb.losses.weighting import (
    UncertaintyWeighting,
    gradient_shares,
)

__all__ = [
    "UncertaintyWeighting",
    "asymmetric_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "class_balanced_weights",
    "cross_entropy",
    "dice_loss",
    "effective_number",
    "gradient_shares",
    "huber_loss",
    "info_nce_loss",
    "jaccard_loss",
    "l1_loss",
    "log_softmax",
    "lovasz_hinge",
    "mse_loss",
    "nll_loss",
    "prior_bias",
    "sigmoid_focal_loss",
    "smooth_l1_loss",
    "triplet_margin_loss",
    "tversky_loss",
]
