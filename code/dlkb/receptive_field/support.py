"""What a unit sees, asked of the gradient: slow, and independent of any formula."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dlkb.receptive_field.table import nearest_names
from dlkb.receptive_field.trace import evaluating

__all__ = ["bounds", "capture", "gradient_support", "middle_unit"]

CURVED = {
    *("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish"),
    *("hardswish", "hardsigmoid", "hardtanh", "softplus", "sigmoid", "tanh"),
    *("threshold", "dropout", "dropout1d", "dropout2d", "dropout3d"),
}


NORMS = {"layer_norm", "rms_norm", "group_norm", "instance_norm"}
SHARES = {"softmax", "log_softmax", "softmin"}


class _Linear(TorchFunctionMode):
    """Activations let everything through, max pooling takes the sum, a norm or a softmax adds its mean.

    A real norm subtracts the mean, and a real softmax shares out 1: both cancel what is alike.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "").strip("_")
        if name in CURVED:
            return args[0]
        if name in ("max_pool1d", "max_pool2d"):
            return _sum_pool(func, args, kwargs)
        if name in NORMS:
            return args[0] + args[0].mean(_normed(name, args, kwargs), keepdim=True)
        if name in SHARES:
            dim = args[1] if len(args) > 1 else kwargs["dim"]
            return args[0] + args[0].mean(dim, keepdim=True)
        return func(*args, **kwargs)


def gradient_support(
    model: nn.Module,
    input_size: Sequence[int],
    layer: str | None = None,
    unit: Sequence[int] | None = None,
) -> Tensor:
    """Which pixels can change a unit: those where its gradient is not zero.

    So that nothing cancels and nothing is asleep, weights are positive (each output the mean of what its
    filter sees), activations are the identity, max pooling takes the sum, norms and softmax add their mean,
    and all is float64. The model itself stays as it is.

    Args:
        input_size: (C, *) of one sample.
        layer: name of a module; None for the model's output.
        unit: place in the layer's map, one number an axis; None for the middle.
    Returns: bool, the shape of the input without channels, on the CPU.
    Raises: KeyError: if there is no such layer, with the nearest names.
    Example:
        >>> gradient_support(nn.Conv1d(1, 1, 3, dilation=2), (1, 7), unit=(1,)).int()
        tensor([0, 1, 0, 1, 0, 1, 0], dtype=torch.int32)
    """
    state = {name: _positive(name, t) for name, t in model.state_dict().items()}
    input = torch.ones(1, *input_size, dtype=torch.float64, requires_grad=True)
    with evaluating(model), _Linear(), capture(model, layer) as found:
        torch.func.functional_call(model, state, (input,))
    output = found[0]
    place = middle_unit(output) if unit is None else tuple(unit)
    (gradient,) = torch.autograd.grad(output[(0, slice(None), *place)].sum(), input)
    return gradient[0].sum(0) != 0


def bounds(mask: Tensor) -> tuple[tuple[int, int], ...]:
    """First and last place along each axis of the smallest box around a mask.

    Raises: ValueError: if the mask is empty.
    """
    if not mask.any():
        raise ValueError("the mask is empty: the unit sees no pixel")
    places = mask.nonzero()
    return tuple(zip(places.amin(0).tolist(), places.amax(0).tolist(), strict=True))


def middle_unit(output: Tensor) -> tuple[int, ...]:
    """The unit in the middle of a map (N, C, *); the one behind it where there is an even number."""
    return tuple(n // 2 for n in output.shape[2:])


class capture:
    """Within the block, the layer's output is kept in the list that the block is given.

    Raises: KeyError: if there is no such layer, with the nearest names.
    """

    def __init__(self, model: nn.Module, layer: str | None):
        modules = dict(model.named_modules())
        if layer is not None and layer not in modules:
            raise KeyError(nearest_names(layer, modules))
        self.module = modules[layer or ""]

    def __enter__(self) -> list[Tensor]:
        found: list[Tensor] = []
        self.handle = self.module.register_forward_hook(
            lambda module, args, output: found.append(output)
        )
        return found

    def __exit__(self, *_: object) -> None:
        self.handle.remove()


def _positive(name: str, tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        return tensor.detach().cpu()
    kind = name.rpartition(".")[2]
    value = 0.0 if kind in ("bias", "running_mean") else 1.0
    if tensor.dim() > 1:
        value /= tensor[0].numel()
    return torch.full(tensor.shape, value, dtype=torch.float64)


def _normed(name: str, args: tuple, kwargs: dict) -> list[int]:
    """Dimensions over which a norm takes its statistics; of groups, all channels."""
    dims = args[0].dim()
    if name == "instance_norm":
        return list(range(2, dims))
    if name == "group_norm":
        return list(range(1, dims))
    shape = args[1] if len(args) > 1 else kwargs["normalized_shape"]
    return list(range(dims - len(shape), dims))


def _sum_pool(func, args: tuple, kwargs: dict) -> Tensor:
    """A convolution with ones, channel by channel, over the windows of a max pooling."""
    named = dict(zip(("input", "kernel_size", "stride", "padding"), args, strict=False))
    named |= dict(zip(("dilation", "ceil_mode"), args[4:], strict=False)) | kwargs
    input, axes = named["input"], named["input"].dim() - 2

    def each(value) -> list[int]:
        return [value] * axes if isinstance(value, int) else list(value)

    kernel = each(named["kernel_size"])
    stride = each(named["stride"]) if named.get("stride") else kernel
    padding, dilation = each(named.get("padding", 0)), each(named.get("dilation", 1))
    units = func(*args, **kwargs).shape[2:]
    missing = [
        max(0, (u - 1) * s - p + (k - 1) * d - (n - 1 + p))
        for u, s, p, k, d, n in zip(
            units, stride, padding, kernel, dilation, input.shape[2:], strict=True
        )
    ]  # behind the padding, with ceil_mode
    pad = [n for m in reversed(missing) for n in (0, m)]
    ones = torch.ones(input.shape[1], 1, *kernel, dtype=input.dtype)
    convolution = (torch.nn.functional.conv1d, torch.nn.functional.conv2d)[axes - 1]
    padded = torch.nn.functional.pad(input, pad)
    return convolution(
        padded, ones, None, stride, padding, dilation, groups=input.shape[1]
    )
