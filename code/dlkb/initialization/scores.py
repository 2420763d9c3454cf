"""What is wrong with a layer's outputs, in one number each: saturated, collapsed, dead, or all alike."""

import torch
from torch import Tensor

__all__ = ["collapse_score", "dead_units", "distinct_units", "saturation_score"]


def saturation_score(
    values: Tensor, low: float, high: float, margin: float = 0.05
) -> Tensor:
    r"""Share of a layer's outputs that lie near an end of the activation's range.

    Conventions: near is closer than ``margin`` times the length of the range; either end counts.
    Args:
        values: (S, \*), outputs of S networks; the share is taken over all else.
        low, high: ends of the range, 0 and 1 for the sigmoid, -1 and 1 for tanh.
        margin: between 0 and 1/2.
    Returns: (S,), float64.
    Raises: ValueError: if the ends are not in order or not finite, margin is out of range, or there is no
        value.
    Example:
        >>> saturation_score(torch.tensor([[-0.99, 0.0, 0.5, 0.95], [0.0, 0.1, 0.2, 0.3]]), -1, 1)
        tensor([0.5000, 0.0000], dtype=torch.float64)

    References: Glorot & Bengio, "Understanding the Difficulty of Training Deep Feedforward Neural Networks",
        AISTATS 2010, Sec. 3.
    """
    if not -torch.inf < low < high < torch.inf:
        raise ValueError(
            f"low and high must be finite and in order: got {low} and {high}; "
            "an activation without an upper end, as ReLU, does not saturate: see dead_units"
        )
    if not 0 < margin < 0.5:
        raise ValueError(f"margin must be between 0 and 1/2: got {margin}")
    flat = _by_network(values)
    near = margin * (high - low)
    return ((flat < low + near) | (flat > high - near)).double().mean(1)


def collapse_score(values: Tensor, width: float = 0.1) -> Tensor:
    r"""Largest share of a layer's outputs that fit into one interval of this width.

    1 if all outputs are about the same number, which then says nothing about the input; outputs spread
    evenly over [-1, 1] give width / 2. A healthy ReLU layer gives a half, its zeros.

    Conventions: the interval is closed, and may lie anywhere. NaN and infinity fit nowhere.
    Args:
        values: (S, \*), outputs of S networks; the share is taken over all else.
        width: in the units of the outputs, positive.
    Returns: (S,), float64.
    Raises: ValueError: if width is not positive, or there is no value.
    Example:
        >>> collapse_score(torch.tensor([[0.0, 0.01, 0.02, 5.0], [0.0, 1.0, 2.0, 3.0]]))
        tensor([0.7500, 0.2500], dtype=torch.float64)
    """
    if not width > 0:
        raise ValueError(f"width must be positive: got {width}")
    flat = _by_network(values).double()
    ordered = flat.nan_to_num(torch.inf, torch.inf, -torch.inf).sort(dim=1).values
    ends = torch.searchsorted(ordered, ordered + width, right=True)
    count = ends - torch.arange(flat.shape[1], device=flat.device)
    count = torch.where(ordered.isfinite(), count, 0)
    return count.amax(1).double() / flat.shape[1]


def dead_units(values: Tensor) -> Tensor:
    r"""Share of units that give 0 for every sample and position, for each of S networks at once.

    Conventions: of one network as ``dlkb.probes.dead_share``.
    Args:
        values: (S, N, C, \*), outputs of a ReLU layer.
    Returns: (S,), float64.
    Raises: ValueError: if there are fewer than three dimensions, or no samples or units.
    Example:
        >>> dead_units(torch.tensor([[[0.0, 1.0], [0.0, 0.0]], [[2.0, 1.0], [0.0, 0.0]]]))
        tensor([0.5000, 0.0000], dtype=torch.float64)

    References: Lu et al., "Dying ReLU and Initialization: Theory and Numerical Examples", Communications in
        Computational Physics 28, 2020, arXiv:1903.06733.
    """
    return (_by_unit(values) == 0).all(-1).double().mean(1)


def distinct_units(values: Tensor, tolerance: float = 0.0) -> Tensor:
    r"""How many different units a layer has: units that always agree count once.

    Of a layer that started from equal weights this stays 1, whatever its width: no training by gradients
    tells its units apart.

    Conventions: two units agree if no output of theirs differs by more than ``tolerance`` times the layer's
    largest absolute value; a unit counts if it agrees with none before it.
    Args:
        values: (S, N, C, \*): outputs of C units, or their incoming weights, transposed.
        tolerance: not negative; 0 for equal to the last bit.
    Returns: (S,), int64.
    Raises: ValueError: if tolerance is negative, or as ``dead_units``.
    Example:
        >>> outputs = torch.tensor([[[1.0, 1.0, 2.0], [3.0, 3.0, 3.0]]])  # 1 network, 2 samples, 3 units
        >>> distinct_units(outputs)
        tensor([2])
    """
    if not tolerance >= 0:
        raise ValueError(f"tolerance must not be negative: got {tolerance}")
    units = _by_unit(values)  # (S, C, N * positions)
    near = tolerance * units.abs().amax((1, 2))  # (S,)
    count = torch.zeros(len(units), dtype=torch.int64, device=units.device)
    for index in range(units.shape[1]):
        apart = (units[:, :index] - units[:, index : index + 1]).abs().amax(-1)
        count += (apart > near[:, None]).all(1)
    return count


def _by_network(values: Tensor) -> Tensor:
    """(S, values of one network)."""
    if values.dim() < 2 or values.numel() == 0:
        raise ValueError(
            f"values must be (S, *), not empty: got shape {tuple(values.shape)}; "
            "of one network give values.unsqueeze(0)"
        )
    return values.flatten(1)


def _by_unit(values: Tensor) -> Tensor:
    """(S, C, outputs of one unit)."""
    if values.dim() < 3 or values.numel() == 0:
        raise ValueError(
            f"values must be (S, N, C, *), not empty: got shape {tuple(values.shape)}; "
            "of one network give values.unsqueeze(0)"
        )
    return values.transpose(1, 2).flatten(2)
