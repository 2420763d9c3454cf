"""What each function of torch does to the fields of the units; new ones are registered.

A rule is found by the function's name, so that ``F.relu``, ``torch.relu``, ``Tensor.relu_`` and ``nn.ReLU``
share it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn

from dlkb.receptive_field.arithmetic import (
    PIXELS,
    WHOLE,
    Reach,
    Window,
    gather,
    slide,
    spread,
    unite,
)

__all__ = ["Call", "Fields", "find_rule", "register_rule", "registered_rule"]


@dataclass(frozen=True)
class Fields:
    """The fields of a tensor's units: for each axis of the input the reach, and the dimension it lies along.

    ``mixed`` axes share their dimension with channels or with each other, as after ``flatten``.
    """

    reaches: tuple[Reach, ...]
    dims: tuple[int | None, ...]
    mixed: bool = False

    @classmethod
    def of_input(cls, axes: int) -> "Fields":
        """Of the input itself, (N, C, \\*): each pixel sees itself."""
        return cls((PIXELS,) * axes, tuple(range(2, 2 + axes)))

    @property
    def is_whole(self) -> bool:
        """Whether the units see the whole input."""
        return all(reach.is_whole for reach in self.reaches)

    def swallowed(self, dims: Sequence[int], gone: bool = False) -> "Fields":
        """Behind something that looks along whole dimensions; ``gone`` drops them from the tensor."""
        reaches = tuple(
            WHOLE if dim in dims else reach
            for reach, dim in zip(self.reaches, self.dims, strict=True)
        )
        left = self.dims
        if gone:
            left = tuple(
                None if d is None or d in dims else d - sum(g < d for g in dims)
                for d in self.dims
            )
        return replace(self, reaches=reaches, dims=left)


@dataclass(frozen=True)
class Call:
    """One call of a function of torch: what went in, and what came out."""

    name: str
    where: str
    args: tuple
    kwargs: dict
    inputs: list[tuple[Tensor, Fields]]
    output: Tensor | None = None
    dropped: dict[int, int] = field(default_factory=dict)  # by axis; filled by the rule

    def get(self, position: int, name: str, default: Any = None) -> Any:
        """An argument, wherever it was given."""
        if len(self.args) > position:
            return self.args[position]
        return self.kwargs.get(name, default)

    @property
    def fields(self) -> Fields:
        """Of the first input that has any."""
        return self.inputs[0][1]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the first input that has fields."""
        return tuple(self.inputs[0][0].shape)

    def refuse(self, why: str) -> ValueError:
        """An error that names function and layer."""
        return ValueError(
            f"{self.name} in {self.where}: {why}; if you know what it sees, register_rule says so"
        )


Rule = Callable[[Call], Fields]
RULES = {}  # by the function's name
CHANGING = set()  # names of functions that change fields: they get a row of their own
SLIDING = set()  # names of convolutions, poolings and attention
REGISTERED = {}  # by class, or by the function's name


def find_rule(function: str) -> Rule | None:
    """The rule for a function of this name; ``add``, ``add_`` and ``__iadd__`` share one."""
    return RULES.get(_bare(function))


def register_rule(
    kind: type[nn.Module] | Callable, rule: Callable[..., Window | str] | None
) -> None:
    """Say what a layer sees that the tracer does not know (or knows otherwise).

    Args:
        kind: a class of modules, or a function of torch (found by its name).
        rule: of the module, or of the function's arguments as called; returns a ``Window`` (for all axes), a
            sequence of one ``Window`` an axis, "pointwise" or "whole". None takes the rule back.
    Raises: TypeError: if ``kind`` is neither. KeyError: if there is no rule to take back.
    Example:
        >>> class Blur(nn.Module): ...
        >>> register_rule(Blur, lambda layer: Window(5, padding=2))
        >>> register_rule(Blur, None)
    """
    if not (callable(kind) and hasattr(kind, "__name__")):
        raise TypeError(
            f"a rule is for a class of modules or a function: got {kind!r}; "
            "for a module pass its type"
        )
    key = kind if isinstance(kind, type) else _bare(kind.__name__)
    if rule is None:
        if key not in REGISTERED:
            raise KeyError(f"there is no registered rule for {kind.__name__}")
        del REGISTERED[key]
    else:
        REGISTERED[key] = rule


def registered_rule(kind: type | str) -> Callable | None:
    """The rule of a class or of one it inherits from, or of a function by name."""
    if isinstance(kind, str):
        return REGISTERED.get(_bare(kind))
    return next((REGISTERED[c] for c in kind.__mro__ if c in REGISTERED), None)


def apply_registered(call: Call, answer: Window | str | Sequence[Window]) -> Fields:
    """The fields that a registered rule's answer means."""
    if isinstance(answer, str):
        if answer == "pointwise":
            return _united(call)
        if answer == "whole":
            fields = _united(call)
            return replace(fields, reaches=(WHOLE,) * len(fields.reaches))
        raise ValueError(
            f"{call.where}: a rule answers with a Window, 'pointwise' or 'whole': got {answer!r}"
        )
    windows = [answer] if isinstance(answer, Window) else list(answer)
    return _slid(call, windows * (1 if len(windows) > 1 else len(call.fields.dims)))


def _bare(name: str) -> str:
    return name.strip("_")


def _rule(names: str, changes: bool = True, slides: bool = False) -> Callable:
    def keep(rule: Rule) -> Rule:
        for name in names.split():
            RULES[name] = rule
            if changes:
                CHANGING.add(name)
            if slides:
                SLIDING.add(name)
        return rule

    return keep


# --------------------------------------------------------------------------------- nothing but values


@_rule(
    "relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish hardswish hardsigmoid hardtanh "
    "hardshrink softshrink tanhshrink softplus softsign sigmoid logsigmoid tanh threshold dropout dropout1d "
    "dropout2d dropout3d alpha_dropout feature_alpha_dropout batch_norm clone contiguous detach to float "
    "double half type_as neg abs exp log sqrt rsqrt square pow clamp clip sin cos erf local_response_norm "
    "requires_grad identity alias",
    changes=False,
)
def _pointwise(call: Call) -> Fields:
    return call.fields


# --------------------------------------------------------------------------------------------- windows


@_rule("conv1d conv2d conv3d", slides=True)
def _convolution(call: Call) -> Fields:
    kernel = call.get(1, "weight").shape[2:]
    dilation = call.get(5, "dilation", 1)
    padding = call.get(4, "padding", 0)
    if padding == "valid":
        padding = 0
    if padding == "same":
        spans = zip(kernel, _per_axis(dilation, len(kernel)), strict=True)
        padding = [(k - 1) * d // 2 for k, d in spans]
    return _slid(
        call, _windows(call, kernel, call.get(3, "stride", 1), padding, dilation)
    )


@_rule("max_pool1d max_pool2d max_pool3d", slides=True)
def _max_pool(call: Call) -> Fields:
    kernel = call.get(1, "kernel_size")
    stride = call.get(2, "stride")
    stride = kernel if stride in (None, [], ()) else stride
    padding, dilation = call.get(3, "padding", 0), call.get(4, "dilation", 1)
    return _slid(call, _windows(call, kernel, stride, padding, dilation))


@_rule("avg_pool1d avg_pool2d avg_pool3d", slides=True)
def _average_pool(call: Call) -> Fields:
    kernel, stride = call.get(1, "kernel_size"), call.get(2, "stride")
    stride = kernel if stride in (None, [], ()) else stride
    return _slid(call, _windows(call, kernel, stride, call.get(3, "padding", 0), 1))


@_rule("lp_pool1d lp_pool2d lp_pool3d", slides=True)
def _power_pool(call: Call) -> Fields:
    kernel = call.get(2, "kernel_size")
    stride = call.get(3, "stride")
    return _slid(
        call, _windows(call, kernel, kernel if stride is None else stride, 0, 1)
    )


@_rule("conv_transpose1d conv_transpose2d conv_transpose3d", slides=True)
def _transposed_convolution(call: Call) -> Fields:
    kernel = call.get(1, "weight").shape[2:]
    numbers = [
        call.get(3, "stride", 1),
        call.get(4, "padding", 0),
        call.get(7, "dilation", 1),
    ]
    windows = _windows(call, kernel, *numbers)
    return _each(call, lambda axis, reach: spread(reach, windows[axis]))


@_rule(
    "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d "
    "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d"
)
def _adaptive_pool(call: Call) -> Fields:
    def pooled(axis: int, reach: Reach) -> Reach:
        size, units = _lengths(call, axis)
        if units == 1:
            return WHOLE
        common = math.gcd(size, units)

        def taps(unit: int) -> range:
            return range(unit * size // units, -(-(unit + 1) * size // units))

        return gather(reach, taps, units // common, size // common)

    return _each(call, pooled)


# -------------------------------------------------------------------------- moving and resizing the map


@_rule("pad")
def _pad(call: Call) -> Fields:
    pad = call.get(1, "pad")
    before = {len(call.shape) - 1 - i: pad[2 * i] for i in range(len(pad) // 2)}
    return _each(
        call, lambda axis, reach: _moved(reach, -before.get(_dim(call, axis), 0))
    )


@_rule("interpolate upsample")
def _interpolate(call: Call) -> Fields:
    mode, corners = call.get(3, "mode", "nearest"), call.get(4, "align_corners", False)
    if call.get(6, "antialias", False):
        raise call.refuse("resizing with antialias has no rule")
    # the places, from the one at or before the point that is asked for, which enter
    kinds = {"nearest": (0, 0), "nearest-exact": (0, 0), "bicubic": (-1, 2)}
    before, behind = kinds.get(mode, (0, 1))
    if mode == "area":
        return _adaptive_pool(call)

    def resized(axis: int, reach: Reach) -> Reach:
        size, units = _lengths(call, axis)
        if corners and units > 1:
            size, units = size - 1, units - 1
        common = math.gcd(size, units)

        def taps(unit: int) -> range:
            if mode == "nearest" or corners:
                point, rest = divmod(unit * size, units)
            elif mode == "nearest-exact":
                point, rest = divmod((2 * unit + 1) * size, 2 * units)
            else:
                point, rest = divmod((2 * unit + 1) * size - units, 2 * units)
            between = rest > 0 or before == behind
            return range(point + before, point + behind + 1) if between else (point,)

        return gather(reach, taps, units // common, size // common)

    return _each(call, resized)


@_rule("pixel_shuffle")
def _pixel_shuffle(call: Call) -> Fields:
    factor = call.get(1, "upscale_factor")
    return _each(
        call, lambda _, reach: gather(reach, lambda o: (o // factor,), factor, 1)
    )


@_rule("pixel_unshuffle", slides=True)
def _pixel_unshuffle(call: Call) -> Fields:
    factor = call.get(1, "downscale_factor")
    return _slid(call, [Window(factor, factor)] * len(call.fields.dims))


@_rule("getitem", changes=False)
def _getitem(call: Call) -> Fields:
    index = call.get(1, "index")
    index = list(index) if isinstance(index, tuple) else [index]
    if not all(i is None or i is ... or isinstance(i, int | slice) for i in index):
        raise call.refuse(f"only slices and numbers are followed: got {index}")
    given = sum(i is not None and i is not ... for i in index)
    if ... not in index:
        index.append(...)
    place = index.index(...)
    index[place : place + 1] = [slice(None)] * (len(call.shape) - given)

    fields, dims, reaches = call.fields, {}, list(call.fields.reaches)
    source = target = 0
    for item in index:
        if item is None:
            target += 1
            continue
        axes = [a for a, dim in enumerate(fields.dims) if dim == source]
        if isinstance(item, slice):
            start, _, step = item.indices(call.shape[source])
            if axes and (start, step) != (0, 1):
                _refuse_mixed(call)
                for a in axes:
                    reaches[a] = gather(
                        reaches[a], lambda o, s=start, t=step: (s + o * t,), 1, step
                    )
            dims[source] = target
            target += 1
        elif any(not reaches[a].is_whole for a in axes):
            raise call.refuse("a number picks one place of the map")
        source += 1
    return replace(
        fields, reaches=tuple(reaches), dims=tuple(dims.get(d) for d in fields.dims)
    )


# ------------------------------------------------------------------------------------ branches that meet


@_rule(
    "add radd iadd sub rsub isub mul rmul imul multiply div rdiv truediv rtruediv itruediv true_divide "
    "maximum minimum addcmul lerp where"
)
def _meet(call: Call) -> Fields:
    return _united(call)


@_rule("cat concat concatenate stack")
def _concatenate(call: Call) -> Fields:
    fields = _united(call)
    dim = call.get(1, "dim", 0) % call.output.dim()
    if call.name == "stack":
        dims = tuple(None if d is None else d + (d >= dim) for d in fields.dims)
        return replace(fields, dims=dims)
    if dim in fields.dims and not fields.mixed:
        raise call.refuse("maps are joined along a spatial axis")
    return fields


# ------------------------------------------------------------------- rearranging and swallowing dimensions


@_rule("flatten view reshape unflatten squeeze unsqueeze", changes=False)
def _reshape(call: Call) -> Fields:
    old, new = call.shape, tuple(call.output.shape)
    dims, mixed = [], call.fields.mixed
    for dim in call.fields.dims:
        if dim is None:
            dims.append(None)
            continue
        behind = math.prod(old[dim + 1 :])
        same = [
            e
            for e, size in enumerate(new)
            if size == old[dim] and math.prod(new[e + 1 :]) == behind
        ]
        if not same and old[dim] == 1:
            dims.append(None)  # a single unit: nothing to mix
            continue
        if same:
            dims.append(same[-1] if len(same) > 1 and dim > same[0] else same[0])
            continue
        inside = [
            e
            for e, size in enumerate(new)
            if math.prod(new[e + 1 :]) <= behind < math.prod(new[e:])
            and old[dim] * behind <= math.prod(new[e:])
        ]
        if not inside:
            raise call.refuse(f"a spatial axis is cut: {old} becomes {new}")
        dims.append(inside[0])
        mixed = True
    return replace(call.fields, dims=tuple(dims), mixed=mixed)


@_rule("permute transpose swapaxes movedim", changes=False)
def _permute(call: Call) -> Fields:
    count = len(call.shape)
    if call.name in ("transpose", "swapaxes"):
        one, other = (call.get(i, f"dim{i - 1}") % count for i in (1, 2))
        order = list(range(count))
        order[one], order[other] = other, one
    elif call.name == "permute":
        order = call.get(1, "dims")
        order = [
            d % count for d in (call.args[1:] if isinstance(order, int) else order)
        ]
    else:
        raise call.refuse("use permute")
    dims = tuple(None if d is None else order.index(d) for d in call.fields.dims)
    return replace(call.fields, dims=dims)


@_rule("chunk split tensor_split", changes=False)
def _split(call: Call) -> Fields:
    dim = call.get(2, "dim", 0) % len(call.shape)
    if dim in call.fields.dims:
        raise call.refuse("a map is cut along a spatial axis")
    return call.fields


@_rule("linear")
def _linear(call: Call) -> Fields:
    return call.fields.swallowed([len(call.shape) - 1])


@_rule("layer_norm rms_norm")
def _layer_norm(call: Call) -> Fields:
    count = len(call.get(1, "normalized_shape"))
    return call.fields.swallowed(range(len(call.shape) - count, len(call.shape)))


@_rule("group_norm instance_norm")
def _map_norm(call: Call) -> Fields:
    return call.fields.swallowed(range(1, len(call.shape)))


@_rule("mean sum amax amin max min var std norm logsumexp")
def _reduce(call: Call) -> Fields:
    dims, keep = call.get(1, "dim"), call.get(2, "keepdim", False)
    if isinstance(dims, Tensor) or len(call.inputs) > 1:
        return _united(call)  # the larger of two
    dims = range(len(call.shape)) if dims is None else dims
    dims = [dims] if isinstance(dims, int) else dims
    return call.fields.swallowed([d % len(call.shape) for d in dims], gone=not keep)


@_rule("softmax log_softmax softmin normalize")
def _along_one(call: Call) -> Fields:
    name, place = ("dim", 2) if call.name == "normalize" else ("dim", 1)
    dim = call.get(place, name, 1 if call.name == "normalize" else -1)
    return call.fields.swallowed([dim % len(call.shape)])


@_rule("multi_head_attention_forward scaled_dot_product_attention", slides=True)
def _attention(call: Call) -> Fields:
    fields = call.fields
    return replace(fields, reaches=(WHOLE,) * len(fields.reaches))


# ------------------------------------------------------------------------------------------------ shared


def _windows(call: Call, *numbers: Any) -> list[Window]:
    axes = len(call.fields.dims)
    columns = [_per_axis(number, axes) for number in numbers]
    where = f"{call.name} in {call.where}: "
    return [Window(*map(int, row)).checked(where) for row in zip(*columns, strict=True)]


def _per_axis(number: Any, axes: int) -> list[int]:
    numbers = [number] if isinstance(number, int) else list(number)
    return numbers * axes if len(numbers) == 1 else numbers


def _slid(call: Call, windows: Sequence[Window]) -> Fields:
    def slid(axis: int, reach: Reach) -> Reach:
        kernel, stride, padding, dilation = windows[axis].checked(f"{call.where}: ")
        if call.output is not None:
            size, units = _lengths(call, axis)
            last = (units - 1) * stride - padding + (kernel - 1) * dilation
            call.dropped[axis] = max(0, size - 1 - last)
        return slide(reach, windows[axis])

    return _each(call, slid)


def _each(call: Call, change: Callable[[int, Reach], Reach]) -> Fields:
    """Change each axis's reach, of tensors whose axes lie apart."""
    _refuse_mixed(call)
    reaches = [change(axis, reach) for axis, reach in enumerate(call.fields.reaches)]
    return replace(call.fields, reaches=tuple(reaches))


def _refuse_mixed(call: Call) -> None:
    if call.fields.mixed and not call.fields.is_whole:
        raise call.refuse("the map was flattened before")


def _dim(call: Call, axis: int) -> int | None:
    return call.fields.dims[axis]


def _lengths(call: Call, axis: int) -> tuple[int, int]:
    """Units along an axis before and behind."""
    dim = _dim(call, axis)
    return call.shape[dim], call.output.shape[dim]


def _moved(reach: Reach, units: int) -> Reach:
    return gather(reach, lambda o: (o + units,), 1, 1)


def _united(call: Call) -> Fields:
    """Of all inputs that have fields, aligned at their last dimension, as broadcasting does."""
    if len(call.inputs) == 1:
        return _broadcast(call, *call.inputs[0])
    meeting = [_broadcast(call, tensor, fields) for tensor, fields in call.inputs]
    first = next((f for f in meeting if None not in f.dims), meeting[0])
    reaches = []
    for axis in range(len(first.reaches)):
        parts = [fields.reaches[axis] for fields in meeting]
        spots = {f.dims[axis] for f in meeting if not f.reaches[axis].is_whole}
        if len(spots) > 1:
            raise call.refuse(f"an axis lies along different dimensions, {spots}")
        try:
            reaches.append(unite(*parts))
        except ValueError as error:
            raise ValueError(f"{call.name} in {call.where}: {error}") from error
    return replace(first, reaches=tuple(reaches), mixed=any(f.mixed for f in meeting))


def _broadcast(call: Call, tensor: Tensor, fields: Fields) -> Fields:
    """Dimensions counted as in the output, which may have more in front."""
    more = 0 if call.name == "stack" else call.output.dim() - tensor.dim()
    for dim, reach in zip(fields.dims, fields.reaches, strict=True):
        if dim is None or reach.is_whole or call.name in ("cat", "stack"):
            continue
        if tensor.shape[dim] != call.output.shape[dim + more]:
            raise call.refuse(f"a map of {tensor.shape[dim]} unit is spread over all")
    dims = tuple(None if d is None else d + more for d in fields.dims)
    return replace(fields, dims=dims)
