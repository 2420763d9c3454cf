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
from dlkb.losses.race import RACERS, Race, full_race, race, race_anchors

__all__ = [
    "RACERS",
    "Race",
    "box_area",
    "box_iou",
    "box_iou_loss",
    "complete_box_iou",
    "complete_box_iou_loss",
    "control_distance_box_iou",
    "control_distance_box_iou_loss",
    "distance_box_iou",
    "distance_box_iou_loss",
    "efficient_box_iou",
    "efficient_box_iou_loss",
    "full_race",
    "generalized_box_iou",
    "generalized_box_iou_loss",
    "log_box_iou_loss",
    "race",
    "race_anchors",
]
