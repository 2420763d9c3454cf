"""Look inside a network: activations, gradients, updates, dead units, the loss along the gradient."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

__all__ = [
    "activations",
    "dead_share",
    "gradients",
    "loss_along_gradient",
    "update_ratios",
]


def activations(
    model: nn.Module, input: Tensor, kinds: type | tuple[type, ...] = nn.Module
) -> dict[str, Tensor]:
    """Output of each innermost module of the given kinds in one forward pass, detached, in order of use.

    Conventions: the model stays in its mode; a module that is used twice reports its last use.
    Args:
        kinds: types of modules to report, such as ``nn.ReLU``; by default all.
    Raises: ValueError: if the model has no module of these kinds.
    Example:
        >>> found = activations(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), torch.ones(1, 2), nn.ReLU)
        >>> list(found), found["1"].shape
        (['1'], torch.Size([1, 3]))
    """
    found: dict[str, Tensor] = {}

    def keep(name: str, output: Tensor) -> None:
        found[name] = output.detach()

    with _hooked(model, kinds, keep), torch.no_grad():
        model(input)
    return found


def gradients(
    model: nn.Module,
    input: Tensor,
    loss: Callable[[Tensor], Tensor],
    kinds: type | tuple[type, ...] = nn.Module,
) -> dict[str, Tensor]:
    """Gradient of the loss with respect to the output of each innermost module, in order of use.

    Conventions: the parameters' ``grad`` are left as they were.
    Args:
        loss: maps the model's output to a number.
        kinds: types of modules to report; by default all.
    Raises: ValueError: if the model has no module of these kinds.
    """
    outputs: dict[str, Tensor] = {}

    def keep(name: str, output: Tensor) -> None:
        outputs[name] = output

    with _hooked(model, kinds, keep):
        value = loss(model(input))
    return dict(
        zip(outputs, torch.autograd.grad(value, list(outputs.values())), strict=True)
    )


def update_ratios(
    before: Mapping[str, Tensor], after: Mapping[str, Tensor]
) -> dict[str, float]:
    """Relative change of each parameter, |after - before| / |before|, in Euclidean norms.

    Raises: ValueError: if the two do not hold the same names.
    Example:
        >>> update_ratios({"w": torch.tensor([3.0, 4.0])}, {"w": torch.tensor([0.5, 4.0])})
        {'w': 0.5}
    """
    if before.keys() != after.keys():
        raise ValueError(
            "before and after must hold the same names: "
            f"they differ in {sorted(before.keys() ^ after.keys())}"
        )
    return {
        name: float((after[name] - old).norm() / old.norm())
        for name, old in before.items()
    }


def dead_share(activation: Tensor) -> float:
    """Share of units that are 0 for every sample and position: what a ReLU never lets through.

    Args:
        activation: (N, C, *), the output of a ReLU.
    Example:
        >>> dead_share(torch.tensor([[0.0, 1.0], [0.0, 0.0]]))
        0.5
    """
    silent = (activation == 0).transpose(0, 1).flatten(1).all(dim=1)  # (C,)
    return float(silent.double().mean())


def loss_along_gradient(
    model: nn.Module,
    input: Tensor,
    target: Tensor,
    steps: Sequence[float],
    loss: Callable[[Tensor, Tensor], Tensor] = nn.functional.cross_entropy,
) -> Tensor:
    """Loss of one batch after a plain gradient step of each size: loss(p - step * gradient(p)).

    Conventions: every step starts from the model's present parameters, with the gradient there; the model
    stays in its mode, and its parameters, their ``grad`` and its buffers stay as they were.
    Args:
        input, target: one batch.
        steps: sizes of the step, such as learning rates; 0 gives the present loss.
        loss: maps output and target to a number.
    Returns: (len(steps),), detached; infinite or NaN where the step leaves the range of the dtype.
    Raises: ValueError: if ``steps`` is empty.
    Example:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> _ = nn.init.ones_(model.weight)
        >>> square = lambda output, target: (output - target).square().sum()
        >>> x, y = torch.ones(1, 1), torch.zeros(1, 1)  # loss w^2 at w = 1: gradient 2
        >>> loss_along_gradient(model, x, y, [0.0, 0.25, 0.5, 1.0], square)
        tensor([1.0000, 0.2500, 0.0000, 1.0000])

    References: Santurkar et al., NeurIPS 2018, Sec. 3, arXiv:1805.11604.
    """
    if not len(steps):
        raise ValueError("steps must hold at least one step size: got none")
    parameters = {n: p.detach() for n, p in model.named_parameters()}
    buffers = {n: b.detach().clone() for n, b in model.named_buffers()}

    def value(parameters: dict[str, Tensor]) -> Tensor:
        state = {**parameters, **{n: b.clone() for n, b in buffers.items()}}
        return loss(torch.func.functional_call(model, state, (input,)), target)

    gradient = torch.func.grad(value)(parameters)
    with torch.no_grad():
        values = [
            value({n: p - step * gradient[n] for n, p in parameters.items()})
            for step in steps
        ]
    return torch.stack(values)


class _hooked:
    """While entered, every innermost module of the kinds reports its output."""

    def __init__(self, model: nn.Module, kinds, report: Callable[[str, Tensor], None]):
        self.modules = [
            (name, module)
            for name, module in model.named_modules()
            if not list(module.children()) and isinstance(module, kinds)
        ]
        if not self.modules:
            raise ValueError(
                f"the model has no innermost module of type {kinds}: got {type(model).__name__}"
            )
        self.report = report

    def __enter__(self):
        self.handles = [
            module.register_forward_hook(
                lambda m, i, output, name=name: self.report(name, output)
            )
            for name, module in self.modules
        ]

    def __exit__(self, *_):
        for handle in self.handles:
            handle.remove()
