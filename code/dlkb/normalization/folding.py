"""Fold batch norm away for inference: into the layer before it, or into a 1x1 convolution."""

import copy
import itertools

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm as _TorchBatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils.parametrize import is_parametrized

from dlkb.normalization.batch import BatchNorm1d, BatchNorm3d, _BatchNorm

__all__ = [
    "batch_norm_as_conv",
    "fold_batch_norms",
    "fuse_conv_bn_eval",
    "fuse_conv_bn_weights",
    "fuse_linear_bn_eval",
]

BATCH_NORMS, LAYERS = (_TorchBatchNorm, _BatchNorm), (_ConvNd, nn.Linear)


def fuse_conv_bn_weights(
    conv_w: Tensor,
    conv_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
    transpose: bool = False,
) -> tuple[nn.Parameter, nn.Parameter]:
    r"""Weight and bias of the one convolution that equals a convolution and the batch norm after it.

    scale = bn_w / sqrt(bn_rv + bn_eps);  weight = scale * conv_w;  bias = scale * (conv_b - bn_rm) + bn_b

    Conventions: computed in at least float32 (torch: in the dtypes it gets), returned in the dtypes of
    ``conv_w`` and ``conv_b``. Works for a linear layer's weight too. For grouped transposed convolutions the
    scale follows the groups; torch 2.15 raises an error there, or returns a weight of another shape.
    Args:
        conv_w: (C, C_in / groups, \*kernel); with ``transpose`` (C_in, C / groups, \*kernel).
        conv_b: (C,), or None for zeros.
        bn_rm, bn_rv: running mean and variance, (C,).
        bn_eps: added to the variance.
        bn_w, bn_b: batch norm's weight and bias, (C,), or None for ones and zeros.
        transpose: whether ``conv_w`` is a transposed convolution's, with the output channels second.
    Returns: weight, shape of ``conv_w``; bias, (C,). As in torch, the weight requires a gradient if
        ``conv_w`` does and the bias if ``conv_b`` does.
    Raises: ValueError: if ``conv_w`` does not have C output channels, another tensor is not (C,), or
        bn_rv + bn_eps is not positive.
    Example:
        >>> conv_w, one = torch.tensor([[[2.0, -1.0]]]), torch.ones(1)
        >>> w, b = fuse_conv_bn_weights(conv_w, 3 * one, one, 3 * one, 1.0, 4 * one, 5 * one)
        >>> w.tolist(), b.tolist()  # scale 4 / sqrt(3 + 1) = 2
        ([[[4.0, -2.0]]], [9.0])

    References: Jacob et al., CVPR 2018, Sec. 3.2, arXiv:1712.05877.
    """
    channels, groups = bn_rm.numel(), 1
    _check_channels(channels, conv_b=conv_b, bn_rv=bn_rv, bn_w=bn_w, bn_b=bn_b)
    if transpose:
        groups = channels // conv_w.shape[1]  # each writes its own slice of the outputs
    if conv_w.shape[transpose] * groups != channels or conv_w.shape[0] % groups:
        raise ValueError(
            f"the weight's axis {int(transpose)} must hold the batch norm's {channels} channels"
            f"{' (or a share, 1 / groups)' if transpose else ''}: got shape {tuple(conv_w.shape)}; is this "
            f"the batch norm after this layer, or is transpose={not transpose} right?"
        )

    dtype = torch.promote_types(conv_w.dtype, bn_rv.dtype)
    scale = _scale(bn_rv, bn_eps, bn_w, dtype)
    weight = conv_w.detach().to(scale.dtype)
    if transpose:
        blocks = weight.reshape(groups, -1, *conv_w.shape[1:])  # (g, C_in/g, C/g, *)
        weight = blocks * scale.view(groups, 1, -1, *[1] * (conv_w.dim() - 2))
    else:
        weight = weight * scale.view(-1, *[1] * (conv_w.dim() - 1))
    bias = _bias(conv_b, bn_rm, scale, bn_b)
    bias_dtype = conv_w.dtype if conv_b is None else conv_b.dtype
    return (
        nn.Parameter(weight.view_as(conv_w).to(conv_w.dtype), conv_w.requires_grad),
        nn.Parameter(bias.to(bias_dtype), conv_b is not None and conv_b.requires_grad),
    )


def fuse_conv_bn_eval(
    conv: nn.Module, bn: nn.Module, transpose: bool = False
) -> nn.Module:
    """A new convolution that equals ``bn(conv(x))`` in evaluation mode; the two given ones stay as they are.

    Args:
        conv: Conv1d, Conv2d, Conv3d or a transposed one, in evaluation mode.
        bn: the batch norm after it, torch's or ours, in evaluation mode.
        transpose: True exactly for a transposed convolution.
    Returns: a copy of ``conv`` with other weight and bias.
    Raises: TypeError: for other modules. ValueError: if one is in training mode, ``bn`` has no running
        statistics or another number of channels, or ``transpose`` does not fit ``conv``.
    Example:
        >>> conv, bn = nn.Conv2d(3, 8, 3, bias=False).eval(), nn.BatchNorm2d(8).eval()
        >>> fuse_conv_bn_eval(conv, bn)
        Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))

    References: as torch.nn.utils.fuse_conv_bn_eval.
    """
    _check_layers(conv, _ConvNd, bn, getattr(conv, "out_channels", 0))
    if transpose != isinstance(conv, _ConvTransposeNd):
        raise ValueError(
            "transpose must be True for a transposed convolution and False for any other: "
            f"got transpose={transpose} for a {type(conv).__name__}; use transpose={not transpose}"
        )
    return _fused_copy(conv, bn, transpose)


def fuse_linear_bn_eval(linear: nn.Module, bn: nn.Module) -> nn.Module:
    """A new linear layer that equals ``bn(linear(x))`` in evaluation mode; both given ones stay as they are.

    Conventions: for input (N, F). With (N, L, F), batch norm's channels are the L positions, not the layer's
    outputs, and nothing in the two layers tells: there folding is wrong, also where L = out_features.
    Args:
        linear: Linear, in evaluation mode.
        bn: the batch norm after it, in evaluation mode; one of 1 channel scales all outputs alike.
    Raises: as ``fuse_conv_bn_eval``.
    Example:
        >>> linear, bn = nn.Linear(3, 8, bias=False).eval(), nn.BatchNorm1d(8).eval()
        >>> fuse_linear_bn_eval(linear, bn)
        Linear(in_features=3, out_features=8, bias=True)

    References: as torch.nn.utils.fusion.fuse_linear_bn_eval.
    """
    _check_layers(linear, nn.Linear, bn, getattr(linear, "out_features", 0))
    return _fused_copy(linear, bn, transpose=False)


def batch_norm_as_conv(bn: nn.Module, groups: int = 1) -> nn.Module:
    r"""The 1x1 convolution that equals a batch norm in evaluation mode.

    Its matrix is diagonal, since channels do not mix: weight[c, c] = bn_w / sqrt(bn_rv + bn_eps).

    Args:
        bn: BatchNorm1d (for (N, C, L) input), BatchNorm2d or BatchNorm3d, in evaluation mode.
        groups: of the convolution; 1 stores the full C x C matrix, C stores its diagonal alone.
    Returns: Conv1d, Conv2d or Conv3d with kernel size 1, in evaluation mode, dtype and device of ``bn``; it
        requires gradients if ``bn`` has parameters that do.
    Raises: TypeError: if ``bn`` is none of these. ValueError: if it is in training mode or has no running
        statistics, or ``groups`` does not divide the channels.
    Example:
        >>> batch_norm_as_conv(nn.BatchNorm2d(8).eval(), groups=8)
        Conv2d(8, 8, kernel_size=(1, 1), stride=(1, 1), groups=8)

    References: Ding et al., "RepVGG", CVPR 2021, Sec. 3.3, arXiv:2101.03697.
    """
    _check_batch_norm(bn)
    channels = bn.num_features
    if groups < 1 or channels % groups:
        raise ValueError(
            f"groups must divide the {channels} channels: got {groups}; use 1 or {channels}"
        )
    kind = nn.Conv2d
    if isinstance(bn, nn.BatchNorm1d | BatchNorm1d):
        kind = nn.Conv1d
    elif isinstance(bn, nn.BatchNorm3d | BatchNorm3d):
        kind = nn.Conv3d
    mean = bn.running_mean
    conv = kind(channels, channels, 1, groups=groups, dtype=mean.dtype).to(mean.device)
    scale = _scale(bn.running_var, bn.eps, bn.weight, mean.dtype)
    with torch.no_grad():
        conv.weight.zero_()
        for c in range(channels):  # its place among the inputs of its own group
            conv.weight[c, c % (channels // groups)] = scale[c]
        conv.bias.copy_(_bias(None, mean, scale, bn.bias))
    trainable = any(p.requires_grad for p in bn.parameters())
    return conv.eval().requires_grad_(trainable)


def fold_batch_norms(model: nn.Module) -> nn.Module:
    """A copy of a network in evaluation mode, with batch norms folded into the layers before them.

    Folds where a convolution or linear layer is directly followed by a batch norm in one nn.Sequential, at
    any depth of the network. In the batch norm's place stands nn.Identity: the others keep their names.

    Conventions: adjacent means adjacent in one Sequential: not across the edges of nested ones, not in a
    subclass with a ``forward`` of its own, not where anything stands between. For linear layers the input
    must be (N, F): see ``fuse_linear_bn_eval``. Forward hooks of a folded pair see other values than before.
    Args:
        model: any module; it stays as it is.
    Returns: the copy. Where nothing can be folded, it is a plain copy.
    Raises: ValueError: as ``fuse_conv_bn_eval``, with the place of the pair in the network.
    Example:
        >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
        >>> fold_batch_norms(model)
        Sequential(
          (0): Conv2d(1, 4, kernel_size=(3, 3), stride=(1, 1))
          (1): Identity()
          (2): ReLU()
        )

    References: Jacob et al., CVPR 2018, Sec. 3.2, arXiv:1712.05877.
    """
    model = copy.deepcopy(model)
    for path, module in list(model.named_modules()):
        if type(module).forward is not nn.Sequential.forward:
            continue
        for name, following in itertools.pairwise(list(module._modules)):
            layer, bn = module._modules[name], module._modules[following]
            if not (isinstance(layer, LAYERS) and isinstance(bn, BATCH_NORMS)):
                continue
            try:
                if isinstance(layer, nn.Linear):
                    fused = fuse_linear_bn_eval(layer, bn)
                else:
                    transpose = isinstance(layer, _ConvTransposeNd)
                    fused = fuse_conv_bn_eval(layer, bn, transpose)
            except ValueError as error:
                place = f"{path}.{name}" if path else name
                raise ValueError(f"layer {place!r}: {error}") from error
            setattr(module, name, fused)
            setattr(module, following, nn.Identity().eval())
    return model


def _scale(
    bn_rv: Tensor, bn_eps: float, bn_w: Tensor | None, dtype: torch.dtype
) -> Tensor:
    """What batch norm multiplies each channel by in evaluation, (C,), in at least float32."""
    var = bn_rv.detach().to(torch.promote_types(dtype, torch.float32)) + bn_eps
    if not (var > 0).all():
        raise ValueError(
            "running variance plus eps must be positive, since its root divides: got a least value of "
            f"{var.min().item():g}; use a positive eps"
        )
    return torch.rsqrt(var) if bn_w is None else torch.rsqrt(var) * bn_w.detach()


def _bias(
    conv_b: Tensor | None, bn_rm: Tensor, scale: Tensor, bn_b: Tensor | None
) -> Tensor:
    """Subtracts before it scales: a large bias and the mean that it caused cancel exactly."""
    bias = -bn_rm.detach().to(scale.dtype)
    if conv_b is not None:
        bias = conv_b.detach().to(scale.dtype) + bias
    bias = bias * scale
    return bias if bn_b is None else bias + bn_b.detach()


def _fused_copy(layer: nn.Module, bn: nn.Module, transpose: bool) -> nn.Module:
    statistics = (bn.running_mean, bn.running_var)
    affine = (bn.weight, bn.bias)
    if bn.num_features == 1 and isinstance(layer, nn.Linear):
        statistics = tuple(s.expand(layer.out_features) for s in statistics)
        affine = tuple(a if a is None else a.expand(layer.out_features) for a in affine)
    fused = copy.deepcopy(layer)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        layer.weight, layer.bias, *statistics, bn.eps, *affine, transpose
    )
    return fused


def _check_channels(channels: int, **values: Tensor | None) -> None:
    for name, value in values.items():
        if value is not None and tuple(value.shape) != (channels,):
            raise ValueError(
                f"{name} must hold one value for each of the {channels} channels of bn_rm, "
                f"shape ({channels},): got {tuple(value.shape)}"
            )


def _check_batch_norm(bn: nn.Module) -> None:
    if not isinstance(bn, BATCH_NORMS):
        raise TypeError(
            f"bn must be a batch norm, such as BatchNorm2d: got {type(bn).__name__}"
        )
    if bn.training:
        raise ValueError(
            "bn must be in evaluation mode, since in training its statistics are each batch's own and no "
            "fixed layer equals it: got training mode; call eval() first"
        )
    if bn.running_mean is None or bn.running_var is None:
        raise ValueError(
            "bn must have running statistics, since they are what is folded: got None (track_running_stats="
            "False); train it with track_running_stats=True"
        )


def _check_layers(layer: nn.Module, kind: type, bn: nn.Module, outputs: int) -> None:
    if not isinstance(layer, kind):
        word = "a linear layer" if kind is nn.Linear else "a convolution"
        raise TypeError(
            f"the layer before bn must be {word}: got {type(layer).__name__}"
        )
    _check_batch_norm(bn)
    if layer.training:
        raise ValueError(
            "the layer must be in evaluation mode, as what is folded is for inference: got training mode; "
            "call eval() first"
        )
    if is_parametrized(layer) or layer._forward_pre_hooks:
        raise ValueError(
            "the layer's weight must be a plain parameter: got a parametrization or a hook that may compute "
            "it anew; remove it first, as torch.nn.utils.parametrize.remove_parametrizations does"
        )
    shared = kind is nn.Linear and bn.num_features == 1
    if outputs != bn.num_features and not shared:
        raise ValueError(
            f"bn must have as many channels as the layer has outputs, {outputs}: got {bn.num_features}; is "
            "it the batch norm directly after this layer?"
        )
