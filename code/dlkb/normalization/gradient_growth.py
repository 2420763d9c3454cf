"""How fast batch norm makes gradients grow with depth: the law for wide ReLU networks at initialization."""

import math

__all__ = ["relu_gradient_growth"]


def relu_gradient_growth(batch_size: float = math.inf) -> float:
    """Factor of the gradient's norm per layer, from top to bottom, in a plain ReLU network with batch norm.

    With c = -1 / (batch_size - 1), the correlation of two normalized samples, and the arc-cosine kernel
    J(c) = (sqrt(1 - c^2) + (pi - acos(c)) c) / pi, the squared norm grows by
    (J'(c) + (batch_size - 1)) / ((batch_size - 3) (1 - J(c))) - 1 / (batch_size - 3).

    Conventions: the paper's rate is that of the SQUARED norm; here its root. At infinite batch size this is
    sqrt(pi / (pi - 1)), and for finite ones it is larger. Infinite width, deep layers, no skip connections.
    Args:
        batch_size: number of samples, above 3, or infinity.
    Raises: ValueError: if batch_size is 3 or less, where the gradient's second moment is infinite.
    Example:
        >>> round(relu_gradient_growth(), 4), round(relu_gradient_growth(16), 4)
        (1.2112, 1.2609)

    References: Yang et al., "A Mean Field Theory of Batch Normalization", ICLR 2019, arXiv:1902.08129.
    """
    if not batch_size > 3:
        raise ValueError(
            f"batch_size must be above 3, since the law diverges there: got {batch_size}"
        )
    if math.isinf(batch_size):
        return math.sqrt(math.pi / (math.pi - 1))
    c = -1 / (batch_size - 1)
    slope = (math.pi - math.acos(c)) / math.pi  # J'(c)
    kernel = math.sqrt(1 - c**2) / math.pi + slope * c  # J(c)
    squared = (slope + batch_size - 1) / ((batch_size - 3) * (1 - kernel))
    return math.sqrt(squared - 1 / (batch_size - 3))
