"""dlkb.receptive_field.effective and support: gradients whose size is known."""

import math

import pytest
import torch
from torch import nn

from dlkb.receptive_field import bounds, effective_receptive_field, gradient_support


def ones(layer):
    nn.init.ones_(layer.weight)
    return layer


def box(kernel):
    return ones(nn.Conv2d(1, 1, kernel, bias=False, dtype=torch.float64))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_one_layer_of_equal_weights_by_hand():
    """All k pixels weigh alike: sigma^2 = (k^2 - 1) / 12, so 2/3 for 3 and 2 for 5; centre in the middle."""
    found = effective_receptive_field(box((3, 5)), (1, 9, 9), generator=generator())
    assert found.sigma == pytest.approx((math.sqrt(2 / 3), math.sqrt(2)))
    assert found.centre == pytest.approx((3 + 1, 2 + 2))
    assert found.unit == (3, 2)
    assert found.weight.sum() == pytest.approx(1)
    inside = found.weight[3:6, 2:7]
    assert torch.allclose(inside, torch.full_like(inside, 1 / 15))
    assert found.width == pytest.approx([4 * s for s in found.sigma])
    assert found.share == pytest.approx(
        [4 * math.sqrt(2 / 3) / 3, 4 * math.sqrt(2) / 5]
    )


def test_weights_that_are_equal_add_up_as_a_triangle_whose_squares_are_taken():
    """Two layers of 1 x 3: the gradient is 1 2 3 2 1, its square 1 4 9 4 1. Magnitudes would give 1.15."""
    model = nn.Sequential(box((1, 3)), box((1, 3)))
    found = effective_receptive_field(model, (1, 3, 9), generator=generator())
    assert found.weight[1, 2:7] * 19 == pytest.approx([1, 4, 9, 4, 1])
    assert found.sigma == pytest.approx((0, math.sqrt((2 * 4 + 2 * 4) / 19)))
    assert found.misfit[0] == pytest.approx(0, abs=1e-12)


def test_random_weights_smear_the_square_evenly():
    """With independent weights of mean 0 the variances of the layers add up: n (k^2 - 1) / 12."""
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Conv1d(64, 64, 3, bias=False) for _ in range(6)))
    found = effective_receptive_field(model, (64, 41), generator=generator())
    assert found.sigma[0] == pytest.approx(math.sqrt(6 * 8 / 12), rel=0.05)
    assert found.misfit[0] < 0.03


def test_a_box_misfits_a_bell_more_than_a_sum_of_boxes():
    one = effective_receptive_field(box((1, 31)), (1, 1, 61), generator=generator())
    torch.manual_seed(0)
    many = nn.Sequential(*(nn.Conv1d(32, 32, 3, bias=False) for _ in range(15)))
    other = effective_receptive_field(many, (32, 61), generator=generator())
    assert one.row.size[1] == other.row.size[0] == 31
    assert one.misfit[1] > 0.05 > other.misfit[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_layer_unit_inputs_and_dtype(dtype):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Conv2d(3, 2, 3)).to(dtype)
    found = effective_receptive_field(
        model,
        (1, 12, 12),
        "1",
        unit=(4, 0),
        inputs=torch.ones(2, 1, 12, 12, dtype=dtype),
    )
    assert found.row.layer == "1"
    assert bounds(found.weight > 0) == ((4, 6), (0, 2)) == found.row.field((4, 0))
    assert repr(found).startswith("EffectiveField(1: ")


def test_generator_decides_and_the_model_stays():
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU()).train()
    before = torch.get_rng_state()
    weights = [
        effective_receptive_field(model, (1, 9, 9), generator=generator(s)).weight
        for s in (0, 0, 1)
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training
    assert model[1].num_batches_tracked == 0
    assert model[0].weight.grad is None


def test_errors():
    model = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Flatten(), nn.Linear(49, 2))
    with pytest.raises(KeyError, match="no layer is named '7'"):
        effective_receptive_field(model, (1, 9, 9), "7")
    with pytest.raises(
        ValueError, match=r"must give out a map \(N, C, \*\): got shape"
    ):
        effective_receptive_field(model, (1, 9, 9))
    dead = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Threshold(1e9, 0.0))
    with pytest.raises(ValueError, match="no gradient arrives from unit"):
        effective_receptive_field(dead, (1, 9, 9))
    with pytest.raises(KeyError, match="no layer is named 'qq'"):
        gradient_support(model, (1, 9, 9), "qq")
    with pytest.raises(ValueError, match="sees no pixel"):
        bounds(torch.zeros(3, 3, dtype=torch.bool))


def test_support_is_that_of_positive_weights_whatever_the_model_holds():
    """A kernel of zeros, a ReLU that sleeps and a max pooling hide pixels from a plain gradient."""
    model = nn.Sequential(
        nn.Conv1d(1, 2, 3), nn.ReLU(), nn.MaxPool1d(3, 2, 1, ceil_mode=True)
    )
    nn.init.zeros_(model[0].weight)
    nn.init.constant_(model[0].bias, -1.0)
    assert bounds(gradient_support(model, (1, 12), unit=(2,))) == ((3, 7),)
    assert bounds(gradient_support(model, (1, 12), unit=(5,))) == ((9, 11),)
    assert (model[0].weight == 0).all()


def test_support_has_the_holes_of_dilation():
    mask = gradient_support(nn.Conv2d(1, 1, 2, dilation=(3, 2)), (1, 6, 6), unit=(1, 0))
    assert mask.nonzero().tolist() == [[1, 0], [1, 2], [4, 0], [4, 2]]
