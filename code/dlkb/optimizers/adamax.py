"""Adamax: Adam with the largest recent gradient in the place of the root mean square."""

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
    decay,
    new_step,
    zeros,
)

__all__ = ["Adamax"]


class Adamax(Optimizer):
    """Adamax; arguments, defaults and state are torch.optim.Adamax's.

    exp_inf = max(beta2 * exp_inf, abs(grad) + eps)    param = param - lr / (1 - beta1^t) * exp_avg / exp_inf

    Conventions: ``eps`` enters the maximum, as torch's; the maximum needs no correction. Weight decay is
    coupled.
    Args: as ``Adam``, with lr 0.002, without amsgrad and decoupled_weight_decay.
    Raises: TypeError, ValueError: as ``Optimizer``.
    Example:
        >>> w = torch.nn.Parameter(torch.tensor([3.0]))
        >>> w.grad = torch.tensor([4.0])
        >>> Adamax([w], lr=1.0, betas=(0.5, 0.5), eps=0).step()
        >>> w.detach()
        tensor([2.])

    References: Kingma & Ba, "Adam", ICLR 2015, Alg. 2, arXiv:1412.6980.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
        **implementation: bool | None,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults, implementation)

    def check(self, group: Group) -> None:
        check_betas(group)
        check_not_negative(group, "eps")

    def start(self, param: Tensor, group: Group) -> State:
        names = ("exp_avg", "exp_inf")
        return {"step": new_step()} | {name: zeros(param) for name in names}

    def update(self, param: Tensor, grad: Tensor, state: State, group: Group) -> None:
        lr, (beta1, beta2) = group["lr"], group["betas"]
        step = count(state)
        grad = decay(param, grad, lr, group["weight_decay"])
        mean = state["exp_avg"].lerp_(grad, 1 - beta1)
        top = state["exp_inf"].mul_(beta2)
        torch.maximum(top, grad.abs().add_(group["eps"]), out=top)
        param.addcdiv_(mean, top, value=-lr / (1 - beta1**step))
