"""Lion: the sign of an average of gradients, at the price of one number a weight."""

from collections.abc import Iterable

import torch
from torch import Tensor

from dlkb.optimizers.framework import Number, Update, UpdateState
from dlkb.optimizers.optimizer import Group, Optimizer, State, check_betas, zeros

__all__ = ["Lion", "lion_update"]


def lion_update(
    lr: Number = 1e-4,
    betas: tuple[Number, Number] = (0.9, 0.99),
    weight_decay: Number = 0.0,
) -> Update:
    """Lion as a pure, elementwise update; ``first`` holds the average.

    Args: as ``Lion``'s.
    Example:
        >>> lion_update(0.5)(UpdateState(torch.tensor(3.0)), torch.tensor(0.001)).param
        tensor(2.5000)

    References: Chen et al., "Symbolic Discovery of Optimization Algorithms", NeurIPS 2023, arXiv:2302.06675.
    """
    beta1, beta2 = betas

    def update(state: UpdateState, grad: Tensor) -> UpdateState:
        past = torch.zeros_like(grad) if state.first is None else state.first
        direction = (beta1 * past + (1 - beta1) * grad).sign()
        param = state.param - lr * (direction + weight_decay * state.param)
        mean = beta2 * past + (1 - beta2) * grad
        return UpdateState(param, state.step + 1, first=mean)

    return update


class Lion(Optimizer):
    """Lion.

    param = param - lr * (sign(beta1 * exp_avg + (1 - beta1) * grad) + weight_decay * param)
    exp_avg = beta2 * exp_avg + (1 - beta2) * grad

    Every weight moves by ``lr`` (or not at all, where the average is exactly 0), besides its decay. torch has
    no such class; names are those of its Adam.
    Conventions: the direction weighs the past by beta1, the memory by beta2. Decay is decoupled and scaled by
    the learning rate.
    Args:
        params: tensors, (name, tensor) pairs, or groups.
        lr: learning rate, the length of each weight's step; the paper advises 3 to 10 times less than Adam's.
        betas: weights of the past in direction and memory, in [0, 1).
        weight_decay: strength of the decay.
        maximize: ascend.
    Raises: TypeError, ValueError: as ``Optimizer``.
    Example:
        >>> w = torch.nn.Parameter(torch.tensor([3.0, 3.0]))
        >>> w.grad = torch.tensor([0.001, -1000.0])
        >>> Lion([w], lr=1.0).step()
        >>> w.detach()
        tensor([2., 4.])

    References: Chen et al., "Symbolic Discovery of Optimization Algorithms", NeurIPS 2023, Alg. 2,
        arXiv:2302.06675.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, group: Group) -> None:
        check_betas(group)

    def start(self, param: Tensor, group: Group) -> State:
        return {"exp_avg": zeros(param)}

    def update(self, param: Tensor, grad: Tensor, state: State, group: Group) -> None:
        rule = lion_update(group["lr"], group["betas"], group["weight_decay"])
        after = rule(UpdateState(param, first=state["exp_avg"]), grad)
        param.copy_(after.param)
        state["exp_avg"].copy_(after.first)
