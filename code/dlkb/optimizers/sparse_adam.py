"""Adam for sparse gradients: moments of rows that are not met stay as they are."""

from collections.abc import Iterable

import torch
from torch import Tensor

from dlkb.optimizers.optimizer import (
    Group,
    Optimizer,
    State,
    check_betas,
    check_not_negative,
    count,
    update_rows,
    zeros,
)

__all__ = ["SparseAdam"]


class SparseAdam(Optimizer):
    """Adam on a sparse gradient's rows; arguments, defaults and state are torch.optim.SparseAdam's.

    param = param - lr * sqrt(1 - beta2^t) / (1 - beta1^t) * exp_avg / (sqrt(exp_avg_sq) + eps)

    Conventions: t counts the parameter's steps, not a row's, and is kept as an int; ``eps`` is added to the
    root before its correction, unlike Adam's.
    Args: as ``Adam``, without weight_decay and amsgrad; lr and eps above 0.
    Raises: TypeError, ValueError: as ``Optimizer``; also for dense gradients.
    Example:
        >>> w = torch.nn.Parameter(torch.tensor([3.0, 3.0]))
        >>> w.grad = torch.sparse_coo_tensor([[1]], [4.0], (2,), check_invariants=True)
        >>> SparseAdam([w], lr=1.0, betas=(0.5, 0.75), eps=1e-12).step()
        >>> w.detach()
        tensor([3., 2.])

    References: Kingma & Ba, "Adam", ICLR 2015, Sec. 2, arXiv:1412.6980.
    """

    layouts = (torch.sparse_coo,)

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize}
        super().__init__(params, defaults)

    def check(self, group: Group) -> None:
        check_betas(group)
        check_not_negative(group, "eps")
        for name in ("lr", "eps"):
            if group[name] == 0:
                raise ValueError(f"{name} must be above 0: got 0")

    def start(self, param: Tensor, group: Group) -> State:
        names = ("exp_avg", "exp_avg_sq")
        return {"step": 0} | {name: zeros(param) for name in names}

    def update(self, param: Tensor, grad: Tensor, state: State, group: Group) -> None:
        if grad.is_sparse:
            return update_rows(self.update, param, grad, state, group)
        lr, (beta1, beta2) = group["lr"], group["betas"]
        step = count(state)
        mean = state["exp_avg"].lerp_(grad, 1 - beta1)
        square = state["exp_avg_sq"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        lr = lr * (1 - beta2**step) ** 0.5 / (1 - beta1**step)
        param.addcdiv_(mean, square.sqrt().add_(group["eps"]), value=-lr)
        return None
