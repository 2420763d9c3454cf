"""The nearest mistakes in batch norm, each with the check that must notice it."""

from bookkit.mutation import NOTEBOOK, Mutation

BATCH = "dlkb.normalization.batch"
CONTROLS = "dlkb.normalization.controls"

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
    # why batch norm helps training
    Mutation(
        "normalization/bn-scale-invariance#output",
        NOTEBOOK,
        "batch_norm(output, None, None, training=True, eps=eps)",
        "batch_norm(output, torch.zeros(5), torch.ones(5), eps=eps)",
    ),
    Mutation(
        "normalization/bn-scale-invariance#gradient",
        NOTEBOOK,
        "expected=gradient / a",
        "expected=gradient",
    ),
    Mutation(
        "normalization/bn-scale-invariance#perpendicular",
        NOTEBOOK,
        "(W * gradient).sum(1)",
        "(W * gradient).sum(0)",
    ),
    Mutation(
        "normalization/bn-scale-invariance#eps",
        NOTEBOOK,
        "predicted = sigma2 * a**2 / (sigma2 * a**2 + 1e-5)",
        "predicted = sigma2 * a**2 / (sigma2 * a**2 + 1e-5 * a**2)",
    ),
    Mutation(
        "normalization/bn-high-lr#highest rate",
        NOTEBOOK,
        '"batch norm": digit_network(nn.BatchNorm1d),',
        '"batch norm": digit_network(ScaleShift),',
    ),
    Mutation(
        "normalization/bn-high-lr#width",
        NOTEBOOK,
        "width = trains.sum(1)",
        "width = trains[:, :6].sum(1)",
    ),
    Mutation(
        "normalization/bn-speeds-up#own best rate",
        NOTEBOOK,
        "own = needed[torch.arange(5), best]",
        "own = needed[torch.arange(5), best[PLAIN]]",
    ),
    Mutation(
        "normalization/bn-speeds-up#same rate",
        NOTEBOOK,
        "/ needed[BN, best[PLAIN]]",
        "/ needed[BN, best[BN]]",
    ),
    Mutation(
        "normalization/bn-covariate-shift#removed",
        NOTEBOOK,
        "samples=drift[PLAIN] / drift[BN]",
        "samples=drift[BN] / drift[PLAIN]",
    ),
    Mutation(
        "normalization/bn-covariate-shift#put back",
        CONTROLS,
        "self.shift * draws[1]",
        "self.shift * draws[1] / 3",
    ),
    Mutation(
        "normalization/bn-covariate-shift#faster than plain",
        NOTEBOOK,
        "samples=own[PLAIN] / own[NOISY]",
        "samples=own[NOISY] / own[PLAIN]",
    ),
    Mutation(
        "normalization/bn-covariate-shift#more noise",
        NOTEBOOK,
        "samples=own[PLAIN] / own[MORE]",
        "samples=own[MORE] / own[PLAIN]",
    ),
    Mutation(
        "normalization/bn-covariate-shift#noise costs",
        NOTEBOOK,
        "samples=own[MORE] / own[BN]",
        "samples=own[BN] / own[MORE]",
    ),
    Mutation(
        "normalization/bn-covariate-shift#loss range",
        NOTEBOOK,
        "samples=(reach[PLAIN] / reach[BN])",
        "samples=(reach[BN] / reach[PLAIN])",
    ),
    Mutation(
        "normalization/bn-covariate-shift#four times the step",
        "dlkb.probes",
        "p - step * gradient[n]",
        "p + step * gradient[n]",
    ),
    Mutation(
        "normalization/bn-weight-decay#without",
        NOTEBOOK,
        "weight_decay=d)",
        "weight_decay=0.003)",
    ),
    Mutation(
        "normalization/bn-weight-decay#with",
        NOTEBOOK,
        "samples=growth[1] / growth[0]",
        "samples=growth[0] / growth[1]",
    ),
    Mutation(
        "normalization/bn-weight-decay#growing rate",
        NOTEBOOK,
        "growth ** ((2 * t + 1) * normalized)",
        "growth ** (t * normalized)",
    ),
    Mutation(
        "normalization/bn-accuracy#batches of 32",
        NOTEBOOK,
        ".nan_to_num(99).view(2, 3)",
        ".nan_to_num(0).view(2, 3)",
    ),
    Mutation(
        "normalization/bn-accuracy#batches of 128",
        NOTEBOOK,
        "(128, 120)",
        "(128, 12)",
    ),
    Mutation(
        "normalization/bn-accuracy#training loss at 8",
        NOTEBOOK,
        '(fitted["batch norm", b] / fitted["plain", b])',
        '(fitted["plain", b] / fitted["batch norm", b])',
    ),
]
