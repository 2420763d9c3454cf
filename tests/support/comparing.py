"""How parity is compared: values, and gradients with respect to each input."""

import torch


def value_and_gradients(function, *tensors, **arguments):
    """The output, and the gradients with respect to each floating tensor.

    Each element of the output has its own weight, so that none can stand for another.
    """
    inputs = [
        t.clone().requires_grad_() if t.is_floating_point() else t for t in tensors
    ]
    output = function(*inputs, **arguments)
    weights = torch.linspace(1, 2, max(output.numel(), 1), dtype=torch.float64)
    weights = weights[: output.numel()].to(output.dtype)
    (output.reshape(-1) * weights).sum().backward()
    return [output.detach(), *(i.grad for i in inputs if i.is_floating_point())]


def close(actual, expected, rtol=1e-12, atol=1e-12, **options):
    """NaN equals NaN; the tolerances are for float64."""
    torch.testing.assert_close(
        actual, expected, rtol=rtol, atol=atol, equal_nan=True, **options
    )
