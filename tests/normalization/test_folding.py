"""dlkb.normalization.folding against torch's utility and against running both layers; then edges, errors."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import fusion, prune

from dlkb.normalization import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    batch_norm_as_conv,
    fold_batch_norms,
    fuse_conv_bn_eval,
    fuse_conv_bn_weights,
    fuse_linear_bn_eval,
)

CONVOLUTIONS = [
    (nn.Conv1d, {}, (2, 4, 9)),
    (nn.Conv2d, {}, (2, 4, 7, 6)),
    (nn.Conv2d, {"bias": False}, (2, 4, 7, 6)),
    (nn.Conv2d, {"groups": 2, "padding": 1}, (2, 4, 7, 6)),
    (nn.Conv2d, {"groups": 4, "bias": False}, (2, 4, 7, 6)),
    (nn.Conv2d, {"dilation": 2, "stride": (2, 1)}, (2, 4, 9, 8)),
    (nn.Conv2d, {"padding": 1, "padding_mode": "circular"}, (2, 4, 7, 6)),
    (nn.Conv2d, {"padding": 2, "padding_mode": "reflect"}, (2, 4, 7, 6)),
    (nn.Conv3d, {"stride": 2}, (1, 4, 5, 6, 4)),
    (nn.ConvTranspose1d, {}, (2, 4, 5)),
    (nn.ConvTranspose2d, {"stride": 2, "output_padding": 1}, (2, 4, 5, 3)),
    (nn.ConvTranspose2d, {"bias": False, "dilation": 2}, (2, 4, 5, 3)),
    (nn.ConvTranspose3d, {"padding": 1}, (1, 4, 3, 4, 2)),
]
GROUPED_TRANSPOSED = [
    (nn.ConvTranspose1d, {"groups": 2}, (2, 4, 5)),
    (nn.ConvTranspose2d, {"groups": 2, "bias": False}, (2, 4, 5, 3)),
    (nn.ConvTranspose2d, {"groups": 4, "stride": 2}, (2, 4, 5, 3)),
]
BATCH_NORM = {3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
OURS = {
    nn.BatchNorm1d: BatchNorm1d,
    nn.BatchNorm2d: BatchNorm2d,
    nn.BatchNorm3d: BatchNorm3d,
}


def draw(shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def randomize(module, seed=0):
    """Nothing is left at 0 or 1, where mistakes hide; variances near eps = 1e-3, so that eps matters."""
    with torch.no_grad():
        for index, (name, value) in enumerate(module.state_dict().items()):
            if value.is_floating_point():
                new = draw(value.shape, 100 * seed + index)
                value.copy_(new.square() * 0.01 + 1e-3 if "var" in name else new)
    return module.eval()


def pair(kind, arguments, shape, dtype=torch.float64, outputs=8, **norm):
    """A convolution with 4 inputs and 8 outputs, and a batch norm, all drawn at random."""
    torch.manual_seed(0)
    conv = kind(4, outputs, 3 if min(shape[2:]) > 2 else 2, **arguments)
    bn = BATCH_NORM[len(shape)](outputs, eps=1e-3, **norm)
    return randomize(conv.to(dtype), 1), randomize(bn.to(dtype), 2)


def close(actual, expected, atol=1e-11):
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol)


def unchanged(modules):
    return [copy.deepcopy(m.state_dict()) for m in modules]


@pytest.fixture(autouse=True)
def keep_random_state():
    with torch.random.fork_rng():
        yield


# ------------------------------------------------------------------------------------- convolutions


@pytest.mark.parametrize(("kind", "arguments", "shape"), CONVOLUTIONS)
@pytest.mark.parametrize("affine", [True, False])
def test_equals_torchs_utility_and_the_two_layers(kind, arguments, shape, affine):
    """Fails for a forgotten eps, mean, bias or weight, for the scale on the input axis, and for the
    transposed layout. The utility alone could share a mistake of ours: so the output is compared too."""
    conv, bn = pair(kind, arguments, shape, affine=affine)
    before = unchanged((conv, bn))
    transpose = "Transpose" in kind.__name__
    ours = fuse_conv_bn_eval(conv, bn, transpose)
    theirs = fusion.fuse_conv_bn_eval(conv, bn, transpose)
    x = draw(shape, 3)
    close(ours(x), bn(conv(x)))
    for name in ("weight", "bias"):
        actual, expected = getattr(ours, name), getattr(theirs, name)
        close(actual, expected)
        assert actual.requires_grad == expected.requires_grad
        assert isinstance(actual, nn.Parameter)
    assert repr(ours) == repr(theirs)
    assert not ours.training
    for state, old in zip(unchanged((conv, bn)), before, strict=True):
        assert all(torch.equal(state[name], old[name]) for name in old)


@pytest.mark.parametrize(("kind", "arguments", "shape"), GROUPED_TRANSPOSED)
def test_grouped_transposed_convolutions_equal_the_two_layers(kind, arguments, shape):
    """Fails for scales repeated over the groups instead of split among them; torch's utility fails here."""
    conv, bn = pair(kind, arguments, shape)
    x = draw(shape, 3)
    fused = fuse_conv_bn_eval(conv, bn, transpose=True)
    close(fused(x), bn(conv(x)))
    assert fused.weight.shape == conv.weight.shape


@pytest.mark.parametrize(("kind", "arguments", "shape"), CONVOLUTIONS[:4])
def test_the_gradient_of_the_input_is_kept(kind, arguments, shape):
    conv, bn = pair(kind, arguments, shape)
    x = draw(shape, 3).requires_grad_()
    expected = bn(conv(x))
    seed = draw(expected.shape, 4)
    (theirs,) = torch.autograd.grad((expected * seed).sum(), x)
    fused = fuse_conv_bn_eval(conv, bn)
    (ours,) = torch.autograd.grad((fused(x) * seed).sum(), x)
    close(ours, theirs, atol=1e-10)


def test_our_batch_norms_fold_as_torchs():
    for dims, kind in BATCH_NORM.items():
        shape = (2, 4, 5, 4, 3)[:dims]
        conv, bn = pair(getattr(nn, f"Conv{dims - 2}d"), {}, shape)
        ours = OURS[kind](8, eps=1e-3, dtype=torch.float64).eval()
        ours.load_state_dict(bn.state_dict())
        x = draw(shape, 3)
        close(fuse_conv_bn_eval(conv, ours)(x), ours(conv(x)))


def test_by_hand():
    """scale = 4 / sqrt(3 + 1) = 2; weight 2 * (2, -1); bias 2 * (3 - 1) + 5 = 9, in every layout."""
    of = lambda *v: torch.tensor(v)
    rest = (of(3.0), of(1.0), of(3.0), 1.0, of(4.0), of(5.0))
    for weight, transpose in (
        (of([[2.0, -1.0]]), False),
        (of([[2.0, -1.0]]), True),
        (of([2.0, -1.0]), False),  # a linear layer's
    ):
        w, b = fuse_conv_bn_weights(weight, *rest, transpose)
        assert torch.equal(w, 2 * weight)
        assert b.tolist() == [9.0]


def test_an_identity_batch_norm_changes_nothing():
    conv = randomize(nn.Conv2d(3, 5, 3).double())
    fused = fuse_conv_bn_eval(conv, nn.BatchNorm2d(5, eps=0.0).double().eval())
    assert torch.equal(fused.weight, conv.weight)
    assert torch.equal(fused.bias, conv.bias)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 100), st.integers(0, 2**16))
def test_the_folded_weight_does_not_know_the_units_of_the_convolution(factor, seed):
    """Units cancel: conv times k, with the statistics that go with it, folds to the same (with eps = 0)."""
    w, b, mean, gamma, beta = (draw((3,), seed + i) for i in range(5))
    w, var = w.view(3, 1, 1), draw((3,), seed + 9).square() + 0.1
    for one, other in zip(
        fuse_conv_bn_weights(w, b, mean, var, 0.0, gamma, beta),
        fuse_conv_bn_weights(
            factor * w, factor * b, factor * mean, factor**2 * var, 0.0, gamma, beta
        ),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_a_channel_that_is_constant_folds_to_finite_numbers():
    """Variance 0: without eps the scale would be infinite."""
    one = torch.ones(1)
    w, b = fuse_conv_bn_weights(one.view(1, 1, 1), None, one, 0 * one, 1e-5, one, one)
    assert torch.isfinite(w).all()
    torch.testing.assert_close(b, 1 - 1 / (1e-5 * one).sqrt())


def test_a_large_bias_cancels_against_its_mean_before_it_is_scaled():
    """Fails for scale * bias + (beta - scale * mean), which loses all digits in float32."""
    one = torch.ones(1)
    _, b = fuse_conv_bn_weights(
        one.view(1, 1, 1), 1e6 * one + 0.25, 1e6 * one, one / 9, 0.0, one / 3, None
    )
    assert b.item() == 0.25


# ----------------------------------------------------------------------------------- dtypes, device


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_dtype_is_kept_and_rounded_once(dtype):
    """Half-precision layers are folded in float32: one rounding, no worse than torch's chain of them."""
    conv, bn = pair(nn.Conv2d, {}, (2, 4, 7, 6), dtype)
    fused = fuse_conv_bn_eval(conv, bn)
    exact = fuse_conv_bn_eval(copy.deepcopy(conv).double(), copy.deepcopy(bn).double())
    unit = torch.finfo(dtype).eps
    for name in ("weight", "bias"):
        ours, expected = getattr(fused, name), getattr(exact, name)
        assert ours.dtype == dtype
        allowed = (4 if dtype == torch.float32 else 0.502) * unit * expected.abs()
        assert ((ours.double() - expected).abs() <= allowed + 1e-6).all()
    theirs = fusion.fuse_conv_bn_eval(conv, bn)
    error = lambda m: (m.weight.double() - exact.weight).abs().max()
    assert error(fused) <= error(theirs) + 1e-7


def test_mixed_dtypes_keep_the_layers_own():
    """As in mixed precision: a half layer with a float32 batch norm, and a float64 layer with one."""
    for dtype in (torch.float16, torch.float64):
        conv, bn = pair(nn.Conv2d, {}, (2, 4, 7, 6))
        conv.to(dtype), bn.float()
        ours, theirs = fuse_conv_bn_eval(conv, bn), fusion.fuse_conv_bn_eval(conv, bn)
        assert ours.weight.dtype == ours.bias.dtype == dtype
        torch.testing.assert_close(ours.weight, theirs.weight, rtol=2e-3, atol=1e-6)
        exact = fuse_conv_bn_eval(conv.double(), bn.double())
        limit = 1e-11 if dtype == torch.float64 else 0.1
        close(ours.weight.double(), exact.weight, atol=limit)


def test_gradient_flags_follow_the_layer():
    conv, bn = pair(nn.Conv2d, {}, (2, 4, 7, 6))
    conv.requires_grad_(False)
    fused = fuse_conv_bn_eval(conv, bn)
    assert not fused.weight.requires_grad
    assert not fused.bias.requires_grad
    for flag in (True, False):
        made = batch_norm_as_conv(bn.requires_grad_(flag))
        assert {p.requires_grad for p in made.parameters()} == {flag}


def test_the_state_goes_through_a_file(tmp_path):
    conv, bn = pair(nn.Conv2d, {}, (2, 4, 7, 6))
    fused, again = fuse_conv_bn_eval(conv, bn), nn.Conv2d(4, 8, 3).double()
    torch.save(fused.state_dict(), tmp_path / "fused.pt")
    again.load_state_dict(torch.load(tmp_path / "fused.pt"))
    x = draw((2, 4, 7, 6))
    assert torch.equal(again(x), fused(x))


# ------------------------------------------------------------------------------------ linear layers


@pytest.mark.parametrize("bias", [True, False])
def test_linear_equals_torchs_utility_and_the_two_layers(bias):
    linear = randomize(nn.Linear(4, 6, bias=bias).double(), 1)
    bn = randomize(nn.BatchNorm1d(6, eps=1e-3).double(), 2)
    before = unchanged((linear, bn))
    fused, theirs = (
        f(linear, bn) for f in (fuse_linear_bn_eval, fusion.fuse_linear_bn_eval)
    )
    x = draw((5, 4), 3)
    close(fused(x), bn(linear(x)))
    close(fused.weight, theirs.weight)
    close(fused.bias, theirs.bias)
    assert fused.bias.requires_grad == theirs.bias.requires_grad
    for state, old in zip(unchanged((linear, bn)), before, strict=True):
        assert all(torch.equal(state[name], old[name]) for name in old)


def test_linear_without_affine_equals_the_two_layers():
    """torch's utility raises an error for affine=False here."""
    linear = randomize(nn.Linear(4, 6).double(), 1)
    bn = randomize(nn.BatchNorm1d(6, affine=False).double(), 2)
    x = draw((5, 4), 3)
    close(fuse_linear_bn_eval(linear, bn)(x), bn(linear(x)))


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_with_a_batch_norm_of_one_channel(affine, bias):
    """(N, 1, F): the one channel holds all outputs."""
    linear = randomize(nn.Linear(4, 6, bias=bias).double(), 1)
    bn = randomize(nn.BatchNorm1d(1, affine=affine).double(), 2)
    x = draw((5, 1, 4), 3)
    fused = fuse_linear_bn_eval(linear, bn)
    close(fused(x), bn(linear(x)))
    assert fused.bias.shape == (6,)


def test_linear_on_sequences_is_another_function():
    """What the docstring warns of: with (N, L, F) and L = F nothing raises, and the result is wrong."""
    linear = randomize(nn.Linear(4, 6).double(), 1)
    bn = randomize(nn.BatchNorm1d(6).double(), 2)
    x = draw((5, 6, 4), 3)
    assert (fuse_linear_bn_eval(linear, bn)(x) - bn(linear(x))).abs().max() > 0.1


# ------------------------------------------------------------------------------ as a 1x1 convolution


@pytest.mark.parametrize("shape", [(3, 6, 5), (2, 6, 4, 3), (2, 6, 2, 3, 4)])
@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("ours", [True, False])
def test_batch_norm_as_conv_is_the_same_function(shape, groups, affine, ours):
    """Fails for a diagonal that is wrong within groups, a forgotten eps, and a mean that is not scaled."""
    kind = BATCH_NORM[len(shape)]
    kind = OURS[kind] if ours else kind
    bn = randomize(kind(6, affine=affine, dtype=torch.float64), 1)
    before = unchanged([bn])[0]
    conv = batch_norm_as_conv(bn, groups)
    x = draw(shape, 2)
    close(conv(x), bn(x))
    assert conv.weight.shape == (6, 6 // groups, *[1] * (len(shape) - 2))
    assert not conv.training
    assert conv.weight.dtype == torch.float64
    assert all(torch.equal(bn.state_dict()[name], before[name]) for name in before)


def test_as_conv_of_one_channel_and_of_half_precision():
    bn = randomize(nn.BatchNorm2d(1).double())
    x = draw((2, 1, 3, 3))
    close(batch_norm_as_conv(bn)(x), bn(x))
    conv = batch_norm_as_conv(randomize(nn.BatchNorm2d(4)).half())
    assert conv.weight.dtype == conv.bias.dtype == torch.float16


def test_conv_after_conv_composes_to_the_folded_weight():
    conv, bn = pair(nn.Conv2d, {}, (2, 4, 7, 6))
    diagonal, fused = batch_norm_as_conv(bn), fuse_conv_bn_eval(conv, bn)
    composed = torch.einsum("oc,cihw->oihw", diagonal.weight[..., 0, 0], conv.weight)
    close(composed, fused.weight)


# ----------------------------------------------------------------------------------- whole networks


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.branch = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.after = nn.BatchNorm2d(4)

    def forward(self, x):
        return self.after(x + self.branch(x))


class Backwards(nn.Sequential):
    def forward(self, x):
        for layer in reversed(list(self)):
            x = layer(x)
        return x


def network():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Sequential(nn.ConvTranspose2d(4, 4, 2, groups=2), BatchNorm2d(4)),
        Residual(),
        nn.Conv2d(4, 3, 1),
        nn.ReLU(),
        nn.BatchNorm2d(3),
        nn.Flatten(),
        nn.Linear(75, 5),
        nn.BatchNorm1d(5),
        nn.BatchNorm1d(5),
    )


def names_of(model, kinds):
    return [name for name, module in model.named_modules() if isinstance(module, kinds)]


NORMS = (nn.modules.batchnorm._BatchNorm, BatchNorm2d)


def test_a_network_keeps_its_function_and_its_names():
    """Fails for folding across an activation or an addition, and for batch norms that are left or lost."""
    model = randomize(network().double(), 1)
    before = unchanged([model])[0]
    folded = fold_batch_norms(model)
    x = draw((3, 2, 6, 6))
    expected = model(x)
    close(folded(x), expected, atol=1e-11 * expected.abs().max().item())
    assert names_of(folded, NORMS) == ["4.after", "7", "11"]
    assert names_of(folded, nn.Identity) == ["1", "3.1", "4.branch.1", "10"]
    assert names_of(folded, nn.ReLU) == names_of(model, nn.ReLU)
    assert all(torch.equal(model.state_dict()[name], before[name]) for name in before)
    assert not any(module.training for module in folded.modules())


def test_named_layers_of_a_sequential_are_folded():
    model = nn.Sequential()
    model.add_module("first", nn.Linear(3, 4))
    model.add_module("norm", nn.BatchNorm1d(4))
    model = randomize(model.double())
    folded = fold_batch_norms(model)
    x = draw((5, 3))
    close(folded(x), model(x))
    assert isinstance(folded.norm, nn.Identity)


def test_shared_layers_are_folded_apart():
    """One convolution before two batch norms; one block used twice. Fails if a layer is changed in place."""
    conv, first, second = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2), nn.BatchNorm2d(2)
    block = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2))
    model = nn.Sequential(conv, first, conv, second, block, block)
    randomize(model.double())
    x = draw((3, 2, 4, 4))
    folded = fold_batch_norms(model)
    close(folded(x), model(x), atol=1e-11 * model(x).abs().max().item())
    assert not names_of(folded, NORMS)


def test_a_sequential_with_its_own_forward_is_left_alone():
    model = Backwards(nn.Linear(3, 3), nn.BatchNorm1d(3))
    randomize(model.double())
    x = draw((4, 3))
    assert torch.equal(fold_batch_norms(model)(x), model(x))


def test_nothing_to_fold_gives_a_copy():
    model = nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 2, 3)).eval()
    folded = fold_batch_norms(model)
    assert folded is not model
    assert names_of(folded, NORMS) == ["0"]


def test_folding_twice_is_folding_once():
    model = fold_batch_norms(randomize(network().double(), 1))
    again = fold_batch_norms(model)
    assert repr(again) == repr(model)
    x = draw((3, 2, 6, 6))
    assert torch.equal(again(x), model(x))


# ------------------------------------------------------------------------------------------- errors


def test_training_mode_is_refused():
    conv, bn = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
    linear, bn1 = nn.Linear(3, 4).eval(), nn.BatchNorm1d(4)
    for call in (
        lambda: fuse_conv_bn_eval(conv.eval(), bn),
        lambda: fuse_linear_bn_eval(linear, bn1),
        lambda: batch_norm_as_conv(bn),
    ):
        with pytest.raises(ValueError, match=r"evaluation mode.*training mode; call"):
            call()
    with pytest.raises(ValueError, match=r"the layer must be in evaluation mode"):
        fuse_conv_bn_eval(conv.train(), bn.eval())
    model = nn.Sequential(nn.Flatten(), nn.Sequential(linear, bn1))
    with pytest.raises(ValueError, match=r"layer '1\.0': bn must be in evaluation"):
        fold_batch_norms(model)


def test_missing_running_statistics_are_refused():
    bn = nn.BatchNorm2d(4, track_running_stats=False).eval()
    for call in (
        lambda: fuse_conv_bn_eval(nn.Conv2d(3, 4, 3).eval(), bn),
        lambda: batch_norm_as_conv(bn),
        lambda: fold_batch_norms(nn.Sequential(nn.Conv2d(3, 4, 3), bn).eval()),
    ):
        with pytest.raises(ValueError, match=r"running statistics.*got None"):
            call()


def test_other_channels_are_refused():
    bn = nn.BatchNorm2d(3).eval()
    with pytest.raises(ValueError, match=r"layer has outputs, 4: got 3; is it"):
        fuse_conv_bn_eval(nn.Conv2d(3, 4, 3).eval(), bn)
    with pytest.raises(ValueError, match=r"layer has outputs, 4: got 1; is it"):
        fuse_conv_bn_eval(nn.Conv2d(3, 4, 3).eval(), nn.BatchNorm2d(1).eval())
    with pytest.raises(ValueError, match=r"layer has outputs, 4: got 3; is it"):
        fuse_linear_bn_eval(nn.Linear(3, 4).eval(), nn.BatchNorm1d(3).eval())


def test_other_modules_are_refused():
    conv, bn = nn.Conv2d(3, 4, 3).eval(), nn.BatchNorm2d(4).eval()
    with pytest.raises(TypeError, match=r"must be a convolution: got Linear"):
        fuse_conv_bn_eval(nn.Linear(3, 4).eval(), bn)
    with pytest.raises(TypeError, match=r"must be a convolution: got ReLU"):
        fuse_conv_bn_eval(nn.ReLU().eval(), bn)
    with pytest.raises(TypeError, match=r"must be a linear layer: got Conv2d"):
        fuse_linear_bn_eval(conv, bn)
    with pytest.raises(TypeError, match=r"must be a batch norm.*got InstanceNorm2d"):
        fuse_conv_bn_eval(conv, nn.InstanceNorm2d(4).eval())


def test_the_transposed_layout_must_be_said_and_only_there():
    """With as many inputs as outputs, torch's utility takes either and is silently wrong for one."""
    bn = nn.BatchNorm2d(4).eval()
    with pytest.raises(ValueError, match=r"ConvTranspose2d; use transpose=True"):
        fuse_conv_bn_eval(nn.ConvTranspose2d(4, 4, 3).eval(), bn)
    with pytest.raises(ValueError, match=r"Conv2d; use transpose=False"):
        fuse_conv_bn_eval(nn.Conv2d(4, 4, 3).eval(), bn, transpose=True)


def test_weights_of_other_shapes_are_refused():
    one = torch.ones(4)
    with pytest.raises(ValueError, match=r"axis 0 must hold.*4 channels: got shape"):
        fuse_conv_bn_weights(torch.ones(3, 4, 3), None, one, one, 1e-5, None, None)
    for shape in (
        (3, 3, 3),
        (3, 8, 3),
        (3, 2, 3),
    ):  # no divisor; too many; 2 groups of 3
        with pytest.raises(ValueError, match=r"axis 1 must hold.*share, 1 / groups"):
            fuse_conv_bn_weights(
                torch.ones(shape), None, one, one, 1e-5, None, None, transpose=True
            )
    for name, index in (("conv_b", 1), ("bn_rv", 3), ("bn_w", 5), ("bn_b", 6)):
        arguments = [torch.ones(4, 2, 3), one, one, one, 1e-5, one, one]
        arguments[index] = torch.ones(3)
        with pytest.raises(ValueError, match=rf"{name} must hold.*got \(3,\)"):
            fuse_conv_bn_weights(*arguments)


def test_a_variance_without_a_root_is_refused():
    one = torch.ones(2)
    for var, eps in ((0 * one, 0.0), (-one, 1e-5), (float("nan") * one, 1e-5)):
        with pytest.raises(ValueError, match=r"must be positive.*use a positive eps"):
            fuse_conv_bn_weights(one.view(2, 1, 1), None, one, var, eps, None, None)


def test_weights_that_are_computed_anew_are_refused():
    """Spectral norm would divide the folded weight again; pruning would put the old one back."""
    bn = nn.BatchNorm2d(4).eval()
    spectral = nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 4, 3)).eval()
    pruned = prune.l1_unstructured(nn.Conv2d(3, 4, 3), "weight", 0.5).eval()
    for conv in (spectral, pruned):
        with pytest.raises(ValueError, match=r"plain parameter.*remove it first"):
            fuse_conv_bn_eval(conv, bn)


def test_groups_must_divide_the_channels():
    for groups in (4, 0, -1):
        with pytest.raises(ValueError, match=rf"divide the 6 channels: got {groups}"):
            batch_norm_as_conv(nn.BatchNorm2d(6).eval(), groups)
