"""The nearest mistakes, each with the check that must notice it."""

from bookkit.mutation import NOTEBOOK, Mutation

BOXES = "dlkb.losses.boxes"
CLASSIFICATION = "dlkb.losses.classification"
IMBALANCE = "dlkb.losses.imbalance"
METRIC = "dlkb.losses.metric"
RACE = "dlkb.losses.race"
REGRESSION = "dlkb.losses.regression"
SEGMENTATION = "dlkb.losses.segmentation"
SHARED = "dlkb.losses._shared"
WEIGHTING = "dlkb.losses.weighting"

MUTATIONS = [
    # 01, what the first loss should be
    Mutation(
        "losses/loss-cost-objective#cost of the set",
        NOTEBOOK,
        'reduction="sum") for x, y in batches',
        'reduction="mean") for x, y in batches',
    ),
    Mutation(
        "losses/loss-cost-objective#objective",
        NOTEBOOK,
        "lr=0.1, weight_decay=weight_decay)",
        "lr=0.1, weight_decay=weight_decay / 2)",
    ),
    Mutation(
        "losses/initial-ce#formula",
        NOTEBOOK,
        "math.expm1(s**2) / (2 * K)\nprint",
        "math.expm1(s**2) / K\nprint",
    ),
    Mutation(
        "losses/initial-ce#sane network",
        NOTEBOOK,
        "nn.Linear(32, outputs))",
        "nn.Linear(32, 2 * outputs))",
    ),
    Mutation(
        "losses/initial-ce#badly scaled",
        NOTEBOOK,
        "std=weights)",
        "std=weights / layer.in_features**0.5)",
    ),
    Mutation(
        "losses/initial-ce#labels shuffled, first loss",
        NOTEBOOK,
        "start = curves[1][:, 0] - curves[0][:, 0]",
        "start = curves[1][:, 0] - curves[0][:, 5]",
    ),
    Mutation(
        "losses/initial-ce#labels shuffled, later",
        NOTEBOOK,
        "y[torch.randperm(len(y)).to(device)]",
        "y[torch.randperm(len(y)).sort().values.to(device)]",
    ),
    Mutation(
        "losses/initial-bce#p = 0.5",
        CLASSIFICATION,
        "torch.maximum(x, zero) + tail",
        "torch.maximum(x, zero)",
    ),
    Mutation(
        "losses/initial-bce#best constant",
        NOTEBOOK,
        "torch.linspace(0.01, 0.99, 99",
        "torch.linspace(0.26, 0.99, 99",
    ),
    Mutation(
        "losses/initial-bce#usual start",
        NOTEBOOK,
        "network(1), network(1, bias=prior_bias(q)), network",
        "network(1, bias=1.0), network(1, bias=prior_bias(q)), network",
    ),
    Mutation(
        "losses/initial-bce#bias set",
        IMBALANCE,
        "math.log(share) - math.log1p(-share)",
        "math.log1p(-share) - math.log(share)",
    ),
    Mutation(
        "losses/initial-bce#badly scaled",
        NOTEBOOK,
        "std=weights)",
        "std=weights / layer.in_features**0.5)",
    ),
    Mutation(
        "losses/initial-bce#steps to the constant",
        IMBALANCE,
        "math.log(share) - math.log1p(-share)",
        "-math.log1p(share)",
    ),
    Mutation(
        "losses/initial-bce#steps to learn",
        NOTEBOOK,
        'learned = steps["half of it"][0, best[0]]',
        'learned = steps["half of it"][0, 0]',
    ),
    # 05, regression
    Mutation(
        "losses/l1-l2-smooth#smooth L1",
        REGRESSION,
        "losses = losses / beta",
        "losses = losses * 1",
    ),
    Mutation(
        "losses/l1-l2-smooth#Huber",
        REGRESSION,
        "losses = _huber(errors, delta)",
        "losses = _huber(errors, delta) / delta",
    ),
    Mutation(
        "losses/l1-l2-smooth#hover",
        NOTEBOOK,
        "(w - lr * gradient)",
        "(w - 2 * lr * gradient)",
    ),
    Mutation(
        "losses/l1-l2-smooth#hover, half the rate",
        NOTEBOOK,
        "hover[name, lr] = tail / lr",
        "hover[name, lr] = tail / 0.1",
    ),
    Mutation(
        "losses/l1-l2-smooth#one number",
        REGRESSION,
        "weight, reduction).square()",
        "weight, reduction).square() / 2",
    ),
    Mutation(
        "losses/l1-l2-smooth#lost by L2",
        NOTEBOOK,
        '"percent": wine.x[:, :1]',
        '"percent": wine.x[:, :1] - 13',
    ),
    Mutation(
        "losses/l1-l2-smooth#lost by smooth L1",
        NOTEBOOK,
        '("smooth L1", smooth_l1_loss)):\n        runs',
        '("smooth L1", mse_loss)):\n        runs',
    ),
    Mutation(
        "losses/l1-l2-smooth#outlier",
        REGRESSION,
        "q = error.clamp(max=delta)",
        "q = error",
    ),
    Mutation(
        "losses/l1-l2-smooth#line with outliers",
        REGRESSION,
        "q = error.clamp(max=delta)",
        "q = error",
    ),
    Mutation(
        "losses/box-coordinates-independent#range",
        NOTEBOOK,
        "[[20.0, 45.0, 80.0, 55.0]]",
        "[[20.0, 20.0, 80.0, 80.0]]",
    ),
    Mutation(
        "losses/box-coordinates-independent#scale",
        NOTEBOOK,
        "torch.tensor([4.0, 0.0, 4.0, 0.0]",
        "torch.tensor([4.0, 0.0, 0.0, 0.0]",
    ),
    # 06, what each box loss sees
    Mutation(
        "losses/iou#scale",
        BOXES,
        "    denominator = denominator + eps\n",
        "    denominator = denominator + max(eps, 1e-7)\n",
    ),
    Mutation(
        "losses/iou#gradient apart",
        BOXES,
        "(overlap - torch.maximum(pairs.low1, pairs.low2)).relu()",
        "(overlap - torch.maximum(pairs.low1, pairs.low2)).abs()",
    ),
    Mutation(
        "losses/iou#torchvision",
        BOXES,
        "_product(pairs.sides1) + _product(pairs.sides2) - intersection,",
        "_product(pairs.sides1) + _product(pairs.sides2),",
    ),
    Mutation(
        "losses/iou-ambiguous#IoU",
        BOXES,
        "_product(pairs.sides1) + _product(pairs.sides2) - intersection,",
        "_product(pairs.sides1) + _product(pairs.sides2),",
    ),
    Mutation(
        "losses/iou-ambiguous#GIoU",
        BOXES,
        "- _over(area - union, around, eps)",
        "- 0.05 * _over(area - union, around, eps)",
    ),
    Mutation(
        "losses/iou-ambiguous#DIoU",
        BOXES,
        "return _iou(pairs, iou_eps) - _over(_centre_distance(pairs), diagonal, eps)",
        "return _giou(pairs, iou_eps)",
    ),
    Mutation(
        "losses/iou-ambiguous#CIoU", BOXES, "(4 / math.pi**2)", "(1 / math.pi**2)"
    ),
    Mutation(
        "losses/iou-ambiguous#CDIoU",
        BOXES,
        "total = sum(_root(square) for square in corners)",
        "total = 4 * _root(_centre_distance(pairs))",
    ),
    Mutation(
        "losses/giou#apart",
        BOXES,
        "_over(area - union, around, eps)",
        "_over(area - union, 2 * around, eps)",
    ),
    Mutation(
        "losses/giou#range",
        BOXES,
        "_over(area - union, around, eps)",
        "_over(area, around, eps)",
    ),
    Mutation(
        "losses/giou#torchvision",
        BOXES,
        "around = area.masked_fill(nothing, math.inf)",
        "around = area.detach().masked_fill(nothing, math.inf)",
    ),
    Mutation(
        "losses/giou-nested#GIoU is IoU",
        BOXES,
        "area = _product(_enclosing_sides(pairs))",
        "area = _product(pairs.sides1 + pairs.sides2)",
    ),
    Mutation(
        "losses/giou-nested#DIoU is not",
        BOXES,
        "return _square_norm(twice) / 4",
        "return _square_norm(twice) / 2",
    ),
    Mutation(
        "losses/giou-nested#pull on the centre",
        BOXES,
        "(overlap - torch.maximum(pairs.low1, pairs.low2)).relu()",
        "(overlap - torch.maximum(pairs.low1, pairs.low2).detach()).relu()",
    ),
    Mutation(
        "losses/giou-grows#one step",
        BOXES,
        "diagonal = _square_norm(_enclosing_sides(pairs))  # squared",
        "diagonal = _square_norm(_enclosing_sides(pairs)).detach()",
    ),
    Mutation(
        "losses/giou-grows#GIoU's area",
        BOXES,
        "_over(area - union, around, eps)",
        "_over(area, around, eps)",
    ),
    Mutation(
        "losses/giou-grows#DIoU's area",
        BOXES,
        "diagonal = _square_norm(_enclosing_sides(pairs))  # squared",
        "diagonal = _square_norm(_enclosing_sides(pairs)).detach()",
    ),
    Mutation(
        "losses/giou-grows#GIoU's area less DIoU's",
        BOXES,
        "diagonal = _square_norm(_enclosing_sides(pairs))  # squared",
        "diagonal = _square_norm(_enclosing_sides(pairs))\n    diagonal = (diagonal + diagonal.detach()) / 2",
    ),
    Mutation(
        "losses/diou#apart",
        BOXES,
        "return _iou(pairs, iou_eps) - _over(_centre_distance(pairs), diagonal, eps)",
        "return _iou(pairs, iou_eps) - _over(_centre_distance(pairs) ** 0.5, diagonal**0.5, eps)",
    ),
    Mutation(
        "losses/diou#equal boxes",
        BOXES,
        "twice = (pairs.low1 - pairs.low2)",
        "twice = (pairs.low1 - pairs.high2)",
    ),
    Mutation(
        "losses/diou#torchvision",
        BOXES,
        "diagonal = _square_norm(_enclosing_sides(pairs))  # squared",
        "diagonal = _square_norm(_enclosing_sides(pairs)).detach()",
    ),
    Mutation(
        "losses/diou#fewer steps, own best rate",
        BOXES,
        "return _iou(pairs, iou_eps) - _over(_centre_distance(pairs), diagonal, eps)",
        "return _iou(pairs, iou_eps)",
    ),
    Mutation(
        "losses/diou#apart, rate 0.1",
        BOXES,
        "diagonal = _square_norm(_enclosing_sides(pairs))  # squared",
        "diagonal = _square_norm(_enclosing_sides(pairs)).detach()",
    ),
    Mutation(
        "losses/ciou#torchvision's value", BOXES, "(4 / math.pi**2)", "(2 / math.pi**2)"
    ),
    Mutation(
        "losses/ciou#torchvision's gradient",
        BOXES,
        "with torch.no_grad():  # 1 - IoU may round below 0",
        "with torch.enable_grad():",
    ),
    Mutation(
        "losses/ciou#equal ratios",
        BOXES,
        "angle = _angle(pairs.sides1) - _angle(pairs.sides2)",
        "angle = (pairs.sides1 - pairs.sides2)[0]",
    ),
    Mutation(
        "losses/ciou#empty boxes",
        BOXES,
        "return torch.atan2(width, height.masked_fill(point, 1.0))",
        "return torch.atan(width / height)",
    ),
    Mutation(
        "losses/cdiou#value",
        BOXES,
        "_over(total, 4 * diagonal, 0.0)",
        "_over(total, 16 * diagonal, 0.0)",
    ),
    Mutation(
        "losses/cdiou#gradient",
        BOXES,
        "total = sum(_root(square) for square in corners)",
        "total = sum(_root(square.detach()) for square in corners)",
    ),
    Mutation(
        "losses/cdiou#limits",
        BOXES,
        "diagonal = _root(_square_norm(_enclosing_sides(pairs)) + eps)",
        "diagonal = _root(_square_norm(pairs.sides2) + eps)",
    ),
    Mutation(
        "losses/cdiou#score of equal boxes",
        BOXES,
        "+ lambd * (1 - _corner_distance(pairs, eps))",
        "- lambd * _corner_distance(pairs, eps)",
    ),
    Mutation(
        "losses/cdiou#cost over CIoU's",
        BOXES,
        "1 - _iou(pairs, eps) + _corner_distance(pairs, eps)",
        "1 - _ciou(pairs, eps, eps) + _corner_distance(pairs, eps)",
    ),
    # 04, overlap losses
    Mutation(
        "losses/tversky#Dice",
        SEGMENTATION,
        "overlap + alpha * false_positive",
        "overlap + 2 * alpha * false_positive",
    ),
    Mutation(
        "losses/tversky#Jaccard",
        SEGMENTATION,
        "beta * false_negative + smooth",
        "beta * false_negative / 2 + smooth",
    ),
    Mutation(
        "losses/tversky#recall",
        SEGMENTATION,
        "alpha * false_positive + beta * false_negative",
        "beta * false_positive + alpha * false_negative",
    ),
    Mutation(
        "losses/dice#F1",
        SEGMENTATION,
        "target, 0.5, 0.5, smooth",
        "target, 1.0, 1.0, smooth",
    ),
    Mutation(
        "losses/dice#empty mask",
        SEGMENTATION,
        "index = (overlap + smooth)",
        "index = (overlap + smooth * 0)",
    ),
    Mutation(
        "losses/dice#trained for it",
        NOTEBOOK,
        "return hit.sum(1) / marked.sum(1), hit.sum(1) / there.sum(), overlap.mean(1)",
        "return hit.sum(1) / marked.sum(1), hit.sum(1) / there.sum(), hit.sum(1) / marked.sum(1)",
    ),
    Mutation(
        "losses/dice#threshold chosen",
        NOTEBOOK,
        'chosen = tuned(predicted[0.5]) - tuned(predicted["BCE"])',
        'chosen = tuned(predicted[0.5]) - scores(predicted["BCE"])[2]',
    ),
    Mutation(
        "losses/tversky-fbeta#b from beta over alpha",
        SEGMENTATION,
        "alpha * false_positive + beta * false_negative",
        "beta * false_positive + alpha * false_negative",
    ),
    Mutation(
        "losses/tversky-fbeta#Jaccard outside",
        SEGMENTATION,
        "target, 1.0, 1.0, smooth",
        "target, 0.5, 0.5, smooth",
    ),
    # 02, what cross-entropy and BCE compute
    Mutation(
        "losses/cross-entropy#two classes",
        CLASSIFICATION,
        "x.exp().sum(dim, keepdim=True).log()",
        "x.exp().mean(dim, keepdim=True).log()",
    ),
    Mutation(
        "losses/cross-entropy#value",
        CLASSIFICATION,
        "return losses.sum() / weights.sum()",
        "return losses.sum() / (weights != 0).sum()",
    ),
    Mutation(
        "losses/cross-entropy#value",
        CLASSIFICATION,
        "(_per_class(weight, log_p) * log_p).sum(axis) / classes",
        "(_per_class(weight, log_p) * log_p).sum(axis) / (classes - 1)",
    ),
    Mutation(
        "losses/cross-entropy#gradient",
        CLASSIFICATION,
        "(x - x.exp().sum(dim, keepdim=True).log())",
        "(x - x.exp().sum(dim, keepdim=True).log().detach())",
    ),
    Mutation(
        "losses/cross-entropy#p - y",
        NOTEBOOK,
        'cross_entropy(x, y.argmax(1), reduction="sum")',
        "cross_entropy(x, y.argmax(1))",
    ),
    Mutation(
        "losses/cross-entropy#large logits, value",
        CLASSIFICATION,
        "x = x - x.detach().amax(dim, keepdim=True)",
        "x = x - 0",
    ),
    Mutation(
        "losses/cross-entropy#large logits, gradient",
        CLASSIFICATION,
        "(x - x.exp().sum(dim, keepdim=True).log())",
        "(x - x.exp().sum(dim, keepdim=True).log().detach())",
    ),
    Mutation(
        "losses/bce#value",
        CLASSIFICATION,
        "losses = t * positive + (1 - t) * negative",
        'losses = t * positive + (1 - t) * _times(pos_weight, negative, "")',
    ),
    Mutation(
        "losses/bce#gradient",
        CLASSIFICATION,
        "return torch.maximum(-x, zero) + tail, torch.maximum(x, zero) + tail",
        "return (-x).clamp(min=0) + tail, x.clamp(min=0) + tail",
    ),
    Mutation(
        "losses/bce#equal at moderate logits",
        CLASSIFICATION,
        "return p.log().clamp(min=-100)",
        "return (p + 1e-7).log()",
    ),
    Mutation(
        "losses/bce#float32, value",
        CLASSIFICATION,
        "return torch.maximum(-x, zero) + tail, torch.maximum(x, zero) + tail",
        "return -_cut_off_log(x.sigmoid()), -_cut_off_log(1 - x.sigmoid())",
    ),
    Mutation(
        "losses/bce#float32, gradient",
        CLASSIFICATION,
        "return torch.maximum(-x, zero) + tail, torch.maximum(x, zero) + tail",
        "return -x.clamp(max=0).detach() + tail, x.clamp(min=0).detach() + tail",
    ),
    Mutation(
        "losses/bce#cut off, value",
        CLASSIFICATION,
        "return p.log().clamp(min=-100)",
        "return (p + 1e-12).log()",
    ),
    Mutation(
        "losses/bce#cut off, gradient",
        CLASSIFICATION,
        "(p * (1 - p)).clamp(min=1e-12)",
        "(p * (1 - p))",
    ),
    Mutation(
        "losses/bce#cut off, as torch",
        CLASSIFICATION,
        "return -(t * _cut_off_log(p)",
        "return -(t * p.clamp(min=1e-7).log()",
    ),
    Mutation("losses/ce-not-accuracy#two models", NOTEBOOK, "[0.45] * 4", "[0.55] * 4"),
    Mutation(
        "losses/ce-not-accuracy#loss rises",
        NOTEBOOK,
        "Setting(network, lr=0.1, momentum=0.9)",
        "Setting(network, lr=0.01)",
    ),
    Mutation(
        "losses/ce-not-accuracy#accuracy holds",
        NOTEBOOK,
        "accuracy, confidence = right.mean(-1)",
        "accuracy, confidence = guess.values.mean(-1)",
    ),
    Mutation(
        "losses/ce-not-accuracy#overconfident",
        NOTEBOOK,
        "accuracy, confidence = right.mean(-1), guess.values.mean(-1)",
        "accuracy, confidence = right.mean(-1), right.mean(-1)",
    ),
    Mutation(
        "losses/multiclass-multilabel#labels per sample",
        NOTEBOOK,
        "for v in (one_hot[labels], table[labels])]",
        "for v in (table[labels], table[labels])]",
    ),
    Mutation(
        "losses/multiclass-multilabel#any subset",
        NOTEBOOK,
        "bce_subset = train(lambda out, y: bce(out, table[y]), set_right",
        "bce_subset = train(lambda out, y: bce(out, shared[y]), set_right",
    ),
    Mutation(
        "losses/multiclass-multilabel#one of K",
        NOTEBOOK,
        "bce_one_runs = train(lambda out, y: bce(out, one_hot[y]))",
        "bce_one_runs = train(lambda out, y: bce(out.softmax(-1), one_hot[y]))",
    ),
    Mutation(
        "losses/regression-classification#gradients",
        NOTEBOOK,
        "mse_loss(x10.sigmoid(), one), bce",
        "mse_loss(x10, one), bce",
    ),
    Mutation(
        "losses/regression-classification#gradients",
        REGRESSION,
        "errors = _difference(input, target, weight, reduction).square()",
        "errors = _difference(input, target, weight, reduction).square() / 2",
    ),
    Mutation(
        "losses/regression-classification#steps to recover",
        NOTEBOOK,
        "steps_to_right(lambda p: 2 * (p - 1) * p * (1 - p))",
        "steps_to_right(lambda p: 2 * (p - 1))",
    ),
    Mutation(
        "losses/regression-classification#no sigmoid",
        NOTEBOOK,
        "train(lambda out, y: mse_loss(out, one_hot[y]))",
        "train(lambda out, y: mse_loss(out.softmax(-1), 10 * one_hot[y]))",
    ),
    Mutation(
        "losses/regression-classification#wrong start",
        NOTEBOOK,
        "train(after_sigmoid, bias=-10.0)",
        "train(after_sigmoid)",
    ),
    Mutation(
        "losses/label-format#torch",
        NOTEBOOK,
        '"indices as floats": ("cross_entropy", out, index.float())',
        '"indices as floats": ("cross_entropy", out, index)',
    ),
    Mutation(
        "losses/label-format#package",
        SHARED,
        "if value is not None and value.shape != input.shape:",
        "if value is not None and value.numel() != input.numel():",
    ),
    Mutation(
        "losses/label-format#target -1",
        NOTEBOOK,
        "logit, target = torch.tensor([-100.0, -1.0])",
        "logit, target = torch.tensor([-100.0, 0.0])",
    ),
    Mutation(
        "losses/label-format#broadcast squared error",
        NOTEBOOK,
        "wrong = [r_squared(s, (200,)) for",
        "wrong = [r_squared(s, (200, 1)) for",
    ),
    Mutation(
        "losses/label-format#softmax twice, floor",
        NOTEBOOK,
        "perfect = torch.eye(10, dtype=torch.float64)[:1]",
        "perfect = 100 * torch.eye(10, dtype=torch.float64)[:1]",
    ),
    Mutation(
        "losses/label-format#softmax twice, first gradient",
        NOTEBOOK,
        "for v in (start.softmax(1), start)]",
        "for v in (start.log_softmax(1), start)]",
    ),
    Mutation(
        "losses/label-format#softmax twice, one rate",
        NOTEBOOK,
        "cross_entropy(out.softmax(-1), y))",
        "cross_entropy(out.log_softmax(-1), y))",
    ),
    Mutation(
        "losses/label-format#softmax twice, own rates",
        NOTEBOOK,
        "(twice[own] / once[fastest]).log2()",
        "(twice[own] / once[own]).log2()",
    ),
    Mutation(
        "losses/label-format#off by one",
        NOTEBOOK,
        "shifted = train(lambda out, y: cross_entropy(out, y + 1)",
        "shifted = train(lambda out, y: cross_entropy(out, y)",
    ),
    Mutation(
        "losses/label-format#index or one-hot",
        CLASSIFICATION,
        "return losses.sum() / weights.sum()",
        "return losses.mean()",
    ),
]
