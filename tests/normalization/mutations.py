"""The nearest mistakes, each with the check that must notice it."""

from bookkit.mutation import NOTEBOOK, Mutation

BATCH = "dlkb.normalization.batch"
FOLDING = "dlkb.normalization.folding"
CONTROLS = "dlkb.normalization.controls"
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

SCALING = "dlkb.normalization.scaling"

# What does scaling the data change, and what not?
MUTATIONS += [
    Mutation(
        "normalization/z-score#mean",
        SCALING,
        "return _rescale(input, reference.mean(dim=0), _standard_deviation(reference))",
        "return _rescale(input, None, _standard_deviation(reference))",
    ),
    Mutation(
        "normalization/z-score#std",
        SCALING,
        "deviation = centred.square().mean(dim=0).sqrt()",
        "deviation = (centred.square().sum(dim=0) / (len(centred) - 1)).sqrt()",
    ),
    Mutation(
        "normalization/z-score#new data",
        SCALING,
        "reference = input if fitted_on is None else fitted_on",
        "reference = input",
    ),
    Mutation(
        "normalization/min-max#training data",
        SCALING,
        "return _rescale(input, reference.amin(dim=0), _range(reference))",
        "return _rescale(input, reference.mean(dim=0), _range(reference))",
    ),
    Mutation(
        "normalization/min-max#new data",
        NOTEBOOK,
        "measured=min_max_scale(new, train).max()",
        "measured=min_max_scale(new).max()",
    ),
    Mutation(
        "normalization/scaling-family#zero",
        SCALING,
        "return _rescale(input, None, _range(reference))",
        "return _rescale(input, reference.amin(dim=0), _range(reference))",
    ),
    Mutation(
        "normalization/scaling-family#spread",
        SCALING,
        "return _rescale(input, None, _standard_deviation(reference))",
        "return _rescale(input, None, _range(reference))",
    ),
    Mutation(
        "normalization/scaling-family#mean",
        NOTEBOOK,
        "measured=by_range.mean(0) / stds[2]",
        "measured=by_range.mean(0) / stds[1]",
    ),
    Mutation(
        "normalization/normalize-makes-normal#z-score",
        NOTEBOOK,
        '"z-score": z.numpy(),\n',
        '"z-score": PowerTransformer().fit_transform(columns),\n',
    ),
    Mutation(
        "normalization/normalize-makes-normal#power transform",
        NOTEBOOK,
        "PowerTransformer().fit_transform(columns)",
        "StandardScaler().fit_transform(columns)",
    ),
    Mutation(
        "normalization/normalize-makes-normal#quantile transform",
        NOTEBOOK,
        '"quantile": quantile.fit_transform(columns)}',
        '"quantile": PowerTransformer().fit_transform(columns)}',
    ),
    Mutation(
        "normalization/distance-scaling#agreement",
        NOTEBOOK,
        'gain = agreement["z-score"]',
        'gain = agreement["one factor"]',
    ),
    Mutation(
        "normalization/distance-scaling#share of one feature",
        NOTEBOOK,
        "for v in (x, z))\ncheck",
        "for v in (z, x))\ncheck",
    ),
    Mutation(
        "normalization/pca-variance#first component",
        NOTEBOOK,
        "fits = [PCA().fit(v.numpy()) for v in (x, z)]",
        "fits = [PCA().fit(v.numpy()) for v in (z, x)]",
    ),
    Mutation(
        "normalization/pca-variance#loading",
        NOTEBOOK,
        'p.components_[0, wine.features.index("proline")]',
        'p.components_[1, wine.features.index("proline")]',
    ),
    Mutation(
        "normalization/unit-invariance#least squares",
        NOTEBOOK,
        '"least squares": LinearRegression()',
        '"least squares": Ridge(1.0)',
    ),
    Mutation(
        "normalization/unit-invariance#tree",
        NOTEBOOK,
        '"tree": DecisionTreeRegressor(max_depth=4, random_state=0)',
        '"tree": Ridge(1.0)',
    ),
    Mutation(
        "normalization/unit-invariance#ridge",
        NOTEBOOK,
        '"ridge": Ridge(10.0)',
        '"ridge": Ridge(1e-6)',
    ),
    Mutation(
        "normalization/unit-invariance#k-means",
        NOTEBOOK,
        'adjusted_rand_score(*fitted["k-means"])',
        'adjusted_rand_score(*fitted["k-means"][:1] * 2)',
    ),
    Mutation(
        "normalization/unit-invariance#scaled",
        NOTEBOOK,
        "measured=list(scaled.values())",
        "measured=list(raw.values())",
    ),
    Mutation(
        "normalization/contour-conditioning#not round",
        NOTEBOOK,
        'r = abs(hessians["z-score"]',
        'r = abs(hessians["raw"]',
    ),
    Mutation(
        "normalization/contour-conditioning#condition number",
        NOTEBOOK,
        '"raw": torch.ones(2)',
        '"raw": stds',
    ),
    Mutation(
        "normalization/contour-conditioning#steps",
        NOTEBOOK,
        "grid = torch.tensor([0.25, 0.5, 1.0, 1.5, 1.9], dtype=torch.float64)",
        "grid = torch.tensor([2.1] * 5, dtype=torch.float64)",
    ),
    Mutation(
        "normalization/input-normalization-trains",
        NOTEBOOK,
        '"one factor": x / x.square().mean().sqrt(), "z-score": z}',
        '"one factor": x / x.square().mean().sqrt(), "z-score": z * x.std(0)}',
    ),
    Mutation(
        "normalization/image-range#8 bits",
        NOTEBOOK,
        "fixed = (dark / 255).mean()",
        "fixed = (dark / dark.max()).mean()",
    ),
    Mutation(
        "normalization/image-range#min-max",
        NOTEBOOK,
        "min_max_image = partial(percentile_clip, low=0, high=100)",
        "min_max_image = partial(percentile_clip, low=0, high=99.9)",
    ),
    Mutation(
        "normalization/image-range#percentiles",
        NOTEBOOK,
        '"percentiles": percentile_clip}',
        '"percentiles": partial(percentile_clip, high=99.9999)}',
    ),
    Mutation(
        "normalization/normalization-vs-regularization#standardization",
        NOTEBOOK,
        '"least squares", "least squares", "ridge"]',
        '"least squares", "ridge", "ridge"]',
    ),
    Mutation(
        "normalization/normalization-vs-regularization#penalty, training loss",
        NOTEBOOK,
        "samples=penalized[:, 0]",
        "samples=standardized[:, 0]",
    ),
    Mutation(
        "normalization/normalization-vs-regularization#penalty, new wines",
        NOTEBOOK,
        "samples=penalized[:, 1]",
        "samples=standardized[:, 1]",
    ),
    Mutation(
        "normalization/normalization-vs-regularization#batch norm",
        NOTEBOOK,
        "batch_norm(batch, None, None, training=True), standardize",
        "batch_norm(batch, x.mean(0), x.var(0)), standardize",
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
        "whole(batch)",
        "network(batch)",
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
        '.train(mode == "training") for m',
        ".train() for m",
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
