"""Adafactor: a matrix's average squares as a row times a column, and steps in units of the weights."""

from collections.abc import Iterable

import torch
from torch import Tensor

from dlkb.optimizers.framework import Number, Update, UpdateState
from dlkb.optimizers.layerwise import tensor_rms
from dlkb.optimizers.optimizer import (
    Group,
    Optimizer,
    State,
    check_not_negative,
    count,
    new_step,
    zeros,
)

__all__ = ["Adafactor", "adafactor_update"]


def adafactor_update(
    lr: Number = 1e-2,
    dims: int | None = None,
    beta2_decay: float = -0.8,
    eps: tuple[float | None, float] = (None, 1e-3),
    d: float = 1.0,
    weight_decay: Number = 0.0,
) -> Update:
    """Adafactor as a pure update of tensors with ``dims`` dimensions after those of runs.

    ``second`` holds the average squares: of rows and of columns for a matrix, else one of the tensor's shape.
    Args:
        dims: number of dimensions of one tensor; None for all.
        lr, beta2_decay, eps, d, weight_decay: as ``Adafactor``'s.
    Example:
        >>> update = adafactor_update(0.5)
        >>> update(UpdateState(torch.tensor([2.0, 2.0])), torch.tensor([0.1, -9.0])).param
        tensor([1., 3.])

    References: Shazeer & Stern, ICML 2018, arXiv:1804.04235.
    """

    def update(state: UpdateState, grad: Tensor) -> UpdateState:
        param, step = state.param, state.step + 1
        tiny = torch.finfo(param.dtype).eps if eps[0] is None else eps[0]
        bound = step**-0.5
        rate = lr.clamp(max=bound) if isinstance(lr, Tensor) else min(lr, bound)
        rate = rate * tensor_rms(param, dims).clamp(min=eps[1])
        matrix = (grad.dim() if dims is None else dims) > 1
        new = _row_and_column(grad) if matrix else (grad.square(),)
        past = state.second or [torch.zeros_like(value) for value in new]
        second = [a.lerp(b, step**beta2_decay) for a, b in zip(past, new, strict=True)]
        V = _outer(*second, tiny) if matrix else second[0]
        move = grad / V.clamp(min=tiny * tiny).sqrt()
        move = move / (tensor_rms(move, dims) / d).clamp(min=1.0)
        param = param * (1 - lr * weight_decay) - rate * move
        return UpdateState(param, step, second=second)

    return update


def _row_and_column(grad: Tensor) -> tuple[Tensor, Tensor]:
    """Mean squares of each row (..., m, 1) and of each column (..., 1, n)."""
    norms = (torch.linalg.vector_norm(grad, dim=d, keepdim=True) for d in (-1, -2))
    sizes = (max(1, grad.shape[-1]), max(1, grad.shape[-2]))
    row, column = (n.square() / size for n, size in zip(norms, sizes, strict=True))
    return row, column


def _outer(row: Tensor, column: Tensor, tiny: float) -> Tensor:
    """The matrix of rank 1 with these means of rows and columns."""
    return row * column / row.mean(dim=-2, keepdim=True).clamp(min=tiny)


class Adafactor(Optimizer):
    """Adafactor; arguments, defaults and state are torch.optim.Adafactor's.

    row_var = lerp(row_var, mean of grad^2 over columns, t^beta2_decay)    col_var likewise, over rows
    V = row_var * col_var / max(mean(row_var), eps1)
    move = grad / sqrt(max(V, eps1^2)), divided by max(1, rms(move) / d)
    param = (1 - lr * weight_decay) * param - min(lr, 1 / sqrt(t)) * max(eps2, rms(param)) * move

    Vectors and scalars keep V itself, ``variance``. Tensors with more dimensions keep a matrix's two for each
    of the leading ones.
    Conventions: torch's: lr bounds the relative step, where the paper has 0.01; eps1 bounds V and its
    denominator, where the paper adds it to the squares. rms(param) is taken before the decay. (In a group of
    several dtypes torch takes eps1 from the first; here each parameter has its own.)
    Args:
        params: tensors, (name, tensor) pairs, or groups.
        lr: the largest relative step.
        beta2_decay: the past weighs 1 - t^beta2_decay at step t; at most 0.
        eps: eps1, None for the dtype's, and eps2, the least size that a parameter is taken to have.
        d: the largest root mean square of a move, at least 1.
        weight_decay: strength of the decay, which is decoupled.
        maximize: ascend.
        implementation: torch's ``foreach``: None or False.
    Raises: TypeError, ValueError: as ``Optimizer``.
    Example:
        >>> w = torch.nn.Parameter(torch.tensor([2.0, 2.0]))
        >>> w.grad = torch.tensor([0.1, -9.0])
        >>> Adafactor([w], lr=0.5).step()
        >>> w.detach()  # half of their size
        tensor([1., 3.])

    References: Shazeer & Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", ICML 2018,
        Alg. 4 and 5, arXiv:1804.04235.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        **implementation: bool | None,
    ) -> None:
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults, implementation)

    def check(self, group: Group) -> None:
        if not group["beta2_decay"] <= 0:
            raise ValueError(
                f"beta2_decay is the power of t by which new values lose weight and must be at most 0: got "
                f"{group['beta2_decay']}"
            )
        if not group["d"] >= 1:
            raise ValueError(
                f"d, the largest root mean square of a move, must be at least 1: got {group['d']}"
            )
        if not (isinstance(group["eps"], tuple | list) and len(group["eps"]) == 2):
            raise TypeError(f"eps must be a pair (eps1, eps2): got {group['eps']!r}")
        for name, value in zip(("eps1", "eps2"), group["eps"], strict=True):
            if name == "eps2" or value is not None:
                check_not_negative({name: value}, name)

    def start(self, param: Tensor, group: Group) -> State:
        state = {"step": new_step()}
        if param.dim() < 2:
            return state | {"variance": zeros(param)}
        *outer, rows, columns = param.shape
        row, column = (param.new_zeros(*outer, *s) for s in ((rows, 1), (1, columns)))
        return state | {"row_var": row, "col_var": column}

    def update(self, param: Tensor, grad: Tensor, state: State, group: Group) -> None:
        names = ("beta2_decay", "eps", "d", "weight_decay")
        rule = adafactor_update(group["lr"], None, *(group[name] for name in names))
        held = ("row_var", "col_var") if param.dim() > 1 else ("variance",)
        before = [state[name] for name in held]
        after = rule(UpdateState(param, count(state) - 1, second=before), grad)
        param.copy_(after.param)
        for value, new in zip(before, after.second, strict=True):
            value.copy_(new)
