"""The reliability diagram's points."""

import pytest
import torch

from dlkb.losses.calibration import reliability


def by_loop(confidence, right, bins, least):
    points = []
    for b in range(bins):
        low, high = b / bins, (b + 1) / bins
        own = [
            (c, r)
            for c, r in zip(confidence.tolist(), right.tolist(), strict=True)
            if low < c <= high or (b == 0 and c == 0)
        ]
        if len(own) >= max(least, 1):
            points.append(
                [sum(column) / len(own) for column in zip(*own, strict=True)]
                + [len(own)]
            )
    return torch.tensor(points, dtype=torch.float64).T


@pytest.mark.parametrize(("bins", "least"), [(10, 1), (7, 1), (10, 12)])
def test_as_a_loop_over_bins(bins, least):
    """Would catch the bin's middle for its mean, shares of all samples, and bins with few samples kept."""
    generator = torch.Generator().manual_seed(0)
    confidence = torch.rand(100, generator=generator, dtype=torch.float64).sqrt()
    right = torch.rand(100, generator=generator, dtype=torch.float64) < confidence
    found = torch.stack(reliability(confidence, right, bins, least))
    torch.testing.assert_close(found, by_loop(confidence, right, bins, least))


def test_the_edges_belong_to_the_bin_below():
    """Would catch a confidence of exactly 1 in a bin of its own, and 0 in none."""
    mean, _, count = reliability(torch.tensor([0.0, 0.5, 0.75, 1.0]), torch.ones(4), 2)
    assert mean.tolist() == [0.25, 0.875]
    assert count.tolist() == [2, 2]


def test_a_calibrated_answer_lies_on_the_diagonal():
    right = torch.tensor([1, 1, 1, 0]).repeat(5, 2)
    mean, share, count = reliability(torch.full((5, 8), 0.75), right)
    assert mean.tolist() == share.tolist() == [0.75]
    assert count.tolist() == [40]


def test_half_precision_is_averaged_in_double():
    confidence = torch.full((4096,), 0.95, dtype=torch.float16)
    mean, _, count = reliability(confidence, torch.ones(4096, dtype=torch.bool))
    assert mean.item() == pytest.approx(confidence[0].item(), rel=1e-9)
    assert count.tolist() == [4096]


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"\(3,\) and \(3, 1\)"):
        reliability(torch.ones(3), torch.ones(3, 1))


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_logits_are_refused(value):
    with pytest.raises(ValueError, match="from 0 to 1"):
        reliability(torch.tensor([0.5, value]), torch.ones(2))
