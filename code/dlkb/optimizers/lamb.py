"""LAMB: AdamW's step, stretched tensor by tensor to the norm of the weights."""

from collections.abc import Iterable

from torch import Tensor

from dlkb.optimizers.framework import (
    Number,
    Update,
    UpdateState,
    corrected,
    ema,
    of_squares,
)
from dlkb.optimizers.lars import trust_ratio
from dlkb.optimizers.layerwise import tensor_norm
from dlkb.optimizers.optimizer import (
    Group,
    Optimizer,
    State,
    check_betas,
    check_not_negative,
    count,
    new_step,
    zeros,
)

__all__ = ["LAMB", "lamb_update"]


def lamb_update(
    lr: Number = 1e-3,
    dims: int | None = None,
    betas: tuple[Number, Number] = (0.9, 0.999),
    eps: Number = 1e-6,
    weight_decay: Number = 0.0,
    trust: bool = True,
) -> Update:
    """LAMB as a pure update of tensors with ``dims`` dimensions after those of runs.

    Args:
        dims: number of dimensions of one tensor; None for all.
        lr, betas, eps, weight_decay, trust: as ``LAMB``'s.
    Example:
        >>> import torch
        >>> update = lamb_update(0.5, eps=0)
        >>> update(UpdateState(torch.tensor([3.0, 3.0])), torch.tensor([0.1, -9.0])).param
        tensor([1.5000, 4.5000])

    References: You et al., ICLR 2020, arXiv:1904.00962.
    """
    beta1, beta2 = betas
    phi, psi = corrected(ema(beta1), beta1), of_squares(corrected(ema(beta2), beta2))

    def update(state: UpdateState, grad: Tensor) -> UpdateState:
        param, step = state.param, state.step + 1
        m, first = phi(state.first, grad, step)
        V, second = psi(state.second, grad, step)
        move = m / (V.sqrt() + eps) + weight_decay * param
        if trust:
            move = move * trust_ratio(tensor_norm(param, dims), tensor_norm(move, dims))
        return UpdateState(param - lr * move, step, first, second)

    return update


class LAMB(Optimizer):
    """LAMB: with m and V Adam's corrected averages,

    move = m / (sqrt(V) + eps) + weight_decay * param
    param = param - lr * |param| / |move| * move

    Conventions: the ratio of the norms is 1 where either is 0; the paper's phi is the identity. Decay is part
    of the move that is stretched, so at ratio 1 it is AdamW's. torch has no such class.
    Args:
        params: tensors, (name, tensor) pairs, or groups.
        lr: learning rate: the length of a tensor's step as a share of its norm.
        betas: weights of the past in the averages of gradient and square, in [0, 1).
        eps: added to the root.
        weight_decay: strength of the decay.
        trust: whether to stretch; False, for biases perhaps, is AdamW.
        maximize: ascend.
    Raises: TypeError, ValueError: as ``Optimizer``.
    Example:
        >>> import torch
        >>> w = torch.nn.Parameter(torch.tensor([3.0, 3.0]))
        >>> w.grad = torch.tensor([0.1, -9.0])
        >>> LAMB([w], lr=0.5, eps=0).step()
        >>> w.detach()
        tensor([1.5000, 4.5000])

    References: You et al., "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes", ICLR
        2020, Alg. 2, arXiv:1904.00962.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0,
        trust: bool = True,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "trust": trust,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, group: Group) -> None:
        check_betas(group)
        check_not_negative(group, "eps")

    def start(self, param: Tensor, group: Group) -> State:
        names = ("exp_avg", "exp_avg_sq")
        return {"step": new_step()} | {name: zeros(param) for name in names}

    def update(self, param: Tensor, grad: Tensor, state: State, group: Group) -> None:
        names = ("betas", "eps", "weight_decay", "trust")
        rule = lamb_update(group["lr"], None, *(group[name] for name in names))
        moments = (state["exp_avg"], state["exp_avg_sq"])
        after = rule(UpdateState(param, count(state) - 1, *moments), grad)
        param.copy_(after.param)
        state["exp_avg"].copy_(after.first)
        state["exp_avg_sq"].copy_(after.second)
