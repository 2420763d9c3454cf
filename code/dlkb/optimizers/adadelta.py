"""Adadelta: steps in units of the parameter, from the averages of squared steps and squared gradients."""

from collections.abc import Iterable

from torch import Tensor

from dlkb.optimizers.optimizer import (
    Group,
    Optimizer,
    State,
    check_fraction,
    check_not_negative,
    count,
    decay,
    new_step,
    zeros,
)

__all__ = ["Adadelta"]


class Adadelta(Optimizer):
    """Adadelta; arguments, defaults and state are torch.optim.Adadelta's.

    square_avg = rho * square_avg + (1 - rho) * grad^2
    delta = sqrt(acc_delta + eps) / sqrt(square_avg + eps) * grad
    acc_delta = rho * acc_delta + (1 - rho) * delta^2    param = param - lr * delta

    Conventions: ``eps`` stands inside both roots, since the first step comes from it alone. torch's ``lr``
    scales the step, not what ``acc_delta`` remembers. Weight decay is coupled.
    Args:
        params: tensors, (name, tensor) pairs, or groups.
        lr: factor of the step; 1 is the paper's method.
        rho: weight of the past in the averages, in [0, 1].
        eps: added to both averages.
        weight_decay: strength of the L2 penalty.
        maximize: ascend.
        implementation: torch's ``foreach``, ``capturable``, ``differentiable``: None or False.
    Raises: TypeError, ValueError: as ``Optimizer``.
    Example:
        >>> import torch
        >>> w = torch.nn.Parameter(torch.tensor([3.0]))
        >>> w.grad = torch.tensor([4.0])
        >>> Adadelta([w], rho=0.0, eps=9.0).step()
        >>> w.detach()  # 3 - sqrt(9) / sqrt(16 + 9) * 4
        tensor([0.6000])

    References: Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012, Alg. 1, arXiv:1212.5701.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
        **implementation: bool | None,
    ) -> None:
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults, implementation)

    def check(self, group: Group) -> None:
        check_fraction(group, "rho")
        check_not_negative(group, "eps")

    def start(self, param: Tensor, group: Group) -> State:
        names = ("square_avg", "acc_delta")
        return {"step": new_step()} | {name: zeros(param) for name in names}

    def update(self, param: Tensor, grad: Tensor, state: State, group: Group) -> None:
        lr, rho, eps = group["lr"], group["rho"], group["eps"]
        count(state)  # kept, as torch keeps it; the rule does not need it
        grad = decay(param, grad, lr, group["weight_decay"])
        square = state["square_avg"].mul_(rho).addcmul_(grad, grad, value=1 - rho)
        delta = state["acc_delta"].add(eps).sqrt_()
        delta.div_(square.add(eps).sqrt_()).mul_(grad)
        state["acc_delta"].mul_(rho).addcmul_(delta, delta, value=1 - rho)
        param.add_(delta, alpha=-lr)
