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
        "mean, var = batch_statistics(input)\n    else",
        "mean, var = batch_statistics(input.detach())\n    else",
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
        "return ((centred - along) / scale)",
        "return (centred / scale)",
    ),
    Mutation(
        "normalization/bn-definition#small channel",
        BATCH,
        "centred / torch.sqrt(_spread(var, input) + eps)",
        "centred / torch.sqrt(_spread(var, input))",
    ),
    Mutation(
        "normalization/bn-definition#evaluation",
        BATCH,
        "training=self.training or self.running_mean is None",
        "training=True",
    ),
    Mutation(
        "normalization/bn-definition#state",
        BATCH,
        "self.num_batches_tracked += 1",
        "self.num_batches_tracked += 0",
    ),
    Mutation(
        "normalization/bn-definition#written-out gradient",
        BATCH,
        "grad.sum(dim=dims)\n    if weight",
        "2 * grad.sum(dim=dims)\n    if weight",
    ),
    Mutation(
        "normalization/bn-axes#package",
        BATCH,
        "square().mean(dim=dims)",
        "square().mean(dim=[0])[:, 0, 0]",
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
        NOTEBOOK,
        "ours = [name for name, _ in BatchNorm2d(C).named_parameters()]",
        "ours = [name for name in BatchNorm2d(C).state_dict() if 'num' not in name]",
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
        "mean, var = batch_statistics(input)\n    else",
        "mean, var = batch_statistics(input)\n"
        "        if running_mean is not None:\n"
        "            mean, var = running_mean, running_var\n    else",
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
        "if training:\n        mean, var",
        "if training or True:\n        mean, var",
    ),
    # bias
    Mutation(
        "normalization/bias-before-bn#output",
        NOTEBOOK,
        "without = norm.train()",
        "without = norm",
    ),
    Mutation(
        "normalization/bias-before-bn#gradient",
        NOTEBOOK,
        "for out in (norm(conv(x)), conv(x))]",
        "for out in (conv(x), conv(x) + 0)]",
    ),
    Mutation(
        "normalization/bias-before-bn#evaluation",
        NOTEBOOK,
        "before = norm.eval()(conv(x))",
        "before = norm(conv(x))",
    ),
]
