"""The nearest mistakes in batch norm, each with the check that must notice it."""

from bookkit.mutation import NOTEBOOK, Mutation

BATCH = "dlkb.normalization.batch"

MUTATIONS = [
    # axes
    Mutation(
        "normalization/bn-axes#loop",
        NOTEBOOK,
        "/ (N * H * W) for c in range(C)]",
        "/ (H * W) for c in range(C)]",
    ),
    Mutation(
        "normalization/bn-axes#package",
        BATCH,
        "mean = x.mean(dim=dims)",
        "mean = x.mean(dim=[1, *dims[1:]])",
    ),
    # definition
    Mutation(
        "normalization/bn-definition#value",
        BATCH,
        "    return mean, var\n",
        "    return mean, var * 16 / 15\n",
    ),
    Mutation(
        "normalization/bn-definition#value",
        BATCH,
        "centred / torch.sqrt(_spread(var, input) + eps)",
        "centred / (torch.sqrt(_spread(var, input)) + eps)",
    ),
    Mutation(
        "normalization/bn-definition#gradient",
        BATCH,
        "mean, var = batch_statistics(input)\n        count",
        "mean, var = batch_statistics(input.detach())\n        count",
    ),
    Mutation(
        "normalization/bn-definition#state",
        BATCH,
        "unbiased = var * count / (count - 1)",
        "unbiased = var",
    ),
    Mutation(
        "normalization/bn-definition#written-out gradient",
        BATCH,
        "return ((centred - along) / deviation)",
        "return (centred / deviation)",
    ),
    Mutation(
        "normalization/bn-definition#small channel",
        BATCH,
        "centred / torch.sqrt(_spread(var, input) + eps)",
        "centred / torch.sqrt(_spread(var, input))",
    ),
    # parameters and buffers
    Mutation(
        "normalization/bn-parameters#learned numbers",
        NOTEBOOK,
        "layer = torch.nn.BatchNorm2d(C)\n",
        "layer = torch.nn.BatchNorm2d(C, bias=False)\n",
    ),
    Mutation(
        "normalization/bn-parameters#parameters",
        NOTEBOOK,
        "parameters = [name for name, _ in layer.named_parameters()]",
        "parameters = list(layer.state_dict())[:3]",
    ),
    Mutation(
        "normalization/bn-parameters#buffers",
        NOTEBOOK,
        "remembered = [name for name in layer.state_dict() if name not in parameters]",
        "remembered = [name for name in layer.state_dict() if name.startswith('running')]",
    ),
    Mutation(
        "normalization/bn-parameters#ours",
        BATCH,
        "tracked = track_running_stats",
        'tracked = self.register_buffer("num_batches_tracked", None) is None',
    ),
    # running update
    Mutation(
        "normalization/bn-running-update#mean",
        NOTEBOOK,
        "mean = 0.9 * mean + 0.1 * batch_mean",
        "mean = 0.1 * mean + 0.9 * batch_mean",
    ),
    Mutation(
        "normalization/bn-running-update#variance",
        NOTEBOOK,
        "batch_var * batch / (batch - 1)",
        "batch_var",
    ),
    Mutation(
        "normalization/bn-running-update#average over channels",
        NOTEBOOK,
        "samples=layer.running_var",
        "samples=biased",
    ),
    # order
    Mutation(
        "normalization/bn-update-order#torch",
        NOTEBOOK,
        "by_torch, by_us = (layer(x)",
        "by_torch, by_us = (layer.eval()(x)",
    ),
    Mutation(
        "normalization/bn-update-order#ours",
        BATCH,
        "    elif running_mean is None or",
        "        if running_mean is not None:\n"
        "            mean, var = running_mean, running_var\n    elif running_mean is None or",
    ),
    # evaluation
    Mutation(
        "normalization/bn-eval-fixed",
        NOTEBOOK,
        'for mode in ("evaluation", "training"):',
        'for mode in ("training", "evaluation"):',
    ),
    # undo
    Mutation(
        "normalization/bn-can-undo#this batch",
        NOTEBOOK,
        "weight = (var + 1e-5).sqrt()",
        "weight = var.sqrt() + 1e-5",
    ),
    Mutation(
        "normalization/bn-can-undo#next batch",
        NOTEBOOK,
        "changed = batch_norm(following,",
        "following = x; changed = batch_norm(following,",
    ),
    # bias
    Mutation(
        "normalization/bias-before-bn#output",
        NOTEBOOK,
        "before, plain_before = norm(conv(x)).detach(), conv(x).detach()",
        "norm.eval(); before, plain_before = norm(conv(x)).detach(), conv(x).detach()",
    ),
    Mutation(
        "normalization/bias-before-bn#gradient",
        NOTEBOOK,
        "torch.nn.Sequential(conv, norm), conv)",
        "torch.nn.Sequential(conv, norm.eval()), conv)",
    ),
    Mutation(
        "normalization/bias-before-bn#evaluation",
        NOTEBOOK,
        "norm.eval()\nbefore",
        "before",
    ),
]

# ------------------------------------------------------- 05: which axes to normalize over

LAYER = "dlkb.normalization.layer"
INSTANCE = "dlkb.normalization.instance"
GROUP = "dlkb.normalization.group"
RMS = "dlkb.normalization.rms"
SHARED = "dlkb.normalization._shared"

LAST_AXES = "axes = tuple(range(-len(shape), 0))"

MUTATIONS += [
    # which values share a mean
    Mutation(
        "normalization/ln-axes#reach, torch",
        NOTEBOOK,
        "f.layer_norm(x, (C, H, W))",
        "f.layer_norm(x, (H, W))",
    ),
    Mutation("normalization/ln-axes#reach, ours", LAYER, LAST_AXES, "axes = (-2, -1)"),
    Mutation(
        "normalization/in-axes#reach, torch",
        NOTEBOOK,
        "f.instance_norm(x)",
        "f.group_norm(x, G)",
    ),
    Mutation(
        "normalization/in-axes#reach, ours",
        INSTANCE,
        "normalized = _standardize(x, positions, eps)",
        "normalized = _standardize(x, (1, *positions), eps)",
    ),
    Mutation(
        "normalization/gn-axes#reach, torch",
        NOTEBOOK,
        '"group": lambda f, x: f.group_norm(x, G)',
        '"group": lambda f, x: f.group_norm(x, C)',
    ),
    Mutation(
        "normalization/gn-axes#reach, ours",
        GROUP,
        "_standardize(groups, (2,), eps)",
        "_standardize(groups, (1, 2), eps)",
    ),
    # layer norm
    Mutation(
        "normalization/ln-axes#value",
        SHARED,
        "torch.sqrt(centred.square().mean(dim=axes, keepdim=True) + eps)",
        "(torch.sqrt(centred.square().mean(dim=axes, keepdim=True)) + eps)",
    ),
    Mutation(
        "normalization/ln-axes#gradient",
        SHARED,
        "centred = x - x.mean(dim=axes, keepdim=True)",
        "centred = x - x.detach().mean(dim=axes, keepdim=True)",
    ),
    Mutation(
        "normalization/ln-axes#batch mates",
        LAYER,
        LAST_AXES,
        "axes = (0, *range(-len(shape), 0))",
    ),
    Mutation(
        "normalization/ln-axes#Transformer",
        NOTEBOOK,
        "nn.LayerNorm(16, dtype=torch.float64)(tokens)",
        "nn.LayerNorm((7, 16), dtype=torch.float64)(tokens)",
    ),
    # instance norm
    Mutation(
        "normalization/in-axes#value",
        INSTANCE,
        "normalized = normalized * _spread(weight, input)",
        "normalized = normalized * _spread(weight.flip(0), input)",
    ),
    Mutation(
        "normalization/in-axes#gradient",
        INSTANCE,
        "normalized = _standardize(x, positions, eps)",
        "normalized = _standardize(x, positions, eps).detach() + x - x.detach()",
    ),
    Mutation(
        "normalization/in-axes#contrast",
        NOTEBOOK,
        '"instance": lambda f, x: f.instance_norm(x)',
        '"instance": lambda f, x: f.group_norm(x, G)',
    ),
    Mutation(
        "normalization/in-axes#batch of one",
        NOTEBOOK,
        'measured=methods["batch"](ours, x[:1])',
        'measured=methods["batch"](ours, x[:2])[:1]',
    ),
    # group norm
    Mutation(
        "normalization/gn-axes#value",
        GROUP,
        "groups = _at_least_float32(input).reshape(input.shape[0], num_groups, values)",
        "turned = _at_least_float32(input).flip(1).roll(1, 1).flip(1)\n"
        "    groups = turned.reshape(input.shape[0], num_groups, values)",
    ),
    Mutation(
        "normalization/gn-axes#gradient",
        GROUP,
        "normalized = normalized + _spread(bias, input)",
        "normalized = normalized + _spread(bias, input) + input - input.detach()",
    ),
    Mutation(
        "normalization/gn-axes#one group",
        NOTEBOOK,
        '("one group", 1, "layer")',
        '("one group", 2, "layer")',
    ),
    Mutation(
        "normalization/gn-axes#C groups",
        NOTEBOOK,
        '("C groups", C, "instance")',
        '("C groups", C // 2, "instance")',
    ),
    Mutation(
        "normalization/gn-axes#divisors",
        GROUP,
        "    if channels % num_groups:\n",
        "    if channels < num_groups:\n",
    ),
    # small batches
    Mutation(
        "normalization/bn-small-batch#1 against 64",
        "dlkb.normalization.ghost",
        "parts = x.reshape(-1, ghost_size, *x.shape[1:])",
        "parts = x.reshape(-1, x.shape[0], *x.shape[1:])",
    ),
    Mutation(
        "normalization/bn-small-batch#1 against 8",
        NOTEBOOK,
        "samples=bn[:, 0] - bn[:, 3], above=0",
        "samples=bn[:, 3] - bn[:, 4], above=0",
    ),
    Mutation(
        "normalization/bn-small-batch#no threshold",
        NOTEBOOK,
        "bn = torch.stack([error",
        'bn = torch.stack([error[f"BN {1 if size < 10 else 64}"] + 0 * error',
    ),
    Mutation(
        "normalization/gn-vs-bn-large-batch#64 samples",
        NOTEBOOK,
        'samples=error["GN"] - error["BN 64"]',
        'samples=error["GN"] - error["BN 1"]',
    ),
    Mutation(
        "normalization/gn-16-channels",
        NOTEBOOK,
        "samples=others - by_groups[2]",
        'samples=error["none"] - by_groups[2]',
    ),
    # RMS norm
    Mutation(
        "normalization/rmsnorm#value",
        RMS,
        "normalized = x / torch.sqrt(x.square().mean(dim=axes, keepdim=True) + eps)",
        "normalized = x / torch.sqrt(x.square().sum(dim=axes, keepdim=True) + eps)",
    ),
    Mutation(
        "normalization/rmsnorm#gradient",
        RMS,
        "torch.sqrt(x.square().mean(dim=axes, keepdim=True) + eps)",
        "torch.sqrt(x.detach().square().mean(dim=axes, keepdim=True) + eps)",
    ),
    Mutation(
        "normalization/rmsnorm#mean zero",
        RMS,
        "torch.sqrt(x.square().mean(dim=axes, keepdim=True) + eps)",
        "torch.sqrt(x.square().mean(dim=axes, keepdim=True) + 2 * eps)",
    ),
    Mutation(
        "normalization/rmsnorm#passes",
        RMS,
        "    normalized = x / torch.sqrt",
        "    x = x.clone()\n    normalized = x / torch.sqrt",
    ),
    Mutation(
        "normalization/rmsnorm#pre-norm",
        NOTEBOOK,
        'x + block(norm(x)) if place == "pre-norm" else',
        'norm(x) + block(norm(x)) if place == "pre-norm" else',
    ),
    # the decision table
    Mutation(
        "normalization/choose-a-norm#64 samples",
        NOTEBOOK,
        'samples=batch_free - error["BN 64"]',
        'samples=batch_free - error["BN 1"]',
    ),
    Mutation(
        "normalization/choose-a-norm#1 sample",
        "dlkb.normalization.ghost",
        "parts = x.reshape(-1, ghost_size, *x.shape[1:])",
        "parts = x.reshape(-1, x.shape[0], *x.shape[1:])",
    ),
    Mutation(
        "normalization/choose-a-norm#2 samples",
        NOTEBOOK,
        'samples=error["BN 2"] - batch_free',
        'samples=error["BN 1"] - batch_free',
    ),
    Mutation(
        "normalization/choose-a-norm#any or none",
        NOTEBOOK,
        '"none": nn.Identity}',
        '"none": partial(nn.GroupNorm, 2)}',
    ),
]
