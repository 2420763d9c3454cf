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
    # --- 06: small, skewed, spread ---
    # synchronized: the processes import the package afresh, so the change is to what they are given
    Mutation(
        "normalization/sync-bn#local",
        NOTEBOOK,
        "[(a, b, False) for a, b in pairs]",
        "[(a, b, True) for a, b in pairs]",
    ),
    Mutation(
        "normalization/sync-bn#value",
        NOTEBOOK,
        "together = run_processes(normalize_shard, [(a, b) for a, b in pairs])",
        "together = run_processes(normalize_shard, [(a, b, False) for a, b in pairs])",
    ),
    Mutation(
        "normalization/sync-bn#gradient",
        NOTEBOOK,
        "together = run_processes(normalize_shard, [(a, b) for a, b in pairs])",
        "together = run_processes(normalize_shard, [(a, b / 4) for a, b in pairs])",
    ),
    # batch renorm
    Mutation(
        "normalization/brn#limits",
        "dlkb.normalization.renorm",
        "return r.clamp(1 / r_max, r_max), d.clamp(-d_max, d_max)",
        "return r.clamp(1 / r_max, r_max), d",
    ),
    Mutation(
        "normalization/brn#agreement",
        "dlkb.normalization.renorm",
        "output = output * _spread(r, input) + _spread(d, input)",
        "output = (output + _spread(d, input)) * _spread(r, input)",
    ),
    Mutation(
        "normalization/brn#gradient",
        "dlkb.normalization.renorm",
        "@torch.no_grad()\ndef renorm_correction",
        "def renorm_correction",
    ),
    Mutation(
        "normalization/brn#one class",
        NOTEBOOK,
        "partial(BatchRenorm1d, momentum=0.1), {}",
        "BatchNorm1d, {}",
    ),
    Mutation(
        "normalization/brn#two classes",
        NOTEBOOK,
        "train, kind, 30, steps, draw)",
        "train, 10 if kind == 2 else kind, 30, steps, draw)",
    ),
    Mutation(
        "normalization/brn#four samples",
        NOTEBOOK,
        'samples=gain["4 samples"]',
        "samples=balanced",
    ),
    Mutation(
        "normalization/brn#32 samples",
        NOTEBOOK,
        'samples=gain["32 samples"]',
        'samples=gain["2 of 10 classes"]',
    ),
    Mutation(
        "normalization/brn#all classes",
        NOTEBOOK,
        "samples=balanced",
        'samples=gain["4 samples"]',
    ),
    # cross-iteration
    Mutation(
        "normalization/cbn#first layer",
        "dlkb.normalization.cross_iteration",
        "        input.mean(0),\n",
        "        (input + 0.01).mean(0),\n",
    ),
    Mutation(
        "normalization/cbn#mean",
        NOTEBOOK,
        "compensated[1, -1] / stale[1, -1]",
        "alone[1, -1] / stale[1, -1]",
    ),
    Mutation(
        "normalization/cbn#deviation",
        "dlkb.normalization.cross_iteration",
        "(var / true_var).sqrt() - 1",
        "(mean - true_mean) / true_var.sqrt()",
    ),
    Mutation(
        "normalization/cbn#order",
        "dlkb.normalization.cross_iteration",
        "2 * output.T @ input / len(input)",
        "output.T @ input / len(input)",
    ),
    Mutation(
        "normalization/cbn#within one batch",
        "dlkb.normalization.cross_iteration",
        "torch.stack(squares).mean(0) - mean.square()",
        "(torch.stack(squares) - torch.stack(means).square()).mean(0)",
    ),
    # recurrent
    Mutation(
        "normalization/bn-rnn#instance norm",
        NOTEBOOK,
        "state.mean(2, keepdim=True)",
        "state.mean(1, keepdim=True)",
    ),
    Mutation(
        "normalization/bn-rnn#untrained statistics",
        NOTEBOOK,
        "bank.norms.append(BatchNorm1d(M * H, affine=False))",
        "bank.norms.append(bank.norms[-1])",
    ),
    Mutation(
        "normalization/bn-rnn#reused statistics",
        NOTEBOOK,
        "samples=to_reused",
        "samples=to_untrained",
    ),
    Mutation(
        "normalization/bn-rnn#training length",
        NOTEBOOK,
        "values[:, :T].mean(1)",
        "values[:, T:].mean(1)",
    ),
]
