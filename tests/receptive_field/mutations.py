"""The nearest mistakes, each with the check that must notice it."""

from bookkit.mutation import NOTEBOOK, Mutation

ARITHMETIC = "dlkb.receptive_field.arithmetic"
TABLE = "dlkb.receptive_field.table"

MUTATIONS = [
    # 01, how far a unit can see
    Mutation(
        "receptive-field/definition#outside",
        ARITHMETIC,
        "range(first, first + kernel * dilation, dilation)",
        "range(first, first + kernel * dilation - 1, dilation)",
    ),
    Mutation(
        "receptive-field/definition#pixels that matter",
        ARITHMETIC,
        "range(first, first + kernel * dilation, dilation)",
        "range(first, first + kernel * dilation, 2 * dilation)",
    ),
    Mutation(
        "receptive-field/recursion#by hand",
        NOTEBOOK,
        "        size += (kernel - 1) * jump\n        jump *= stride\n        sizes",
        "        jump *= stride\n        size += (kernel - 1) * jump\n        sizes",
    ),
    Mutation(
        "receptive-field/recursion#random stacks",
        NOTEBOOK,
        "jump *= stride\n        sizes",
        "jump += stride - 1\n        sizes",
    ),
    Mutation(
        "receptive-field/recursion#stacks compared",
        NOTEBOOK,
        "size, jump, sizes = 1, 1, []",
        "size, jump, sizes = 0, 1, []",
    ),
    Mutation(
        "receptive-field/centre-and-jump#centres",
        ARITHMETIC,
        "first = unit * stride - padding",
        "first = unit * stride + padding",
    ),
    Mutation(
        "receptive-field/centre-and-jump#jump",
        ARITHMETIC,
        "reach.shift * advance * times // len(reach.low)",
        "(reach.shift + advance - 1) * times // len(reach.low)",
    ),
    Mutation(
        "receptive-field/centre-and-jump#padding",
        TABLE,
        "None if r.is_whole else -r.of(0)[0]",
        "None if r.is_whole else -r.of(0)[0] // r.jump",
    ),
    Mutation(
        "receptive-field/multi-path#union",
        ARITHMETIC,
        "tuple(max(high for _, high in meeting) for meeting in fields)",
        "tuple(meeting[0][1] for meeting in fields)",
    ),
    Mutation(
        "receptive-field/multi-path#aligned",
        NOTEBOOK,
        "[nn.Conv1d(1, 1, 1, 2),",
        "[nn.Conv1d(1, 1, 2, 2),",
    ),
    Mutation(
        "receptive-field/multi-path#half a pixel off",
        NOTEBOOK,
        "nn.Sequential(nn.AvgPool1d(2), nn",
        "nn.Sequential(nn.AvgPool1d(3, 2, 1), nn",
    ),
    Mutation(
        "receptive-field/dilation-field#weights",
        NOTEBOOK,
        "stack((1, 2, 4, 8)),",
        "stack((1, 2, 4, 8), kernel=5),",
    ),
    Mutation(
        "receptive-field/dilation-field#field, doubled rates",
        NOTEBOOK,
        "stack((1, 2, 4, 8)),",
        "stack((1, 2, 3, 4)),",
    ),
    Mutation(
        "receptive-field/dilation-field#coverage, equal rates",
        NOTEBOOK,
        "stack((2, 2, 2, 2)),",
        "stack((1, 2, 2, 2)),",
    ),
    Mutation(
        "receptive-field/dilation-field#coverage, doubled rates",
        NOTEBOOK,
        "stack((1, 2, 4, 8)),",
        "stack((1, 1, 1, 12)),",
    ),
]
