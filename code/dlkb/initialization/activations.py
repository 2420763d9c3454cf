r"""Activation functions, stable in value and gradient.

Where a formula has one stable form for x >= 0 and another for x < 0, both are computed and torch.where picks
one. The form that is not picked has the gradient 0 times its own, which is NaN if its own is infinite: so
each form sees only its half of the line (``_negative_part``), and neither is ever infinite.
"""

import math

import torch
from torch import Tensor

from dlkb.initialization._shared import (
    _at_least_float32,
    _check_floating,
    _check_one_of,
    _check_positive,
)

__all__ = [
    "elu",
    "gelu",
    "hardsigmoid",
    "hardswish",
    "leaky_relu",
    "mish",
    "quick_gelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "swish",
    "tanh",
]

# Such that mean 0 and variance 1 of a normal input are kept: Klambauer et al., 2017, Eq. 14.
SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def sigmoid(input: Tensor) -> Tensor:
    r"""1 / (1 + exp(-x)), in the form with two branches, of which neither exponent is above 0.

    1 / (1 + exp(-x)) where x >= 0, exp(x) / (1 + exp(x)) where x < 0

    Conventions: computed in at least float32. The derivative s (1 - s) is 1/4 at 0 and less elsewhere.
    Args:
        input: any shape, floating point.
    Returns: shape and dtype of ``input``.
    Raises: TypeError: if input is not floating point.
    Example:
        >>> sigmoid(torch.tensor([-1000.0, 0.0, 1000.0]))
        tensor([0.0000, 0.5000, 1.0000])
    """
    _check_floating(input=input)
    x = _at_least_float32(input)
    falling, rising = torch.exp(_negative_part(-x)), torch.exp(_negative_part(x))
    upper, lower = 1 / (1 + falling), rising / (1 + rising)
    return torch.where(x >= 0, upper, lower).to(input.dtype)


def tanh(input: Tensor) -> Tensor:
    r"""(exp(x) - exp(-x)) / (exp(x) + exp(-x)): a sigmoid that is zero-centred, 2 sigmoid(2x) - 1.

    -t / (2 + t) with t = exp(-2x) - 1 where x >= 0, t / (2 + t) with t = exp(2x) - 1 where x < 0

    Conventions: computed in at least float32. ``expm1`` keeps the digits of small values, which
    2 sigmoid(2x) - 1 would lose.
    Args:
        input: any shape, floating point.
    Returns: shape and dtype of ``input``.
    Raises: TypeError: if input is not floating point.
    Example:
        >>> tanh(torch.tensor([-1000.0, 1e-10, 1000.0])).tolist()
        [-1.0, 1.000000013351432e-10, 1.0]
    """
    _check_floating(input=input)
    x = _at_least_float32(input)
    falling = torch.expm1(2 * _negative_part(-x))
    rising = torch.expm1(2 * _negative_part(x))
    upper, lower = -falling / (2 + falling), rising / (2 + rising)
    return torch.where(x >= 0, upper, lower).to(input.dtype)


def relu(input: Tensor) -> Tensor:
    """max(x, 0).

    Conventions: the derivative at 0 is 0, as torch's.
    Args:
        input: any shape, floating point.
    Returns: shape and dtype of ``input``.
    Raises: TypeError: if input is not floating point.
    Example:
        >>> relu(torch.tensor([-2.0, 0.0, 3.0]))
        tensor([0., 0., 3.])
    """
    _check_floating(input=input)
    return input.masked_fill(input <= 0, 0)


def relu6(input: Tensor) -> Tensor:
    """min(max(x, 0), 6): a ReLU whose range is bounded, so that few bits can hold it.

    Conventions: the derivative at 0 and at 6 is 0, as torch's.
    Args:
        input: any shape, floating point.
    Returns: shape and dtype of ``input``.
    Raises: TypeError: if input is not floating point.
    Example:
        >>> relu6(torch.tensor([-2.0, 3.0, 9.0]))
        tensor([0., 3., 6.])

    References: Howard et al., "MobileNets", 2017, arXiv:1704.04861.
    """
    return relu(input).masked_fill(input >= 6, 6)


def leaky_relu(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """x where x > 0, negative_slope x elsewhere.

    Conventions: equal to max(negative_slope x, x) only for slopes up to 1. The derivative at 0 is the slope,
    as torch's.
    Args:
        input: any shape, floating point.
        negative_slope: 0 gives a ReLU, 1 the identity.
    Returns: shape and dtype of ``input``.
    Raises: TypeError: if input is not floating point.
    Example:
        >>> leaky_relu(torch.tensor([-2.0, 3.0]))
        tensor([-0.0200,  3.0000])

    References: Maas et al., "Rectifier Nonlinearities Improve Neural Network Acoustic Models", 2013.
    """
    _check_floating(input=input)
    x = _at_least_float32(input)
    return torch.where(x > 0, x, negative_slope * x).to(input.dtype)


def elu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """x where x > 0, alpha (exp(x) - 1) elsewhere: it saturates at -alpha.

    Conventions: the derivative at 0 is alpha, as torch's.
    Args:
        input: any shape, floating point.
        alpha: how far below 0 it goes.
    Returns: shape and dtype of ``input``.
    Raises: TypeError: if input is not floating point.
    Example:
        >>> elu(torch.tensor([-1000.0, 3.0]))
        tensor([-1.,  3.])

    References: Clevert et al., ICLR 2016, arXiv:1511.07289.
    """
    _check_floating(input=input)
    x = _at_least_float32(input)
    below = alpha * torch.expm1(_negative_part(x))
    return torch.where(x > 0, x, below).to(input.dtype)


def selu(input: Tensor) -> Tensor:
    """scale elu(x, alpha), with the two constants that keep a standard normal input's mean and variance.

    Args:
        input: any shape, floating point.
    Returns: shape and dtype of ``input``.
    Raises: TypeError: if input is not floating point.
    Example:
        >>> selu(torch.tensor([-1000.0, 1.0]))
        tensor([-1.7581,  1.0507])

    References: Klambauer et al., "Self-Normalizing Neural Networks", NeurIPS 2017, arXiv:1706.02515.
    """
    _check_floating(input=input)
    x = _at_least_float32(input)
    return (SELU_SCALE * elu(x, SELU_ALPHA)).to(input.dtype)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    r"""log(1 + exp(beta x)) / beta, a smooth ReLU whose derivative is sigmoid(beta x).

    Conventions: torch's: the identity where beta x is above the threshold, where the two differ by
    exp(-20) / beta at most. The form below it needs no threshold: with a threshold of infinity all
    values stay finite. Unlike torch, a beta that is not positive is refused.
    Args:
        input: any shape, floating point.
        beta: the larger, the closer to a ReLU.
        threshold: of beta x.
    Returns: shape and dtype of ``input``.
    Raises: TypeError: if input is not floating point. ValueError: if beta is not positive.
    Example:
        >>> softplus(torch.tensor([-1000.0, 0.0, 1000.0]))  # 0, ln 2, 1000
        tensor([0.0000e+00, 6.9315e-01, 1.0000e+03])

    References: Glorot et al., AISTATS 2011 (as a smooth rectifier).
    """
    _check_floating(input=input)
    _check_positive(beta=beta)
    x = _at_least_float32(input)
    z = beta * x
    # log(1 + e^z) = z + log(1 + e^-z): no exponent is above 0. By branches, since |z| has no slope at 0
    above = x + torch.log1p(torch.exp(_negative_part(-z))) / beta
    below = torch.log1p(torch.exp(_negative_part(z))) / beta
    smooth = torch.where(z >= 0, above, below)
    return torch.where(z > threshold, x, smooth).to(input.dtype)


def silu(input: Tensor) -> Tensor:
    """x sigmoid(x): ``swish`` with beta = 1.

    Args:
        input: any shape, floating point.
    Returns: shape and dtype of ``input``.
    Raises: TypeError: if input is not floating point.
    Example:
        >>> silu(torch.tensor([-1.2785, 0.0, 10.0]))  # the first is where it is lowest
        tensor([-0.2785,  0.0000,  9.9995])

    References: Elfwing et al., Neural Networks 107, 2018, arXiv:1702.03118.
    """
    return swish(input)


def swish(input: Tensor, beta: float | Tensor = 1.0) -> Tensor:
    """x sigmoid(beta x): x / 2 for beta = 0, a ReLU as beta grows.

    Args:
        input: any shape, floating point.
        beta: a number, or a tensor that is broadcast over ``input`` (to be learnt, say).
    Returns: shape and dtype of ``input`` (broadcast with beta).
    Raises: TypeError: if input is not floating point.
    Example:
        >>> swish(torch.tensor([-4.0, 4.0]), beta=0.0), swish(torch.tensor([-4.0, 4.0]), beta=100.0)
        (tensor([-2.,  2.]), tensor([-0., 4.]))

    References: Ramachandran et al., "Searching for Activation Functions", 2017, arXiv:1710.05941.
    """
    _check_floating(input=input)
    x = _at_least_float32(input)
    return (x * sigmoid(beta * x)).to(input.dtype)


def hardsigmoid(input: Tensor) -> Tensor:
    """relu6(x + 3) / 6: a sigmoid of three straight lines.

    Conventions: the derivative at -3 and at 3 is 0, as torch's.
    Args:
        input: any shape, floating point.
    Returns: shape and dtype of ``input``.
    Raises: TypeError: if input is not floating point.
    Example:
        >>> hardsigmoid(torch.tensor([-4.0, 0.0, 1.5, 4.0]))
        tensor([0.0000, 0.5000, 0.7500, 1.0000])
    """
    _check_floating(input=input)
    return (relu6(_at_least_float32(input) + 3) / 6).to(input.dtype)


def hardswish(input: Tensor) -> Tensor:
    """x relu6(x + 3) / 6: silu with a sigmoid of three straight lines.

    Conventions: at -3 and at 3, where it has a kink, the derivative is that outside: 0 and 1.
    Args:
        input: any shape, floating point.
    Returns: shape and dtype of ``input``.
    Raises: TypeError: if input is not floating point.
    Example:
        >>> hardswish(torch.tensor([-4.0, -1.5, 0.0, 4.0]))
        tensor([-0.0000, -0.3750,  0.0000,  4.0000])

    References: Howard et al., "Searching for MobileNetV3", ICCV 2019, arXiv:1905.02244.
    """
    _check_floating(input=input)
    x = _at_least_float32(input)
    return (x * hardsigmoid(x)).to(input.dtype)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    r"""x Phi(x), where Phi is the standard normal distribution function.

    "none": x erfc(-x / sqrt 2) / 2. "tanh": x (1 + tanh u) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3).

    Conventions: torch's, ``approximate`` by its name or second. In the left tail, ``erfc`` keeps the digits
    that 1 + erf loses, and sigmoid(2u), which equals (1 + tanh u) / 2, those that 1 + tanh loses.
    Args:
        input: any shape, floating point.
        approximate: "none" or "tanh". The form by a sigmoid is ``quick_gelu``.
    Returns: shape and dtype of ``input``.
    Raises: TypeError: if input is not floating point. ValueError: for another approximation.
    Example:
        >>> x = torch.tensor([-1.0, 1.0])
        >>> gelu(x), gelu(x, "tanh")
        (tensor([-0.1587,  0.8413]), tensor([-0.1588,  0.8412]))

    References: Hendrycks & Gimpel, 2016, arXiv:1606.08415.
    """
    _check_floating(input=input)
    _check_one_of(("none", "tanh"), approximate=approximate)
    x = _at_least_float32(input)
    if approximate == "none":
        return (x * torch.erfc(x * -math.sqrt(0.5)) / 2).to(input.dtype)
    # beyond 100 the sigmoid is 0 or 1 in any dtype, and the cube's gradient would become infinite
    near = x.clamp(-100, 100)
    inner = math.sqrt(2 / math.pi) * (near + 0.044715 * near**3)
    return (x * sigmoid(2 * inner)).to(input.dtype)


def quick_gelu(input: Tensor) -> Tensor:
    """x sigmoid(1.702 x): near gelu, but not gelu; ``swish`` with beta = 1.702.

    Args:
        input: any shape, floating point.
    Returns: shape and dtype of ``input``.
    Raises: TypeError: if input is not floating point.
    Example:
        >>> quick_gelu(torch.tensor([-1.0, 1.0]))  # gelu's are -0.1587 and 0.8413
        tensor([-0.1542,  0.8458])

    References: Hendrycks & Gimpel, 2016, Sec. 2, arXiv:1606.08415.
    """
    return swish(input, 1.702)


def mish(input: Tensor) -> Tensor:
    """x tanh(softplus(x)).

    Args:
        input: any shape, floating point.
    Returns: shape and dtype of ``input``.
    Raises: TypeError: if input is not floating point.
    Example:
        >>> mish(torch.tensor([-1.1924, 0.0, 10.0]))  # the first is where it is lowest
        tensor([-0.3088,  0.0000, 10.0000])

    References: Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", BMVC 2020,
        arXiv:1908.08681.
    """
    _check_floating(input=input)
    x = _at_least_float32(input)
    return (x * tanh(softplus(x))).to(input.dtype)


def _negative_part(x: Tensor) -> Tensor:
    """min(x, 0), whose derivative at 0 is 1, where that of clamp is 0 in torch 2.15."""
    return x.masked_fill(x > 0, 0)
