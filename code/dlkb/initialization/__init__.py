"""Initialization, from scratch: activations, starting weights, signals and gradients, transfer."""

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
from dlkb.initialization.jacobians import (
    gaussian_lyapunov_exponents,
    jacobian_singular_values,
    lyapunov_exponents,
    power_log_norms,
    rms_singular_value,
    spectral_radius,
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
from dlkb.initialization.number_formats import (
    RangeShares,
    fixed_point,
    range_shares,
    rounding_error,
)
from dlkb.initialization.orthogonal import (
    orthogonal_,
)
from dlkb.initialization.recurrent_cells import (
    RecurrentNetwork,
    gru_step,
    lstm_step,
    rnn_step,
)
from dlkb.initialization.recurrent_gradients import input_gradient_norms, remember_first
from dlkb.initialization.scores import (
    collapse_score,
    dead_units,
    distinct_units,
    saturation_score,
)
from dlkb.initialization.signals import (
    Signals,
    layer_gradients,
    layer_outputs,
    measure_signals,
    predict_signals,
)
from dlkb.initialization.transfer import (
    TransferNetwork,
    digit_task,
    few_shot_split,
    fine_tuned,
)
from dlkb.initialization.truncated import (
    trunc_normal_,
    truncated_std,
)
from dlkb.initialization.watched_training import Watched, fit_watched, working_rates
from dlkb.initialization.xavier import (
    xavier_normal_,
    xavier_uniform_,
)

__all__ = [
    "FixupBlock",
    "RangeShares",
    "RecurrentNetwork",
    "Signals",
    "TransferNetwork",
    "Watched",
    "WidthScaling",
    "backward_gain",
    "calculate_fan_in_and_fan_out",
    "calculate_gain",
    "clip_grad_norm_",
    "clip_grad_value_",
    "collapse_score",
    "dead_units",
    "digit_task",
    "dirac_",
    "distinct_units",
    "elu",
    "eye_",
    "few_shot_split",
    "fine_tuned",
    "fit_watched",
    "fixed_point",
    "fixup_",
    "fixup_scale",
    "forward_gain",
    "gaussian_lyapunov_exponents",
    "gelu",
    "gru_step",
    "hardsigmoid",
    "hardswish",
    "initialize_by_width_",
    "input_gradient_norms",
    "jacobian_singular_values",
    "kaiming_normal_",
    "kaiming_uniform_",
    "layer_fans",
    "layer_gradients",
    "layer_outputs",
    "leaky_relu",
    "lstm_step",
    "lsuv_",
    "lyapunov_exponents",
    "measure_signals",
    "mish",
    "normalize_grad_",
    "orthogonal_",
    "power_log_norms",
    "predict_signals",
    "quick_gelu",
    "range_shares",
    "relu",
    "relu6",
    "remember_first",
    "rms_singular_value",
    "rnn_step",
    "rounding_error",
    "saturation_score",
    "selu",
    "sigmoid",
    "sigmoid_from_exp",
    "sigmoid_from_exp_of_minus",
    "sigmoid_unguarded",
    "silu",
    "softplus",
    "spectral_radius",
    "swish",
    "tanh",
    "torch_default_",
    "trunc_normal_",
    "truncated_std",
    "width_groups",
    "width_roles",
    "width_scaling",
    "working_rates",
    "xavier_normal_",
    "xavier_uniform_",
    "zero_gamma_",
]
