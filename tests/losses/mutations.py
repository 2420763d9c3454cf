"""The nearest mistakes, each with the check that must notice it."""

from bookkit.mutation import NOTEBOOK, Mutation

BOXES = "dlkb.losses.boxes"
CLASSIFICATION = "dlkb.losses.classification"
IMBALANCE = "dlkb.losses.imbalance"
METRIC = "dlkb.losses.metric"
RACE = "dlkb.losses.race"
REGRESSION = "dlkb.losses.regression"
SEGMENTATION = "dlkb.losses.segmentation"
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
]
