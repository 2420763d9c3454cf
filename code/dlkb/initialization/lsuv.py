"""LSUV: let the data say how far each layer's weights must be scaled, one layer after the other."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from dlkb.initialization._shared import _at_least_float32, _check_positive
from dlkb.initialization.fans import CONVOLUTIONS, TRANSPOSED
from dlkb.initialization.orthogonal import orthogonal_

__all__ = ["lsuv_"]

LAYERS = (nn.Linear, *CONVOLUTIONS, *TRANSPOSED)


def lsuv_(
    model: nn.Module,
    input: Tensor,
    tol: float = 0.1,
    max_iterations: int = 10,
    pre_initialize: bool = True,
    generator: torch.Generator | None = None,
) -> dict[str, float]:
    """Layer-sequential unit variance: scale each layer's weight until its output over a batch has variance 1.

    Layer by layer, in the order in which they run: weight = weight / sqrt(Var(output)), until the variance is
    within ``tol`` of 1.

    Conventions: linear layers and convolutions, with the biased variance of all outputs of a layer together,
    before the activation. Orthogonal weights and biases of 0 come first, unless ``pre_initialize`` is false;
    then a bias stays as it is. The model runs in its evaluation mode, so that no running average moves and
    nothing is dropped, and goes back to its own. A layer that runs more than once is measured at its first.
    Args:
        model: altered in place.
        input: a batch, the model's only argument.
        tol: of the variance.
        max_iterations: for each layer; without a bias the first is exact.
        pre_initialize: whether to begin with ``orthogonal_``.
        generator: draws the orthogonal weights.
    Returns: the variance that each layer ends with, by its name.
    Raises: ValueError: if tol is not positive, a layer's output does not vary, or no layer runs.
        RuntimeError: if a layer's variance is not within tol after max_iterations (weights are altered then).
    Example:
        >>> model = torch.nn.Sequential(torch.nn.Linear(8, 9), torch.nn.ReLU(), torch.nn.Linear(9, 4))
        >>> {name: round(var, 3) for name, var in lsuv_(model, torch.randn(50, 8), tol=1e-4).items()}
        {'0': 1.0, '2': 1.0}

    References: Mishkin & Matas, "All you need is a good init", ICLR 2016, arXiv:1511.06422.
    """
    _check_positive(tol=tol, max_iterations=max_iterations)
    names = {m: name for name, m in model.named_modules() if isinstance(m, LAYERS)}
    with torch.no_grad(), _evaluating(model):
        layers = list(_outputs(model, input, list(names)))
        if not layers:
            raise ValueError(
                f"model must run a linear layer or a convolution: {type(model).__name__} runs none"
            )
        if pre_initialize:
            for layer in layers:
                orthogonal_(layer.weight, generator=generator)
                if layer.bias is not None:
                    layer.bias.zero_()
        return {
            names[layer]: _scale(model, input, layer, names[layer], tol, max_iterations)
            for layer in layers
        }


def _scale(
    model: nn.Module,
    input: Tensor,
    layer: nn.Module,
    name: str,
    tol: float,
    max_iterations: int,
) -> float:
    """One layer; its variance in the end."""
    for iteration in range(max_iterations + 1):
        output = _at_least_float32(_outputs(model, input, [layer])[layer])
        variance = (output - output.mean()).square().mean().item()
        if not 0 < variance < math.inf:
            raise ValueError(
                f"the output of layer {name!r} must vary over the batch: its variance is {variance}; "
                "look for dead units before it, or give more samples"
            )
        if abs(variance - 1) < tol:
            return variance
        if iteration < max_iterations:
            layer.weight.div_(math.sqrt(variance))
    raise RuntimeError(
        f"the variance of layer {name!r} must come within {tol} of 1: got {variance:.3g} after "
        f"{max_iterations} iterations; set its bias to 0 (pre_initialize=True), or allow more"
    )


def _outputs(
    model: nn.Module, input: Tensor, layers: list[nn.Module]
) -> dict[nn.Module, Tensor]:
    """The first output of each layer that runs, in the order in which they run."""
    outputs: dict[nn.Module, Tensor] = {}

    def keep(layer: nn.Module, args: tuple, output: Tensor) -> None:
        outputs.setdefault(layer, output)

    handles = [layer.register_forward_hook(keep) for layer in layers]
    try:
        model(input)
    finally:
        for handle in handles:
            handle.remove()
    return outputs


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
