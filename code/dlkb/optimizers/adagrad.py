"""AdaGrad: each weight's rate falls with the sum of its squared gradients."""

from collections.abc import Iterable

import torch
from torch import Tensor

from dlkb.optimizers.optimizer import (
    Group,
    Optimizer,
    State,
    check_not_negative,
    count,
    decay,
    new_step,
    update_rows,
)

__all__ = ["Adagrad"]


class Adagrad(Optimizer):
    """AdaGrad; arguments, defaults and state are torch.optim.Adagrad's.

    sum = sum + grad^2    param = param - lr / (1 + (t - 1) * lr_decay) * grad / (sqrt(sum) + eps)

    Conventions: ``eps`` stands outside the root. Weight decay is coupled. Sparse gradients are taken, without
    weight decay: rows that they do not hold stay, and so do their sums. The state is there from the start.
    Unlike torch, a group's own ``initial_accumulator_value`` counts for its parameters.
    Args:
        params: tensors, (name, tensor) pairs, or groups.
        lr: learning rate.
        lr_decay: lowers the rate further, as 1 / (1 + (t - 1) * lr_decay).
        weight_decay: strength of the L2 penalty.
        initial_accumulator_value: what ``sum`` starts from.
        eps: added to the root.
        maximize: ascend.
        implementation: torch's ``foreach``, ``fused``, ``differentiable``: None or False.
    Raises: TypeError, ValueError: as ``Optimizer``.
    Example:
        >>> w = torch.nn.Parameter(torch.tensor([3.0]))
        >>> w.grad = torch.tensor([7.0])
        >>> Adagrad([w], lr=1.0, eps=0).step()
        >>> w.detach()
        tensor([2.])

    References: Duchi, Hazan & Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
        Optimization", JMLR 12, 2011.
    """

    layouts = (torch.strided, torch.sparse_coo)

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
        **implementation: bool | None,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "maximize": maximize,
        }
        super().__init__(params, defaults, implementation)
        for group in self.param_groups:
            for param in group["params"]:
                self.state[param] = self.start(param, group)

    def check(self, group: Group) -> None:
        check_not_negative(group, "lr_decay", "initial_accumulator_value", "eps")

    def start(self, param: Tensor, group: Group) -> State:
        value = group["initial_accumulator_value"]
        return {"step": new_step(), "sum": torch.full_like(param.detach(), value)}

    def update(self, param: Tensor, grad: Tensor, state: State, group: Group) -> None:
        if grad.is_sparse:
            return update_rows(self.update, param, grad, state, group)
        lr = group["lr"] / (1 + (count(state) - 1) * group["lr_decay"])
        grad = decay(param, grad, lr, group["weight_decay"])
        total = state["sum"].addcmul_(grad, grad)
        param.addcdiv_(grad, total.sqrt().add_(group["eps"]), value=-lr)
        return None
