"""NAdam: Adam whose first moment looks a step ahead."""

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

__all__ = ["NAdam"]


class NAdam(Optimizer):
    """NAdam; arguments, defaults and state are torch.optim.NAdam's.

    With mu_t = beta1 * (1 - 0.96^(t * momentum_decay) / 2), P_t = mu_1 * ... * mu_t, and Adam's averages:
    m = (1 - mu_t) / (1 - P_t) * grad + mu_(t+1) / (1 - P_(t+1)) * exp_avg
    param = param - lr * m / (sqrt(exp_avg_sq / (1 - beta2^t)) + eps)

    Conventions: the gradient is taken at the parameter, not at a look-ahead point; ``exp_avg`` decays by
    beta1, not by mu_t. Weight decay is coupled, unless ``decoupled_weight_decay``.
    Args:
        params: tensors, (name, tensor) pairs, or groups.
        lr: learning rate.
        betas: weights of the past in the averages of gradient and square, in [0, 1).
        eps: added to the root.
        weight_decay: strength of the decay.
        momentum_decay: how soon mu rises to beta1.
        decoupled_weight_decay: decay as AdamW does.
        maximize: ascend.
        implementation: torch's ``foreach``, ``capturable``, ``differentiable``: None or False.
    Raises: TypeError, ValueError: as ``Optimizer``.
    Example:
        >>> import torch
        >>> w = torch.nn.Parameter(torch.tensor([3.0]))
        >>> w.grad = torch.tensor([4.0])
        >>> NAdam([w], lr=1.0, betas=(0.0, 0.5), eps=0).step()
        >>> w.detach()
        tensor([2.])

    References: Dozat, "Incorporating Nesterov Momentum into Adam", ICLR 2016 workshop.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
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
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults, implementation)

    def check(self, group: Group) -> None:
        check_betas(group)
        check_not_negative(group, "eps", "momentum_decay")

    def start(self, param: Tensor, group: Group) -> State:
        scalars = {"step": new_step(), "mu_product": new_step() + 1}
        return scalars | {name: zeros(param) for name in ("exp_avg", "exp_avg_sq")}

    def update(self, param: Tensor, grad: Tensor, state: State, group: Group) -> None:
        lr, (beta1, beta2) = group["lr"], group["betas"]
        step = count(state)
        decoupled = group["decoupled_weight_decay"]
        grad = decay(param, grad, lr, group["weight_decay"], decoupled)
        mean = state["exp_avg"].lerp_(grad, 1 - beta1)
        square = state["exp_avg_sq"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        root = square.div(1 - beta2**step).sqrt_().add_(group["eps"])

        mu, mu_next = (
            beta1 * (1 - 0.5 * 0.96 ** (t * group["momentum_decay"]))
            for t in (step, step + 1)
        )
        state["mu_product"] *= mu
        product = float(state["mu_product"])
        param.addcdiv_(grad, root, value=-lr * (1 - mu) / (1 - product))
        param.addcdiv_(mean, root, value=-lr * mu_next / (1 - product * mu_next))
