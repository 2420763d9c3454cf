"""The nearest mistakes, each with the check that must notice it."""

from bookkit.mutation import NOTEBOOK, Mutation

SGD = "dlkb.optimizers.sgd"

MUTATIONS = [
    # 09, how large a batch may be
    Mutation(
        "optimizers/sgd-noise#mean",
        NOTEBOOK,
        "torch.tensor(list(combinations(range(8), 3)))",
        "torch.arange(6).view(2, 3)",
    ),
    Mutation(
        "optimizers/sgd-noise#slope",
        NOTEBOOK,
        "ones / indices.shape[1])",
        "ones / indices.shape[1] ** 0.5)",
    ),
    Mutation(
        "optimizers/sgd-noise#without replacement",
        NOTEBOOK,
        "torch.rand(count, N, generator=draw).argsort(1)[:, :size]",
        "torch.randint(N, (count, size), generator=draw)",
    ),
    Mutation(
        "optimizers/sgd-noise#length",
        NOTEBOOK,
        "g.square().sum(1).mean() for g in lengths",
        "g.mean(0).square().sum() for g in lengths",
    ),
    Mutation(
        "optimizers/gd-three-factors#plateau",
        SGD,
        "(grad, alpha=1 - group",
        "(grad, alpha=1 + group",
    ),
    Mutation(
        "optimizers/gd-three-factors#equal ratio",
        NOTEBOOK,
        "noise / B.sqrt().view(4, 1)",
        "noise / B.view(4, 1)",
    ),
    Mutation(
        "optimizers/gd-three-factors#averaged",
        SGD,
        "(grad, alpha=1 - group",
        "(grad, alpha=1 + 0 * group",
    ),
    Mutation(
        "optimizers/gd-three-factors#speed",
        SGD,
        "param.add_(grad, alpha=-lr)",
        "param.add_(grad, alpha=-lr / 2)",
    ),
    Mutation(
        "optimizers/gradient-accumulation#scaled",
        NOTEBOOK,
        "(weight * cross_entropy(logits, y[own])).backward()",
        "cross_entropy(logits, y[own]).backward()",
    ),
    Mutation(
        "optimizers/gradient-accumulation#single precision",
        NOTEBOOK,
        "[0.25] * 4, single",
        "[1.0] * 4, single",
    ),
    Mutation(
        "optimizers/gradient-accumulation#unequal parts",
        NOTEBOOK,
        "after_training(parts, [n / 64 for n in parts]",
        "after_training(parts, [1 / 3] * 3",
    ),
    Mutation(
        "optimizers/gradient-accumulation#batch norm",
        NOTEBOOK,
        "nn.Linear(64, 16), norm(16), nn.ReLU()",
        "nn.Linear(64, 16), nn.Identity(), nn.ReLU()",
    ),
    Mutation(
        "optimizers/gradient-accumulation#running statistics",
        NOTEBOOK,
        "for p in ([16] * 4, [64])]",
        "for p in ([32] * 2, [64])]",
    ),
    Mutation(
        "optimizers/gradient-accumulation#tail",
        NOTEBOOK,
        "if (i + 1) % k == 0 or (repaired and i + 1 == count):",
        "if (i + 1) % k == 0:",
    ),
    Mutation(
        "optimizers/gradient-accumulation#weights",
        NOTEBOOK,
        "size = min(k, count - i // k * k) if repaired else k",
        "size = k",
    ),
]
