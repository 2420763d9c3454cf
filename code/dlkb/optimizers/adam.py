"""Adam and AdamW: the corrected averages of gradient and square, and where weight decay stands."""

from collections.abc import Iterable
from typing import Any

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

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """Adam; arguments, defaults and state are torch.optim.Adam's.

    exp_avg = beta1 * exp_avg + (1 - beta1) * grad
    exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad^2
    param = param - lr * m / (sqrt(V) + eps)  with m = exp_avg / (1 - beta1^t), V = exp_avg_sq / (1 - beta2^t)

    Conventions: ``eps`` stands outside the root, after the correction. Weight decay is coupled, so that the
    moments see it, unless ``decoupled_weight_decay``. With ``amsgrad``, V is the largest ``exp_avg_sq`` so
    far, kept beside the running one, then corrected.
    Args:
        params: tensors, (name, tensor) pairs, or groups.
        lr: learning rate.
        betas: weights of the past in the averages of gradient and square, in [0, 1).
        eps: added to the root.
        weight_decay: strength of the decay.
        amsgrad: never let V fall.
        maximize: ascend.
        decoupled_weight_decay: decay as AdamW does.
        implementation: torch's ``foreach``, ``fused``, ``capturable``, ``differentiable``: None or False.
    Raises: TypeError, ValueError: as ``Optimizer``.
    Example:
        >>> w = torch.nn.Parameter(torch.tensor([3.0, 3.0]))
        >>> w.grad = torch.tensor([0.001, -1000.0])
        >>> Adam([w], lr=1.0, eps=0).step()
        >>> w.detach()  # the first step is lr * sign(grad)
        tensor([2., 4.])

    References: Kingma & Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, Alg. 1, arXiv:1412.6980;
        Reddi, Kale & Kumar, ICLR 2018, arXiv:1904.09237.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
        **implementation: bool | None,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults, implementation)

    def check(self, group: Group) -> None:
        check_betas(group)
        check_not_negative(group, "eps")

    def start(self, param: Tensor, group: Group) -> State:
        names = ["exp_avg", "exp_avg_sq"]
        if group["amsgrad"]:
            names.append("max_exp_avg_sq")
        return {"step": new_step()} | {name: zeros(param) for name in names}

    def update(self, param: Tensor, grad: Tensor, state: State, group: Group) -> None:
        lr, (beta1, beta2) = group["lr"], group["betas"]
        step = count(state)
        decoupled = group["decoupled_weight_decay"]
        grad = decay(param, grad, lr, group["weight_decay"], decoupled)
        mean = state["exp_avg"].lerp_(grad, 1 - beta1)
        square = state["exp_avg_sq"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        if group["amsgrad"]:
            highest = state["max_exp_avg_sq"]
            square = torch.maximum(highest, square, out=highest)
        root = square.sqrt().div_((1 - beta2**step) ** 0.5).add_(group["eps"])
        param.addcdiv_(mean, root, value=-lr / (1 - beta1**step))


class AdamW(Adam):
    """Adam with decoupled weight decay; arguments, defaults and state are torch.optim.AdamW's.

    param = param - lr * weight_decay * param, and then Adam's step, whose moments see no decay.

    Conventions: torch's: the decay is scaled by the learning rate. The paper's is scaled by the schedule's
    multiplier alone.
    Args: as ``Adam``, with weight_decay 0.01.
    Raises: TypeError, ValueError: as ``Optimizer``.
    Example:
        >>> w = torch.nn.Parameter(torch.tensor([4.0]))
        >>> w.grad = torch.zeros(1)
        >>> AdamW([w], lr=0.5, weight_decay=0.5).step()
        >>> w.detach()
        tensor([3.])

    References: Loshchilov & Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, Alg. 2,
        arXiv:1711.05101.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        **implementation: bool | None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            maximize=maximize,
            decoupled_weight_decay=True,
            **implementation,
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Decay stays decoupled, whatever was saved."""
        for group in state["param_groups"]:
            group["decoupled_weight_decay"] = True
        super().__setstate__(state)
