"""The nearest mistakes in batch norm, each with the check that must notice it."""

from bookkit.mutation import NOTEBOOK, Mutation

BATCH = "dlkb.normalization.batch"
FOLDING = "dlkb.normalization.folding"

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
    # folding
    Mutation(
        "normalization/conv-bn-fusion#network",
        FOLDING,
        "    bias = bias * scale\n",
        "    bias = bias * 1\n",
    ),
    Mutation(
        "normalization/conv-bn-fusion#network",
        FOLDING,
        "torch.promote_types(dtype, torch.float32)) + bn_eps",
        "torch.promote_types(dtype, torch.float32))",
    ),
    Mutation(
        "normalization/conv-bn-fusion#parity",
        FOLDING,
        "blocks * scale.view(groups, 1, -1,",
        "blocks * scale.view(groups, -1, 1,",
    ),
    Mutation(
        "normalization/conv-bn-fusion#training mode",
        NOTEBOOK,
        "whole(images[:64])",
        "network(images[:64])",
    ),
    Mutation(
        "normalization/conv-bn-fusion#numbers saved",
        NOTEBOOK,
        "t.numel() for t in model.state_dict().values()",
        "t.numel() for t in model.parameters()",
    ),
    Mutation(
        "normalization/conv-bn-fusion#multiplications saved",
        NOTEBOOK,
        "out.numel() * layer.weight[0].numel()",
        "out.numel()",
    ),
    Mutation(
        "normalization/conv-bn-fusion#traffic saved",
        NOTEBOOK,
        "(nn.Identity, nn.Flatten)",
        "nn.Flatten",
    ),
    Mutation(
        "normalization/conv-bn-fusion#border",
        NOTEBOOK,
        "absorbed.bias += shift_taps.sum((1, 2))",
        "absorbed.bias += 0",
    ),
    Mutation(
        "normalization/conv-bn-fusion#other padding",
        NOTEBOOK,
        "pad(first(h), around, mode)",
        "pad(first(h), around)",
    ),
    Mutation(
        "normalization/conv-bn-fusion#float32",
        NOTEBOOK,
        "copy.deepcopy(m).float()(images.float())",
        "copy.deepcopy(m).half().float()(images.float())",
    ),
    Mutation(
        "normalization/conv-bn-fusion#float16",
        NOTEBOOK,
        'torch.bfloat16 if name == "bfloat16"',
        'torch.bfloat16 if name != "original"',
    ),
    Mutation(
        "normalization/conv-bn-fusion#fold, then round",
        NOTEBOOK,
        "copy.deepcopy(member).half()",
        "copy.deepcopy(member)",
    ),
    Mutation(
        "normalization/conv-bn-fusion#eps in float16",
        NOTEBOOK,
        "layer.eps = 0.0  #",
        "layer.eps = 0.01  #",
    ),
    Mutation(
        "normalization/conv-bn-fusion#spread, first convolution",
        NOTEBOOK,
        "for models in (networks, all_folded)]",
        "for models in (networks, networks)]",
    ),
    Mutation(
        "normalization/conv-bn-fusion#spread, second convolution",
        NOTEBOOK,
        '(3, "second")',
        '(10, "second")',
    ),
    Mutation(
        "normalization/conv-bn-fusion#quantizing commutes",
        NOTEBOOK,
        "top = ranges(layer) if",
        "top = ranges(layer).max() if",
    ),
    Mutation(
        "normalization/bn-as-1x1#full matrix",
        FOLDING,
        "conv.bias.copy_(_bias(None, mean, scale, bn.bias))",
        "conv.bias.copy_(bn.bias)",
    ),
    Mutation(
        "normalization/bn-as-1x1#depthwise",
        FOLDING,
        "= scale[c]\n",
        "= scale[c // groups]\n",
    ),
    Mutation(
        "normalization/bn-as-1x1#composition",
        NOTEBOOK,
        '"oc,cihw->oihw", D, square',
        '"ic,ochw->oihw", D, square',
    ),
    Mutation(
        "normalization/bn-as-1x1#affine",
        NOTEBOOK,
        "copy.deepcopy(m).train(training)",
        "copy.deepcopy(m).train()",
    ),
]
