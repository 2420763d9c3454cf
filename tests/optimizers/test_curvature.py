"""Sharpness against the whole Hessian, which these networks are small enough to form."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, jacrev

from dlkb.optimizers.curvature import sharpness


def networks(count, dtype=torch.float64):
    torch.manual_seed(0)
    return [
        nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).to(dtype)
        for _ in range(count)
    ]


def samples(count, dtype=torch.float64):
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(count, 20, 3, generator=draw, dtype=dtype)
    return x, torch.randint(3, (count, 20), generator=draw)


def found(models, x, y, **options):
    options = {"iterations": 400, "tolerance": 1e-10, **options}
    return sharpness(
        models, x, y, generator=torch.Generator().manual_seed(2), **options
    )


def top_of_whole_hessian(model, x, y):
    names = [name for name, _ in model.named_parameters()]
    shapes = [p.shape for p in model.parameters()]
    flat = nn.utils.parameters_to_vector(model.parameters()).detach()

    def value(flat):
        parts = flat.split([s.numel() for s in shapes])
        parameters = {
            n: p.view(s) for n, p, s in zip(names, parts, shapes, strict=True)
        }
        return nn.functional.cross_entropy(functional_call(model, parameters, (x,)), y)

    eigenvalues = torch.linalg.eigvalsh(jacrev(grad(value))(flat))
    return eigenvalues[eigenvalues.abs().argmax()]


def test_equals_the_whole_hessian_for_each_network():
    """Fails if networks share samples or vectors, or if the gradient's length is taken for curvature."""
    models, (x, y) = networks(3), samples(3)
    expected = torch.stack(
        [top_of_whole_hessian(*each) for each in zip(models, x, y, strict=True)]
    )
    assert expected.unique().numel() == 3
    torch.testing.assert_close(found(models, x, y), expected, rtol=1e-6, atol=0)


def test_by_hand():
    """Loss, the mean of (w1 x1 + w2 x2 - t)^2 over the samples (2, 0) and (0, 1): curvatures 4 and 1."""
    model = nn.Linear(2, 1, bias=False).double()
    x = torch.tensor([[[2.0, 0.0], [0.0, 1.0]]], dtype=torch.float64)
    t = torch.zeros(1, 2, 1, dtype=torch.float64)
    value = found([model], x, t, loss=nn.functional.mse_loss)
    torch.testing.assert_close(value, torch.tensor([4.0], dtype=torch.float64))


def test_the_sign_is_kept():
    model = nn.Linear(1, 1, bias=False).double()
    x = torch.ones(1, 1, 1, dtype=torch.float64)
    value = found([model], x, x, loss=lambda a, b: -nn.functional.mse_loss(a, b))
    torch.testing.assert_close(value, torch.tensor([-2.0], dtype=torch.float64))


def test_scales_with_the_loss_and_not_with_the_number_of_samples():
    models, (x, y) = networks(2), samples(2)
    once = found(models, x, y)
    twice = found(models, x.repeat(1, 2, 1), y.repeat(1, 2))
    triple = found(
        models, x, y, loss=lambda a, b: 3 * nn.functional.cross_entropy(a, b)
    )
    torch.testing.assert_close(twice, once)
    torch.testing.assert_close(triple, 3 * once)


def test_a_flat_loss_has_none():
    models, (x, y) = networks(1), samples(1)
    assert found(models, x, y, loss=lambda a, b: 0 * a.sum()).item() == 0


def test_models_and_their_modes_stay_as_they_are():
    models, (x, y) = networks(2), samples(2)
    before = [p.clone() for m in models for p in m.parameters()]
    found(models, x, y)
    after = [p for m in models for p in m.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True))
    assert all(p.grad is None for p in after)
    assert all(m.training for m in models)


def test_dtype_is_kept_and_nan_is_said():
    models, (x, y) = networks(2, torch.float32), samples(2, torch.float32)
    x[1] = float("nan")
    value = found(models, x, y)
    assert value.dtype == torch.float32
    assert value[0].isfinite()
    assert value[1].isnan()


def test_more_iterations_come_closer():
    models, (x, y) = networks(1), samples(1)
    expected = top_of_whole_hessian(models[0], x[0], y[0])
    few, many = (found(models, x, y, iterations=n)[0] for n in (2, 50))
    assert (many - expected).abs() < (few - expected).abs()


def test_what_makes_no_sense_is_refused():
    models, (x, y) = networks(2), samples(2)
    with pytest.raises(ValueError, match="for each: got 0 networks"):
        sharpness([], x[:0], y[:0])
    with pytest.raises(ValueError, match="samples for each: got 2 networks, 1 inputs"):
        sharpness(models, x[:1], y)
    with pytest.raises(ValueError, match="iterations must be at least 1: got 0"):
        sharpness(models, x, y, iterations=0)
