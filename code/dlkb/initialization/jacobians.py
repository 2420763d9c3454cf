"""What many layers do to a signal or gradient: singular values, powers of a matrix, random products."""

import math
from collections.abc import Iterable, Sequence

import torch
from scipy.special import digamma
from torch import Tensor, nn
from torch.func import functional_call, jacrev, stack_module_state, vmap

__all__ = [
    "gaussian_lyapunov_exponents",
    "jacobian_singular_values",
    "lyapunov_exponents",
    "power_log_norms",
    "rms_singular_value",
    "spectral_radius",
]


def jacobian_singular_values(networks: Sequence[nn.Module], input: Tensor) -> Tensor:
    r"""Singular values of the derivative of output by input, for each network and sample.

    Conventions: networks stay in their mode, and must treat samples separately, in evaluation mode at least.
    Args:
        networks: S, of one architecture.
        input: (N, \*), the samples, the same for all networks.
    Returns: (S, N, K), falling, K the smaller of the numbers of inputs and outputs; dtype and device of
        ``input``.
    Raises: ValueError: if there is no network or no sample.
    Example:
        >>> layer = nn.Linear(2, 2)
        >>> _ = layer.weight.data.copy_(torch.tensor([[0.0, 3.0], [2.0, 0.0]]))
        >>> jacobian_singular_values([layer], torch.zeros(1, 2))
        tensor([[[3., 2.]]])

    References: Saxe, McClelland & Ganguli, "Exact Solutions to the Nonlinear Dynamics of Learning in Deep
        Linear Neural Networks", ICLR 2014, arXiv:1312.6120; Pennington, Schoenholz & Ganguli, "Resurrecting
        the Sigmoid in Deep Learning through Dynamical Isometry", NeurIPS 2017, arXiv:1711.04735.
    """
    if not len(networks) or not len(input):
        raise ValueError(
            f"give at least one network and one sample: got {len(networks)} and {len(input)}"
        )
    skeleton, state = networks[0], stack_module_state(list(networks))
    state = tuple({name: p.detach() for name, p in part.items()} for part in state)

    def output(sample: Tensor, state: tuple) -> Tensor:
        return functional_call(skeleton, state, (sample.unsqueeze(0),)).flatten()

    def jacobian(sample: Tensor, state: tuple) -> Tensor:
        return jacrev(output)(sample, state).flatten(1)  # (outputs, inputs)

    by_network = vmap(vmap(jacobian, (0, None)), (None, 0))
    return torch.linalg.svdvals(by_network(input, state))


def spectral_radius(matrix: Tensor) -> Tensor:
    r"""Largest absolute value of an eigenvalue: what decides in the end whether powers grow.

    Args:
        matrix: (\*, n, n).
    Returns: (\*), real.
    Raises: ValueError: if matrix is not square, or empty.
    Example:
        >>> spectral_radius(torch.tensor([[0.5, 100.0], [0.0, 0.25]]))
        tensor(0.5000)
    """
    _check_square(matrix)
    return torch.linalg.eigvals(matrix).abs().amax(-1)


def rms_singular_value(matrix: Tensor) -> Tensor:
    r"""Root mean square of a matrix's singular values, |W| / sqrt(n), from its entries.

    Conventions: n counts columns, so that it is the factor by which the root mean square length grows of a
    vector that may point anywhere.
    Args:
        matrix: (\*, m, n).
    Returns: (\*).
    Example:
        >>> rms_singular_value(torch.diag(torch.tensor([1.0, 7.0])))
        tensor(5.)
    """
    return torch.linalg.matrix_norm(matrix) / math.sqrt(matrix.shape[-1])


def power_log_norms(matrix: Tensor, steps: int) -> Tensor:
    r"""Natural logarithm of the largest singular value of each power of a matrix, from 0 to ``steps``.

    The product is divided by its norm after each step and the logarithms added up, so that it neither
    overflows nor underflows.

    Args:
        matrix: (\*, n, n), floating point.
        steps: not negative.
    Returns: (\*, steps + 1); 0 first, and minus infinity where a power is the zero matrix.
    Raises: ValueError: if matrix is not square or empty, or steps is negative.
    Example:
        >>> last = power_log_norms(torch.tensor([[10.0]]), 60)[-1]
        >>> round(last.item() / math.log(10), 3)  # of 10^60, which is no float32
        60.0
    """
    _check_square(matrix)
    if steps < 0:
        raise ValueError(f"steps must not be negative: got {steps}")
    power = torch.eye(matrix.shape[-1]).to(matrix).expand_as(matrix)
    total = torch.zeros_like(matrix[..., 0, 0])
    logs = [total]
    for _ in range(steps):
        power = matrix @ power
        norm = torch.linalg.matrix_norm(power, 2)
        total = total + norm.log()
        power = power / torch.where(norm > 0, norm, 1)[..., None, None]
        logs.append(total)
    return torch.stack(logs, dim=-1)


def lyapunov_exponents(matrices: Iterable[Tensor]) -> Tensor:
    r"""Growth rates of a product of many matrices, logarithm per factor, by repeated QR decomposition.

    The k-th exponent is the rate of the k-th singular value of the product; the first says whether signals
    or gradients explode (positive) or vanish (negative).

    Conventions: natural logarithm; the first matrix is applied first. A frame of n directions is carried
    along and made orthonormal after each factor, so that nothing overflows. What it picks up before it has
    turned into place fades with the number of factors, T, as 1 / T.
    Args:
        matrices: T of them, (\*, n, n); drawn one at a time, they need not all be in memory.
    Returns: (\*, n), falling for long products.
    Raises: ValueError: if there is no matrix, or one is not square or of another size than the first.
    Example:
        >>> found = lyapunov_exponents([torch.diag(torch.tensor([4.0, 2.0]))] * 10)
        >>> [round(rate, 3) for rate in found.tolist()]  # log 4, log 2
        [1.386, 0.693]

    References: Benettin et al., "Lyapunov Characteristic Exponents for Smooth Dynamical Systems", Meccanica
        15, 1980.
    """
    total, frame, count = None, None, 0
    for matrix in matrices:
        if frame is None:
            _check_square(matrix)
            frame = torch.eye(matrix.shape[-1]).to(matrix).expand_as(matrix)
            total = torch.zeros_like(matrix[..., 0])
        if matrix.shape != frame.shape:
            raise ValueError(
                f"all matrices must have the shape of the first, {tuple(frame.shape)}: "
                f"got {tuple(matrix.shape)}"
            )
        frame, upper = torch.linalg.qr(matrix @ frame)
        total = total + upper.diagonal(dim1=-2, dim2=-1).abs().log()
        count += 1
    if total is None:
        raise ValueError("a product needs at least one matrix: got none")
    return total / count


def gaussian_lyapunov_exponents(size: int, std: float) -> Tensor:
    """Growth rates of a product of independent square matrices with normal entries, exactly.

    exponent_k = log(std) + (log 2 + digamma((n - k + 1) / 2)) / 2 for k from 1 to n

    The first is log(std sqrt(n)), the logarithm of the root mean square singular value, less about 1 / (2n).

    Args:
        size: n, at least 1.
        std: standard deviation of the entries, whose mean is 0.
    Returns: (size,), float64, falling.
    Raises: ValueError: if size is below 1 or std not positive.
    Example:
        >>> round(gaussian_lyapunov_exponents(100, 0.1)[0].item(), 5)
        -0.00502

    References: Newman, "The Distribution of Lyapunov Exponents: Exact Results for Random Matrices",
        Communications in Mathematical Physics 103, 1986.
    """
    if size < 1 or not std > 0:
        raise ValueError(
            f"size must be at least 1 and std positive: got size={size}, std={std}"
        )
    degrees = [size - k for k in range(size)]  # of the chi-squared law of each length
    return torch.tensor(
        [math.log(std) + (math.log(2) + digamma(d / 2)) / 2 for d in degrees],
        dtype=torch.float64,
    )


def _check_square(matrix: Tensor) -> None:
    if matrix.dim() < 2 or matrix.shape[-1] != matrix.shape[-2] or not matrix.numel():
        raise ValueError(
            f"matrix must be square, (*, n, n), and not empty: got shape {tuple(matrix.shape)}"
        )
