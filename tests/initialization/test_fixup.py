"""Fixup's scale and scalars, the identity at the start, updates that do not grow with depth; zero gamma."""

import pytest
import torch
from torch import nn

import dlkb.initialization
import dlkb.normalization
from dlkb.initialization.fixup import FixupBlock, fixup_, fixup_scale, zero_gamma_


def residual(blocks, width=32, layers=2, **arguments):
    torch.manual_seed(0)
    body = [
        FixupBlock(
            *(nn.Linear(width, width, bias=False) for _ in range(layers)), **arguments
        )
        for _ in range(blocks)
    ]
    return nn.Sequential(*body, nn.Linear(width, 4))


def source(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("blocks", "layers", "scale"),
    [(1, 2, 1), (9, 2, 1 / 3), (16, 3, 1 / 2), (64, 4, 1 / 2), (4, 2, 1 / 2)],
)
def test_the_scale_by_hand(blocks, layers, scale):
    assert fixup_scale(blocks, layers) == pytest.approx(scale, rel=1e-12)


def test_a_block_by_hand():
    """Scalars in their places: each changes the output as it should, at values where a swap would show."""
    first, second = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    block = FixupBlock(first, second).double()
    with torch.no_grad():
        first.weight.fill_(2)
        second.weight.fill_(3)
        block.before_layer.copy_(torch.tensor([0.5, 0.25]))
        block.after_layer.copy_(torch.tensor([-1.0, 7.0]))
        block.multiplier.fill_(10)
    # 2 (1 + 0.5) - 1 = 2, relu; 3 (2 + 0.25) = 6.75; 10 * 6.75 + 7 + 1
    assert block(torch.ones(1, 1).double()).item() == 75.5
    # 2 (-1 + 0.5) - 1 = -2, relu 0; 3 * 0.25 = 0.75; 7.5 + 7 - 1; a negative sum is cut off
    assert block(-torch.ones(1, 1).double()).item() == 13.5
    assert block(-torch.full((1, 1), 20.0).double()).item() == 0
    kept = FixupBlock(first, second, activation=torch.nn.Identity())
    assert kept(torch.ones(1, 1).double()).dtype == torch.float64


def test_convolutions_keep_their_shape_and_gradients_reach_every_scalar():
    block = FixupBlock(nn.Conv2d(3, 5, 3, padding=1), nn.Conv2d(5, 3, 1))
    block(torch.randn(2, 3, 6, 6, generator=source())).sum().backward()
    for name in ("before_layer", "after_layer", "multiplier"):
        assert (getattr(block, name).grad != 0).all(), name


@pytest.mark.parametrize("layers", [2, 3])
def test_weights_after_fixup(layers):
    """Kaiming's times L^(-1/(2m-2)) for all but the last of each branch, which is 0, as the head is."""
    model = residual(16, width=64, layers=layers)
    head = model[-1]
    assert fixup_(model, head, generator=source()) is model
    std = (2 / 64) ** 0.5 * 16 ** (-1 / (2 * layers - 2))
    for block in model[:-1]:
        for layer in block.layers[:-1]:
            # 4096 draws: the deviation is known to 1.1 percent
            assert layer.weight.std().item() == pytest.approx(std, rel=0.05)
        assert (block.layers[-1].weight == 0).all()
        assert block.multiplier.item() == 1
    assert (head.weight == 0).all()
    assert (head.bias == 0).all()


def test_the_network_begins_as_the_identity_and_scalars_anew():
    model = nn.Sequential(
        FixupBlock(nn.Conv1d(3, 6, 3, padding=1), nn.Conv1d(6, 3, 1)),
        FixupBlock(nn.Conv1d(3, 3, 1), nn.Conv1d(3, 3, 1)),
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.7)
    fixup_(model)
    x = torch.rand(2, 3, 5, generator=source())
    assert torch.equal(model(x), x)
    for block in model:
        assert all((layer.bias == 0).all() for layer in block.layers)
        assert (block.multiplier == 1).all()


def test_fan_out_is_the_mode_of_the_outputs():
    block = FixupBlock(nn.Linear(50, 200, bias=False), nn.Linear(200, 50, bias=False))
    fixup_(block, mode="fan_out", generator=source())
    found = block.layers[0].weight.square().mean().item()
    assert found == pytest.approx(2 / 200, rel=0.05)


def step_in_output(blocks, scaled):
    """How far one step of descent moves the logits of a net whose branches are not zero, over the rate."""
    model = residual(blocks).double()
    fixup_(model, generator=source())
    if not scaled:
        with torch.no_grad():
            for block in model[:-1]:
                block.layers[0].weight.mul_(blocks**0.5)
    x = torch.rand(16, 32, generator=source(1), dtype=torch.float64)
    before = model(x)
    loss = before[:, 0].mean()
    gradients = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    with torch.no_grad():
        for parameter, gradient in zip(model.parameters(), gradients, strict=True):
            if gradient is not None:
                parameter -= 1e-6 * gradient
        return (model(x)[:, 0] - before[:, 0]).abs().mean().item()


def test_a_step_does_not_grow_with_depth():
    """Theorem: the change by all L last layers is L times that of one, and the scale^2 = 1 / L takes it back.

    Unscaled it grows with L: 16 times the depth moves the output at least 4 times as far.
    """
    grown = {s: step_in_output(64, s) / step_in_output(4, s) for s in (True, False)}
    assert 0.5 < grown[True] < 2
    assert grown[False] > 4


def test_zero_gamma_finds_the_last_normalization():
    """Fails for the first one, and for a normalization without a scale."""
    branch = nn.Sequential(
        nn.Conv1d(2, 4, 1), nn.BatchNorm1d(4), nn.ReLU(), nn.Conv1d(4, 2, 1)
    )
    branch.append(nn.GroupNorm(1, 2)).append(nn.BatchNorm1d(2, affine=False))
    assert zero_gamma_(branch) is branch[4]
    assert (branch[4].weight == 0).all()
    assert (branch[1].weight == 1).all()
    x, weights = torch.randn(2, 3, 2, 5, generator=source())
    (branch(x) * weights).sum().backward()
    assert (branch[4].weight.grad != 0).any()  # it can grow
    for layer in (nn.LayerNorm(3), nn.RMSNorm(3), dlkb.normalization.BatchNorm1d(3)):
        assert zero_gamma_(nn.Sequential(layer)) is layer
        assert (layer.weight == 0).all()


def test_wrong_arguments():
    for blocks, layers in ((0, 2), (3, 1)):
        with pytest.raises(
            ValueError,
            match=f"at least 1 block, and 2 layers.*got {blocks} and {layers}",
        ):
            fixup_scale(blocks, layers)
    with pytest.raises(ValueError, match=r"at least 2 layers.*got 1"):
        FixupBlock(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="must hold a FixupBlock: Linear holds none"):
        fixup_(nn.Linear(2, 2))
    with pytest.raises(
        ValueError, match="normalization with a scale: Linear holds none"
    ):
        zero_gamma_(nn.Linear(2, 2))


def test_all_of_them_are_public():
    names = {"FixupBlock", "fixup_", "fixup_scale", "zero_gamma_"}
    assert names <= set(dlkb.initialization.__all__)
