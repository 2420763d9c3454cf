"""Outputs and gradients against a loop with hooks; theory against exact sums and wide networks."""

import itertools
import math

import pytest
import scipy
import torch
from torch import nn

from dlkb.initialization.signals import (
    layer_gradients,
    layer_outputs,
    measure_signals,
    predict_signals,
)
from dlkb.probes import activations, gradients
from dlkb.receptive_field.trials import Skip


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def stack(*sizes, activation=nn.Tanh, std=None, bias=False):
    """Linear layers with an activation behind each, float64, normal weights."""
    modules = []
    for inputs, outputs in itertools.pairwise(sizes):
        layer = nn.Linear(inputs, outputs, bias, dtype=torch.float64)
        if std is not None:
            nn.init.normal_(layer.weight, 0, std)
        modules += [layer, activation()]
    return nn.Sequential(*modules)


def stacks(count, *sizes, **options):
    torch.manual_seed(0)
    return [stack(*sizes, **options) for _ in range(count)]


def images(count):
    torch.manual_seed(0)
    make = lambda: nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.BatchNorm2d(4),
        Skip(nn.Conv2d(4, 4, 1), nn.ReLU()),
        nn.Flatten(),
        nn.Linear(4 * 25, 3),
    ).double()
    return [make() for _ in range(count)]


# ------------------------------------------------------------------------ against one network's own hooks


@pytest.mark.parametrize(
    "make", [lambda: stacks(3, 5, 4, 6, bias=True), lambda: images(3)]
)
def test_outputs_are_those_of_each_network(make):
    """Catches one network's weights for all, and outputs that an in-place module has written over."""
    networks = make()
    x = draw(7, 5) if len(networks[0]) == 4 else draw(7, 2, 5, 5)
    found = layer_outputs(networks, x)
    assert torch.equal(found[0], x.expand(3, *x.shape))
    for index, network in enumerate(networks):
        value = x
        for position, module in enumerate(network, start=1):
            value = module(value.clone())
            torch.testing.assert_close(found[position][index], value.detach())


@pytest.mark.parametrize(
    "make", [lambda: stacks(3, 5, 4, 6, bias=True), lambda: images(3)]
)
def test_gradients_are_those_of_each_network(make):
    """Catches gradients by inputs for those by outputs, and one end for all networks."""
    networks = make()
    x = draw(7, 5) if len(networks[0]) == 4 else draw(7, 2, 5, 5)
    end = draw(3, *networks[0](x).shape, seed=1)
    found = layer_gradients(networks, x, end=end)
    assert torch.equal(found[-1], end)
    for index, network in enumerate(networks):
        own = x.clone().requires_grad_()
        outputs = [own]
        for module in network:
            outputs.append(module(outputs[-1].clone()))
        expected = torch.autograd.grad((outputs[-1] * end[index]).sum(), outputs)
        for position, gradient in enumerate(expected):
            torch.testing.assert_close(found[position][index], gradient)


def test_an_activation_that_is_used_again_counts_at_each_place():
    """Catches modules listed once each, which leaves out all but the first of a shared ReLU."""
    (apart,) = stacks(1, 5, 4, 6, activation=nn.ReLU)
    again = nn.Sequential(apart[0], relu := nn.ReLU(), apart[2], relu)
    x = draw(7, 5)
    found, expected = (
        measure_signals([n], x, generator=seeded()) for n in (again, apart)
    )
    assert torch.equal(found.forward, expected.forward)
    assert torch.equal(found.backward, expected.backward)


def test_a_layer_that_is_used_again_is_refused():
    layer = nn.Linear(3, 3)
    with pytest.raises(ValueError, match="at one place: got one that is used again"):
        layer_outputs([nn.Sequential(layer, nn.Tanh(), layer)], torch.ones(2, 3))


def test_probes_see_the_same_values():
    (network,) = stacks(1, 5, 4, 6)
    x, end = draw(7, 5), draw(1, 7, 6, seed=1)
    seen = activations(network, x).values()
    felt = gradients(network, x, lambda out: (out * end[0]).sum()).values()
    for values, expected in zip(layer_outputs([network], x)[1:], seen, strict=True):
        torch.testing.assert_close(values[0], expected)
    found = layer_gradients([network], x, end=end)[1:]
    for values, expected in zip(found, felt, strict=True):
        torch.testing.assert_close(values[0], expected)


def test_networks_are_left_as_they_were():
    networks = images(2)
    before = [{k: v.clone() for k, v in n.state_dict().items()} for n in networks]
    measure_signals(networks, draw(7, 2, 5, 5), generator=seeded())
    for network, state in zip(networks, before, strict=True):
        assert all(torch.equal(v, state[k]) for k, v in network.state_dict().items())
        assert all(p.grad is None for p in network.parameters())
        assert network[1].inplace


def test_moments_are_taken_over_samples_and_units_of_each_network():
    networks = stacks(3, 5, 4, 6)
    x = draw(7, 5)
    found = measure_signals(networks, x, generator=seeded(5))
    values = layer_outputs(networks, x)
    felt = layer_gradients(networks, x, generator=seeded(5))
    for index in range(3):
        for position in range(5):
            own, gradient = values[position][index], felt[position][index]
            assert found.forward[index, position].item() == pytest.approx(
                own.square().mean().item()
            )
            assert found.mean[index, position].item() == pytest.approx(
                own.mean().item()
            )
            assert found.variance[index, position].item() == pytest.approx(
                own.var(correction=0).item()
            )
            assert found.backward[index, position].item() == pytest.approx(
                gradient.square().mean().item()
            )


def test_the_gradient_at_the_end_is_standard_normal():
    networks = stacks(4, 3, 500)
    found = measure_signals(networks, draw(500, 3), generator=seeded())
    error = 4 * math.sqrt(2 / 250_000)
    assert (found.backward[:, -1] - 1).abs().max().item() < error
    ends = layer_gradients(networks, draw(500, 3), generator=seeded())[-1]
    assert not torch.equal(ends[0], ends[1])


def test_dtype_is_kept_and_moments_are_float64():
    network = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    assert layer_outputs([network], draw(4, 3).float())[-1].dtype == torch.float32
    assert layer_gradients([network], draw(4, 3).float())[0].dtype == torch.float32
    assert measure_signals([network], draw(4, 3).float()).forward.dtype == torch.float64
    half = network.half()
    wide = measure_signals([half], 1000 * torch.ones(1, 3).half()).forward
    assert wide[0, 0].item() == 1e6  # infinite in float16


def test_positions_of_kinds():
    (network,) = stacks(1, 5, 4, 6)
    found = measure_signals([network], draw(7, 5))
    assert found.after(network, nn.Linear) == [1, 3]
    assert found.after(network, nn.Linear, nn.Tanh) == [1, 2, 3, 4]


# --------------------------------------------------------------------------------------------- theory


def test_theory_of_a_linear_stack_by_hand():
    """Catches fan_in and fan_out exchanged, and a missing bias."""
    network = stack(4, 10, 5, activation=nn.Identity, bias=True)
    for layer, bias in zip(network[::2], (3.0, 0.0), strict=True):
        nn.init.constant_(layer.bias, bias)
    found = predict_signals(network, 2.0, weight_variance=[0.5, 0.1])
    assert found.forward[0].tolist() == pytest.approx([2, 13, 13, 13, 13])
    assert found.backward[0].tolist() == pytest.approx([2.5, 0.5, 0.5, 1, 1])
    assert found.mean[0].tolist() == [0] * 5


def test_theory_is_the_mean_over_linear_networks_of_any_width():
    """Exact in expectation: 2000 narrow networks of unequal widths come within their own error."""
    sizes, std = (3, 7, 2, 5), 0.6
    networks = stacks(2000, *sizes, activation=nn.Identity, std=std)
    x = draw(4, 3)
    measured = measure_signals(networks, x, generator=seeded())
    moment = x.square().mean().item()
    theory = predict_signals(networks[0], moment, weight_variance=[std**2] * 3)
    for kind in ("forward", "backward"):
        values, expected = getattr(measured, kind), getattr(theory, kind)
        error = values.std(0) / math.sqrt(len(values))
        assert ((values.mean(0) - expected[0]).abs() <= 4.5 * error + 1e-9).all(), kind


@pytest.mark.parametrize("slope", [0.0, 0.1])
def test_a_relu_halves_both_ways(slope):
    """(1 + slope^2) / 2 of the mean square, up and down; the mean is (1 - slope) / sqrt(2 pi) of the root."""
    network = nn.Sequential(nn.Linear(9, 9, bias=False), nn.LeakyReLU(slope))
    found = predict_signals(network, weight_variance=[4 / 9])
    half = (1 + slope**2) / 2
    assert found.forward[0].tolist() == pytest.approx([1, 4, 4 * half])
    assert found.backward[0].tolist() == pytest.approx([4 * half, half, 1])
    assert found.mean[0, 2].item() == pytest.approx(
        2 * (1 - slope) / math.sqrt(2 * math.pi), rel=0.01
    )


@pytest.mark.parametrize("activation", [nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU])
def test_activations_equal_scipys_integrals(activation):
    from scipy.integrate import quad

    f = activation()
    network = nn.Sequential(f)
    found = predict_signals(network, 2.25)

    def expected(power, slope):
        def integrand(z):
            value = torch.tensor(1.5 * z, dtype=torch.float64, requires_grad=True)
            out = f(value)
            if slope:
                (out,) = torch.autograd.grad(out, value)
            return out.item() ** power * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

        return quad(integrand, -9, 9, epsabs=1e-9)[0]

    assert found.forward[0, 1].item() == pytest.approx(expected(2, False), abs=1e-7)
    assert found.mean[0, 1].item() == pytest.approx(expected(1, False), abs=1e-7)
    assert found.backward[0, 0].item() == pytest.approx(expected(2, True), abs=1e-7)


def test_wide_networks_follow_the_theory():
    """tanh and sigmoid, of which the sigmoid's mean is not 0: catches variances for mean squares."""
    for activation in (nn.Tanh, nn.Sigmoid):
        sizes = (300,) * 6
        networks = stacks(4, *sizes, activation=activation, std=1.5 / math.sqrt(300))
        measured = measure_signals(networks, draw(100, 300), generator=seeded())
        theory = predict_signals(networks[0], weight_variance=[2.25 / 300] * 5)
        for kind in ("forward", "backward"):
            values, expected = getattr(measured, kind).mean(0), getattr(theory, kind)[0]
            torch.testing.assert_close(values, expected, rtol=0.08, atol=0)
        # a mean over 4 * 300 units, at worst all samples alike
        error = 4 * (theory.forward[0] / 1200).sqrt()
        assert ((measured.mean.mean(0) - theory.mean[0]).abs() < error).all()


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (lambda: nn.Conv2d(4, 6, 3, 1, 1, padding_mode="circular", bias=False), (8, 8)),
        (lambda: nn.Conv2d(4, 6, 4, 2, 1, padding_mode="circular", bias=False), (8, 8)),
        (lambda: nn.Conv1d(4, 6, 3, 1, 1, 1, 2, False, "circular"), (16,)),
        (lambda: nn.ConvTranspose1d(4, 6, 4, 2, bias=False), (100,)),
    ],
)
def test_convolutions(make, size):
    """Catches a stride forgotten on the way down, and groups. The last one's border is 1 in 100."""
    torch.manual_seed(0)
    networks = [nn.Sequential(make()) for _ in range(200)]
    measured = measure_signals(networks, draw(8, 4, *size).float(), generator=seeded())
    theory = predict_signals(networks[0], measured.forward[0, 0].item())
    weights = [n[0].weight.square().mean().item() for n in networks]
    theory = predict_signals(
        networks[0],
        measured.forward[0, 0].item(),
        weight_variance=[sum(weights) / len(weights)],
    )
    for kind in ("forward", "backward"):
        found, expected = getattr(measured, kind).mean(0), getattr(theory, kind)[0]
        torch.testing.assert_close(found, expected, rtol=0.03, atol=0)


def test_a_skip_adds_one():
    """Mean square and gradient: 1 + branch. Catches a product, and a skip that is left out."""
    branch = (nn.Linear(8, 8, bias=False), nn.ReLU(), nn.Linear(8, 8, bias=False))
    network = nn.Sequential(*(Skip(*branch) for _ in range(3)))
    found = predict_signals(network, weight_variance=[2 / 8, 0.8 / 8])
    assert found.forward[0].tolist() == pytest.approx([1, 1.8, 1.8**2, 1.8**3])
    assert found.backward[0].tolist() == pytest.approx([1.8**3, 1.8**2, 1.8, 1])
    steeper = predict_signals(
        network, weight_variance=[4 / 8, 0.8 / 8]
    )  # the whole branch
    assert steeper.backward[0].tolist() == pytest.approx([2.6**3, 2.6**2, 2.6, 1])


def test_wide_skips_follow_the_theory():
    torch.manual_seed(0)

    def block():
        layers = [nn.Linear(300, 300, bias=False) for _ in range(2)]
        nn.init.normal_(layers[0].weight, 0, math.sqrt(2 / 300))
        nn.init.normal_(layers[1].weight, 0, math.sqrt(0.5 / 300))
        return Skip(layers[0], nn.ReLU(), layers[1])

    networks = [nn.Sequential(*(block() for _ in range(4))) for _ in range(3)]
    measured = measure_signals(networks, draw(100, 300).float(), generator=seeded())
    theory = predict_signals(networks[0], weight_variance=[2 / 300, 0.5 / 300] * 4)
    for kind in ("forward", "backward"):
        found, expected = getattr(measured, kind).mean(0), getattr(theory, kind)[0]
        torch.testing.assert_close(found, expected, rtol=0.08, atol=0)


def test_a_skip_of_positive_signals_adds_their_means_too():
    """Behind a ReLU both ways have a mean: catches mean squares that are just added."""
    torch.manual_seed(0)

    def make():
        layers = [nn.Linear(300, 300, bias=False) for _ in range(2)]
        for layer in layers:
            nn.init.normal_(layer.weight, 0, math.sqrt(2 / 300))
        return nn.Sequential(layers[0], nn.ReLU(), Skip(layers[1], nn.ReLU()))

    networks = [make() for _ in range(3)]
    measured = measure_signals(networks, draw(100, 300).float(), generator=seeded())
    theory = predict_signals(networks[0], weight_variance=[2 / 300] * 2)
    # z, y standard normal: E (relu(sqrt(2) z) + relu(sqrt(2) y))^2 = 1 + 1 + 2 * (1 / pi)
    assert theory.forward[0, 3].item() == pytest.approx(2 + 2 / math.pi, rel=0.01)
    for kind in ("forward", "mean"):
        found, expected = getattr(measured, kind).mean(0), getattr(theory, kind)[0]
        torch.testing.assert_close(found[2:], expected[2:], rtol=0.08, atol=0)


def test_own_weights_are_used_without_variances():
    (network,) = stacks(1, 5, 4, 6)
    own = [m.weight.square().mean().item() for m in network[::2]]
    with_own = predict_signals(network, weight_variance=own)
    torch.testing.assert_close(predict_signals(network).forward, with_own.forward)


# ---------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda n, x: layer_outputs([], x), ValueError, "got none"),
        (lambda n, x: layer_outputs([n[0]], x), ValueError, "Sequential.*got Linear"),
        (
            lambda n, x: layer_gradients([n], x, end=x),
            ValueError,
            r"output, \(1, 7, 6\): got \(7, 5\)",
        ),
        (lambda n, x: predict_signals(n, -1.0), ValueError, r"negative: got -1\.0"),
        (
            lambda n, x: predict_signals(n, weight_variance=[1.0]),
            ValueError,
            "each of 2 layers with weights: got 1",
        ),
        (
            lambda n, x: predict_signals(nn.Sequential(nn.LayerNorm(5))),
            TypeError,
            "got LayerNorm",
        ),
        (
            lambda n, x: predict_signals(n).after(n[:2], nn.Tanh),
            ValueError,
            "must have 4 modules.*got 2",
        ),
        (lambda n, x: predict_signals(n).after(n, nn.ReLU), ValueError, "kind: ReLU"),
        (lambda n, x: predict_signals(n).after(n), ValueError, "none given"),
    ],
)
def test_wrong_arguments(call, error, message):
    (network,) = stacks(1, 5, 4, 6)
    with pytest.raises(error, match=message):
        call(network, draw(7, 5))


@pytest.mark.parametrize("scale", [1.0, 16.0, 32.0, 300.0])
def test_theory_of_a_sigmoid_holds_for_large_signals(scale):
    """Fails for a quadrature whose nodes step over the sigmoid's rise, as 200 of Gauss and Hermite's do."""
    found = predict_signals(nn.Sequential(nn.Sigmoid()), scale**2)
    density = scipy.stats.norm(scale=scale).pdf

    def integral(function):
        both = lambda z: (function(z) + function(-z)) * density(z)
        near, far = (
            scipy.integrate.quad(both, *ends)[0] for ends in ((0, 8), (8, 9 * scale))
        )
        return near + far

    sigmoid = scipy.special.expit
    slope = lambda z: sigmoid(z) * sigmoid(-z)
    for moment, expected in (
        (found.forward[0, -1], integral(lambda z: sigmoid(z) ** 2)),
        (found.backward[0, 0], integral(lambda z: slope(z) ** 2)),
    ):
        assert moment.item() == pytest.approx(expected, rel=1e-6)
