"""The nearest mistakes in batch norm, each with the check that must notice it."""

from bookkit.mutation import NOTEBOOK, Mutation

BATCH = "dlkb.normalization.batch"
GROWTH = "dlkb.normalization.gradient_growth"
REFERENCE = "dlkb.normalization.reference_batch"
SATURATION = "dlkb.normalization.saturation"

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
    # signals: vanishing and exploding gradients
    Mutation(
        "normalization/bn-vanishing#scale",
        GROWTH,
        "return math.sqrt(squared - 1 / (batch_size - 3))",
        "return squared - 1 / (batch_size - 3)",
    ),
    Mutation(
        "normalization/bn-vanishing#activations",
        NOTEBOOK,
        "network(x).std(0, correction=0)",
        "network(x).var(0, correction=0)",
    ),
    Mutation(
        "normalization/bn-vanishing#rate",
        NOTEBOOK,
        'samples=growth["batch norm", 1.0]',
        'samples=growth["none", 1.0]',
    ),
    Mutation(
        "normalization/bn-vanishing#small batch",
        GROWTH,
        "math.sqrt(1 - c**2) / math.pi + slope * c",
        "1 / math.pi",
    ),
    # signals: saturation and shape
    Mutation(
        "normalization/bn-saturation-drift#vanishing without saturation",
        NOTEBOOK,
        "scale=0.5**0.5, act=nn.Sigmoid",
        "scale=2.0, act=nn.Sigmoid",
    ),
    Mutation(
        "normalization/bn-saturation-drift#without norm",
        SATURATION,
        "((v < low) | (v > high))",
        "((v < low) & (v > high))",
    ),
    Mutation(
        "normalization/bn-saturation-drift#top layer",
        NOTEBOOK,
        'samples=shares["with affine"][:, -1, -1]',
        'samples=shares["with affine"][:, -1, 0]',
    ),
    Mutation(
        "normalization/bn-saturation-drift#skewness",
        NOTEBOOK,
        " / v.double().std(0, correction=0)",
        "",
    ),
    Mutation(
        "normalization/bn-saturation-drift#not normal",
        NOTEBOOK,
        "(z**3).mean(0)",
        "(z**4).mean(0)",
    ),
    Mutation(
        "normalization/bn-saturation-drift#maximum",
        NOTEBOOK,
        "torch.tensor([0]), 1000.0)",
        "torch.tensor([0]), 0.01)",
    ),
    # signals: bottom and top layers
    Mutation(
        "normalization/bn-bottom-layers#bottom against top",
        NOTEBOOK,
        "change[:, :, 0] / change[:, :, -1]",
        "change[:, :, -1] / change[:, :, 0]",
    ),
    Mutation(
        "normalization/bn-bottom-layers#with affine",
        NOTEBOOK,
        "samples=ratio[2], above=1.5",
        "samples=ratio[0], above=1.5",
    ),
    Mutation(
        "normalization/bn-bottom-layers#normalization",
        NOTEBOOK,
        "samples=none - bare, above",
        "samples=full - bare, above",
    ),
    Mutation(
        "normalization/bn-bottom-layers#final loss",
        NOTEBOOK,
        "samples=bare - full, expected",
        "samples=none - full, expected",
    ),
    # signals: remedies
    Mutation(
        "normalization/three-remedies#clipping",
        NOTEBOOK,
        "full_norm = nn.utils.clip_grad_norm_(network.parameters(), max_norm=1.0)",
        "full_norm = torch.tensor(2.0)\n"
        "half = nn.utils.parameters_to_vector(network.parameters()) / 2\n"
        "nn.utils.vector_to_parameters(half, network.parameters())",
    ),
    Mutation(
        "normalization/three-remedies#gradient",
        NOTEBOOK,
        "max_norm=1.0)",
        "max_norm=2.0)",
    ),
    Mutation(
        "normalization/three-remedies#initialization",
        NOTEBOOK,
        "deep_network(scale=1.0)",
        "deep_network(scale=1.4)",
    ),
    Mutation(
        "normalization/three-remedies#activation",
        NOTEBOOK,
        "deep_network(nn.Tanh), nn.Tanh)",
        "deep_network(nn.ReLU), nn.ReLU)",
    ),
    # signals: noise
    Mutation(
        "normalization/bn-batch-noise#exponent",
        NOTEBOOK,
        "out.std(0).mean().item()",
        "out.var(0).mean().item()",
    ),
    Mutation(
        "normalization/bn-batch-noise#training loss",
        REFERENCE,
        "torch.cat([input, self.reference])",
        "torch.cat([input, self.reference[:0]])",
    ),
    Mutation(
        "normalization/bn-batch-noise#same rate",
        NOTEBOOK,
        "same_rate = accuracy[0, 0] - accuracy[1, 0]",
        "same_rate = accuracy[1, 0] - accuracy[0, 0]",
    ),
    Mutation(
        "normalization/bn-batch-noise#tuned",
        NOTEBOOK,
        "accuracy[1, best_rate[1]]",
        "accuracy[1, 0]",
    ),
]
