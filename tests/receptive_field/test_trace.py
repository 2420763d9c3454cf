"""dlkb.receptive_field's table against what the gradient says, on random networks and on torchvision's."""

import re

import pytest
import random_networks
import torch
import torchvision
from hypothesis import HealthCheck, assume, given, settings
from torch import nn

from dlkb.receptive_field import Window, bounds, gradient_support, receptive_field
from dlkb.receptive_field.rules import register_rule


def holding(model, channels, axes=2):
    """A size whose middle unit has its whole field inside the input, and that unit."""
    for n in (24, 48, 96, 192, 384):
        try:
            row = receptive_field(model, (channels, *[n] * axes)).last
        except ValueError as error:
            if "smaller than the network needs" not in str(error):
                raise
            continue
        unit = tuple(u // 2 for u in row.output)
        if all(low >= 0 and high < n for low, high in row.field(unit)):
            return n, row, unit
    return None


@settings(
    max_examples=250,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(random_networks.networks())
def test_field_is_the_gradients_support_on_random_networks(model):
    """Fails for a jump updated before the size, dilation or padding left out, branches counted by the
    first or the largest alone, and enlargements whose units are all taken for alike."""
    held = holding(model, random_networks.CHANNELS)
    assume(held is not None)
    n, row, unit = held
    size = (random_networks.CHANNELS, n, n)
    seen = gradient_support(model, size, unit=unit)
    assert bounds(seen) == row.field(unit)
    neighbour = tuple(min(i + 1, u - 1) for i, u in zip(unit, row.output, strict=True))
    field = row.field(neighbour)
    if all(0 <= low <= high < n for low, high in field):
        assert bounds(gradient_support(model, size, unit=neighbour)) == field
    corner = gradient_support(model, size, unit=(0, 0))  # padding cuts it off
    for (low, high), places in zip(
        row.field((0, 0)),
        (corner.any(1).nonzero(), corner.any(0).nonzero()),
        strict=True,
    ):
        assert all(low <= place <= high for place in places.flatten().tolist())


# name, the last map, the size and jump of its field, padding, and how long a strip must be to hold it
TORCHVISION = [
    ("alexnet", "features", 195, 32, 66, 257),
    ("vgg16", "features", 212, 32, 90, 224),
    ("resnet50", "layer4", 427, 32, 213, 480),
    ("mobilenet_v2", "features", 491, 32, 245, 544),
    ("inception_v3", "Mixed_7c", 1311, 32, 618, 1371),
    ("densenet121", "features", 2071, 32, 1021, 2144),
]


def build(name):
    options = {"init_weights": False} if name == "inception_v3" else {}
    return getattr(torchvision.models, name)(weights=None, **options)


@pytest.mark.parametrize(("name", "layer", "size", "jump", "padding", "n"), TORCHVISION)
def test_torchvisions_networks(name, layer, size, jump, padding, n):
    """The gradient is asked on strips, long along one axis and as narrow as the network allows along the
    other: a field of 2071 x 2071 pixels takes minutes."""
    model = build(name)
    row = receptive_field(model, (3, n, n))[layer]
    assert row.size == (size, size)
    assert row.jump == (jump, jump)
    assert row.padding == (padding, padding)
    short = 75 if name == "inception_v3" else 63 if name == "alexnet" else 33
    for axis in (0, 1) if name == "inception_v3" else (0,):
        strip = [short, short]
        strip[axis] = n
        row = receptive_field(model, (3, *strip))[layer]
        unit = [0, 0]
        unit[axis] = row.output[axis] // 2
        low, high = row.field(tuple(unit))[axis]
        assert low >= 0, "the strip holds no whole field"
        assert high < n, "the strip holds no whole field"
        part = trunk(model, layer)
        seen = gradient_support(part, (3, *strip), unit=tuple(unit))
        assert bounds(seen)[axis] == (low, high)


def trunk(model, layer):
    """The network up to a layer of the top level, run as the network itself runs it."""

    class Trunk(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, x):
            class Done(Exception):
                pass

            def stop(module, args, output):
                raise Done(output)

            handle = self.model.get_submodule(layer).register_forward_hook(stop)
            try:
                self.model(x)
            except Done as done:
                return done.args[0]
            finally:
                handle.remove()

    return Trunk()


# TF-Slim's networks: receptive field, effective stride, effective padding, for images of 224 pixels
# (Araujo, Norris & Sim 2019)
PUBLISHED = {
    "alexnet_v2": (195, 32, 64),
    "vgg_16": (212, 32, 90),
    "inception_v3": (1311, 32, 618),
    "resnet_v1_50": (483, 32, 239),
    "resnet_v1_101": (1027, 32, 511),
    "resnet_v1_152": (1507, 32, 751),
    "mobilenet_v1": (315, 32, 126),
}
# the paddings of images of 321 pixels, where they differ
PADDING_AT_321 = {
    "resnet_v1_50": 241,
    "resnet_v1_101": 513,
    "resnet_v1_152": 753,
    "mobilenet_v1": 157,
}


def last(layers):
    row = receptive_field(layers).last
    return row.size[0], row.jump[0], row.padding[0]


def same_padding(units, kernel, stride):
    """Before the map, by TensorFlow's SAME: half of what ceil(units / stride) windows lack, rounded down."""
    windows = -(-units // stride)
    return max(0, (windows - 1) * stride + kernel - units) // 2


def resnet(units, at_the_end, side=224):
    """What widens the field of a bottleneck ResNet: the stem, its pooling, the 3 x 3 convolutions.

    TF-Slim pads the pooling by SAME: none before an even map, 1 before an odd one. Torch pads by 1, and
    so do the strided convolutions of both."""
    pool = same_padding(-(-side // 2), 3, 2) if at_the_end else 1
    layers = [(7, 2, 3), (3, 2, pool)]
    for stage, count in enumerate(units):
        strides = [1] * count
        if at_the_end and stage < 3:
            strides[-1] = 2
        if not at_the_end and stage > 0:
            strides[0] = 2
        layers += [(3, stride, 1) for stride in strides]
    return layers


def mobilenet(side):
    """The 3 x 3 convolutions of version 1, all padded by SAME."""
    layers = []
    for stride in (2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1):
        layers.append((3, stride, same_padding(side, 3, stride)))
        side = -(-side // stride)
    return layers


def test_published_values_and_the_reason_for_each_difference():
    ours = {name: numbers for name, _, *numbers, _ in TORCHVISION}
    assert tuple(ours["vgg16"]) == PUBLISHED["vgg_16"]
    assert tuple(ours["inception_v3"]) == PUBLISHED["inception_v3"]
    # AlexNet: TF-Slim's first convolution has no padding, torchvision's has 2.
    size, jump, padding = PUBLISHED["alexnet_v2"]
    assert ours["alexnet"] == [size, jump, padding + 2]
    # ResNet: TF-Slim strides in the last unit of a stage, torchvision in the first unit of the next.
    assert list(last(resnet((3, 4, 6, 3), at_the_end=False))) == ours["resnet50"]


@pytest.mark.parametrize(
    ("depth", "units"),
    [(50, (3, 4, 6, 3)), (101, (3, 4, 23, 3)), (152, (3, 8, 36, 3))],
)
def test_published_residual_networks_at_both_sizes(depth, units):
    """Padding of 1 around the pooling would give the numbers of 321 at 224."""
    name = f"resnet_v1_{depth}"
    assert last(resnet(units, at_the_end=True)) == PUBLISHED[name]
    expected = (*PUBLISHED[name][:2], PADDING_AT_321[name])
    assert last(resnet(units, at_the_end=True, side=321)) == expected


def test_published_mobilenet_at_both_sizes():
    """SAME pads an even map behind alone where it strides; padding of 1 gives the numbers of 321."""
    assert last(mobilenet(224)) == PUBLISHED["mobilenet_v1"]
    assert last(mobilenet(321)) == (315, 32, PADDING_AT_321["mobilenet_v1"])
    padded_by_one = [(3, stride, 1) for _, stride, _ in mobilenet(224)]
    assert last(padded_by_one) == (315, 32, 157)


def test_by_hand():
    """7/2 then 3/2: 7, then 7 + 2 * 2 = 11; the jump 2, then 4. A jump taken after the stride
    would give 15."""
    table = receptive_field([(7, 2, 3), (3, 2, 1), (3, 1, 1, 2)], (64,))
    assert [row.size for row in table] == [(7,), (11,), (27,)]
    assert [row.jump for row in table] == [(2,), (4,), (4,)]
    assert [row.centre for row in table] == [(0.0,), (0.0,), (4.0,)]
    assert [row.padding for row in table] == [(3,), (5,), (9,)]
    assert [row.output for row in table] == [(32,), (16,), (14,)]


def test_a_list_and_the_module_that_it_describes_agree():
    layers = [(5, 3, 1, 2), (4, 2, 2, 1), (3, 1, 0, 3)]
    model = nn.Sequential(*(nn.Conv1d(1, 1, k, s, p, d) for k, s, p, d in layers))
    for one, other in zip(
        receptive_field(layers, (200,)), receptive_field(model, (1, 200)), strict=True
    ):
        assert (one.output, one.reaches, one.dropped) == (
            other.output,
            other.reaches,
            other.dropped,
        )


class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def shuffle(x):
    n, c, h, w = x.shape
    return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


F = nn.functional
MOVED = [
    nn.Conv2d(4, 4, (3, 5), padding="same", dilation=3, groups=2),
    pytest.param(
        nn.Conv2d(4, 4, 4, padding="same", dilation=3),
        marks=pytest.mark.filterwarnings("ignore:Using padding='same' with even"),
    ),
    nn.Conv2d(4, 4, (2, 5), padding="valid", bias=False),
    nn.Conv2d(4, 4, 3, padding=1, padding_mode="replicate"),
    nn.MaxPool2d(3, 2, ceil_mode=True),
    nn.AvgPool2d(3, 2, 1, ceil_mode=True),
    nn.PixelUnshuffle(2),
    nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
    nn.Upsample(scale_factor=1.5, mode="bilinear"),
    nn.Upsample(scale_factor=0.5, mode="nearest"),
    nn.Upsample(scale_factor=2, mode="nearest-exact"),
    nn.Upsample(scale_factor=2, mode="bicubic"),
    nn.AdaptiveAvgPool2d(6),
    Apply(lambda x: F.interpolate(x, (12, 6), mode="area")),
    Apply(lambda x: x[:, :, 3:-2, 1::3]),
    Apply(lambda x: x[:, 1:3, ..., 2:]),
    Apply(lambda x: x[:, :, None][:, :, 0, 5:]),
    Apply(lambda x: F.pad(x, (-3, 2, 4, -1))),
    Apply(lambda x: torch.cat(x.chunk(2, dim=1)[::-1], dim=1)),
    Apply(lambda x: x.unflatten(1, (2, 2)).flatten(1, 2)),
    Apply(shuffle),
    Apply(lambda x: x.permute(0, 2, 3, 1).permute(0, 3, 1, 2)),
    Apply(lambda x: F.layer_norm(x.permute(0, 2, 3, 1), (4,)).permute(0, 3, 1, 2)),
    Apply(lambda x: x.relu_().add_(1.0).mul(torch.ones(4, 1, 1, dtype=x.dtype, device=x.device))),
    Apply(lambda x: x.mean(1, keepdim=True) * x + x.amax(1, keepdim=True)),
    Apply(lambda x: torch.stack([x, 2 * x]).sum(0)),
    Apply(lambda x: torch.maximum(x, x.sigmoid())),
]  # fmt: skip


@pytest.mark.parametrize("layer", MOVED, ids=range(len(MOVED)))
def test_what_moves_cuts_and_resizes_a_map(layer):
    """Behind a 4 x 4 convolution with stride 2 and before a 3 x 3 one; each unit in the middle is asked."""
    channels = layer(torch.ones(2, 4, 20, 20)).shape[1]
    model = nn.Sequential(nn.Conv2d(1, 4, 4, 2, 1), layer, nn.Conv2d(channels, 1, 3))
    row = receptive_field(model, (1, 48, 48)).last
    seen = 0
    for unit in torch.cartesian_prod(*(torch.arange(n) for n in row.output)).tolist():
        if seen < 9 and all(a >= 0 and b < 48 for a, b in row.field(unit)):
            mask = gradient_support(model, (1, 48, 48), unit=unit)
            assert bounds(mask) == row.field(unit), unit
            seen += 1
    assert seen >= 1


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x[:, :, [0, 2]], "only slices and numbers"),
        (lambda x: x[:, :, 3], "picks one place"),
        (lambda x: x + x[:, :, :1], "1 unit is spread over all"),
        (lambda x: torch.cat([x, x], 2), "joined along a spatial axis"),
        (lambda x: torch.cat(x.chunk(2, 3), 1), "cut along a spatial axis"),
        (lambda x: x + x.transpose(2, 3), "different dimensions"),
        (lambda x: F.interpolate(x, 4, mode="bilinear", antialias=True), "antialias"),
        (lambda x: x.movedim(2, 3), "use permute"),
        (lambda x: F.max_pool1d(x.flatten(2), 2), "the map was flattened before"),
        (lambda x: (x[:, :1].add_(F.max_pool2d(x, 3, 1, 1)[:, :1]), x)[1], "in place"),
    ],
)
def test_what_cannot_be_followed_is_refused(function, message):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), Apply(function))
    with pytest.raises(ValueError, match=message):
        receptive_field(model, (1, 12, 12))


@pytest.mark.parametrize(
    "pool",
    [
        lambda x: nn.functional.max_pool2d(x, 3),
        lambda x: nn.functional.avg_pool2d(x, kernel_size=3),
        lambda x: nn.functional.lp_pool2d(x, 2.0, 3),
        nn.LPPool2d(2.0, 3),
        lambda x: torch.max_pool2d(x, 3, [], 0),
    ],
)
def test_a_pooling_without_stride_steps_by_its_kernel(pool):
    class Pool(nn.Module):
        def forward(self, x):
            return pool(x)

    row = receptive_field(nn.Sequential(nn.Conv2d(1, 1, 3), Pool()), (1, 20, 20)).last
    assert (row.size, row.jump, row.output) == ((5, 5), (3, 3), (6, 6))


@pytest.mark.parametrize("n", range(9, 24))
def test_dropped_pixels_are_those_whose_gradient_is_zero(n):
    """Fails if the remainder is counted without the padding, which takes it up first."""
    model = nn.Conv1d(1, 1, 3, 4, 1)
    (row,) = receptive_field(model, (1, n))
    x = torch.ones(1, 1, n, requires_grad=True)
    with torch.no_grad():
        model.weight.fill_(1.0)
    model(x).sum().backward()
    unseen = (x.grad.flatten() == 0).nonzero().flatten().tolist()
    behind = [i for i in unseen if i > max(set(range(n)) - set(unseen))]
    assert row.dropped == (len(behind),)


@pytest.mark.parametrize(
    ("layer", "size"),
    [
        (nn.AdaptiveAvgPool2d(1), "whole"),
        (nn.GroupNorm(1, 2), "whole"),
        (nn.InstanceNorm2d(2), "whole"),
        (nn.Softmax(1), 5),
        (nn.Softmax(2), "rows"),
        (nn.Sequential(nn.Flatten(), nn.Linear(2 * 144, 3)), "whole"),
        (nn.Sequential(nn.Flatten(2), nn.LayerNorm(144)), "whole"),
        (nn.AdaptiveMaxPool2d((None, 1)), "columns"),
        (nn.Hardswish(), 5),
        (nn.AdaptiveAvgPool2d(4), 7),
    ],
    ids=str,
)
def test_what_sees_the_whole_input(layer, size):
    """Behind a 5 x 5 convolution on 16 x 16."""
    inf = float("inf")
    expected = {"whole": (inf, inf), "rows": (inf, 5), "columns": (5, inf)}
    table = receptive_field(nn.Sequential(nn.Conv2d(1, 2, 5), layer), (1, 16, 16))
    assert table.last.size == expected.get(size, (size, size))


@pytest.mark.parametrize(
    "layer",
    [
        nn.GroupNorm(1, 2),
        nn.InstanceNorm2d(2),
        nn.LayerNorm([2, 12, 12]),
        nn.AdaptiveAvgPool2d(1),
        nn.Conv2d(2, 2, 12),
    ],
    ids=str,
)
def test_the_gradient_sees_the_whole_input_too(layer):
    model = nn.Sequential(nn.Conv2d(1, 2, 5), layer)
    assert gradient_support(model, (1, 16, 16), unit=(0, 0)).all()
    if not isinstance(layer, nn.Conv2d):
        assert receptive_field(model, (1, 16, 16)).last.size == (float("inf"),) * 2


class Gated(nn.Module):
    """Two branches, and a softmax over what global pooling says of them: who of the two counts."""

    def __init__(self):
        super().__init__()
        self.wide = nn.Conv2d(1, 2, 4, dilation=2, padding=3)
        self.narrow = nn.Conv2d(1, 2, 1)
        self.score = nn.Conv2d(2, 4, 1)

    def forward(self, x):
        wide, narrow = self.wide(x), self.narrow(x)
        score = self.score((wide + narrow).mean((2, 3), keepdim=True))
        one, other = torch.softmax(score.unflatten(1, (2, 2)), 1).unbind(1)
        return one * wide + other * narrow


def test_the_gradient_sees_the_whole_input_through_a_gate_of_softmax():
    """A true softmax is deaf where all weights are equal: what both scores have in common cancels."""
    assert gradient_support(Gated(), (1, 16, 16), unit=(8, 8)).all()


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(1, 4, 4, 4)
        self.mix = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x):
        tokens = self.embed(x).flatten(2).transpose(1, 2)
        return self.mix(tokens, tokens, tokens, need_weights=False)[0]


def test_attention_sees_the_whole_input():
    table = receptive_field(Attention(), (1, 16, 16))
    assert table["embed"].size == (4, 4)
    assert table.last.size == (float("inf"),) * 2


@pytest.mark.parametrize("name", ["vit_b_16", "convnext_tiny", "efficientnet_b0"])
def test_newer_networks_are_followed_to_their_end(name):
    with torch.device("meta"):
        model = build(name)
    assert receptive_field(model, (3, 224, 224)).last.size == (float("inf"),) * 2


def test_model_is_left_as_it_was():
    model = build("mobilenet_v2").train()
    model.features[3].eval()
    modes = [m.training for m in model.modules()]
    before = {name: t.clone() for name, t in model.state_dict().items()}
    receptive_field(model, (3, 64, 64))
    gradient_support(model.features, (3, 64, 64))
    assert [m.training for m in model.modules()] == modes
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_the_network_computes_as_in_evaluation():
    """Inception v3 in training gives out its auxiliary classifier too, which sees another field."""

    class Auxiliary(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.side = nn.Conv1d(1, 1, 3), nn.Conv1d(1, 1, 7)

        def forward(self, x):
            return self.side(x) if self.training else self.conv(x)

    model = Auxiliary().train()
    assert receptive_field(model, (1, 20)).last.size == (3,)
    assert bounds(gradient_support(model, (1, 20), unit=(4,))) == ((4, 6),)


def test_lengths_of_three_axes_and_other_dtypes():
    model = nn.Conv3d(1, 1, (3, 5, 7), (1, 2, 3), dtype=torch.bfloat16)
    row = receptive_field(model, (1, 9, 9, 9)).last
    assert (row.size, row.jump, row.output) == ((3, 5, 7), (1, 2, 3), (7, 3, 1))


# ------------------------------------------------------------------------------------- the registry, errors


class Unknown(nn.Module):
    def forward(self, x):
        return torch.cumsum(x, 2)


class Roll(nn.Module):
    def forward(self, x):
        return torch.roll(x, 1, 2)


def test_an_unknown_function_is_named_unless_registered():
    model = nn.Sequential(nn.Conv2d(1, 1, 3), Unknown())
    with pytest.raises(ValueError, match=r"cumsum in layer '1': there is no rule"):
        receptive_field(model, (1, 9, 9))
    register_rule(Unknown, lambda layer: "whole")
    try:
        assert receptive_field(model, (1, 9, 9)).last.size == (float("inf"),) * 2
    finally:
        register_rule(Unknown, None)
    register_rule(torch.cumsum, lambda x, dim: Window(3, padding=2))
    try:
        assert receptive_field(model, (1, 9, 9)).last.size == (5, 5)
    finally:
        register_rule(torch.cumsum, None)
    with pytest.raises(ValueError, match="cumsum"):
        receptive_field(model, (1, 9, 9))


def test_a_registered_rule_may_differ_by_axis_or_change_nothing():
    model = nn.Sequential(nn.Conv2d(1, 1, 3), Roll())
    for answer, size in (
        ([Window(3), Window(5)], (5, 7)),
        ("pointwise", (3, 3)),
    ):
        register_rule(Roll, lambda layer, a=answer: a)
        try:
            assert receptive_field(model, (1, 9, 9)).last.size == size
        finally:
            register_rule(Roll, None)
    register_rule(Roll, lambda layer: "local")
    try:
        with pytest.raises(ValueError, match=r"'pointwise' or 'whole': got 'local'"):
            receptive_field(model, (1, 9, 9))
    finally:
        register_rule(Roll, None)


def test_registering_refuses_what_is_no_kind():
    with pytest.raises(TypeError, match="pass its type"):
        register_rule(nn.ReLU(), lambda layer: "pointwise")
    with pytest.raises(KeyError, match="no registered rule for ReLU"):
        register_rule(nn.ReLU, None)


class Unequal(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Conv2d(1, 1, 5, 2), nn.Conv2d(1, 1, 13)

    def forward(self, x):
        return self.one(x) + self.other(x)  # 8 units each, at jumps of 2 and 1


class Cut(nn.Module):
    def forward(self, x):
        return x.flatten(1).reshape(1, 3, -1)


@pytest.mark.parametrize(
    ("model", "size", "message"),
    [
        (Unequal(), (1, 20, 20), "same number of pixels: got 1 and 2"),
        (nn.Sequential(nn.Flatten(), nn.Linear(9, 2)), (1, 3, 3), "no convolution"),
        (nn.Sequential(nn.MaxPool2d(2, 0)), (1, 8, 8), None),
        (nn.Conv2d(1, 1, 3), (8,), r"input_size must be \(C, \*\).*got \(8,\)"),
        (nn.Conv2d(1, 1, 3), (1, 0, 8), "all positive"),
        (nn.Sequential(nn.Conv1d(1, 4, 3), Cut()), (1, 8), "a spatial axis is cut"),
        ([(3, 0)], None, "layer 1: stride must be at least 1: got 0"),
        ([(3,), (0,)], None, "layer 2: kernel must be at least 1: got 0"),
        ([(3, 1, -1)], None, "padding must be at least 0"),
        ([(3, 1, 0, 0)], None, "dilation must be at least 1"),
        ([], None, "at least one layer"),
        ([(3, 1, 0, 1, 1)], None, r"layer 1 must be \(kernel"),
        ([(3,), (5, 2), (3,)], (6,), r"layer 2 needs 5 units.*got 4; the least input is 11"),
    ],
)  # fmt: skip
def test_bad_input(model, size, message):
    with pytest.raises(ValueError, match=message):
        receptive_field(model, size)


def test_a_stride_of_zero_in_a_network_is_named():
    model = nn.Sequential(nn.Conv2d(1, 1, 3))
    model[0].stride = (0, 1)
    message = r"conv2d in layer '0': stride must be at least 1: got 0"
    with pytest.raises(ValueError, match=message):
        receptive_field(model, (1, 9, 9))


def test_bad_types():
    with pytest.raises(TypeError, match="give a module or a list"):
        receptive_field(3)
    with pytest.raises(TypeError, match=r"layer 1: kernel must be an int: got 3\.0"):
        receptive_field([(3.0,)])


@pytest.mark.parametrize("wide", [(20, 20), (63, 20)])
def test_too_small_an_input_tells_the_least_size(wide):
    """63 is the least for torchvision's AlexNet: its last pooling then has 3 units to look at."""
    model = build("alexnet").features
    message = re.escape(f"got {wide}; the least size is (63, 63)")
    with pytest.raises(ValueError, match=message):
        receptive_field(model, (3, *wide))
    assert receptive_field(model, (3, 63, 63)).last.output == (1, 1)


def test_another_error_of_the_network_is_passed_on():
    with pytest.raises(RuntimeError, match="channel"):
        receptive_field(nn.Conv2d(3, 1, 3), (1, 8, 8))


def test_a_trace_that_is_lost_is_named():
    class Lost(nn.Module):
        def forward(self, x):
            return x.data * 2

    with pytest.raises(ValueError, match=r"lost in layer '1' \(Lost\)"):
        receptive_field(nn.Sequential(nn.Conv2d(1, 1, 3), Lost()), (1, 9, 9))
