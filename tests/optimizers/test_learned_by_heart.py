"""The construction is the paper's."""

import pytest
import torch

from dlkb.optimizers.learned_by_heart import draw_learned_by_heart


def test_each_sample_has_the_papers_features():
    """Catches places that are shared, and one or five features for the wrong label."""
    x, y = draw_learned_by_heart(3, 8, generator=torch.Generator().manual_seed(0))
    assert len(y.unique()) == 2
    for run in range(3):
        for i in range(8):
            expected = [y[run, i].item(), 1, 1] + [0] * 40
            places = 1 if y[run, i] > 0 else 5
            expected[3 + 5 * i : 3 + 5 * i + places] = [1] * places
            assert x[run, i].tolist() == expected


def test_the_signs_fit_all_labels():
    """The paper's condition for adaptive methods to stay on one line: X sign(X'y) = 4y."""
    x, y = draw_learned_by_heart(5, 40, generator=torch.Generator().manual_seed(1))
    signs = (x.mT @ y.unsqueeze(-1)).sign()
    assert (y.sum(-1) > 0).all()
    assert torch.equal((x @ signs).squeeze(-1), 4 * y)


def test_share_of_the_majority():
    generator = torch.Generator().manual_seed(2)
    _, y = draw_learned_by_heart(400, 10, majority=0.9, generator=generator)
    assert (y > 0).double().mean().item() == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("majority", [0.5, 1.0])
def test_there_must_be_a_majority(majority):
    with pytest.raises(ValueError, match="must be in"):
        draw_learned_by_heart(1, 2, majority)
