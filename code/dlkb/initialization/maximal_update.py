"""Maximal update: how spread and learning rates change with width, so that every layer keeps learning."""

from typing import NamedTuple

import torch
from torch import nn

from dlkb.initialization._shared import _check_one_of, _check_positive
from dlkb.initialization.kaiming import kaiming_normal_
from dlkb.initialization.lsuv import LAYERS

__all__ = [
    "WidthScaling",
    "initialize_by_width_",
    "width_groups",
    "width_roles",
    "width_scaling",
]

# Powers of the width: of the standard deviation, of SGD's learning rate, of Adam's.
POWERS = {
    "maximal_update": {
        "input": (0, 1, 0),
        "hidden": (-1 / 2, 0, -1),
        "output": (-1, -1, -1),
        "bias": (0, 1, 0),
        "output_bias": (0, 0, 0),
    },
    "standard": {
        "input": (0, 0, 0),
        "hidden": (-1 / 2, 0, 0),
        "output": (-1 / 2, 0, 0),
        "bias": (0, 0, 0),
        "output_bias": (0, 0, 0),
    },
}
ROLES = tuple(POWERS["standard"])
OPTIMIZERS = ("sgd", "adam")


class WidthScaling(NamedTuple):
    """Factors for a network that is wider than the one whose settings are known.

    Attributes:
        std: of the initial weights' standard deviation.
        lr: of the learning rate.
    """

    std: float
    lr: float


def width_scaling(
    role: str,
    width_ratio: float,
    optimizer: str = "adam",
    parametrization: str = "maximal_update",
) -> WidthScaling:
    """The factors for one parameter when the hidden layers are ``width_ratio`` times as wide.

    Maximal update, with r the ratio: input weights and biases keep their spread, and Adam's rate, and take r
    times SGD's; hidden weights have 1 / sqrt(r) of the spread, 1 / r of Adam's rate, and SGD's rate; output
    weights 1 / r of all three.

    Conventions: Table 3 of the paper. The biases of the last layer, of which there are as many at any width,
    change nothing. "standard" is what Kaiming and Xavier do: spreads as 1 / sqrt(fan_in), one rate for all.
    Args:
        role: "input", "hidden", "output", "bias" or "output_bias".
        width_ratio: width / width of the network whose settings are known.
        optimizer: "sgd", also with momentum, or "adam", also others whose steps ignore the gradient's size.
        parametrization: "maximal_update" or "standard".
    Raises: ValueError: for another name, or a ratio that is not positive.
    Example:
        >>> width_scaling("output", 16.0)
        WidthScaling(std=0.0625, lr=0.0625)
        >>> width_scaling("output", 16.0, parametrization="standard")
        WidthScaling(std=0.25, lr=1.0)

    References: Yang et al., "Tensor Programs V", NeurIPS 2021, arXiv:2203.03466.
    """
    _check_one_of(ROLES, role=role)
    _check_one_of(OPTIMIZERS, optimizer=optimizer)
    _check_one_of(tuple(POWERS), parametrization=parametrization)
    _check_positive(width_ratio=width_ratio)
    std, *rates = POWERS[parametrization][role]
    rate = rates[OPTIMIZERS.index(optimizer)]
    return WidthScaling(float(width_ratio**std), float(width_ratio**rate))


def width_roles(model: nn.Module) -> dict[str, str]:
    """The role of each parameter: the first layer's weight is the input's, the last one's the output's.

    Conventions: linear layers and convolutions in the order in which they were assigned. Vectors, also a
    normalization's scales, count as biases.
    Args:
        model: with at least two such layers, and no other parameters than vectors.
    Returns: the role by the parameter's name.
    Raises: ValueError: for fewer layers, or another parameter.
    Example:
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Linear(8, 8), torch.nn.Linear(8, 1))
        >>> list(width_roles(model).values())
        ['input', 'bias', 'hidden', 'bias', 'output', 'output_bias']
    """
    layers = [name for name, m in model.named_modules() if isinstance(m, LAYERS)]
    if len(layers) < 2:
        raise ValueError(
            "model must have at least 2 linear layers or convolutions, one from the input and one to the "
            f"output: got {len(layers)}"
        )
    roles = {f"{name}.weight": "hidden" for name in layers}
    roles[f"{layers[0]}.weight"] = "input"
    roles[f"{layers[-1]}.weight"] = "output"
    roles[f"{layers[-1]}.bias"] = "output_bias"
    found = {}
    for name, parameter in model.named_parameters():
        if name not in roles and parameter.dim() > 1:
            raise ValueError(
                f"parameters must be weights of layers, or vectors: got {name} of shape "
                f"{tuple(parameter.shape)}; scale it by width_scaling"
            )
        found[name] = roles.get(name, "bias")
    return found


def initialize_by_width_(
    model: nn.Module,
    width_ratio: float,
    parametrization: str = "maximal_update",
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Draw Kaiming's weights for a ReLU, scaled as ``width_scaling`` says; biases are 0.

    Kaiming's spread falls with the width already, so that under maximal update the output weights alone are
    smaller than it, by sqrt(width_ratio). A normalization's parameters stay as they are.
    Args:
        model: as ``width_roles``'s; altered in place.
        width_ratio, parametrization: as ``width_scaling``'s.
        generator: draws the weights.
    Returns: ``model``.
    Raises: ValueError: as ``width_scaling`` and ``width_roles``.
    Example:
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 800), torch.nn.Linear(800, 50))
        >>> weight = initialize_by_width_(model, 8.0)[1].weight
        >>> round(weight.square().mean().item() * 800, 2)  # 2 / 8
        0.25

    References: Yang et al., "Tensor Programs V", NeurIPS 2021, arXiv:2203.03466.
    """
    roles = width_roles(model)
    known = POWERS["standard"]
    for name, layer in model.named_modules():
        if not isinstance(layer, LAYERS):
            continue
        role = roles[f"{name}.weight"]
        wanted = width_scaling(role, width_ratio, parametrization=parametrization).std
        kaiming_normal_(layer.weight, generator=generator)
        with torch.no_grad():
            layer.weight.mul_(wanted / width_ratio ** known[role][0])
            if layer.bias is not None:
                layer.bias.zero_()
    return model


def width_groups(
    model: nn.Module,
    lr: float,
    width_ratio: float,
    optimizer: str = "adam",
    parametrization: str = "maximal_update",
) -> list[dict]:
    """Groups of parameters for an optimizer, one for each role, with their learning rates.

    Args:
        model: as ``width_roles``'s.
        lr: that was found at the known width.
        width_ratio, optimizer, parametrization: as ``width_scaling``'s.
    Returns: ``[{"params": [...], "lr": ..., "role": ...}, ...]``.
    Raises: ValueError: as ``width_scaling`` and ``width_roles``.
    Example:
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 64), torch.nn.Linear(64, 1))
        >>> groups = width_groups(model, 0.1, 4.0)
        >>> {group["role"]: group["lr"] for group in groups}
        {'input': 0.1, 'bias': 0.1, 'output': 0.025, 'output_bias': 0.1}
        >>> optimizer = torch.optim.Adam(groups)

    References: Yang et al., "Tensor Programs V", NeurIPS 2021, arXiv:2203.03466.
    """
    members: dict[str, list[nn.Parameter]] = {}
    parameters = dict(model.named_parameters())
    for name, role in width_roles(model).items():
        members.setdefault(role, []).append(parameters[name])
    return [
        {
            "params": params,
            "lr": lr * width_scaling(role, width_ratio, optimizer, parametrization).lr,
            "role": role,
        }
        for role, params in members.items()
    ]
