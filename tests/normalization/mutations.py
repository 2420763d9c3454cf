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
        "normalization/bn-can-undo#training, this batch",
        NOTEBOOK,
        "weight = (var + 1e-5).sqrt()",
        "weight = var.sqrt() + 1e-5",
    ),
    Mutation(
        "normalization/bn-can-undo#training, next batch",
        NOTEBOOK,
        "changed = batch_norm(following,",
        "following = x; changed = batch_norm(following,",
    ),
    Mutation(
        "normalization/bn-can-undo#evaluation, next batch",
        BATCH,
        "mean, var = running_mean, running_var",
        "mean, var = batch_statistics(input)",
    ),
    # bias
    Mutation(
        "normalization/bias-before-bn#output",
        NOTEBOOK,
        "norm.train()\ncheck",
        "check",
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
        "norm.eval()\nevaluated_before",
        "evaluated_before",
    ),
]
