"""Follow a network's computation, and keep the fields of the units of every tensor in it."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dlkb.receptive_field.arithmetic import PIXELS, Window, slide
from dlkb.receptive_field.rules import (
    CHANGING,
    SLIDING,
    Call,
    Fields,
    apply_registered,
    find_rule,
    registered_rule,
)
from dlkb.receptive_field.table import ReceptiveFields, Row

__all__ = ["evaluating", "receptive_field"]


def receptive_field(
    model: nn.Module | Sequence[Sequence[int]], input_size: Sequence[int] | None = None
) -> ReceptiveFields:
    r"""What each unit of a network can see: size, jump, and place of the fields of every layer.

    Along an axis, a convolution or a pooling (kernel k, stride s, padding p, dilation d) makes of the fields
    before it, of which each is ``size`` wide and lies ``jump`` further than its neighbour,

        size' = size + (k - 1) d jump,    jump' = jump s,    first pixel' = first pixel - p jump.

    Where branches meet, a field begins with the first of theirs and ends with the last. The network computes
    on torch's device "meta", where tensors have shapes and no values, so any control flow is followed and a
    forward pass costs next to nothing; weights, modes and buffers stay as they are.

    Conventions: the field is the smallest box that holds all the pixels which can change a unit; dilation
    leaves holes in it. Batch norm counts as it computes in evaluation; group, instance and layer norm over
    a map, global pooling, a linear layer on a flattened map, and attention see the whole input. Pixels are
    counted from 0.
    Args:
        model: modules built of torch's functions; or a list of (kernel, stride, padding, dilation) from
            input to output, where what is left out is 1, 0 and 1.
        input_size: (C, \*) of one sample; for a list the length of the axis, (L,), or None.
    Returns: one row a layer, in the order of computation; ``table["layer4"]`` finds one by name.
    Raises:
        ValueError: naming it, for a function that has no rule; if nothing slides over the input; for branches
            that jump differently; if the input is smaller than the network needs (with the least size); for a
            stride of 0 and the like.
    Example:
        >>> receptive_field([(7, 2, 3), (3, 2, 1)])
        layer  kind    output  size  jump  centre  padding  dropped
        1      window  -       7     2     0       3        0
        2      window  -       11    4     0       5        0

    References: Araujo, Norris & Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill
        2019.
    """
    if not isinstance(model, nn.Module):
        return _of_list(model, input_size)
    size = _checked_size(input_size)
    try:
        return _traced(model, size)
    except RuntimeError as error:
        least = _least_size(model, size)
        if least is None:
            raise
        raise ValueError(
            f"the input is smaller than the network needs: got {size[1:]}; "
            f"the least size is {least}"
        ) from error


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """In evaluation mode for a while; then each module is in the mode it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


# ----------------------------------------------------------------------------------------------- a list


def _of_list(layers: Any, input_size: Sequence[int] | None) -> ReceptiveFields:
    if isinstance(layers, str) or not isinstance(layers, Sequence):
        raise TypeError(
            f"give a module or a list of (kernel, stride, padding, dilation): got {layers!r}"
        )
    if not layers:
        raise ValueError("a network has at least one layer: got an empty list")
    reach, size, rows = PIXELS, None, []
    if input_size is not None:
        (size,) = [input_size] if isinstance(input_size, int) else input_size
    for number, layer in enumerate(layers, 1):
        if not isinstance(layer, Sequence) or not 1 <= len(layer) <= 4:
            raise ValueError(
                f"layer {number} must be (kernel, stride, padding, dilation): got {layer!r}"
            )
        window = Window(*layer).checked(f"layer {number}: ")
        reach, dropped = slide(reach, window), 0
        if size is not None:
            over = size + 2 * window.padding - (window.kernel - 1) * window.dilation - 1
            if over < 0:
                raise ValueError(
                    f"layer {number} needs {size - over} units before it: got {size}; "
                    f"the least input is {_least_of_list(layers)}"
                )
            dropped = max(0, over % window.stride - window.padding)
            size = over // window.stride + 1
        rows.append(Row(str(number), "window", (size,), (reach,), (dropped,)))
    return ReceptiveFields(rows)


def _least_of_list(layers: Sequence[Sequence[int]]) -> int:
    """Backwards, from one unit in the end."""
    size = 1
    for layer in reversed(layers):
        kernel, stride, padding, dilation = Window(*layer)
        size = (size - 1) * stride + (kernel - 1) * dilation + 1 - 2 * padding
        size = max(size, 1)
    return size


# --------------------------------------------------------------------------------------------- a network


def _checked_size(input_size: Any) -> tuple[int, ...]:
    if (
        not isinstance(input_size, Sequence)
        or len(input_size) < 2
        or not all(isinstance(n, int) and n > 0 for n in input_size)
    ):
        raise ValueError(
            "input_size must be (C, *), channels and at least one length, all positive: "
            f"got {input_size!r}; for an image of 3 channels, (3, 224, 224)"
        )
    return tuple(input_size)


class _Trace(TorchFunctionMode):
    """Sees every call of a function of torch, and writes down the fields of what it returns."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.names = {module: name for name, module in model.named_modules()}
        self.names[model] = type(model).__name__
        self.model = model
        self.stack: list[
            tuple[nn.Module, int]
        ] = []  # modules at work, and which visit it is
        self.visits = 0
        self.opaque: nn.Module | None = (
            None  # the module at work that has a registered rule
        )
        self.rows: dict[object, Row] = {}
        self.containers: dict[str, Row] = {}
        self.slides = False

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        inputs = list(_with_fields((args, kwargs)))
        if not inputs or self.opaque is not None:
            return func(*args, **kwargs)
        name = getattr(func, "__name__", str(func))
        call = Call(name.strip("_"), self._where(), args, kwargs, inputs)
        registered, rule = registered_rule(name), find_rule(name)
        if registered is None and call.name in SLIDING:
            rule(call)  # refuses a window that cannot slide in clearer words than torch
        # torch's own batch norm takes as long on the meta device as everything else together
        known = call.name == "batch_norm"
        output = torch.empty_like(args[0]) if known else func(*args, **kwargs)
        results = list(_tensors(output))
        if not results or name == "__get__":
            return output
        call = replace(call, output=results[0])
        if registered is not None:
            fields = apply_registered(call, registered(*args, **kwargs))
        elif rule is not None:
            fields = rule(call)
        else:
            raise call.refuse("there is no rule for this function")
        same = any(results[0] is tensor for tensor, _ in inputs)
        if same and results[0]._base is not None and fields != results[0]._fields:
            raise call.refuse("it changes a part of another map in place")
        self.slides |= registered is not None or call.name in SLIDING
        self._keep(results, fields, call)
        return output

    def _keep(self, results: list[Tensor], fields: Fields, call: Call) -> None:
        for tensor in results:
            tensor._fields = fields
        if fields.mixed and not fields.is_whole:
            return  # the units no longer form a map
        module, visit = self.stack[-1]
        changes = fields.reaches != call.fields.reaches or len(call.inputs) > 1
        if not any(module.children()):
            # of two functions within a layer, such as padding and convolution, the last one counts
            key, name = visit, self.names[module]
        elif call.name in CHANGING and changes:
            path = "" if module is self.model else f"{self.names[module]}."
            key, name = object(), path + call.name
        else:
            return
        self.rows.pop(key, None)
        self.rows[key] = _row(name, call, results[0], fields, changes)

    def _where(self) -> str:
        return f"layer {self.names[self.stack[-1][0]]!r}"

    def enter(self, module: nn.Module, args: tuple) -> None:
        """Before a module's forward."""
        self.visits += 1
        self.stack.append((module, self.visits))
        if self.opaque is None and registered_rule(type(module)) is not None:
            self.opaque = module

    def leave(self, module: nn.Module, args: tuple, output: Any) -> None:
        """After a module's forward."""
        results, inputs = list(_tensors(output)), list(_with_fields(args))
        if self.opaque is module:
            self.opaque = None
            name = type(module).__name__
            call = Call(name, self._where(), args, {}, inputs, results[0])
            fields = apply_registered(call, registered_rule(type(module))(module))
            for tensor in results:
                tensor._fields = fields
            self.slides = True
            row = _row(self.names[module], call, results[0], fields, True)
            self.rows[object()] = row
        elif self.opaque is None and inputs and results:
            if not hasattr(results[0], "_fields"):
                raise ValueError(
                    f"the trace is lost in {self._where()} ({type(module).__name__}): it computes "
                    "outside torch's functions; if you know what it sees, register_rule says so"
                )
            fields = results[0]._fields
            if not fields.mixed or fields.is_whole:
                call = Call(type(module).__name__, "", args, {}, inputs, results[0])
                row = _row(self.names[module], call, results[0], fields, True)
                self.containers[self.names[module]] = row
        self.stack.pop()


def _traced(model: nn.Module, size: tuple[int, ...]) -> ReceptiveFields:
    state = dict(model.named_parameters(remove_duplicate=False))
    floating = [p.dtype for p in state.values() if p.is_floating_point()]
    state |= dict(model.named_buffers(remove_duplicate=False))
    trace = _Trace(model)
    handles = []
    for module in model.modules():
        handles.append(module.register_forward_pre_hook(trace.enter))
        handles.append(module.register_forward_hook(trace.leave))
    try:
        with evaluating(model), torch.no_grad(), torch.device("meta"):
            input = torch.empty((1, *size), dtype=floating[0] if floating else None)
            input._fields = Fields.of_input(len(size) - 1)
            with trace:
                torch.func.functional_call(
                    model, {name: t.to("meta") for name, t in state.items()}, (input,)
                )
    finally:
        for handle in handles:
            handle.remove()
    if not trace.slides:
        raise ValueError(
            "nothing in the model slides over the input, so there are no fields: "
            f"{type(model).__name__} has no convolution, pooling or attention"
        )
    return ReceptiveFields(trace.rows.values(), trace.containers)


def _least_size(model: nn.Module, size: tuple[int, ...]) -> tuple[int, ...] | None:
    """The least lengths with which the network computes, axis by axis; None if up to 4096 none is found."""

    def computes(lengths: Sequence[int]) -> bool:
        try:
            _traced(model, (size[0], *lengths))
        except RuntimeError:
            return False
        return True

    enough = max(size[1:])
    while not computes([enough] * len(size[1:])):
        enough *= 2
        if enough > 4096:
            return None
    least = []
    for axis in range(len(size) - 1):
        low, high = 0, enough  # computes at high, not at low
        while high - low > 1:
            middle = (low + high) // 2
            lengths = [enough] * (len(size) - 1)
            lengths[axis] = middle
            low, high = (low, middle) if computes(lengths) else (middle, high)
        least.append(high)
    return tuple(least)


def _row(name: str, call: Call, output: Tensor, fields: Fields, changes: bool) -> Row:
    lost = None in fields.dims or fields.mixed  # no map any more: one unit
    sizes = tuple(1 if lost else output.shape[dim] for dim in fields.dims)
    dropped = tuple(call.dropped.get(axis, 0) for axis in range(len(fields.dims)))
    return Row(name, call.name, sizes, fields.reaches, dropped, changes)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def _with_fields(value: Any) -> Iterator[tuple[Tensor, Fields]]:
    for tensor in _tensors(value):
        if hasattr(tensor, "_fields"):
            yield tensor, tensor._fields
