"""The nearest mistakes, each with the check that must notice it."""

from bookkit.mutation import NOTEBOOK, Mutation

ACTIVATIONS = "dlkb.initialization.activations"
FANS = "dlkb.initialization.fans"
KAIMING = "dlkb.initialization.kaiming"
SCORES = "dlkb.initialization.scores"
XAVIER = "dlkb.initialization.xavier"
NAIVE = "dlkb.initialization.naive_sigmoids"
CELLS = "dlkb.initialization.recurrent_cells"
TRIALS = "dlkb.receptive_field.trials"
JACOBIANS = "dlkb.initialization.jacobians"
SIGNALS = "dlkb.initialization.signals"
WATCHED = "dlkb.initialization.watched_training"

MUTATIONS = [
    # 01, equal weights
    Mutation(
        "initialization/zero-init#one layer",
        NOTEBOOK,
        "start_equal(nn.Linear(64, 10)), 0.5",
        "start_equal(nn.Sequential(nn.Linear(64, 8), nn.Tanh(), nn.Linear(8, 10))), 0.5",
    ),
    Mutation(
        "initialization/zero-init#tanh and ReLU",
        NOTEBOOK,
        "start_equal(stacked(kind, *deep)) for",
        "start_equal(stacked(kind, *deep), 1e-3) for",
    ),
    Mutation(
        "initialization/zero-init#output bias",
        NOTEBOOK,
        "network = start_equal(stacked(nn.Tanh, 64, 32, 10))\n",
        "network = start_equal(stacked(nn.Sigmoid, 64, 32, 10))\n",
    ),
    Mutation(
        "initialization/zero-init#steps without a gradient",
        NOTEBOOK,
        "start_equal(stacked(kind, *deep)) for",
        "start_equal(stacked(kind, *deep), 1e-3) for",
    ),
    Mutation(
        "initialization/zero-init#rank",
        NOTEBOOK,
        "start_equal(stacked(kind, *deep)) for",
        "stacked(kind, *deep) for",
    ),
    Mutation(
        "initialization/zero-init#zero layers, tanh",
        NOTEBOOK,
        "        nn.init.zeros_(layer.bias)\n",
        "        nn.init.ones_(layer.bias)\n",
    ),
    Mutation(
        "initialization/zero-init#zero layers, ReLU",
        NOTEBOOK,
        "        nn.init.zeros_(layer.bias)\n",
        "        nn.init.ones_(layer.bias)\n",
    ),
    Mutation(
        "initialization/constant-init#different units",
        NOTEBOOK,
        "32, 10), 0.1).double()\n",
        "32, 10), 0.1).double()\n    nn.init.uniform_(network[0].bias)\n",
    ),
    Mutation(
        "initialization/constant-init#one unit",
        NOTEBOOK,
        "unit = self.activation(self.inner(x) / self.root)",
        "unit = self.activation(self.inner(x))",
    ),
    Mutation(
        "initialization/constant-init#accuracy lost",
        NOTEBOOK,
        '"equal": lambda: OneUnit(nn.Tanh, 32, 0.1)',
        '"equal": lambda: nearly_equal(1e-7)',
    ),
    Mutation(
        "initialization/constant-init#smallest difference",
        NOTEBOOK,
        '"1e-7": lambda: nearly_equal(1e-7)',
        '"1e-7": lambda: OneUnit(nn.Tanh, 32, 0.1).double()',
    ),
    Mutation(
        "initialization/constant-init#spread of the units",
        NOTEBOOK,
        "parted = fit_many(settings, x64, y, seeds=seeds, steps=600",
        "parted = fit_many(settings, x64, y, seeds=seeds, steps=100",
    ),
    # 02, how large weights should be
    Mutation(
        "initialization/uniform-variance-third#variance",
        NOTEBOOK,
        "w = (2 * torch.rand(draws, n, generator=generator) - 1)",
        "w = (torch.rand(draws, n, generator=generator) - 0.5)",
    ),
    Mutation(
        "initialization/uniform-variance-third#with bias",
        NOTEBOOK,
        "y += (2 * torch.rand(draws, generator=generator) - 1)",
        "y += (torch.rand(draws, generator=generator) - 0.5)",
    ),
    Mutation(
        "initialization/uniform-variance-third#excess kurtosis",
        NOTEBOOK,
        "y.square().mean() ** 2 - 3",
        "y.square().mean() - 3",
    ),
    Mutation(
        "initialization/uniform-variance-third#torch's default",
        KAIMING,
        "kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)",
        "kaiming_uniform_(weight, a=5, generator=generator)",
    ),
    Mutation(
        "initialization/uniform-variance-third#ten layers",
        NOTEBOOK,
        "nn.Linear(128, 128, bias)",
        "nn.Linear(128, 128)",
    ),
    Mutation(
        "initialization/forward-variance#linear",
        NOTEBOOK,
        "normal_(mean, std, generator=generator)",
        "normal_(mean, std**2, generator=generator)",
    ),
    Mutation(
        "initialization/forward-variance#ReLU",
        NOTEBOOK,
        "normal_stacks(widths, 0.02**0.5, count, nn.ReLU)",
        "normal_stacks(widths, 0.01**0.5, count, nn.ReLU)",
    ),
    Mutation(
        "initialization/forward-variance#weights with a mean",
        NOTEBOOK,
        "normal_(mean, std, generator=generator)",
        "normal_(0, std, generator=generator)",
    ),
    Mutation(
        "initialization/backward-variance#linear",
        SIGNALS,
        "return list(torch.autograd.grad(output, zeros, end))",
        "return list(torch.autograd.grad(output, zeros, end))[::-1]",
    ),
    Mutation(
        "initialization/backward-variance#ReLU",
        NOTEBOOK,
        "normal_stacks(widths, 0.02**0.5, count, nn.ReLU)",
        "normal_stacks(widths, 0.02**0.5, count, nn.Identity)",
    ),
    # 03, which initialization suits which activation
    Mutation(
        "initialization/xavier#deviation",
        XAVIER,
        "gain * math.sqrt(2 / max(fan_in + fan_out, 1))",
        "gain * 2 / max(fan_in + fan_out, 1)",
    ),
    Mutation(
        "initialization/xavier#torch's",
        XAVIER,
        "bound = math.sqrt(3) * _std(tensor, gain)",
        "bound = math.sqrt(6) * _std(tensor, gain)",
    ),
    Mutation(
        "initialization/xavier#unequal fans",
        XAVIER,
        "max(fan_in + fan_out, 1)",
        "max(2 * fan_in, 1)",
    ),
    Mutation(
        "initialization/xavier-tanh#ReLU halves",
        NOTEBOOK,
        '("ReLU", "Xavier"): (nn.ReLU, 1.0)',
        '("ReLU", "Xavier"): (nn.ReLU, 2**0.5)',
    ),
    Mutation(
        "initialization/xavier-tanh#ReLU with He",
        NOTEBOOK,
        '("ReLU", "He"): (nn.ReLU, 2**0.5)',
        '("ReLU", "He"): (nn.ReLU, 2.0)',
    ),
    Mutation(
        "initialization/xavier-tanh#tanh decays",
        NOTEBOOK,
        "deep_stack(nn.Tanh, 1.0, width=256)",
        "deep_stack(nn.Tanh, 1.1, width=256)",
    ),
    Mutation(
        "initialization/xavier-tanh#gain 5/3",
        NOTEBOOK,
        "(nn.Tanh, 5 / 3)",
        "(nn.Tanh, 1.0)",
    ),
    Mutation(
        "initialization/xavier-tanh#price of the gain",
        NOTEBOOK,
        "(nn.Tanh, 5 / 3)",
        "(nn.Tanh, 2**0.5)",
    ),
    Mutation(
        "initialization/kaiming#torch's",
        KAIMING,
        "calculate_fan_in_and_fan_out(tensor)[MODES.index(mode)]",
        "calculate_fan_in_and_fan_out(tensor)[0]",
    ),
    Mutation(
        "initialization/kaiming#channels 8 to 64",
        FANS,
        "positions = math.prod(tensor.shape[2:])",
        "positions = math.prod(tensor.shape[3:])",
    ),
    Mutation(
        "initialization/init-histograms#too small",
        SCORES,
        "count.amax(1)",
        "count.amin(1)",
    ),
    Mutation(
        "initialization/init-histograms#too large",
        SCORES,
        "(flat < low + near) | (flat > high - near)",
        "(flat < low + near) & (flat > high - near)",
    ),
    Mutation(
        "initialization/init-histograms#judged before training",
        NOTEBOOK,
        "last, first = layer_scores(-1), layer_scores(0)",
        "last, first = layer_scores(0), layer_scores(0)",
    ),
    # 04, why gradients vanish or explode
    Mutation(
        "initialization/jacobian-product#chain rule",
        NOTEBOOK,
        "torch.diag(1 - h**2) @ weight",
        "torch.diag(1 - h) @ weight",
    ),
    Mutation(
        "initialization/jacobian-product#entries below 1",
        JACOBIANS,
        "power = matrix @ power",
        "power = matrix * power",
    ),
    Mutation(
        "initialization/jacobian-product#entries above 1",
        NOTEBOOK,
        "measured=B @ B",
        "measured=B @ B.mT",
    ),
    Mutation(
        "initialization/jacobian-product#a singular value of 100",
        JACOBIANS,
        "power = power / torch.where(norm > 0, norm, 1)[..., None, None]",
        "power = power",
    ),
    Mutation(
        "initialization/jacobian-product#one matrix repeated",
        JACOBIANS,
        "torch.linalg.eigvals(matrix).abs().amax(-1)",
        "torch.linalg.eigvals(matrix).real.amax(-1)",
    ),
    Mutation(
        "initialization/jacobian-product#a new matrix each layer",
        JACOBIANS,
        "upper.diagonal(dim1=-2, dim2=-1).abs().log()",
        "upper.diagonal(dim1=-2, dim2=-1).square().log()",
    ),
    Mutation(
        "initialization/jacobian-product#narrow layers",
        JACOBIANS,
        "upper.diagonal(dim1=-2, dim2=-1).abs().log()",
        "upper.diagonal(dim1=-2, dim2=-1).abs().log10()",
    ),
    Mutation(
        "initialization/jacobian-product#ReLU",
        NOTEBOOK,
        "math.sqrt(2 / n) @ signal",
        "math.sqrt(1 / n) @ signal",
    ),
    Mutation(
        "initialization/sigmoid-derivative#formula",
        NOTEBOOK,
        "torch.autograd.grad(sigmoid(z).sum(), z)",
        "torch.autograd.grad(torch.tanh(z).sum(), z)",
    ),
    Mutation(
        "initialization/sigmoid-derivative#largest slope",
        NOTEBOOK,
        "torch.linspace(-20, 20, 401,",
        "torch.linspace(-20, 20, 400,",
    ),
    Mutation(
        "initialization/sigmoid-derivative#weight 4",
        NOTEBOOK,
        "sigmoid(4 * h - 2)",
        "sigmoid(4 * h)",
    ),
    Mutation(
        "initialization/sigmoid-derivative#bound",
        NOTEBOOK,
        "torch.linalg.matrix_norm(m.weight, 2).item()) for m",
        "m.weight.abs().max().item()) for m",
    ),
    Mutation(
        "initialization/sigmoid-derivative#Xavier's scale",
        SIGNALS,
        "_moments(gradients, 2)",
        "_moments(gradients, 4)",
    ),
    Mutation(
        "initialization/sigmoid-derivative#large weights",
        NOTEBOOK,
        "std=scale / math.sqrt(size)",
        "std=math.sqrt(scale / size)",
    ),
    Mutation(
        "initialization/gradients-vanish#after training",
        NOTEBOOK,
        "train_at(rates, 300, nn.Sigmoid,",
        "train_at(rates, 300, nn.Tanh,",
    ),
    Mutation(
        "initialization/gradients-vanish#weight change",
        WATCHED,
        "_norm((parameters[n] - start[n]).flatten(1))",
        "_norm(parameters[n].flatten(1))",
    ),
    Mutation(
        "initialization/gradients-vanish#no rate trains",
        NOTEBOOK,
        "for by in (1.0, 4.0)",
        "for by in (4.0, 4.0)",
    ),
    Mutation(
        "initialization/gradients-vanish#gradients rescaled",
        NOTEBOOK,
        "return self.factor * x + (x - self.factor * x).detach()",
        "return x",
    ),
    Mutation(
        "initialization/gradients-explode-lr#the rates move",
        NOTEBOOK,
        "return self.factor * x + (x - self.factor * x).detach()",
        "return x",
    ),
    Mutation(
        "initialization/gradients-explode-lr#the room stays",
        WATCHED,
        "torch.log10(last / first)",
        "(last - first)",
    ),
    Mutation(
        "initialization/gradients-explode-lr#large weights",
        NOTEBOOK,
        "(scale if index < depth else 1.0) / math.sqrt(m.in_features)",
        "math.sqrt((scale if index < depth else 1.0) / m.in_features)",
    ),
    Mutation(
        "initialization/gradients-explode-lr#large weights, damped",
        NOTEBOOK,
        '"g = 4, damped": (4.0, 1 / 1.57)',
        '"g = 4, damped": (1.0, 1 / 1.57)',
    ),
    # 05, what an activation computes
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
    # 08, which architectures carry gradients
    Mutation(
        "initialization/residual-gradient#sum over paths",
        TRIALS,
        "return x + self.branch(x)",
        "return 0.9 * x + self.branch(x)",
    ),
    Mutation(
        "initialization/residual-gradient#decades at the input",
        NOTEBOOK,
        'kaiming_normal_(first.weight, nonlinearity="relu")',
        'kaiming_normal_(first.weight, nonlinearity="linear")',
    ),
    Mutation(
        "initialization/residual-gradient#wider range of gains",
        TRIALS,
        "return x + self.branch(x)",
        "return (x + self.branch(x)) / 2",
    ),
    Mutation(
        "initialization/residual-gradient#median singular value",
        NOTEBOOK,
        "nn.init.normal_(last.weight, 0, gain / math.sqrt(width))",
        "nn.init.normal_(last.weight, 0, gain)",
    ),
    Mutation(
        "initialization/gates#factor per step",
        CELLS,
        "return ((1 - z) * new + z * h,)",
        "return (z * new + (1 - z) * h,)",
    ),
    Mutation(
        "initialization/gates#decades lost by default",
        CELLS,
        "c = torch.sigmoid(f) * c",
        "c = torch.sigmoid(f + 1) * c",
    ),
    Mutation(
        "initialization/gates#wider range, LSTM",
        CELLS,
        "own = slice(kind.keeps * hidden, (kind.keeps + 1) * hidden)",
        "own = slice(0, hidden)",
    ),
    Mutation(
        "initialization/gates#wider range, GRU",
        CELLS,
        "return ((1 - z) * new + z * h,)",
        "return (z * new + (1 - z) * h,)",
    ),
    Mutation(
        "initialization/bn-instead-of-init#wider range, one rate",
        NOTEBOOK,
        "[nn.BatchNorm1d(width)] if norm",
        "[nn.BatchNorm1d(width, eps=1.0)] if norm",
    ),
    Mutation(
        "initialization/bn-instead-of-init#wider range, rates retuned",
        NOTEBOOK,
        "[nn.BatchNorm1d(width)] if norm",
        "[nn.BatchNorm1d(width, eps=1.0)] if norm",
    ),
    Mutation(
        "initialization/bn-instead-of-init#growth of small weights",
        NOTEBOOK,
        "[nn.BatchNorm1d(width)] if norm",
        "[nn.BatchNorm1d(width, eps=1.0)] if norm",
    ),
    Mutation(
        "initialization/bn-instead-of-init#accuracy from equal weights",
        NOTEBOOK,
        "nn.init.constant_(layer.weight, inputs**-0.5)",
        "nn.init.normal_(layer.weight, 0, inputs**-0.5)",
    ),
]
