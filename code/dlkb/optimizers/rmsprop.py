"""RMSProp: a moving average of squared gradients in the place of their sum."""

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

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """RMSProp; arguments, defaults and state are torch.optim.RMSprop's.

    square_avg = alpha * square_avg + (1 - alpha) * grad^2
    param = param - lr * grad / (sqrt(square_avg) + eps)

    Conventions: ``eps`` stands outside the root; the average starts at 0 and is not corrected, so that first
    steps are long, by 1 / sqrt(1 - alpha). ``centered`` takes the squared average gradient from
    ``square_avg``. ``momentum`` adds up the ratios, not the gradients. Weight decay is coupled.
    Args:
        params: tensors, (name, tensor) pairs, or groups.
        lr: learning rate; torch's default is 0.01.
        alpha: weight of the past in the averages, in [0, 1].
        eps: added to the root.
        weight_decay: strength of the L2 penalty.
        momentum: weight of past ratios.
        centered: divide by an estimate of the standard deviation.
        maximize: ascend.
        implementation: torch's ``foreach``, ``capturable``, ``differentiable``: None or False.
    Raises: TypeError, ValueError: as ``Optimizer``.
    Example:
        >>> import torch
        >>> w = torch.nn.Parameter(torch.tensor([3.0]))
        >>> w.grad = torch.tensor([7.0])
        >>> RMSprop([w], lr=0.5, alpha=0.75, eps=0).step()
        >>> w.detach()
        tensor([2.])

    References: Tieleman & Hinton, "Lecture 6.5: rmsprop", Coursera, 2012; Graves, 2013, arXiv:1308.0850.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
        **implementation: bool | None,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults, implementation)

    def check(self, group: Group) -> None:
        check_fraction(group, "alpha")
        check_not_negative(group, "momentum", "eps")

    def start(self, param: Tensor, group: Group) -> State:
        names = ["square_avg"]
        names += ["momentum_buffer"] if group["momentum"] > 0 else []
        names += ["grad_avg"] if group["centered"] else []
        return {"step": new_step()} | {name: zeros(param) for name in names}

    def update(self, param: Tensor, grad: Tensor, state: State, group: Group) -> None:
        lr, alpha, momentum = group["lr"], group["alpha"], group["momentum"]
        count(state)  # kept, as torch keeps it; the rule does not need it
        grad = decay(param, grad, lr, group["weight_decay"])
        square = state["square_avg"].mul_(alpha).addcmul_(grad, grad, value=1 - alpha)
        if group["centered"]:
            mean = state["grad_avg"].lerp_(grad, 1 - alpha)
            square = square.addcmul(mean, mean, value=-1)
        root = square.sqrt().add_(group["eps"])
        if momentum > 0:
            ratios = state["momentum_buffer"].mul_(momentum).addcdiv_(grad, root)
            param.add_(ratios, alpha=-lr)
        else:
            param.addcdiv_(grad, root, value=-lr)
