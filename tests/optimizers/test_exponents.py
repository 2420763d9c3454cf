"""A power law's exponent is found whatever its factor, for many laws at once."""

import numpy as np
import pytest
import torch

from dlkb.optimizers.exponents import log_log_slope


def test_noisy_values_give_numpys_slope():
    """Catches a slope through the origin, one of values over logs, and rows that are mixed."""
    generator = torch.Generator().manual_seed(0)
    sizes = 2 ** torch.arange(1, 8)
    noise = torch.randn(2, 3, 7, generator=generator, dtype=torch.float64)
    values = 5 * sizes.double() ** -1.5 * noise.exp()
    found = log_log_slope(sizes.double(), values)
    logs = values.log().flatten(0, 1).numpy().T
    expected = np.polyfit(np.log(sizes.numpy()), logs, 1)[0].reshape(2, 3)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def test_integers_are_sizes_too():
    sizes = torch.arange(1, 5)
    found = log_log_slope(sizes, sizes.float() ** 3)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(3, rel=1e-5)


@pytest.mark.parametrize("values", [torch.ones(2, 4), torch.ones(3, 2)])
def test_each_size_needs_a_value(values):
    with pytest.raises(ValueError, match=r"sizes \(3,\) and values"):
        log_log_slope(torch.ones(3), values)
