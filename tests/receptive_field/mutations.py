"""The nearest mistakes, each with the check that must notice it."""

from bookkit.mutation import NOTEBOOK, Mutation

ARITHMETIC = "dlkb.receptive_field.arithmetic"
RULES = "dlkb.receptive_field.rules"
EFFECTIVE = "dlkb.receptive_field.effective"
SUPPORT = "dlkb.receptive_field.support"
OBJECTS = "dlkb.receptive_field.objects"
TRIALS = "dlkb.receptive_field.trials"
TABLE = "dlkb.receptive_field.table"

MUTATIONS = [
    # 01, how far a unit can see
    Mutation(
        "receptive-field/definition#outside",
        ARITHMETIC,
        "range(first, first + kernel * dilation, dilation)",
        "range(first, first + kernel * dilation - 1, dilation)",
    ),
    Mutation(
        "receptive-field/definition#pixels that matter",
        ARITHMETIC,
        "range(first, first + kernel * dilation, dilation)",
        "range(first, first + kernel * dilation, 2 * dilation)",
    ),
    Mutation(
        "receptive-field/recursion#by hand",
        NOTEBOOK,
        "        size += (kernel - 1) * jump\n        jump *= stride\n        sizes",
        "        jump *= stride\n        size += (kernel - 1) * jump\n        sizes",
    ),
    Mutation(
        "receptive-field/recursion#random stacks",
        NOTEBOOK,
        "jump *= stride\n        sizes",
        "jump += stride - 1\n        sizes",
    ),
    Mutation(
        "receptive-field/recursion#stacks compared",
        NOTEBOOK,
        "size, jump, sizes = 1, 1, []",
        "size, jump, sizes = 0, 1, []",
    ),
    Mutation(
        "receptive-field/centre-and-jump#centres",
        ARITHMETIC,
        "first = unit * stride - padding",
        "first = unit * stride + padding",
    ),
    Mutation(
        "receptive-field/centre-and-jump#jump",
        ARITHMETIC,
        "reach.shift * advance * times // len(reach.low)",
        "(reach.shift + advance - 1) * times // len(reach.low)",
    ),
    Mutation(
        "receptive-field/centre-and-jump#padding",
        TABLE,
        "None if r.is_whole else -r.of(0)[0]",
        "None if r.is_whole else -r.of(0)[0] // r.jump",
    ),
    Mutation(
        "receptive-field/multi-path#union",
        ARITHMETIC,
        "tuple(max(high for _, high in meeting) for meeting in fields)",
        "tuple(meeting[0][1] for meeting in fields)",
    ),
    Mutation(
        "receptive-field/multi-path#aligned",
        NOTEBOOK,
        "[nn.Conv1d(1, 1, 1, 2),",
        "[nn.Conv1d(1, 1, 2, 2),",
    ),
    Mutation(
        "receptive-field/multi-path#half a pixel off",
        NOTEBOOK,
        "nn.Sequential(nn.AvgPool1d(2), nn",
        "nn.Sequential(nn.AvgPool1d(3, 2, 1), nn",
    ),
    Mutation(
        "receptive-field/dilation-field#weights",
        NOTEBOOK,
        '"rates 1, 2, 4, 8": ((1, 2, 4, 8),),',
        '"rates 1, 2, 4, 8": ((1, 2, 4, 8), (1, 1, 1, 1), 5),',
    ),
    Mutation(
        "receptive-field/dilation-field#field, doubled rates",
        NOTEBOOK,
        '"rates 1, 2, 4, 8": ((1, 2, 4, 8),),',
        '"rates 1, 2, 4, 8": ((1, 2, 3, 4),),',
    ),
    Mutation(
        "receptive-field/dilation-field#coverage, equal rates",
        NOTEBOOK,
        '"rates 2, 2, 2, 2": ((2, 2, 2, 2),),',
        '"rates 2, 2, 2, 2": ((1, 2, 2, 2),),',
    ),
    Mutation(
        "receptive-field/dilation-field#coverage, doubled rates",
        NOTEBOOK,
        '"rates 1, 2, 4, 8": ((1, 2, 4, 8),),',
        '"rates 1, 2, 4, 8": ((1, 1, 1, 12),),',
    ),
    Mutation(
        "receptive-field/dilation-field#coverage, one layer",
        NOTEBOOK,
        '"rate 2": ((2,), (1,)),',
        '"rate 2": ((3,), (1,)),',
    ),
    Mutation(
        "receptive-field/dilation-field#multiplications",
        NOTEBOOK,
        "padded * d * (kernel - 1) // 2, d)",
        "padded * (kernel - 1) // 2, d)",
    ),
    # 02, what a whole network can see
    Mutation(
        "receptive-field/network-table#against the gradient",
        ARITHMETIC,
        "tuple(max(high for _, high in meeting) for meeting in fields)",
        "tuple(meeting[0][1] for meeting in fields)",
    ),
    Mutation(
        "receptive-field/network-table#as published",
        NOTEBOOK,
        "total // 2, total - total // 2",
        "total - total // 2, total // 2",
    ),
    Mutation(
        "receptive-field/network-table#as published, at 321",
        NOTEBOOK,
        "windows = math.ceil(units / stride)",
        "windows = units // stride",
    ),
    Mutation(
        "receptive-field/network-table#rows that see the whole image",
        NOTEBOOK,
        "[low <= 0 and high >= 223 for",
        "[high - low >= 223 for",
    ),
    Mutation(
        "receptive-field/sk-multi-field#Inception block",
        EFFECTIVE,
        "sigma = (profile * (places - centre).square()).sum().sqrt()",
        "sigma = (profile * (places - centre).abs()).sum()",
    ),
    Mutation(
        "receptive-field/sk-multi-field#pixels that the SK block sees",
        NOTEBOOK,
        "self.score(self.reduce(pooled)).chunk",
        "self.score(self.reduce(pooled)).detach().chunk",
    ),
    Mutation(
        "receptive-field/sk-multi-field#exponent of a far pixel",
        EFFECTIVE,
        "weight = gradient.double().square().mean(0).sum(0)",
        "weight = gradient.double().abs().mean(0).sum(0)",
    ),
    Mutation(
        "receptive-field/sk-multi-field#SK block, measured over formula",
        NOTEBOOK,
        "return gates[0] * near + gates[1] * far",
        "return gates[0].sqrt() * near + gates[1].sqrt() * far",
    ),
    Mutation(
        "receptive-field/attention-field#tokens seen from a corner",
        NOTEBOOK,
        ".softmax(3), v",
        ".softmax(3).tril().detach(), v",
    ),
    Mutation(
        "receptive-field/attention-field#layers of 3 x 3",
        NOTEBOOK,
        "nn.Conv2d(channels, channels, 3, padding=padding)",
        "nn.Conv2d(channels, channels, 5, padding=2 * padding)",
    ),
    Mutation(
        "receptive-field/attention-field#distance over uniform",
        NOTEBOOK,
        "torch.cdist(places, places)",
        "torch.cdist(places, places, p=1)",
    ),
    Mutation(
        "receptive-field/attention-field#weight on the own token",
        NOTEBOOK,
        "return x + super().forward(x)",
        "return super().forward(x)",
    ),
    Mutation(
        "receptive-field/attention-field#width, small kernels over one large",
        NOTEBOOK,
        "nn.init.normal_(p, std=p[0].numel() ** -0.5)",
        "nn.init.ones_(p)",
    ),
    # 03, how much of its field a unit uses
    Mutation(
        "receptive-field/centre-matters#by hand",
        NOTEBOOK,
        "conv1d(unit, torch.ones(1, 1, 3))",
        "conv1d(unit, torch.ones(1, 1, 3) / 3)",
    ),
    Mutation(
        "receptive-field/centre-matters#centre against edge",
        EFFECTIVE,
        "gradient.double().square().mean(0)",
        "gradient.double().abs().mean(0)",
    ),
    Mutation(
        "receptive-field/centre-matters#bell",
        NOTEBOOK,
        "plain = [(3, 1, 1)] * 15",
        "plain = [(16, 1, 1)] * 2",
    ),
    Mutation(
        "receptive-field/centre-matters#after training",
        TRIALS,
        "0, middle, middle + distance * (2 * y - 1)]",
        "0, middle + distance * (2 * y - 1), middle]",
    ),
    Mutation(
        "receptive-field/effective-scaling#exponent of the size",
        EFFECTIVE,
        "(places - centre).square()).sum().sqrt()",
        "(places - centre).square()).sum()",
    ),
    Mutation(
        "receptive-field/effective-scaling#exponent of the share",
        SUPPORT,
        "return gradient[0].sum(0) != 0",
        "return gradient[0].sum(0) > 0.01 * gradient[0].sum(0).max()",
    ),
    Mutation(
        "receptive-field/effective-scaling#variance over the law's, linear",
        EFFECTIVE,
        "gradient.double().square().mean(0)",
        "gradient.double().abs().mean(0)",
    ),
    Mutation(
        "receptive-field/effective-scaling#variance over the law's, ReLU",
        NOTEBOOK,
        '("ReLU", nn.ReLU))',
        '("ReLU", partial(nn.MaxPool1d, 3, 1, 1)))',
    ),
    Mutation(
        "receptive-field/effective-scaling#magnitudes over squares",
        NOTEBOOK,
        "variance += (kernel**2 - 1) / 12",
        "variance += kernel**2 / 12",
    ),
    Mutation(
        "receptive-field/isotropic#before training",
        NOTEBOOK,
        "square, 16), (16, 17, 17)",
        "[((5, 3), 1, 1)] * 8, 16), (16, 33, 17)",
    ),
    Mutation(
        "receptive-field/isotropic#axis against diagonal",
        NOTEBOOK,
        "square, 16), (16, 17, 17)",
        "[((9, 9), 1, 1)] * 2, 16), (16, 17, 17)",
    ),
    Mutation(
        "receptive-field/isotropic#kernels of 3 × 7",
        NOTEBOOK,
        "wide, 16), (16, 9, 25)",
        "[((7, 3), 1, 1)] * 4, 16), (16, 25, 9)",
    ),
    Mutation(
        "receptive-field/isotropic#after training",
        TRIALS,
        "0, middle, middle + distance * (2 * y - 1)]",
        "0, middle + distance * (2 * y - 1), middle]",
    ),
    Mutation(
        "receptive-field/decay-controllable#kernels of 7",
        TRIALS,
        "channels, kernel, stride, dilation=dilation",
        "channels, 3, stride, dilation=dilation",
    ),
    Mutation(
        "receptive-field/decay-controllable#strides as dilation",
        TRIALS,
        "channels, kernel, stride, dilation=dilation",
        "channels, kernel, dilation=dilation",
    ),
    Mutation(
        "receptive-field/decay-controllable#rates 1, 2, 4, 8",
        TRIALS,
        "channels, kernel, stride, dilation=dilation",
        "channels, kernel, stride",
    ),
    Mutation(
        "receptive-field/decay-controllable#skips",
        TRIALS,
        "return x + self.branch(x)",
        "return self.branch(x)",
    ),
    Mutation(
        "receptive-field/decay-controllable#no activation",
        NOTEBOOK,
        "partial(random_stack, plain, activation=activation)",
        "partial(random_stack, plain[:8], activation=activation)",
    ),
    Mutation(
        "receptive-field/decay-controllable#tanh",
        NOTEBOOK,
        '("tanh", nn.Tanh)):',
        '("tanh", partial(nn.AvgPool1d, 3, 1, 1))):',
    ),
    Mutation(
        "receptive-field/decay-controllable#trained on far marks",
        NOTEBOOK,
        '"far marks": marks(count, 4,',
        '"far marks": marks(count, 1,',
    ),
    Mutation(
        "receptive-field/decay-controllable#trained on near marks",
        NOTEBOOK,
        '"near marks": marks(count, 1,',
        '"near marks": marks(count, 4,',
    ),
    # 04, how large an object may be
    Mutation(
        "receptive-field/object-size#logits beyond the field",
        NOTEBOOK,
        "middle = maps.shape[-1] // 2",
        "middle = maps.shape[-1] // 2 - 1",
    ),
    Mutation(
        "receptive-field/object-size#beyond the field",
        OBJECTS,
        "right.abs() > half - stroke",
        "right.abs() > half - 5 * stroke",
    ),
    Mutation(
        "receptive-field/object-size#limit",
        NOTEBOOK,
        "middle = maps.shape[-1] // 2",
        "middle = maps.shape[-1] // 2 - 1",
    ),
    Mutation(
        "receptive-field/object-size#lengths not learned",
        NOTEBOOK,
        "wide, narrow = train_on(39), train_on(15)",
        "wide, narrow = train_on(39), train_on(31)",
    ),
    Mutation(
        "receptive-field/object-size#deep stack",
        OBJECTS,
        "right.abs() > half - stroke",
        "right.abs() > half - 5 * stroke",
    ),
    Mutation(
        "receptive-field/object-size#in all places",
        NOTEBOOK,
        "field=31, strides=(2, 2, 2, 1)",
        "field=31, strides=(2, 2, 2, 2)",
    ),
    Mutation(
        "receptive-field/too-small-too-large#too small",
        OBJECTS,
        "right.abs() > half - stroke",
        "right.abs() > half - 5 * stroke",
    ),
    Mutation(
        "receptive-field/too-small-too-large#clutter in a large field",
        OBJECTS,
        "near = (right.abs() < half + 1) & (",
        "near = (right.abs() < half + 20) | (",
    ),
    Mutation(
        "receptive-field/too-small-too-large#more pictures",
        NOTEBOOK,
        "(a[:few], a[pool",
        "(a[:32], a[pool",
    ),
    Mutation(
        "receptive-field/shrink-large-objects#gain",
        NOTEBOOK,
        "62, stroke=2, generator=generator)\nsides",
        "62, stroke=1, generator=generator)\nsides",
    ),
    Mutation(
        "receptive-field/shrink-large-objects#too far",
        NOTEBOOK,
        "share_named(wide, shrunk(x, side), y)",
        "share_named(wide, shrunk(x, 31), y)",
    ),
    # 05, which input sizes lose nothing
    Mutation(
        "receptive-field/stride-remainder#one window",
        NOTEBOOK,
        "measured=[max(0, (n + 2 * p - k) % s - p)",
        "measured=[(n + 2 * p - k) % s",
    ),
    Mutation(
        "receptive-field/stride-remainder#off-centre",
        NOTEBOOK,
        "agree += flips == ((n + 2 * p - k) % s == 0)",
        "agree += flips == ((n + 2 * p - k) % s <= p)",
    ),
    Mutation(
        "receptive-field/stride-remainder#area lost",
        NOTEBOOK,
        "nn.MaxPool2d(2)) for c",
        "nn.MaxPool2d(2, ceil_mode=True)) for c",
    ),
    Mutation(
        "receptive-field/stride-remainder#no warning",
        NOTEBOOK,
        "        encoder(randn(1, 1, n, 46))",
        '        nn.Conv2d(1, 1, 2, padding="same").double()(randn(1, 1, n, 46))',
    ),
    Mutation(
        "receptive-field/stride-remainder#AlexNet",
        NOTEBOOK,
        "last = min(size - 1, last * s - p + k - 1)",
        "last = last * s - p + k - 1",
    ),
    Mutation(
        "receptive-field/stride-remainder#sizes",
        RULES,
        "max(0, size - 1 - last)",
        "max(0, size - 2 - last)",
    ),
    Mutation(
        "receptive-field/stride-remainder#SAME, published",
        NOTEBOOK,
        "(total // 2, total - total // 2)",
        "(total - total // 2, total // 2)",
    ),
    Mutation(
        "receptive-field/stride-remainder#SAME",
        NOTEBOOK,
        "same = nn.Sequential(*(Same(1, 1, 3, 2) for _ in range(5)))",
        "same = nn.Sequential(*(Same(1, 1, 3, 2) for _ in range(4)))",
    ),
    Mutation(
        "receptive-field/stride-remainder#n - 1 divides",
        ARITHMETIC,
        "first = unit * stride - padding",
        "first = unit * stride + padding",
    ),
    Mutation(
        "receptive-field/stride-remainder#n divides",
        NOTEBOOK,
        "[(2, 2)] * 5",
        "[(3, 2)] * 5",
    ),
    Mutation(
        "receptive-field/stride-remainder#remainder",
        NOTEBOOK,
        "row.jump[0] * torch.arange(row.output[0])",
        "(row.jump[0] - 1) * torch.arange(row.output[0])",
    ),
    Mutation(
        "receptive-field/stride-remainder#tiles",
        NOTEBOOK,
        "(0, 64, 128), 4)",
        "(0, 60, 120), 4)",
    ),
    Mutation(
        "receptive-field/unpadded-unet#output",
        NOTEBOOK,
        "nn.Conv2d(*size, 3, padding=padding)",
        "nn.Conv2d(*size, 3, padding=1)",
    ),
    Mutation(
        "receptive-field/unpadded-unet#sizes",
        NOTEBOOK,
        "F.max_pool2d(kept[-1], 2)",
        "F.max_pool2d(kept[-1], 2, ceil_mode=True)",
    ),
    Mutation(
        "receptive-field/unpadded-unet#tiles",
        NOTEBOOK,
        "(0, 384), 384)",
        "(0, 388), 384)",
    ),
    Mutation(
        "receptive-field/unpadded-unet#seams",
        NOTEBOOK,
        "stitched(padded, x, 192, (0, 192), 192)",
        "stitched(padded, x, 384, (0,), 384)",
    ),
    Mutation(
        "receptive-field/unpadded-unet#margin",
        NOTEBOOK,
        "16 * math.ceil(max(table.last.padding) / 16)",
        "math.ceil(max(table.last.padding))",
    ),
    # 06, what binds a network to its training size
    Mutation(
        "receptive-field/pretrained-size#larger canvas",
        NOTEBOOK,
        '"largest": nn.AdaptiveMaxPool2d(1)',
        '"largest": nn.AdaptiveAvgPool2d(1)',
    ),
    Mutation(
        "receptive-field/pretrained-size#enlarged picture",
        NOTEBOOK,
        "scale_factor=factor, mode",
        "scale_factor=1.0, mode",
    ),
    Mutation(
        "receptive-field/pretrained-size#mean, larger canvas",
        NOTEBOOK,
        '"mean": nn.AdaptiveAvgPool2d(1)',
        '"mean": nn.AdaptiveMaxPool2d(1)',
    ),
    Mutation(
        "receptive-field/pretrained-size#mean, enlarged picture",
        NOTEBOOK,
        '"mean": nn.AdaptiveAvgPool2d(1)',
        '"mean": nn.AdaptiveMaxPool2d(1)',
    ),
    Mutation(
        "receptive-field/pretrained-size#wider than the field",
        NOTEBOOK,
        "middle = maps.shape[-1] // 2",
        "middle = maps.shape[-1] // 2 - 1",
    ),
]
