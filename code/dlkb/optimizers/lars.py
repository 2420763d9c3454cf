"""LARS: each weight tensor's step in proportion to its own norm."""

from collections.abc import Iterable

import torch
from torch import Tensor

from dlkb.optimizers.framework import Number, Update, UpdateState
from dlkb.optimizers.layerwise import tensor_norm
from dlkb.optimizers.optimizer import (
    Group,
    Optimizer,
    State,
    check_not_negative,
    zeros,
)

__all__ = ["LARS", "lars_update", "trust_ratio"]


def trust_ratio(param_norm: Tensor, step_norm: Tensor) -> Tensor:
    """One norm over the other; 1 where either is 0, so that a tensor of zeros can leave them.

    Example:
        >>> trust_ratio(torch.tensor([6.0, 0.0, 6.0]), torch.tensor([2.0, 2.0, 0.0]))
        tensor([3., 1., 1.])
    """
    usable = (param_norm > 0) & (step_norm > 0)
    # the inner where keeps a quotient by 0 away
    quotient = param_norm / step_norm.where(usable, torch.ones_like(step_norm))
    return quotient.where(usable, torch.ones_like(quotient))


def lars_update(
    lr: Number,
    dims: int | None = None,
    momentum: Number = 0.9,
    weight_decay: Number = 0.0,
    trust_coefficient: float | None = 1e-3,
) -> Update:
    """LARS as a pure update of tensors with ``dims`` dimensions after those of runs; ``first`` is velocity.

    Args:
        dims: number of dimensions of one tensor; None for all.
        lr, momentum, weight_decay, trust_coefficient: as ``LARS``'s.
    Example:
        >>> update = lars_update(1.0, trust_coefficient=0.5)
        >>> update(UpdateState(torch.tensor([3.0, 4.0])), torch.tensor([0.0, 100.0])).param  # half its norm
        tensor([3.0000, 1.5000])

    References: You, Gitman & Ginsburg, 2017, arXiv:1708.03888.
    """

    def update(state: UpdateState, grad: Tensor) -> UpdateState:
        step = grad + weight_decay * state.param
        if trust_coefficient is not None:
            size = tensor_norm(state.param, dims)
            slope = tensor_norm(grad, dims)
            bare = trust_coefficient * trust_ratio(size, slope + weight_decay * size)
            step = step * bare.where((size > 0) & (slope > 0), torch.ones_like(bare))
        velocity = step if state.first is None else momentum * state.first + step
        return UpdateState(state.param - lr * velocity, state.step + 1, velocity)

    return update


class LARS(Optimizer):
    """LARS, layer-wise adaptive rate scaling: SGD with momentum, whose gradients are scaled tensor by tensor.

    ratio = trust_coefficient * |param| / (|grad| + weight_decay * |param|)
    momentum_buffer = momentum * momentum_buffer + ratio * (grad + weight_decay * param)
    param = param - lr * momentum_buffer

    Conventions: the ratio is 1, and the tensor follows SGD, where |param| or |grad| is 0. The learning rate
    stays outside the velocity, as in torch's SGD; the paper has it inside, which is the same as long as it
    does not change. torch has no such class.
    Args:
        params: tensors, (name, tensor) pairs, or groups. Give biases and affine weights of normalization a
            group with ``trust_coefficient=None``.
        lr: learning rate.
        momentum: weight of the past in the velocity.
        weight_decay: strength of the decay, which is part of the ratio.
        trust_coefficient: how far a tensor moves at lr 1, as a share of its norm; None for a ratio of 1.
        maximize: ascend.
    Raises: TypeError, ValueError: as ``Optimizer``.
    Example:
        >>> w = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
        >>> w.grad = torch.tensor([0.0, 100.0])
        >>> LARS([w], lr=1.0, trust_coefficient=0.5).step()
        >>> w.detach()
        tensor([3.0000, 1.5000])

    References: You, Gitman & Ginsburg, "Large Batch Training of Convolutional Networks", 2017, Alg. 1,
        arXiv:1708.03888.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor,
        momentum: float = 0.9,
        weight_decay: float = 0,
        trust_coefficient: float | None = 1e-3,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "trust_coefficient": trust_coefficient,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, group: Group) -> None:
        check_not_negative(group, "momentum")
        if group["trust_coefficient"] is not None:
            check_not_negative(group, "trust_coefficient")

    def start(self, param: Tensor, group: Group) -> State:
        return {"momentum_buffer": zeros(param)}

    def update(self, param: Tensor, grad: Tensor, state: State, group: Group) -> None:
        rule = lars_update(
            group["lr"],
            None,
            group["momentum"],
            group["weight_decay"],
            group["trust_coefficient"],
        )
        after = rule(UpdateState(param, first=state["momentum_buffer"]), grad)
        param.copy_(after.param)
        state["momentum_buffer"].copy_(after.first)
