"""Losses, from scratch: classification, segmentation, regression and boxes, with torch's names and meanings."""

__all__: list[str] = []
