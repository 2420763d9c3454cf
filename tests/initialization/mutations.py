"""The nearest mistakes, each with the check that must notice it."""

from bookkit.mutation import NOTEBOOK, Mutation

ACTIVATIONS = "dlkb.initialization.activations"
NAIVE = "dlkb.initialization.naive_sigmoids"

MUTATIONS = [
    # 04, what an activation computes
    Mutation(
        "initialization/leaky-relu",
        ACTIVATIONS,
        "torch.where(x > 0, x, negative_slope * x)",
        "torch.where(x > 0, x, -negative_slope * x)",
    ),
    Mutation(
        "initialization/activation-slope-one#slopes at zero",
        ACTIVATIONS,
        "torch.erfc(x * -math.sqrt(0.5)) / 2",
        "torch.erfc(x * -math.sqrt(0.5))",
    ),
    Mutation(
        "initialization/activation-slope-one#small signal, tanh",
        NOTEBOOK,
        "torch.randn(seeds, width, width, generator=generator) / width**0.5",
        "torch.randn(seeds, width, width, generator=generator) / (2 * width) ** 0.5",
    ),
    Mutation(
        "initialization/activation-slope-one#signal of size 1, tanh",
        NOTEBOOK,
        "torch.randn(seeds, width, width, generator=generator) / width**0.5",
        "torch.randn(seeds, width, width, generator=generator) * (2 / width) ** 0.5",
    ),
    Mutation(
        "initialization/activation-slope-one#signal of size 1, SELU",
        ACTIVATIONS,
        "SELU_ALPHA = 1.6732632423543772848170429916717",
        "SELU_ALPHA = 1.0",
    ),
    Mutation(
        "initialization/sigmoid-overflow#NaN at 100 and -100",
        NAIVE,
        "return 1 / (1 + torch.exp(-input))",
        "return 1 / (1 + torch.exp(-input.clamp(-80)))",
    ),
    Mutation(
        "initialization/sigmoid-overflow#NaN at 100 and -100",
        NAIVE,
        "return torch.exp(input) / (1 + torch.exp(input))",
        "return 1 - 1 / (1 + torch.exp(input))",
    ),
    Mutation(
        "initialization/sigmoid-overflow#first NaN",
        NAIVE,
        "return 1 / (1 + torch.exp(-input))",
        "return (1 / (1 + torch.exp(-input.float()))).to(input.dtype)",
    ),
    Mutation(
        "initialization/sigmoid-overflow#two branches",
        ACTIVATIONS,
        "falling, rising = torch.exp(_negative_part(-x)), torch.exp(_negative_part(x))",
        "falling, rising = torch.exp(-x), torch.exp(x)",
    ),
    Mutation(
        "initialization/swish#lowest point",
        ACTIVATIONS,
        "return (x * sigmoid(beta * x)).to(input.dtype)",
        "return (x * tanh(softplus(beta * x))).to(input.dtype)",
    ),
    Mutation(
        "initialization/swish#to half the input",
        ACTIVATIONS,
        "return (x * sigmoid(beta * x)).to(input.dtype)",
        "return (x * sigmoid(beta**0.5 * x)).to(input.dtype)",
    ),
    Mutation(
        "initialization/swish#to ReLU",
        ACTIVATIONS,
        "return (x * sigmoid(beta * x)).to(input.dtype)",
        "return (x * sigmoid(min(beta, 20) * x)).to(input.dtype)",
    ),
    Mutation(
        "initialization/gelu#definition",
        ACTIVATIONS,
        "torch.erfc(x * -math.sqrt(0.5)) / 2",
        "torch.erfc(-x) / 2",
    ),
    Mutation(
        "initialization/gelu#sigmoid form",
        ACTIVATIONS,
        "return swish(input, 1.702)",
        "return gelu(input)",
    ),
    Mutation(
        "initialization/gelu#tanh form",
        ACTIVATIONS,
        "(near + 0.044715 * near**3)",
        "(near + 0.044715 * near**2)",
    ),
    Mutation(
        "initialization/hard-swish#distance to SiLU",
        ACTIVATIONS,
        "return (x * hardsigmoid(x)).to(input.dtype)",
        "return (x * hardsigmoid(1.702 * x)).to(input.dtype)",
    ),
    Mutation(
        "initialization/hard-swish#passes",
        NOTEBOOK,
        "for f in (F.silu, F.hardswish, written)",
        "for f in (F.silu, hardswish, written)",
    ),
    Mutation(
        "initialization/mish#lowest point",
        ACTIVATIONS,
        "return (x * tanh(softplus(x))).to(input.dtype)",
        "return (x * tanh(softplus(x, beta=2.0))).to(input.dtype)",
    ),
    Mutation(
        "initialization/mish#maps kept a layer",
        NOTEBOOK,
        "return (len(maps) - 1) / depth  # without the image",
        "return len(maps) / depth",
    ),
    Mutation(
        "initialization/relu6#bits lost by ReLU, heavy tails",
        ACTIVATIONS,
        "return relu(input).masked_fill(input >= 6, 6)",
        "return relu(input).masked_fill(input >= 60, 60)",
    ),
    Mutation(
        "initialization/relu6#bits lost by ReLU, light tails",
        NOTEBOOK,
        "samples=[bits_lost(draw) for draw in normal[0]]",
        "samples=[bits_lost(2 * draw) for draw in normal[0]]",
    ),
    Mutation(
        "initialization/relu-sparsity#active share in layer 5",
        ACTIVATIONS,
        "return input.masked_fill(input <= 0, 0)",
        "return input.masked_fill(input <= 0.2, 0)",
    ),
    Mutation(
        "initialization/relu-sparsity#exponentials",
        ACTIVATIONS,
        "return input.masked_fill(input <= 0, 0)",
        "return softplus(input, beta=100.0)",
    ),
]
