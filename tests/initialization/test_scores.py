"""Scores by hand, at their ends, and against slow loops."""

import pytest
import torch

from dlkb.initialization.scores import (
    collapse_score,
    dead_units,
    distinct_units,
    saturation_score,
)
from dlkb.probes import dead_share


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_saturation_counts_both_ends_of_each_network():
    """Catches one end alone, a margin that is not relative to the range, and a mean over networks."""
    x = torch.tensor([[0.04, 0.06, 0.5, 0.94], [0.96, 0.97, 0.01, 0.5]])
    assert saturation_score(x, 0, 1).tolist() == [0.25, 0.75]
    assert saturation_score(2 * x - 1, -1, 1).tolist() == [0.25, 0.75]
    assert saturation_score(x, 0, 1, margin=0.061).tolist() == [0.75, 0.75]
    images = x.view(2, 2, 1, 2)
    assert torch.equal(saturation_score(images, 0, 1), saturation_score(x, 0, 1))


def test_wide_tanh_saturates_and_narrow_does_not():
    z = torch.stack([draw(5000) * 0.01, draw(5000) * 100])
    low, high = saturation_score(torch.tanh(z), -1, 1).tolist()
    assert low == 0
    assert high == pytest.approx(0.985, abs=0.01)  # P(|100 z| > atanh 0.9)


@pytest.mark.parametrize("width", [0.01, 0.3, 2.0])
def test_collapse_equals_a_slow_loop(width):
    """Catches intervals that start at fixed places only."""
    x = draw(3, 40, 2)
    found = collapse_score(x, width)
    for values, share in zip(x.double().flatten(1), found, strict=True):
        counts = [((values >= v) & (values <= v + width)).sum() for v in values]
        assert share.item() == pytest.approx(max(counts).item() / 80)


def test_collapse_at_its_ends():
    assert collapse_score(torch.full((1, 9), 3.0)).item() == 1
    assert collapse_score(torch.arange(10.0)[None]).item() == 0.1
    ends = torch.tensor([[0.0, 0.5, 9.0, 20.0]])
    assert collapse_score(ends, 0.5).item() == 0.5  # closed
    gone = torch.tensor([[float("nan")] * 3 + [1.0]])
    assert collapse_score(gone).item() == 0.25
    ends = torch.tensor([[float("inf")] * 2 + [float("-inf")] * 2 + [1.0]])
    assert collapse_score(ends).item() == 0.2
    even = torch.linspace(-1, 1, 10_001)[None]
    assert collapse_score(even, 0.1).item() == pytest.approx(0.05, abs=1e-3)
    assert collapse_score(draw(1, 4000).relu()).item() == pytest.approx(0.54, abs=0.02)


def test_dead_units_are_those_of_each_network_alone():
    """Catches samples for units, and a unit that is dead at one position."""
    x = draw(3, 6, 4, 2).relu()
    x[0, :, 1] = 0
    x[2, :, :3] = 0
    x[1, :, 1, 0] = 0
    found = dead_units(x)
    assert found.tolist() == [dead_share(own) for own in x]
    assert found.tolist() == [0.25, 0.0, 0.75]


def test_equal_units_count_once():
    """Catches a count of pairs, a comparison with the unit before only, and samples for units."""
    a, b = draw(5, 1), draw(5, 1, seed=1)
    x = torch.stack([torch.cat(units, 1) for units in ([a, b, a, b], [a, a, a, a])])
    assert distinct_units(x).tolist() == [2, 1]
    assert distinct_units(draw(2, 5, 7)).tolist() == [7, 7]


def test_units_are_equal_within_the_tolerance_of_their_layer():
    x = torch.tensor([[[100.0, 100.5, 1.0]]])
    assert distinct_units(x).item() == 3
    assert distinct_units(x, 0.01).item() == 2
    assert distinct_units(x / 1e6, 0.01).item() == 2
    assert distinct_units(torch.tensor([[[1.0, 1.0], [1.0, 1.5]]]), 0.1).item() == 2


def test_dtype_and_device_do_not_matter():
    for score in (collapse_score, dead_units, lambda v: saturation_score(v, -1, 1)):
        for dtype in (torch.float16, torch.bfloat16, torch.float64):
            assert score(draw(2, 3, 4).to(dtype)).dtype == torch.float64


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: saturation_score(x, 1, 0), "in order: got 1 and 0"),
        (lambda x: saturation_score(x, 0, float("inf")), "see dead_units"),
        (lambda x: saturation_score(x, 0, 1, 0.5), "margin .* got 0.5"),
        (lambda x: collapse_score(x, 0), "width must be positive: got 0"),
        (lambda x: collapse_score(x[0, 0, 0]), r"not empty: got shape \(\)"),
        (lambda x: saturation_score(x[:, :0], 0, 1), r"got shape \(2, 0, 4\)"),
        (lambda x: dead_units(x[0]), r"\(S, N, C, \*\).*got shape \(3, 4\)"),
        (lambda x: dead_units(x[:, :0]), "unsqueeze"),
        (lambda x: distinct_units(x, -1), "tolerance .* got -1"),
        (lambda x: distinct_units(x[..., :0]), r"got shape \(2, 3, 0\)"),
    ],
)
def test_wrong_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call(draw(2, 3, 4))
