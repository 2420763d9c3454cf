"""Learned weights against a loop and their optimum; shares of gradients by hand; state, dtypes, errors."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dlkb.losses import UncertaintyWeighting, gradient_shares

KINDS = ["regression", "classification", "regression"]


def scalars(*values, dtype=torch.float32):
    return [torch.tensor(v, dtype=dtype) for v in values]


def close(actual, expected, **tolerances):
    torch.testing.assert_close(
        actual, expected, **tolerances or {"rtol": 1e-6, "atol": 1e-7}
    )


def weighting_at(*log_variances, kinds=KINDS, dtype=torch.float64):
    weighting = UncertaintyWeighting(kinds).to(dtype)
    with torch.no_grad():
        weighting.log_variance.copy_(torch.tensor(log_variances, dtype=dtype))
    return weighting


# ---------------------------------------------------------------------------- uncertainty weighting


def test_by_hand():
    """4 / 2 + 1 + 10 / 2 at variance 1; then sigma^2 = 4 and 2 and 1 / 4, with log sigma for each."""
    losses = scalars(4.0, 1.0, 10.0, dtype=torch.float64)
    assert UncertaintyWeighting(KINDS)(losses).item() == pytest.approx(8.0)
    s = [math.log(4), math.log(2), math.log(0.25)]
    expected = 4 / 8 + 1 / 2 + 10 * 2 + math.log(2) + math.log(2) / 2 - math.log(2)
    assert weighting_at(*s)(losses).item() == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(
    s=st.lists(st.floats(-3, 3), min_size=3, max_size=3),
    values=st.lists(st.floats(0.01, 100), min_size=3, max_size=3),
)
def test_value_and_gradients_equal_the_papers_formula_in_sigma(s, values):
    """Fails for log sigma^2 in place of log sigma, and for 1/2 before a cross-entropy."""
    weighting = weighting_at(*s)
    losses = [t.requires_grad_() for t in scalars(*values, dtype=torch.float64)]
    weighting(losses).backward()
    sigma = torch.tensor(s, dtype=torch.float64).div(2).exp().requires_grad_()
    given_losses = [t.detach().clone().requires_grad_() for t in losses]
    total = sigma.log().sum()
    for i, kind in enumerate(KINDS):
        scale = 2 * sigma[i] ** 2 if kind == "regression" else sigma[i] ** 2
        total = total + given_losses[i] / scale
    total.backward()
    close(weighting(losses), total, rtol=1e-10, atol=1e-10)
    by_s = sigma.grad * sigma.detach() / 2  # the chain rule: sigma = exp(s / 2)
    close(weighting.log_variance.grad, by_s, rtol=1e-9, atol=1e-9)
    for ours, theirs in zip(losses, given_losses, strict=True):
        close(ours.grad, theirs.grad, rtol=1e-10, atol=1e-12)
    close(weighting.weights, torch.stack([t.grad for t in losses]), rtol=1e-10, atol=0)


def test_at_the_optimum_the_variance_is_twice_the_factor_times_the_loss():
    """So a task of ten times the loss weighs a tenth, and the weighted losses are all 1/2."""
    losses = scalars(0.3, 3.0, 30.0, dtype=torch.float64)
    best = weighting_at(math.log(0.3), math.log(6.0), math.log(30.0))
    best(losses).backward()
    close(best.log_variance.grad, torch.zeros(3).double(), rtol=0, atol=1e-12)
    weighted = best.weights * torch.stack(losses)
    close(weighted, torch.full((3,), 0.5, dtype=torch.float64))


def test_descent_finds_that_optimum():
    losses = scalars(0.3, 3.0, 30.0, dtype=torch.float64)
    weighting = weighting_at(0.0, 0.0, 0.0)
    optimizer = torch.optim.Adam(weighting.parameters(), lr=0.05)
    for _ in range(1500):
        optimizer.zero_grad()
        weighting(losses).backward()
        optimizer.step()
    expected = torch.tensor([0.3, 6.0, 30.0], dtype=torch.float64)
    close(weighting.log_variance.detach().exp(), expected, rtol=1e-3, atol=0)


def test_a_change_of_units_changes_the_optimal_sum_by_a_constant_alone():
    """Fails for weights without the logarithm, which would all go to 0."""
    best = []
    for unit in (1.0, 100.0):
        weighting = weighting_at(math.log(2.0 * unit), kinds=["regression"])
        best.append(weighting([torch.tensor(2.0 * unit).double()]).item())
    assert best[1] - best[0] == pytest.approx(math.log(100) / 2)


def test_extreme_variances_have_finite_values_and_gradients():
    for s in (-50.0, 50.0):
        weighting = weighting_at(s, s, s, dtype=torch.float32)
        value = weighting(scalars(1e-20, 1e4, 0.0))
        value.backward()
        assert value.isfinite()
        assert weighting.log_variance.grad.isfinite().all()


def test_state_is_the_variances_alone_and_goes_round():
    weighting = weighting_at(0.1, -0.2, 0.3)
    state = weighting.state_dict()
    assert list(state) == ["log_variance"]
    assert [n for n, _ in weighting.named_parameters()] == ["log_variance"]
    other = UncertaintyWeighting(KINDS).double()
    other.load_state_dict(state)
    losses = scalars(1.0, 2.0, 3.0, dtype=torch.float64)
    assert other(losses).item() == weighting(losses).item()
    assert copy.deepcopy(weighting)(losses).item() == weighting(losses).item()
    fresh = UncertaintyWeighting(KINDS)
    assert fresh.log_variance.tolist() == [0, 0, 0]
    assert fresh.weights.tolist() == [0.5, 1.0, 0.5]
    assert not fresh.weights.requires_grad


def test_devices_move_variances_and_factors():
    moved = UncertaintyWeighting(KINDS).to("meta")
    assert moved.log_variance.device.type == moved.factors.device.type == "meta"


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64]
)
def test_losses_of_any_dtype_are_added_in_the_variances_dtype(dtype):
    losses = [t.requires_grad_() for t in scalars(4.0, 1.0, 10.0, dtype=dtype)]
    total = UncertaintyWeighting(KINDS)(losses)
    total.backward()
    assert total.dtype == torch.float32
    assert total.item() == 8.0
    assert [t.grad.dtype for t in losses] == [dtype] * 3
    stacked = torch.tensor([4.0, 1.0, 10.0], dtype=dtype)
    assert UncertaintyWeighting(KINDS)(stacked).item() == 8.0


def test_repr_names_the_kinds():
    expected = "UncertaintyWeighting(['regression', 'classification'])"
    assert repr(UncertaintyWeighting(("regression", "classification"))) == expected


@pytest.mark.parametrize(
    "kinds", [[], "regression", ["regression", "ranking"], ["Regression"], [None]]
)
def test_wrong_kinds(kinds):
    with pytest.raises(
        ValueError, match=r"kinds must hold 'regression' or 'classification' .* got "
    ):
        UncertaintyWeighting(kinds)


@pytest.mark.parametrize(
    ("losses", "shapes"),
    [
        (scalars(1.0, 2.0), r"\[\(\), \(\)\]"),
        ([], r"\[\]"),
        ([torch.ones(1), *scalars(1.0, 2.0)], r"\[\(1,\), \(\), \(\)\]"),
        (torch.ones(4), r"\[\(\), \(\), \(\), \(\)\]"),
    ],
)
def test_wrong_losses(losses, shapes):
    with pytest.raises(
        ValueError,
        match=f"losses must be one scalar for each of the 3 tasks: got shapes {shapes}",
    ):
        UncertaintyWeighting(KINDS)(losses)


# ---------------------------------------------------------------------------------- gradient shares


def test_shares_by_hand():
    """Gradients (3, 4) and (0, -15): norms 5 and 15, over two parameters together."""
    a, b = (torch.zeros(1, requires_grad=True) for _ in range(2))
    losses = [(3 * a + 4 * b).sum(), (-15 * b).sum()]
    assert gradient_shares(losses, [a, b]).tolist() == [0.25, 0.75]
    assert gradient_shares(losses, iter([a])).tolist() == [1, 0]


def test_opposite_gradients_do_not_cancel():
    """The norm of the sum would be 0."""
    w = torch.zeros(3, requires_grad=True)
    assert gradient_shares([w.sum(), -w.sum()], [w]).tolist() == [0.5, 0.5]


def test_shares_of_a_network_equal_a_loop_with_backward():
    torch.manual_seed(0)
    trunk = nn.Linear(4, 3)
    heads = [nn.Linear(3, 1), nn.Linear(3, 2)]
    hidden = trunk(torch.randn(5, 4)).tanh()
    losses = [heads[0](hidden).square().mean(), 7 * heads[1](hidden).exp().mean()]
    found = gradient_shares(losses, trunk.parameters())
    assert all(p.grad is None for p in trunk.parameters())
    norms = []
    for loss in losses:
        trunk.zero_grad()
        loss.backward(retain_graph=True)
        flat = torch.cat([p.grad.flatten() for p in trunk.parameters()])
        norms.append(flat.norm())
    close(found, torch.stack(norms) / torch.stack(norms).sum(), rtol=1e-5, atol=1e-6)
    assert found.sum().item() == pytest.approx(1)
    assert not found.requires_grad


def test_gradients_that_were_there_stay_and_backward_can_follow():
    w = torch.ones(2, requires_grad=True)
    (5 * w).sum().backward()
    losses = [w.square().sum(), w.exp().sum()]
    gradient_shares(losses, [w])
    assert w.grad.tolist() == [5, 5]
    sum(losses).backward()
    assert w.grad[0].item() == pytest.approx(5 + 2 + math.e)


def test_units_of_all_losses_do_not_matter_and_of_one_do():
    w = torch.tensor([0.3, -2.0], requires_grad=True)

    def shares(first, second):
        return gradient_shares([first * w.square().sum(), second * w.exp().sum()], [w])

    close(shares(100, 100), shares(1, 1))
    one, ten = shares(1, 1), shares(10, 1)
    close(ten[0] / ten[1], 10 * one[0] / one[1])


def test_what_a_loss_does_not_reach_counts_as_0():
    """A parameter apart, and a loss that is a constant, as one under no_grad is."""
    w, apart = (torch.ones(1, requires_grad=True) for _ in range(2))
    losses = [(3 * w).sum(), apart.sum(), torch.tensor(5.0)]
    assert gradient_shares(losses, [w]).tolist() == [1, 0, 0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_norms_of_half_parameters_are_float32(dtype):
    """300 squared is infinite in float16, and both shares NaN."""
    w = torch.ones(64, dtype=dtype, requires_grad=True)
    other = torch.ones(1, requires_grad=True)
    losses = [(300 * w).sum(), (100 * w).sum(), (0 * other).sum()]
    found = gradient_shares(losses, [w, other])
    assert found.dtype == torch.float32
    close(found, torch.tensor([0.75, 0.25, 0.0]), rtol=1e-2, atol=0)


def test_norms_of_doubles_stay_double():
    w = torch.ones(3, dtype=torch.float64, requires_grad=True)
    assert gradient_shares([w.sum()], [w]).dtype == torch.float64


def test_nothing_given():
    w = torch.ones(1, requires_grad=True)
    for losses, parameters, counts in (
        ([], [w], "0 and 1"),
        ([w.sum()], [], "1 and 0"),
    ):
        with pytest.raises(
            ValueError, match=f"at least one loss and one parameter: got {counts}"
        ):
            gradient_shares(losses, parameters)


def test_nothing_to_share():
    w, apart = (torch.ones(1, requires_grad=True) for _ in range(2))
    for loss in (apart.sum(), (0 * w).sum(), torch.tensor(1.0)):
        with pytest.raises(
            ValueError, match=r"no loss has a gradient .* got norms \[0.0\]"
        ):
            gradient_shares([loss], [w])
