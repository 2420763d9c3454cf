"""Stochastic gradient descent, with momentum or Nesterov's look-ahead."""

from collections.abc import Iterable

import torch
from torch import Tensor

from dlkb.optimizers.optimizer import (
    Group,
    Optimizer,
    State,
    check_not_negative,
    decay,
)

__all__ = ["SGD"]


class SGD(Optimizer):
    """Gradient descent; arguments, defaults and state are torch.optim.SGD's.

    velocity = momentum * velocity + (1 - dampening) * grad    param = param - lr * velocity

    Conventions: the learning rate stays outside the velocity; the first gradient enters it whole; with
    ``nesterov`` the parameter moves by lr * (grad + momentum * velocity). Weight decay is coupled: it adds
    weight_decay * param to the gradient. Sparse gradients are taken, without weight decay; their velocity is
    sparse too.
    Args:
        params: tensors, (name, tensor) pairs, or groups.
        lr: learning rate.
        momentum: weight of the past; 0 keeps no state.
        dampening: lowers the weight of the present.
        weight_decay: strength of the L2 penalty.
        nesterov: look ahead; needs momentum and no dampening.
        maximize: ascend.
        implementation: torch's ``foreach``, ``fused``, ``differentiable``: None or False.
    Raises: TypeError, ValueError: as ``Optimizer``.
    Example:
        >>> w = torch.nn.Parameter(torch.tensor([4.0]))
        >>> optimizer = SGD([w], lr=0.25, momentum=0.5)
        >>> for _ in range(2):
        ...     w.grad = 2 * w.detach()
        ...     optimizer.step()
        >>> w.detach()  # 4 - 0.25 * 8 = 2, then 2 - 0.25 * (0.5 * 8 + 4)
        tensor([0.])

    References: Robbins & Monro, 1951; Polyak, 1964; Sutskever et al., ICML 2013.
    """

    layouts = (torch.strided, torch.sparse_coo)
    at_need = ("momentum_buffer",)

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        **implementation: bool | None,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults, implementation)

    def check(self, group: Group) -> None:
        check_not_negative(group, "momentum")
        momentum, dampening = group["momentum"], group["dampening"]
        if group["nesterov"] and (momentum == 0 or dampening != 0):
            raise ValueError(
                "nesterov needs momentum above 0 and dampening 0: got "
                f"momentum={momentum}, dampening={dampening}"
            )

    def update(self, param: Tensor, grad: Tensor, state: State, group: Group) -> None:
        lr, momentum, dampening = group["lr"], group["momentum"], group["dampening"]
        grad = decay(param, grad, lr, group["weight_decay"])
        if momentum != 0:
            past = state.get("momentum_buffer")
            if past is None:
                velocity = grad.clone()
            else:
                part = grad if dampening == 0 else (1 - dampening) * grad
                if part.is_sparse != past.is_sparse:  # as an embedding's may change
                    part, past = part.to_dense(), past.to_dense()
                if part.is_sparse:  # coalesced, or it would grow at each step
                    velocity = part.add(past, alpha=momentum).coalesce()
                else:
                    velocity = torch.add(part, past, alpha=momentum, out=past)
            state["momentum_buffer"] = velocity
            grad = grad.add(velocity, alpha=momentum) if group["nesterov"] else velocity
        param.add_(grad, alpha=-lr)
