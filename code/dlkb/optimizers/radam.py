"""RAdam: Adam that leaves the second moment out while its estimate varies too much."""

from collections.abc import Iterable

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

__all__ = ["RAdam"]


class RAdam(Optimizer):
    """RAdam; arguments, defaults and state are torch.optim.RAdam's.

    With Adam's averages, rho_max = 2 / (1 - beta2) - 1, rho = rho_max - 2 t beta2^t / (1 - beta2^t) and
    m = exp_avg / (1 - beta1^t): while rho <= 5, param = param - lr * m; afterwards
    param = param - lr * r * m * sqrt(1 - beta2^t) / (sqrt(exp_avg_sq) + eps), with
    r = sqrt((rho - 4) (rho - 2) rho_max / ((rho_max - 4) (rho_max - 2) rho)).

    Conventions: ``eps`` is added to the root before its correction, unlike Adam's. Weight decay is coupled,
    unless ``decoupled_weight_decay``. With beta2 of 2/3 or less rho never passes 5.
    Args: as ``NAdam``, without momentum_decay and with lr 0.001.
    Raises: TypeError, ValueError: as ``Optimizer``.
    Example:
        >>> import torch
        >>> w = torch.nn.Parameter(torch.tensor([3.0]))
        >>> w.grad = torch.tensor([4.0])
        >>> RAdam([w], lr=0.25, betas=(0.5, 0.5)).step()
        >>> w.detach()  # lr * grad
        tensor([2.])

    References: Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond", ICLR 2020, Alg. 2,
        arXiv:1908.03265.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        **implementation: bool | None,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults, implementation)

    def check(self, group: Group) -> None:
        check_betas(group)
        check_not_negative(group, "eps")

    def start(self, param: Tensor, group: Group) -> State:
        names = ("exp_avg", "exp_avg_sq")
        return {"step": new_step()} | {name: zeros(param) for name in names}

    def update(self, param: Tensor, grad: Tensor, state: State, group: Group) -> None:
        lr, (beta1, beta2) = group["lr"], group["betas"]
        step = count(state)
        decoupled = group["decoupled_weight_decay"]
        grad = decay(param, grad, lr, group["weight_decay"], decoupled)
        mean = state["exp_avg"].lerp_(grad, 1 - beta1)
        square = state["exp_avg_sq"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)

        lr = lr / (1 - beta1**step)
        rest = 1 - beta2**step
        longest = 2 / (1 - beta2) - 1
        length = (
            longest - 2 * step * (1 - rest) / rest
        )  # of an average of equal variance
        if length <= 5:
            param.add_(mean, alpha=-lr)
            return
        rectified = (length - 4) * (length - 2) * longest
        rectified /= (longest - 4) * (longest - 2) * length
        root = square.sqrt().add_(group["eps"])
        param.addcdiv_(mean, root, value=-lr * (rectified * rest) ** 0.5)
