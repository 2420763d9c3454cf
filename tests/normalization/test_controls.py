"""Controls for experiments on batch norm, against batch norm with known statistics and against statistics."""

import pytest
import torch
from torch.func import functional_call, stack_module_state, vmap

from dlkb.normalization import RandomShiftScale, ScaleShift

SHAPES = [(5, 3), (5, 3, 7), (2, 3, 4, 5), (1, 3, 1, 1)]


def randn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator)


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


# ------------------------------------------------------------------------------------------ ScaleShift


@pytest.mark.parametrize("shape", SHAPES)
def test_scale_shift_is_batch_norm_that_has_nothing_to_normalize(shape):
    """torch's layer in evaluation with mean 0 and variance 1. Fails for a shift applied before the scale and
    for parameters along the wrong axis."""
    ours = ScaleShift(3, dtype=torch.float64)
    theirs = torch.nn.BatchNorm1d(3, eps=1e-30, dtype=torch.float64).eval()
    with torch.no_grad():
        ours.weight.copy_(randn(3, seed=1))
        ours.bias.copy_(randn(3, seed=2))
    theirs.load_state_dict(ours.state_dict(), strict=False)
    x, grad_output = randn(*shape).requires_grad_(), randn(*shape, seed=3)
    flat = x.flatten(2) if x.dim() > 3 else x
    expected = theirs(flat).view(shape)
    found = ours(x)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)
    gradients = [
        torch.autograd.grad(
            out, [x, *layer.parameters()], grad_output, retain_graph=True
        )
        for out, layer in ((found, ours), (expected, theirs))
    ]
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-12)


def test_a_fresh_scale_shift_changes_nothing_in_either_mode():
    x = randn(4, 3).float()
    for layer in (ScaleShift(3), ScaleShift(3).eval()):
        assert torch.equal(layer(x), x)
        assert layer(x).dtype == x.dtype


def test_scale_shift_has_the_parameters_of_batch_norm_and_no_buffers():
    assert list(ScaleShift(3).state_dict()) == ["weight", "bias"]
    assert repr(ScaleShift(3)) == "ScaleShift(3)"


# ------------------------------------------------------------------------------------ RandomShiftScale


@pytest.mark.parametrize("shape", SHAPES)
def test_one_scale_and_one_shift_per_channel_serve_all_samples_and_positions(shape):
    """Fails for noise per sample or per position: the output must be affine in the input per channel."""
    layer = RandomShiftScale(3, shift=0.5, scale=0.25)
    x = randn(*shape)

    def with_the_same_draws(value):
        torch.manual_seed(1)
        return layer(value)

    zero, one, output = map(with_the_same_draws, (0 * x, 0 * x + 1, x))
    for constant in (zero, one):
        per_channel = constant.transpose(0, 1).flatten(1)
        assert (per_channel == per_channel[:, :1]).all()
    torch.testing.assert_close(output, x * (one - zero) + zero, rtol=0, atol=1e-14)
    assert output.shape == x.shape
    assert output.dtype == x.dtype


def test_draws_fill_their_ranges_evenly():
    """Fails for one-sided noise, for a normal distribution and for scale and shift that share a draw."""
    layer = RandomShiftScale(20000, shift=0.5, scale=0.25)
    m, first = layer(torch.zeros(1, 20000)), layer(torch.zeros(1, 20000))
    assert not torch.equal(m, first), "drawn anew in each pass"
    torch.manual_seed(5)
    m = layer(torch.zeros(1, 20000))[0]
    torch.manual_seed(5)
    s = layer(torch.ones(1, 20000))[0] - m
    for values, middle, half in ((m, 0.0, 0.5), (s, 1.0, 0.25)):
        assert values.min() >= middle - half - 1e-6
        assert values.max() <= middle + half + 1e-6
        unit = ((values - middle) / half + 1) / 2
        ranks = torch.linspace(0, 1, 20000)
        assert (unit.sort().values - ranks).abs().max() < 1.95 / 20000**0.5  # KS
    assert torch.corrcoef(torch.stack([m, s]))[0, 1].abs() < 0.03


def test_no_noise_in_evaluation_and_none_of_size_zero():
    x = randn(4, 3)
    assert torch.equal(RandomShiftScale(3, 0.5, 0.25).eval()(x), x)
    assert torch.equal(RandomShiftScale(3, 0.0, 0.0)(x), x)


def test_the_gradient_is_the_drawn_scale():
    layer = RandomShiftScale(3, shift=2.0, scale=1.0)
    x = randn(4, 3).requires_grad_()
    output = layer(x)
    (gradient,) = torch.autograd.grad(output.sum(), x)
    scale = (output[0] - output[1]) / (x[0] - x[1])
    torch.testing.assert_close(gradient, scale.detach().expand(4, 3))


def test_stacked_networks_get_noise_of_their_own():
    """What fit_many does. Fails for draws that torch.func cannot vectorize."""
    layers = [torch.nn.Sequential(RandomShiftScale(3, 1.0, 0.5)) for _ in range(2)]
    state = stack_module_state(layers)
    call = lambda p, b, x: functional_call(layers[0], (p, b), (x,))
    output = vmap(call, randomness="different")(*state, torch.zeros(2, 4, 3))
    assert not torch.equal(output[0], output[1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ScaleShift(0), "at least 1: got 0"),
        (lambda: RandomShiftScale(0, 0.1, 0.1), "at least 1: got 0"),
        (lambda: RandomShiftScale(3, -0.1, 0.1), "shift must be finite.*got -0.1"),
        (lambda: RandomShiftScale(3, float("nan"), 0.1), "shift must .*got nan"),
        (lambda: RandomShiftScale(3, float("inf"), 0.1), "shift must .*got inf"),
        (lambda: RandomShiftScale(3, 0.1, 1.5), r"scale must be in \[0, 1\].*got 1.5"),
        (lambda: RandomShiftScale(3, 0.1, float("nan")), "scale must .*got nan"),
        (
            lambda: ScaleShift(3)(torch.zeros(2, 4)),
            r"num_features=3.*got shape \(2, 4\)",
        ),
        (
            lambda: RandomShiftScale(3, 0.1, 0.1).eval()(torch.zeros(3)),
            r"got shape \(3,\)",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
