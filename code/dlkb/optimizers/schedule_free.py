"""Schedule-free AdamW: an average of the iterates in place of a rate that falls."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from dlkb.optimizers.framework import (
    Number,
    Update,
    UpdateState,
    corrected,
    ema,
    of_squares,
)
from dlkb.optimizers.optimizer import (
    Group,
    Optimizer,
    State,
    check_betas,
    check_not_negative,
    count,
    new_step,
    zeros,
)

__all__ = ["ScheduleFreeAdamW", "schedule_free_average", "schedule_free_update"]


def schedule_free_update(
    lr: Number = 2.5e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: Number = 1e-8,
    weight_decay: Number = 0.0,
    warmup_steps: int = 0,
) -> Update:
    """Schedule-free AdamW as a pure, elementwise update; ``param`` is y, where gradients are taken.

    ``first`` is z, ``second`` the average of squares, ``steps`` the sum of squared rates.
    Args: as ``ScheduleFreeAdamW``'s.
    Example:
        >>> state = schedule_free_update(1.0, eps=0)(UpdateState(torch.tensor(3.0)), torch.tensor(9.0))
        >>> state.first, schedule_free_average(state)
        (tensor(2.), tensor(2.))

    References: Defazio et al., NeurIPS 2024, arXiv:2405.15682.
    """
    beta1, beta2 = betas
    psi = of_squares(corrected(ema(beta2), beta2))

    def update(state: UpdateState, grad: Tensor) -> UpdateState:
        y, step = state.param, state.step + 1
        x = schedule_free_average(state, beta1)
        z = y if state.first is None else state.first
        V, second = psi(state.second, grad, step)
        rate = lr * min(1.0, step / max(1, warmup_steps))
        z = z - rate * (grad / (V.sqrt() + eps) + weight_decay * y)
        total = rate**2 + (0.0 if state.steps is None else state.steps)
        share = _share(rate**2, total)
        x = x + share * (z - x)
        return UpdateState(beta1 * x + (1 - beta1) * z, step, z, second, total)

    return update


def schedule_free_average(state: UpdateState, beta1: float = 0.9) -> Tensor:
    """The average x, which is what to evaluate: y = beta1 * x + (1 - beta1) * z, solved for it.

    Example:
        >>> schedule_free_average(UpdateState(torch.tensor(2.0), first=torch.tensor(2.0)))
        tensor(2.)
    """
    if state.first is None:
        return state.param
    return state.first + (state.param - state.first) / beta1


def _share(weight: Number, total: Number) -> Number:
    """weight / total, 0 where both are."""
    if isinstance(total, Tensor):
        return weight / total.where(total > 0, torch.ones_like(total))
    return weight / total if total > 0 else 0.0


class ScheduleFreeAdamW(Optimizer):
    """Schedule-free AdamW. Call ``eval()`` before evaluating or saving a model, ``train()`` before going on.

    z = z - rate * (grad(y) / (sqrt(V) + eps) + weight_decay * y)    rate = lr * min(1, t / warmup_steps)
    x = x + share * (z - x)    share = rate^2 / sum of all rate^2 so far, so 1 / t for a constant rate
    y = beta1 * x + (1 - beta1) * z

    with V Adam's corrected average of squares. While training, the parameters are y; ``eval()`` makes them x,
    the average, which no schedule needs to bring to rest. Only z and V are kept: x follows from y and z.
    Conventions: eps is added after the correction of V, as in torch's Adam; the paper puts the correction in
    the rate, and so in the shares too. Decay acts at y. torch has no such class.
    Args:
        params: tensors, (name, tensor) pairs, or groups.
        lr: learning rate; no schedule is meant to change it.
        betas: beta1 above 0 and below 1, the share of x in y; beta2 as Adam's.
        eps: added to the root.
        weight_decay: strength of the decay.
        warmup_steps: length of a linear warm-up.
        maximize: ascend.
    Raises: TypeError, ValueError: as ``Optimizer``. RuntimeError: for a step after ``eval()``.
    Example:
        >>> w = torch.nn.Parameter(torch.tensor([3.0]))
        >>> optimizer = ScheduleFreeAdamW([w], lr=1.0, eps=0)
        >>> for _ in range(2):
        ...     w.grad = torch.ones(1)
        ...     optimizer.step()
        >>> optimizer.eval()
        >>> w.detach()  # the mean of z, which was 2 and 1
        tensor([1.5000])

    References: Defazio et al., "The Road Less Scheduled", NeurIPS 2024, Alg. 1, arXiv:2405.15682.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 2.5e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        warmup_steps: int = 0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "warmup_steps": warmup_steps,
            "train_mode": True,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, group: Group) -> None:
        check_betas(group)
        check_not_negative(group, "eps", "warmup_steps")
        if group["betas"][0] == 0:
            raise ValueError(
                f"beta1 must be above 0, since x is read from y = beta1 * x + (1 - beta1) * z: got "
                f"betas={group['betas']}"
            )

    def start(self, param: Tensor, group: Group) -> State:
        return {
            "step": new_step(),
            "z": param.detach().clone(memory_format=torch.preserve_format),
            "exp_avg_sq": zeros(param),
            "weight_sum": 0.0,
        }

    def update(self, param: Tensor, grad: Tensor, state: State, group: Group) -> None:
        names = ("lr", "betas", "eps", "weight_decay", "warmup_steps")
        rule = schedule_free_update(*(group[name] for name in names))
        step = count(state) - 1
        held = (state["z"], state["exp_avg_sq"], state["weight_sum"])
        after = rule(UpdateState(param, step, *held), grad)
        param.copy_(after.param)
        state["z"].copy_(after.first)
        state["exp_avg_sq"].copy_(after.second)
        state["weight_sum"] = after.steps

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """As ``Optimizer``'s; refused after ``eval()``."""
        if not all(group["train_mode"] for group in self.param_groups):
            raise RuntimeError(
                "gradients must be taken at y, but the parameters hold the average x since eval(): call "
                "train() before the forward pass"
            )
        return super().step(closure)

    def eval(self) -> None:
        """Make the parameters the average x. Done twice, it does nothing more."""
        self._switch(False, lambda y, z, beta1: z + (y - z) / beta1)

    def train(self) -> None:
        """Make the parameters y again, to go on training."""
        self._switch(True, lambda x, z, beta1: z + beta1 * (x - z))

    @torch.no_grad()
    def _switch(self, train_mode: bool, point: Callable[..., Tensor]) -> None:
        for group in self.param_groups:
            if group["train_mode"] == train_mode:
                continue
            group["train_mode"] = train_mode
            for param in group["params"]:
                if param in self.state:
                    z = self.state[param]["z"]
                    param.copy_(point(param, z, group["betas"][0]))
