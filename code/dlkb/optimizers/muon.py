"""Muon: momentum, made orthogonal, so that a matrix moves by the same length in all directions."""

from collections.abc import Iterable

import torch
from torch import Tensor

from dlkb.optimizers.framework import Number, Update, UpdateState
from dlkb.optimizers.optimizer import (
    Group,
    Optimizer,
    State,
    check_not_negative,
    zeros,
)

__all__ = ["Muon", "muon_scale", "muon_update", "orthogonalize"]

COEFFICIENTS = (3.4445, -4.775, 2.0315)
SCALES = ("original", "match_rms_adamw", "spectral_unclamped")


def orthogonalize(
    matrix: Tensor,
    coefficients: tuple[float, float, float] = COEFFICIENTS,
    eps: float = 1e-7,
    steps: int = 5,
    dtype: torch.dtype = torch.bfloat16,
) -> Tensor:
    """A matrix with the same singular vectors and singular values near 1, by matrix products alone.

    X = a X + (b X X' + c (X X')^2) X, from X = matrix / |matrix|, for a few steps

    Each singular value goes through the polynomial a s + b s^3 + c s^5 that often. With these coefficients
    it does not settle at 1 but soon lies between about 0.7 and 1.2, also where it was small.
    Args:
        matrix: (m, n), or (runs, m, n).
        coefficients: a, b, c.
        eps: the smallest norm that is divided by.
        steps: how often.
        dtype: to compute in, and of the result; torch's Muon takes bfloat16.
    Returns: of the matrix's shape.
    Example:
        >>> turned = orthogonalize(torch.diag(torch.tensor([3.0, 1.0])), dtype=torch.float32)
        >>> torch.linalg.svdvals(turned)
        tensor([1.1337, 0.7530])

    References: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024.
    """
    a, b, c = coefficients
    add_product = torch.addmm if matrix.dim() == 2 else torch.baddbmm
    tall = matrix.shape[-2] > matrix.shape[-1]
    x = matrix.mT if tall else matrix  # the smaller of the two Gram matrices
    x = x.to(dtype)
    x = x / torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True).clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.mT
        inner = add_product(gram, gram, gram, beta=b, alpha=c)
        x = add_product(x, inner, x, beta=a)
    return x.mT if tall else x


def muon_scale(shape: tuple[int, ...], adjust_lr_fn: str | None = None) -> float:
    """The factor of the learning rate for a matrix of this shape (m, n).

    Args:
        adjust_lr_fn: "original" (or None), sqrt(max(1, m / n)); "match_rms_adamw", 0.2 sqrt(max(m, n)), so
            that a step is about as large as AdamW's; "spectral_unclamped", sqrt(m / n).
    Raises: ValueError: for another name.
    Example:
        >>> muon_scale((400, 100)), muon_scale((400, 100), "match_rms_adamw")
        (2.0, 4.0)
    """
    m, n = shape[-2:]
    if adjust_lr_fn is None or adjust_lr_fn == "original":
        return max(1, m / n) ** 0.5
    if adjust_lr_fn == "match_rms_adamw":
        return 0.2 * max(m, n) ** 0.5
    if adjust_lr_fn == "spectral_unclamped":
        return (m / n) ** 0.5
    raise ValueError(
        f"adjust_lr_fn must be None or one of {', '.join(SCALES)}: got {adjust_lr_fn!r}"
    )


def muon_update(
    lr: Number = 1e-3,
    weight_decay: Number = 0.1,
    momentum: float = 0.95,
    nesterov: bool = True,
    ns_coefficients: tuple[float, float, float] = COEFFICIENTS,
    eps: float = 1e-7,
    ns_steps: int = 5,
    adjust_lr_fn: str | None = None,
    dtype: torch.dtype = torch.bfloat16,
) -> Update:
    """Muon as a pure update of matrices (m, n), or (runs, m, n); ``first`` is the average of gradients.

    Args:
        dtype: as ``orthogonalize``'s.
        lr and others: as ``Muon``'s.
    Example:
        >>> update = muon_update(1.0, 0, dtype=torch.float32)
        >>> update(UpdateState(torch.zeros(1, 1)), torch.full((1, 1), 9.0)).param.shape
        torch.Size([1, 1])

    References: Jordan et al., 2024.
    """

    def update(state: UpdateState, grad: Tensor) -> UpdateState:
        past = torch.zeros_like(grad) if state.first is None else state.first
        mean = past.lerp(grad, 1 - momentum)
        step = grad.lerp(mean, momentum) if nesterov else mean
        step = orthogonalize(step, ns_coefficients, eps, ns_steps, dtype)
        rate = lr * muon_scale(grad.shape, adjust_lr_fn)
        param = state.param * (1 - lr * weight_decay)
        param = param - rate * step.to(param.dtype)
        return UpdateState(param, state.step + 1, first=mean)

    return update


class Muon(Optimizer):
    """Muon; arguments, defaults and state are torch.optim.Muon's.

    momentum_buffer = momentum * momentum_buffer + (1 - momentum) * grad
    step = lerp(grad, momentum_buffer, momentum) if nesterov else momentum_buffer
    param = (1 - lr * weight_decay) * param - lr * scale(shape) * orthogonalize(step)

    Conventions: for matrices alone; give all else (biases, embeddings, the last layer) to AdamW. The
    orthogonal matrix is computed in bfloat16. Decay is decoupled, by lr without its scale.
    Args:
        params: matrices, (name, matrix) pairs, or groups of them.
        lr: learning rate.
        weight_decay: strength of the decay.
        momentum: weight of the past in the average.
        nesterov: look ahead by one step.
        ns_coefficients, ns_steps: of ``orthogonalize``.
        eps: the smallest norm that a step is divided by.
        adjust_lr_fn: of ``muon_scale``.
    Raises: TypeError, ValueError: as ``Optimizer``; for parameters that are no matrices.
    Example:
        >>> w = torch.nn.Parameter(torch.zeros(2, 2))
        >>> w.grad = torch.diag(torch.tensor([100.0, 0.0]))
        >>> Muon([w], lr=1.0).step()
        >>> torch.linalg.matrix_rank(w.detach()).item()
        1

    References: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024;
        Liu et al., "Muon is Scalable for LLM Training", 2025, arXiv:2502.16982 (match_rms_adamw).
    """

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = COEFFICIENTS,
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)

    def check(self, group: Group) -> None:
        check_not_negative(group, "momentum", "eps")
        if len(group["ns_coefficients"]) != 3:
            raise ValueError(
                f"ns_coefficients must be three numbers: got {group['ns_coefficients']}"
            )
        if not (isinstance(group["ns_steps"], int) and 1 <= group["ns_steps"] < 100):
            raise ValueError(
                f"ns_steps must be a whole number from 1 to 99: got {group['ns_steps']}"
            )
        muon_scale((1, 1), group["adjust_lr_fn"])

    def add_param_group(self, param_group: Group) -> None:
        """As ``Optimizer``'s, for matrices alone."""
        before = len(self.param_groups)
        super().add_param_group(param_group)
        for param in self.param_groups[before]["params"]:
            if param.dim() != 2:
                del self.param_groups[before]
                raise ValueError(
                    f"Muon moves matrices alone: got a parameter of shape {tuple(param.shape)}; "
                    "give it to AdamW"
                )

    def start(self, param: Tensor, group: Group) -> State:
        return {"momentum_buffer": zeros(param)}

    def update(self, param: Tensor, grad: Tensor, state: State, group: Group) -> None:
        names = ("weight_decay", "momentum", "nesterov", "ns_coefficients", "eps")
        names += ("ns_steps", "adjust_lr_fn")
        rule = muon_update(group["lr"], *(group[name] for name in names))
        after = rule(UpdateState(param, first=state["momentum_buffer"]), grad)
        param.copy_(after.param)
        state["momentum_buffer"].copy_(after.first)
