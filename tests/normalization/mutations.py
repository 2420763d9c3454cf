"""The nearest mistakes, each with the check that must notice it."""

from bookkit.mutation import NOTEBOOK, Mutation

BATCH = "dlkb.normalization.batch"
FOLDING = "dlkb.normalization.folding"
LAYER = "dlkb.normalization.layer"
INSTANCE = "dlkb.normalization.instance"
GROUP = "dlkb.normalization.group"
RMS = "dlkb.normalization.rms"
SHARED = "dlkb.normalization._shared"
LAST_AXES = "axes = tuple(range(-len(shape), 0))"
GROWTH = "dlkb.normalization.gradient_growth"
REFERENCE = "dlkb.normalization.reference_batch"
SATURATION = "dlkb.normalization.saturation"
CONTROLS = "dlkb.normalization.controls"
SCALING = "dlkb.normalization.scaling"
BEST_RATES = "right.mean(-1).argmax(1)"

MUTATIONS = [
    # 02, what batch norm computes
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
    Mutation(
        "normalization/bn-eval-fixed",
        NOTEBOOK,
        'for mode in ("evaluation", "training"):',
        'for mode in ("training", "evaluation"):',
    ),
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
    # 01, scaling data
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
        "normalization/normalize-makes-normal#distance",
        NOTEBOOK,
        "one = v[:, worst]\n",
        'one = v[:, worst] ** (2 if name == "raw" else 1)\n',
    ),
    Mutation(
        "normalization/normalize-makes-normal#not normal",
        NOTEBOOK,
        '"Yeo-Johnson": PowerTransformer().fit_transform(columns)',
        '"Yeo-Johnson": QuantileTransformer(n_quantiles=8, output_distribution="normal")'
        ".fit_transform(columns)",
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
        '"least squares": least_squares',
        '"least squares": by(Ridge(1.0))',
    ),
    Mutation(
        "normalization/unit-invariance#tree",
        NOTEBOOK,
        '"tree": by(DecisionTreeRegressor(max_depth=4, random_state=0))',
        '"tree": by(Ridge(1.0))',
    ),
    Mutation(
        "normalization/unit-invariance#ridge",
        NOTEBOOK,
        '"ridge": by(Ridge(10.0))',
        '"ridge": least_squares',
    ),
    Mutation(
        "normalization/unit-invariance#cut off",
        NOTEBOOK,
        "partial(least_squares, cut_off=1e-6)",
        "partial(least_squares, cut_off=1e-9)",
    ),
    Mutation(
        "normalization/unit-invariance#k-means",
        NOTEBOOK,
        "1 - adjusted_rand_score(old, new)",
        "1 - adjusted_rand_score(new, new)",
    ),
    Mutation(
        "normalization/unit-invariance#scaled",
        NOTEBOOK,
        "measured=list(scaled.values())",
        "measured=list(raw.values())",
    ),
    Mutation(
        "normalization/contour-conditioning#most pairs",
        NOTEBOOK,
        "stds = blocks.diagonal(dim1=1, dim2=2).sqrt()",
        "stds = blocks.diagonal(dim1=1, dim2=2)",
    ),
    Mutation(
        "normalization/contour-conditioning#not round",
        NOTEBOOK,
        "r = scaled_blocks[:, 0, 1].abs()",
        "r = blocks[:, 0, 1].abs()",
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
        "[LinearRegression(), LinearRegression(), Ridge(10.0)]",
        "[LinearRegression(), Ridge(10.0), Ridge(10.0)]",
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
    # 03, why batch norm helps
    Mutation(
        "normalization/bn-scale-invariance#output",
        NOTEBOOK,
        "batch_norm(output, None, None, training=True, eps=eps)",
        "batch_norm(output, torch.zeros(5), torch.ones(5), eps=eps)",
    ),
    Mutation(
        "normalization/bn-scale-invariance#gradient",
        NOTEBOOK,
        "output = batch_norm(output, None, None, training=True, eps=eps)",
        "normalized = batch_norm(output, None, None, training=True, eps=eps)\n"
        "        output = output + (normalized - output).detach()",
    ),
    Mutation(
        "normalization/bn-scale-invariance#perpendicular",
        BATCH,
        "mean, var = batch_statistics(input)\n    else",
        "mean, var = batch_statistics(input.detach())\n    else",
    ),
    Mutation(
        "normalization/bn-scale-invariance#eps",
        BATCH,
        "centred / torch.sqrt(_spread(var, input) + eps)",
        "centred / (torch.sqrt(_spread(var, input)) + eps)",
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
        "Setting(arms[arm], lr) for arm in arms for lr in rates}\ntorch",
        'Setting(arms[arm], lr / 8 if arm == "batch norm" else lr)\n'
        "            for arm in arms for lr in rates}\n"
        "torch",
    ),
    Mutation(
        "normalization/bn-speeds-up#own best rate",
        NOTEBOOK,
        '"batch norm": digit_network(nn.BatchNorm1d),',
        '"batch norm": digit_network(ScaleShift),',
    ),
    Mutation(
        "normalization/bn-speeds-up#same rate",
        NOTEBOOK,
        "Setting(arms[arm], lr) for arm in arms for lr in rates}\ntorch",
        'Setting(arms[arm], 4 * lr if arm == "batch norm" else lr)\n'
        "            for arm in arms for lr in rates}\n"
        "torch",
    ),
    Mutation(
        "normalization/bn-covariate-shift#removed",
        NOTEBOOK,
        '"batch norm": digit_network(nn.BatchNorm1d),',
        '"batch norm": digit_network(nn.BatchNorm1d, noise),',
    ),
    Mutation(
        "normalization/bn-covariate-shift#put back",
        CONTROLS,
        "self.shift * draws[1]",
        "self.shift * draws[1] / 3",
    ),
    Mutation(
        "normalization/bn-covariate-shift#faster than plain",
        CONTROLS,
        "self.shift * draws[1]",
        "3 * self.shift * draws[1]",
    ),
    Mutation(
        "normalization/bn-covariate-shift#noise costs",
        NOTEBOOK,
        "Setting(arms[arm], lr) for arm in arms for lr in rates}\ntorch",
        'Setting(arms["batch norm" if "noise" in arm else arm], lr)\n'
        "            for arm in arms for lr in rates}\n"
        "torch",
    ),
    Mutation(
        "normalization/bn-covariate-shift#twice the noise",
        NOTEBOOK,
        "for m in (0.5, 1.0))",
        "for m in (0.5, 0.5))",
    ),
    Mutation(
        "normalization/bn-covariate-shift#loss range",
        NOTEBOOK,
        '"batch norm": digit_network(nn.BatchNorm1d),',
        '"batch norm": digit_network(ScaleShift),',
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
        "steps=300, batch_size=32, record",
        "steps=60, batch_size=32, record",
    ),
    Mutation(
        "normalization/bn-weight-decay#growing rate",
        NOTEBOOK,
        "growth ** ((2 * t + 1) * normalized)",
        "growth ** (t * normalized)",
    ),
    # 04, signals
    Mutation(
        "normalization/bn-vanishing#scale",
        NOTEBOOK,
        '("batch norm", nn.BatchNorm1d)):\n    for scale',
        '("batch norm", partial(nn.BatchNorm1d, eps=1.0))):\n    for scale',
    ),
    Mutation(
        "normalization/bn-vanishing#activations",
        NOTEBOOK,
        "output.detach().std(0, correction=0)",
        "output.detach().var(0, correction=0)",
    ),
    Mutation(
        "normalization/bn-vanishing#rate",
        NOTEBOOK,
        "*, act=nn.ReLU, seed",
        "*, act=nn.Tanh, seed",
    ),
    Mutation(
        "normalization/bn-vanishing#small batch",
        NOTEBOOK,
        "nn.BatchNorm1d, 50, batch=8",
        "nn.BatchNorm1d, 50, batch=16",
    ),
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
        '"with affine": nn.BatchNorm1d}',
        '"with affine": plain_bn}',
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
        "skews.append(after.abs().mean().item())",
        "skews.append(after.square().mean().item())",
    ),
    Mutation(
        "normalization/bn-saturation-drift#maximum",
        NOTEBOOK,
        "torch.tensor([0]), 1000.0)",
        "torch.tensor([0]), 0.01)",
    ),
    Mutation(
        "normalization/bn-bottom-layers#bottom against top",
        NOTEBOOK,
        "8, 10, norm=norm)",
        "8, 10, norm=None)",
    ),
    Mutation(
        "normalization/bn-bottom-layers#with affine",
        NOTEBOOK,
        "8, 10, norm=norm)",
        "8, 10, norm=norm if norm is plain_bn else None)",
    ),
    Mutation(
        "normalization/bn-bottom-layers#normalization",
        NOTEBOOK,
        "8, 10, norm=norm)",
        "8, 10, norm=None if norm is plain_bn else norm)",
    ),
    Mutation(
        "normalization/bn-bottom-layers#final loss",
        NOTEBOOK,
        "8, 10, norm=norm)",
        "8, 10, norm=norm if norm is plain_bn else None)",
    ),
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
    # 05, axes
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
    Mutation(
        "normalization/bn-small-batch#1 against 32",
        "dlkb.normalization.ghost",
        "-1, ghost_size, *x.shape[1:]",
        "-1, x.shape[0], *x.shape[1:]",
    ),
    Mutation(
        "normalization/bn-small-batch#1 against 8",
        "dlkb.normalization.ghost",
        "        self.ghost_size = ghost_size\n",
        "        self.ghost_size = 1 if ghost_size == 8 else ghost_size\n",
    ),
    Mutation(
        "normalization/bn-small-batch#threshold",
        "dlkb.normalization.ghost",
        "        self.ghost_size = ghost_size\n",
        "        self.ghost_size = 2 if ghost_size == 8 else ghost_size\n",
    ),
    Mutation(
        "normalization/gn-vs-bn-large-batch#32 samples",
        "dlkb.normalization.ghost",
        "-1, ghost_size, *x.shape[1:]",
        "-1, 1, *x.shape[1:]",
    ),
    Mutation(
        "normalization/gn-16-channels",
        NOTEBOOK,
        '"none": nn.Identity}',
        '"none": partial(nn.GroupNorm, 2)}',
    ),
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
    Mutation(
        "normalization/choose-a-norm#32 samples",
        "dlkb.normalization.ghost",
        "-1, ghost_size, *x.shape[1:]",
        "-1, 1, *x.shape[1:]",
    ),
    Mutation(
        "normalization/choose-a-norm#1 sample",
        "dlkb.normalization.ghost",
        "-1, ghost_size, *x.shape[1:]",
        "-1, x.shape[0], *x.shape[1:]",
    ),
    Mutation(
        "normalization/choose-a-norm#2 samples",
        "dlkb.normalization.ghost",
        "        self.ghost_size = ghost_size\n",
        "        self.ghost_size = max(1, ghost_size // 2)\n",
    ),
    Mutation(
        "normalization/choose-a-norm#any or none",
        NOTEBOOK,
        '"none": nn.Identity}',
        '"none": partial(nn.GroupNorm, 2)}',
    ),
    # 06, small, skewed and spread batches
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
        '("renorm", Relaxing)',
        '("renorm", nn.BatchNorm1d)',
    ),
    Mutation(
        "normalization/brn#two classes",
        NOTEBOOK,
        "fit_tuned(partial(small_network, norm)",
        'fit_tuned(partial(small_network, nn.BatchNorm1d if kind[0] == "2" else norm)',
    ),
    Mutation(
        "normalization/brn#four samples",
        NOTEBOOK,
        "fit_tuned(partial(small_network, norm)",
        'fit_tuned(partial(small_network, nn.BatchNorm1d if kind[0] == "4" else norm)',
    ),
    Mutation(
        "normalization/brn#30 samples",
        NOTEBOOK,
        "seeds=seeds, parts=parts, orders=order)",
        "seeds=seeds, parts=parts,\n"
        '            orders=orders["4 samples"] if (kind[0], name) == ("3", "renorm") else order)',
    ),
    Mutation(
        "normalization/cbn#first layer",
        "dlkb.normalization.cross_iteration",
        "        input.mean(0),\n",
        "        (input + 0.01).mean(0),\n",
    ),
    Mutation(
        "normalization/cbn#mean",
        NOTEBOOK,
        "stale(past, w), window(past, w)\n",
        "stale(past, w), (stale if layer else window)(past, w)\n",
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
    Mutation(
        "normalization/bn-rnn#instance norm",
        NOTEBOOK,
        "state.mean(2, keepdim=True)",
        "state.mean(1, keepdim=True)",
    ),
    Mutation(
        "normalization/bn-rnn#untrained statistics",
        NOTEBOOK,
        "network.norms.append(nn.BatchNorm1d(H, affine=False).to(device))",
        "network.norms.append(network.norms[-1])",
    ),
    Mutation(
        "normalization/bn-rnn#training length",
        NOTEBOOK,
        "rates=rates, seeds=seeds, parts=parts, tuning_seeds=4",
        'rates=rates if arm == "layer norm" else [1e-4], seeds=seeds, parts=parts, '
        "tuning_seeds=4",
    ),
    # 07, folding
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
        "layer.eps = 1e-30  #",
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
    # 08, does batch norm regularize
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
        REFERENCE,
        "torch.cat([input, self.reference])",
        "torch.cat([input, self.reference[:0]])",
    ),
    Mutation(
        "normalization/bn-batch-noise#tuned, batches of 8",
        NOTEBOOK,
        BEST_RATES,
        f"{BEST_RATES} if B != 8 else right.mean(-1).argmax(1)[BN].expand(3)",
    ),
    Mutation(
        "normalization/bn-batch-noise#tuned, batches of 16",
        NOTEBOOK,
        BEST_RATES,
        f"{BEST_RATES} if B != 16 else right.mean(-1).argmax(1)[BN].expand(3)",
    ),
    Mutation(
        "normalization/bn-batch-noise#tuned, batches of 32",
        NOTEBOOK,
        BEST_RATES,
        f"{BEST_RATES} if B != 32 else right.mean(-1).argmax(1)[BN].expand(3)",
    ),
    Mutation(
        "normalization/bn-accuracy#fitted",
        NOTEBOOK,
        "steps=30 * (200 // B)",
        "steps=3 * (200 // B)",
    ),
    Mutation(
        "normalization/bn-accuracy#batches of 8",
        NOTEBOOK,
        BEST_RATES,
        f"{BEST_RATES} if B != 8 else torch.full((3,), rates.index(1.0))",
    ),
    Mutation(
        "normalization/bn-accuracy#batches of 16",
        NOTEBOOK,
        BEST_RATES,
        f"{BEST_RATES} if B != 16 else torch.full((3,), rates.index(1.0))",
    ),
    Mutation(
        "normalization/bn-accuracy#batches of 32",
        NOTEBOOK,
        BEST_RATES,
        f"{BEST_RATES} if B != 32 else torch.full((3,), rates.index(1.0))",
    ),
]
