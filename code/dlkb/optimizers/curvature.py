"""Sharpness: the largest curvature of the loss, by power iteration with Hessian-vector products."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

__all__ = ["sharpness"]

Loss = Callable[[Tensor, Tensor], Tensor]
Vector = dict[str, Tensor]


def sharpness(
    models: Sequence[nn.Module],
    inputs: Tensor,
    targets: Tensor,
    *,
    loss: Loss = nn.functional.cross_entropy,
    iterations: int = 200,
    tolerance: float = 1e-4,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Top eigenvalue of the Hessian of each network's loss, all networks in one vectorized pass.

    v = H v / |H v|, over and over; then v . H v

    Conventions: the eigenvalue of largest absolute value, with its sign. A product H v is the gradient of
    gradient . v, so that the Hessian itself is never formed. Each network stays in its mode.
    Args:
        models: M networks of one architecture.
        inputs: (M, N, *), each network's own samples.
        targets: (M, N, *).
        loss: maps output and target to a number.
        iterations: at most so many products.
        tolerance: stop when no value changes by more than this share of itself.
        generator: draws the first vector, on the CPU.
    Returns: (M,), dtype and device of the parameters. NaN for networks whose loss is NaN.
    Raises: ValueError: if there are no networks, not one set of samples for each, or no iterations.
    Example:
        >>> model = nn.Linear(1, 1, bias=False)  # loss (2 w - 1)^2, second derivative 8
        >>> x, y = torch.full((1, 1, 1), 2.0), torch.ones(1, 1, 1)
        >>> sharpness([model], x, y, loss=nn.functional.mse_loss)
        tensor([8.])

    References: Pearlmutter, Neural Computation 1994; Keskar et al., ICLR 2017, arXiv:1609.04836.
    """
    if not len(models) or not len(models) == len(inputs) == len(targets):
        raise ValueError(
            "give at least one network, and samples for each: got "
            f"{len(models)} networks, {len(inputs)} inputs, {len(targets)} targets"
        )
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1: got {iterations}")
    parameters, buffers = stack_module_state(list(models))
    parameters = {name: p.detach() for name, p in parameters.items()}
    skeleton = models[0]

    def product(parameters, buffers, direction, input, target):
        def value(parameters):
            state = (parameters, buffers)
            return loss(functional_call(skeleton, state, (input,)), target)

        def slope(parameters):  # its gradient is H direction
            found = grad(value)(parameters)
            return sum((found[name] * direction[name]).sum() for name in found)

        return grad(slope)(parameters)

    products = vmap(product)
    vector = _unit(
        {
            name: torch.randn(p.shape, generator=generator, dtype=p.dtype).to(p.device)
            for name, p in parameters.items()
        }
    )
    value = None
    for _ in range(iterations):
        image = products(parameters, buffers, vector, inputs, targets)
        before, value = value, _dot(vector, image)
        if (
            before is not None
            and not ((value - before).abs() > tolerance * value.abs()).any()
        ):
            break
        vector = _unit(image)
    return value


def _dot(a: Vector, b: Vector) -> Tensor:
    """(M,): inner product over all parameters of each network."""
    return sum((a[name] * b[name]).flatten(1).sum(1) for name in a)


def _unit(vector: Vector) -> Vector:
    """Each network's vector, divided by its length; 0 stays 0."""
    length = _dot(vector, vector).sqrt()
    length = length.clamp_min(torch.finfo(length.dtype).tiny)
    return {
        name: part / length.view(-1, *[1] * (part.dim() - 1))
        for name, part in vector.items()
    }
