"""Losses, from scratch: for classes, masks, numbers and boxes, with torch's names and meanings."""

from dlkb.losses.boxes import (
    box_area,
    box_iou,
    box_iou_loss,
    complete_box_iou,
    complete_box_iou_loss,
    control_distance_box_iou,
    control_distance_box_iou_loss,
    distance_box_iou,
    distance_box_iou_loss,
    efficient_box_iou,
    efficient_box_iou_loss,
    generalized_box_iou,
    generalized_box_iou_loss,
    log_box_iou_loss,
)
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
from dlkb.losses.race import RACERS, Race, full_race, race, race_anchors
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
    "RACERS",
    "Race",
    "UncertaintyWeighting",
    "asymmetric_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "box_area",
    "box_iou",
    "box_iou_loss",
    "class_balanced_weights",
    "complete_box_iou",
    "complete_box_iou_loss",
    "control_distance_box_iou",
    "control_distance_box_iou_loss",
    "cross_entropy",
    "dice_loss",
    "distance_box_iou",
    "distance_box_iou_loss",
    "effective_number",
    "efficient_box_iou",
    "efficient_box_iou_loss",
    "full_race",
    "generalized_box_iou",
    "generalized_box_iou_loss",
    "gradient_shares",
    "huber_loss",
    "info_nce_loss",
    "jaccard_loss",
    "l1_loss",
    "log_box_iou_loss",
    "log_softmax",
    "lovasz_hinge",
    "mse_loss",
    "nll_loss",
    "prior_bias",
    "race",
    "race_anchors",
    "sigmoid_focal_loss",
    "smooth_l1_loss",
    "triplet_margin_loss",
    "tversky_loss",
]
