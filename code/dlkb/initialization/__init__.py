"""Initialization, from scratch: activations, starting weights, gains, and clipped gradients."""

from dlkb.initialization.activations import (
    elu,
    gelu,
    hardsigmoid,
    hardswish,
    leaky_relu,
    mish,
    quick_gelu,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softplus,
    swish,
    tanh,
)
from dlkb.initialization.clipping import (
    clip_grad_norm_,
    clip_grad_value_,
    normalize_grad_,
)
from dlkb.initialization.fans import (
    calculate_fan_in_and_fan_out,
    layer_fans,
)
from dlkb.initialization.fixup import (
    FixupBlock,
    fixup_,
    fixup_scale,
    zero_gamma_,
)
from dlkb.initialization.gain import (
    backward_gain,
    calculate_gain,
    forward_gain,
)
from dlkb.initialization.identity import (
    dirac_,
    eye_,
)
from dlkb.initialization.kaiming import (
    kaiming_normal_,
    kaiming_uniform_,
    torch_default_,
)
from dlkb.initialization.lsuv import (
    lsuv_,
)
from dlkb.initialization.maximal_update import (
    WidthScaling,
    initialize_by_width_,
    width_groups,
    width_roles,
    width_scaling,
)
from dlkb.initialization.naive_sigmoids import (
    sigmoid_from_exp,
    sigmoid_from_exp_of_minus,
    sigmoid_unguarded,
)
from dlkb.initialization.orthogonal import (
    orthogonal_,
)
from dlkb.initialization.truncated import (
    trunc_normal_,
    truncated_std,
)
from dlkb.initialization.xavier import (
    xavier_normal_,
    xavier_uniform_,
)

__all__ = [
    "FixupBlock",
    "WidthScaling",
    "backward_gain",
    "calculate_fan_in_and_fan_out",
    "calculate_gain",
    "clip_grad_norm_",
    "clip_grad_value_",
    "dirac_",
    "elu",
    "eye_",
    "fixup_",
    "fixup_scale",
    "forward_gain",
    "gelu",
    "hardsigmoid",
    "hardswish",
    "initialize_by_width_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "layer_fans",
    "leaky_relu",
    "lsuv_",
    "mish",
    "normalize_grad_",
    "orthogonal_",
    "quick_gelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "sigmoid_from_exp",
    "sigmoid_from_exp_of_minus",
    "sigmoid_unguarded",
    "silu",
    "softplus",
    "swish",
    "tanh",
    "torch_default_",
    "trunc_normal_",
    "truncated_std",
    "width_groups",
    "width_roles",
    "width_scaling",
    "xavier_normal_",
    "xavier_uniform_",
    "zero_gamma_",
]
