"""Receptive fields: what each unit of a network can see, and how much it does."""

from dlkb.receptive_field.arithmetic import Window
from dlkb.receptive_field.drawing import cone, draw, draw_cone
from dlkb.receptive_field.effective import effective_receptive_field
from dlkb.receptive_field.rules import register_rule
from dlkb.receptive_field.sizes import required_input_sizes
from dlkb.receptive_field.support import bounds, gradient_support
from dlkb.receptive_field.trace import receptive_field

__all__ = [
    "Window",
    "bounds",
    "cone",
    "draw",
    "draw_cone",
    "effective_receptive_field",
    "gradient_support",
    "receptive_field",
    "register_rule",
    "required_input_sizes",
]
