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
        "losses/initial-ce#sane network",
        NOTEBOOK,
        "nn.Linear(32, 10)",
        "nn.Linear(32, 20)",
    ),
]
