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

__all__ = [
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
    "generalized_box_iou",
    "generalized_box_iou_loss",
    "log_box_iou_loss",
]
