"""What the optimizers share: checks before anything is altered, the loop over parameters, saved states."""

import math
from collections.abc import Callable, Iterable
from numbers import Real
from typing import Any

import torch
from torch import Tensor

__all__ = [
    "Optimizer",
    "check_betas",
    "check_fraction",
    "check_not_negative",
    "count",
    "decay",
    "new_step",
    "update_rows",
    "zeros",
]

Group = dict[str, Any]
State = dict[str, Any]

# How torch computes, not what: ours computes one tensor at a time.
IMPLEMENTATION = ("foreach", "fused", "capturable", "differentiable")


class Optimizer(torch.optim.Optimizer):
    """The shell around a rule. A method is a subclass with three short functions:

    ``check(group)`` refuses settings, ``start(param, group)`` gives a parameter's fresh state, and
    ``update(param, grad, state, group)`` changes ``param`` and ``state`` in place by one step.

    Groups, ``state_dict``, hooks and ``zero_grad`` are those of torch.optim.Optimizer, with torch's names in
    groups and state, so that each optimizer reads what torch's own of that name has saved, and the other way
    round. Settings that a saved group lacks stay as they are. (As with torch's, loading takes the saved
    tensors themselves: give it a ``copy.deepcopy`` where the saved optimizer goes on.)
    Conventions: with ``maximize`` the gradient's sign is turned before anything else. Parameters without a
    gradient are left alone, and so is their state. A learning rate (or weight decay) may be a tensor of one
    element, whose value is read at each step.
    Unlike torch: a gradient with NaN or infinity is refused, with the parameter's name (given by
    ``named_parameters()``, else its place), before any parameter is altered, which costs one more reading of
    the gradients (felt by SGD alone, without momentum and decay; see ``make bench``); a group's own settings
    are checked as the constructor's are; complex parameters are refused (optimize ``torch.view_as_real``);
    and ``foreach``, ``fused``, ``capturable`` and ``differentiable`` may be given only as None or False,
    since one tensor after another is updated in place.
    Args:
        params: tensors, or (name, tensor) pairs, or groups: dictionaries with ``"params"`` and settings of
            their own.
        defaults: settings of groups that do not say otherwise.
        implementation: torch's switches, None or False.
    Raises: TypeError: for a tensor or set in place of a list, complex parameters, a gradient of the wrong
        layout, switches that are on or unknown. ValueError: for no parameters, settings out of range, a
        state of another optimizer, NaN or infinity in a gradient.
    Example:
        >>> class Signed(Optimizer):
        ...     def update(self, param, grad, state, group):
        ...         param.sub_(group["lr"] * grad.sign())
        >>> w = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
        >>> (w**2).sum().backward()
        >>> Signed([w], {"lr": 0.5}).step()
        >>> w.detach()
        tensor([0.5000, 1.5000])
    """

    layouts: tuple[torch.layout, ...] = (torch.strided,)  # gradients that it takes
    at_need: tuple[str, ...] = ()  # state that ``update`` makes, not ``start``

    def __init__(
        self,
        params: Iterable,
        defaults: Group,
        implementation: dict[str, bool | None] | None = None,
    ) -> None:
        self._check_implementation(implementation or {})
        self._check_settings(defaults)
        if isinstance(params, set):
            raise TypeError(
                "params must have an order that is the same in each run: got a set; give a list"
            )
        if not isinstance(params, Tensor):  # which torch refuses, naming its type
            params = list(params)
            if not params:
                raise ValueError(
                    "an optimizer needs at least one parameter: got an empty list; model.parameters() "
                    "gives its parameters only once, so call it again for each use"
                )
        super().__init__(params, {"maximize": False, **defaults})

    def check(self, group: Group) -> None:
        """Raise for settings that the rule cannot take; ``lr`` and ``weight_decay`` are checked already."""

    def start(self, param: Tensor, group: Group) -> State:
        """A parameter's state before its first step."""
        return {}

    def update(self, param: Tensor, grad: Tensor, state: State, group: Group) -> None:
        """Move ``param`` and ``state`` by one step, in place."""
        raise NotImplementedError

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step for all parameters with a gradient.

        Args:
            closure: recomputes loss and gradients; called first, its result is returned.
        Raises: TypeError, ValueError: for gradients that cannot be used; nothing is altered then.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._check_gradients()
        for group in self.param_groups:
            settings = {
                name: _number(value)
                for name, value in group.items()
                if name != "params"
            }
            for param in group["params"]:
                if param.grad is None:
                    continue
                state = self.state.get(param) or self.start(param, group)
                grad = -param.grad if group["maximize"] else param.grad
                self.update(param, grad, state, settings)
                if state:  # an empty one is not kept, as torch keeps none
                    self.state[param] = state
        return loss

    def add_param_group(self, param_group: Group) -> None:
        """Add parameters with settings of their own; checked before they are added."""
        if isinstance(param_group, dict):
            self._check_settings({**self.defaults, **param_group})
            params = param_group.get("params", [])
            params = [params] if isinstance(params, Tensor) else list(params)
            for param in params:
                _check_parameter(param[1] if isinstance(param, tuple) else param)
            if not isinstance(param_group.get("params"), set):  # which torch refuses
                param_group = {**param_group, "params": params}
        super().add_param_group(param_group)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take a saved state, checked before it replaces the present one."""
        defaults = state.get("defaults") or self.defaults
        for group in state["param_groups"]:
            for name in IMPLEMENTATION:
                group.pop(name, None)
            for name, value in defaults.items():
                group.setdefault(name, value)
            self._check_settings(group)
            for param in group["params"]:
                _check_state(self, param, state["state"].get(param), group)
        super().__setstate__(state)
        self.defaults.pop("differentiable", None)  # which torch puts there

    def _check_settings(self, group: Group) -> None:
        for name in ("lr", "weight_decay"):
            if name in group:
                check_not_negative(group, name)
        self.check({name: _number(value) for name, value in group.items()})

    def _check_implementation(self, given: dict[str, bool | None]) -> None:
        for name, value in given.items():
            if name not in IMPLEMENTATION:
                raise TypeError(
                    f"{type(self).__name__} has no argument {name!r}: got {name}={value}; "
                    f"see its signature (and, as None or False, {', '.join(IMPLEMENTATION)})"
                )
            if value:
                raise TypeError(
                    f"{name} must be None or False, since this {type(self).__name__} updates one tensor "
                    f"after another in place: got {name}={value}; leave it out, or use torch.optim's"
                )

    def _check_gradients(self) -> None:
        """Layout, and NaN or infinity: one sum a gradient, one look at all sums of a device."""
        params = [param for group in self.param_groups for param in group["params"]]
        gradients = [param.grad for param in params if param.grad is not None]
        dense = torch.strided in self.layouts
        if not (dense and all(grad.layout is torch.strided for grad in gradients)):
            self._each_gradient(self._check_layout)
        sums: dict[torch.device, list[Tensor]] = {}
        for grad in reversed(gradients):  # the first ones stay cached
            sums.setdefault(grad.device, []).append(grad.sum())
        # a sum is not finite if a term is not; as it may overflow, the terms have the last word
        if not all(torch.stack(same).isfinite().all() for same in sums.values()):
            self._each_gradient(
                lambda number, index, grad: _check_finite(
                    grad, self._name(number, index)
                )
            )

    def _each_gradient(self, check: Callable[[int, int, Tensor], None]) -> None:
        for number, group in enumerate(self.param_groups):
            for index, param in enumerate(group["params"]):
                if param.grad is not None:
                    check(number, index, param.grad)

    def _check_layout(self, number: int, index: int, grad: Tensor) -> None:
        if grad.layout not in self.layouts:
            fix = "use SGD, Adagrad or SparseAdam, or sparse=False in the embedding"
            if torch.strided not in self.layouts:
                fix = "use Adam, or sparse=True in the embedding"
            taken = " or ".join(str(layout) for layout in self.layouts)
            raise TypeError(
                f"{type(self).__name__} takes gradients of layout {taken}: got {grad.layout} in "
                f"{self._name(number, index)}; {fix}"
            )
        decay = self.param_groups[number].get("weight_decay", 0)
        if decay != 0 and grad.layout is not torch.strided:
            raise ValueError(
                f"weight decay would make a sparse gradient dense, so it must be 0: got weight_decay={decay} "
                f"for {self._name(number, index)}; give that parameter a group of its own"
            )

    def _name(self, number: int, index: int) -> str:
        group = self.param_groups[number]
        if "param_names" in group:
            return f"parameter {group['param_names'][index]!r}"
        shape = tuple(group["params"][index].shape)
        return f"parameter {index} of group {number}, of shape {shape}"


# --------------------------------------------------------------------------------- what rules are made with


def decay(
    param: Tensor,
    grad: Tensor,
    lr: float,
    weight_decay: float,
    decoupled: bool = False,
) -> Tensor:
    """Weight decay: coupled, added to the gradient, or decoupled, taken from the parameter in place.

    Args:
        param, grad: of one shape.
        lr: learning rate, by which decoupled decay is scaled.
        weight_decay: strength; 0 does nothing.
        decoupled: which of the two.
    Returns: the gradient to go on with; ``grad`` itself is not altered.
    Example:
        >>> decay(torch.tensor(4.0), torch.tensor(1.0), 0.1, 0.5)
        tensor(3.)
    """
    if weight_decay == 0:
        return grad
    if decoupled:
        param.mul_(1 - lr * weight_decay)
        return grad
    return grad.add(param, alpha=weight_decay)


def check_not_negative(group: Group, *names: str) -> None:
    """Raise unless each of these settings is a finite number, at least 0.

    Example:
        >>> check_not_negative({"lr": -1.0}, "lr")
        Traceback (most recent call last):
        ...
        ValueError: lr must be finite and at least 0: got -1.0; to ascend, use maximize=True
    """
    for name in names:
        value = group[name]
        if isinstance(value, Tensor) and value.numel() != 1:
            raise ValueError(
                f"{name} as a tensor must have one element: got shape {tuple(value.shape)}"
            )
        if not isinstance(value, Real | Tensor):
            raise TypeError(f"{name} must be a number: got {value!r}")
        if not 0 <= float(value) < math.inf:
            hint = (
                "; to ascend, use maximize=True" if name == "lr" and value < 0 else ""
            )
            raise ValueError(f"{name} must be finite and at least 0: got {value}{hint}")


def check_fraction(group: Group, name: str) -> None:
    """Raise unless this setting, the weight of the past in an average, is in [0, 1].

    Example:
        >>> check_fraction({"alpha": 2.0}, "alpha")
        Traceback (most recent call last):
        ...
        ValueError: alpha weighs the past in an average and must be in [0, 1]: got 2.0
    """
    if not 0 <= group[name] <= 1:
        raise ValueError(
            f"{name} weighs the past in an average and must be in [0, 1]: got {group[name]}"
        )


def check_betas(group: Group, name: str = "betas") -> None:
    """Raise unless this setting is two numbers in [0, 1).

    Example:
        >>> check_betas({"betas": (0.9, 1.0)})
        Traceback (most recent call last):
        ...
        ValueError: betas must be two numbers in [0, 1), since 1 would never let a gradient in: got (0.9, 1.0)
    """
    betas = group[name]
    pair = isinstance(betas, tuple | list) and len(betas) == 2
    if not pair or not all(isinstance(beta, Real) for beta in betas):
        raise TypeError(f"{name} must be a pair of numbers: got {betas!r}")
    if not all(0 <= beta < 1 for beta in betas):
        raise ValueError(
            f"{name} must be two numbers in [0, 1), since 1 would never let a gradient in: got {betas}"
        )


def new_step() -> Tensor:
    """A counter as torch keeps it: a tensor on the CPU, of the default dtype's width.

    Example:
        >>> new_step()
        tensor(0.)
    """
    wide = torch.get_default_dtype() == torch.float64
    return torch.zeros((), dtype=torch.float64 if wide else torch.float32, device="cpu")


def count(state: State) -> int:
    """Raise the counter in a parameter's state by 1 and return it.

    Example:
        >>> count({"step": new_step()})
        1
    """
    state["step"] += 1
    return int(state["step"])


def zeros(param: Tensor) -> Tensor:
    """Zeros of a parameter's shape, dtype, device and memory format.

    Example:
        >>> zeros(torch.ones(2))
        tensor([0., 0.])
    """
    return torch.zeros_like(param, memory_format=torch.preserve_format)


def update_rows(
    update: Callable[[Tensor, Tensor, State, Group], None],
    param: Tensor,
    grad: Tensor,
    state: State,
    group: Group,
) -> None:
    """A dense rule on the rows alone that a sparse gradient holds; other rows, and their state, stay.

    Args:
        update: the rule, as ``Optimizer.update``.
        param, state: dense; altered in place.
        grad: sparse, of the parameter's shape; what occurs twice in it is added first.
        group: handed on.
    Example:
        >>> grad = torch.sparse_coo_tensor([[2, 2]], [1.0, 4.0], (3,), check_invariants=True)
        >>> param = torch.zeros(3)
        >>> update_rows(lambda param, grad, state, group: param.sub_(grad), param, grad, {}, {})
        >>> param
        tensor([ 0.,  0., -5.])
    """
    grad = grad.coalesce()  # the rule need not be linear
    rows = tuple(grad.indices())
    part = {
        name: value if name == "step" else value[rows] for name, value in state.items()
    }
    moved = param[rows]
    update(moved, grad.values(), part, group)
    param[rows] = moved
    for name, value in part.items():
        if name == "step":
            state[name] = value
        else:
            state[name][rows] = value


def _number(value: Any) -> Any:
    """A tensor of one element as a number; all else as it is."""
    return value.item() if isinstance(value, Tensor) and value.numel() == 1 else value


def _check_parameter(param: Any) -> None:
    if not isinstance(param, Tensor):
        return  # which torch refuses, naming the type
    if not param.is_floating_point():
        fix = (
            "optimize torch.view_as_real of it"
            if param.is_complex()
            else "use .float()"
        )
        raise TypeError(
            f"parameters must be real and floating point: got {param.dtype}; {fix}"
        )
    if param.layout != torch.strided:
        raise TypeError(
            f"parameters must be dense (their gradients may be sparse): got {param.layout}; "
            "use .to_dense()"
        )


def _check_finite(grad: Tensor, name: str) -> None:
    values = grad.coalesce().values() if grad.is_sparse else grad
    bad = ~values.isfinite()
    if bad.any():
        nan = int(values.isnan().sum())
        raise ValueError(
            f"gradients must be finite, since NaN would stay in parameter and state: got {nan} NaN and "
            f"{int(bad.sum()) - nan} infinite of {values.numel()} values in {name}; nothing was altered: "
            "find their origin, or lower the learning rate"
        )


def _check_state(
    optimizer: Optimizer, param: Tensor, state: State | None, group: Group
) -> None:
    if not state:
        return
    fresh = optimizer.start(param, group)
    needed = set(fresh)
    if needed - set(state) or (not needed and set(state) - set(optimizer.at_need)):
        held = sorted(needed or optimizer.at_need)
        raise ValueError(
            f"a state of {type(optimizer).__name__} holds {held} for each parameter: got "
            f"{sorted(state)}; was it saved by another optimizer?"
        )
    if isinstance(fresh.get("step"), Tensor) and not isinstance(state["step"], Tensor):
        state["step"] = new_step() + float(state["step"])
