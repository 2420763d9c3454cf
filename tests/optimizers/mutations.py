"""The nearest mistakes, each with the check that must notice it."""

from bookkit.mutation import NOTEBOOK, Mutation

RANGE_TEST = "dlkb.optimizers.range_test"
SCHEDULES = "dlkb.optimizers.schedules"
SGD = "dlkb.optimizers.sgd"
FRAMEWORK = "dlkb.optimizers.framework"
SURFACES = "dlkb.optimizers.surfaces"

MUTATIONS = [
    # 01, how fast descent goes
    Mutation(
        "optimizers/sgd-zigzag#steps over formula",
        NOTEBOOK,
        "turned, sgd_update(2 / (k + 1)), starts",
        "turned, sgd_update(2 / (k + 2)), starts",
    ),
    Mutation(
        "optimizers/sgd-zigzag#best rate at k = 10",
        SURFACES,
        "condition_number ** (k / (dim - 1))",
        "condition_number ** (k / dim)",
    ),
    Mutation(
        "optimizers/sgd-zigzag#sign changes across",
        FRAMEWORK,
        "return UpdateState(param - rate * ratio,",
        "return UpdateState(param - 2 * rate * ratio,",
    ),
    Mutation(
        "optimizers/lr-too-high-low#edge over 2/L",
        NOTEBOOK,
        "grads.append(state.param @ hessian - slope)",
        "grads.append(2 * (state.param @ hessian - slope))",
    ),
    Mutation(
        "optimizers/lr-too-high-low#steps at a tenth of the rate",
        NOTEBOOK,
        "update, grads = sgd_update(rates), []",
        "update, grads = sgd_update(rates, momentum=0.9), []",
    ),
    Mutation(
        "optimizers/gd-taylor#error of the first order",
        NOTEBOOK,
        "slope, bend = g @ g, g @ hg",
        "slope, bend = 1.01 * g @ g, g @ hg",
    ),
    Mutation(
        "optimizers/gd-taylor#error of the second order",
        NOTEBOOK,
        "rates * slope - rates**2 * bend / 2",
        "rates * slope - rates**2 * bend",
    ),
    Mutation(
        "optimizers/gd-taylor#order of one Newton step",
        NOTEBOOK,
        "for step in (newton, 2 /",
        "for step in (0.9 * newton, 2 /",
    ),
    Mutation(
        "optimizers/rate-to-zero#left by halving",
        SCHEDULES,
        "return lr * gamma**step",
        "return lr * gamma ** (step + 1)",
    ),
    Mutation(
        "optimizers/rate-to-zero#exponent of 1/t",
        SCHEDULES,
        "return lr / (1 + decay_rate * step)",
        "return lr / (1 + decay_rate * step) ** 2",
    ),
    Mutation(
        "optimizers/rate-to-zero#floor of the constant rate",
        FRAMEWORK,
        "return UpdateState(param - rate * ratio,",
        "return UpdateState(param - rate * ratio / 2,",
    ),
    Mutation(
        "optimizers/rate-to-zero#exponent of 1/(2√t)",
        SCHEDULES,
        "return lr / math.sqrt(1 + step / timescale)",
        "return lr / (1 + step / timescale)",
    ),
    # 02, what momentum does
    Mutation(
        "optimizers/momentum#velocity as a sum",
        SGD,
        "part = grad if dampening == 0 else (1 - dampening) * grad",
        "part = (1 - momentum) * grad",
    ),
    Mutation(
        "optimizers/momentum#gain, steady and alternating",
        FRAMEWORK,
        "past + (1 - dampening) * value",
        "past + (1 - momentum) * value",
    ),
    Mutation(
        "optimizers/momentum#steps over formula",
        NOTEBOOK,
        "momentum=((root - 1) / (root + 1)) ** 2)",
        "momentum=(root - 1) / (root + 1))",
    ),
    Mutation(
        "optimizers/momentum#edge over 2/L",
        FRAMEWORK,
        "past + (1 - dampening) * value",
        "past + (1 - momentum) * value",
    ),
    Mutation(
        "optimizers/momentum#best momentum",
        NOTEBOOK,
        "(1 + mus) / k, momentum=mus)",
        "(1 + mus) / k, momentum=mus, nesterov=True)",
    ),
    Mutation(
        "optimizers/momentum-code#outside and inside, one rate",
        NOTEBOOK,
        "v = MU * v - lr * grad\n    return x + v, v",
        "v = MU * v - lr * (1 - MU) * grad\n    return x + v, v",
    ),
    Mutation(
        "optimizers/momentum-code#the note's code, and a rate of 1 - mu",
        NOTEBOOK,
        "v = MU * v - (1 - MU) * grad",
        "v = (1 - MU) * v - MU * grad",
    ),
    Mutation(
        "optimizers/momentum-code#step after a drop, outside and inside",
        NOTEBOOK,
        "v = MU * v - lr * grad\n    return x + v, v",
        "v = MU * v - grad\n    return x + lr * v, v",
    ),
    Mutation(
        "optimizers/momentum-code#ours and torch's, falling rates",
        SGD,
        "part = grad if dampening == 0 else (1 - dampening) * grad",
        "part = (1 - momentum) * grad",
    ),
    Mutation(
        "optimizers/nesterov#rewritten, and the points ahead",
        NOTEBOOK,
        "return x - MU * v_prev + (1 + MU) * v, v",
        "return x - MU * v_prev + v, v",
    ),
    Mutation(
        "optimizers/nesterov#torch's and rewritten",
        NOTEBOOK,
        "return x - MU * v_prev + (1 + MU) * v, v",
        "return x + v, v",
    ),
    Mutation(
        "optimizers/nesterov#factor of a steep axis",
        FRAMEWORK,
        "return value + momentum * speed, memory",
        "return speed, memory",
    ),
    Mutation(
        "optimizers/ema-window#weight of the newest 1/(1 - beta)",
        FRAMEWORK,
        "memory = beta * memory + (1 - beta) * value",
        "memory = (1 - beta) * memory + beta * value",
    ),
    Mutation(
        "optimizers/ema-window#as noisy as a mean of so many",
        FRAMEWORK,
        "memory = beta * memory + (1 - beta) * value",
        "memory = beta * memory + value",
    ),
    Mutation(
        "optimizers/two-families#momentum's turns a step",
        NOTEBOOK,
        "lambda lr: sgd_update(lr, momentum=0.9)",
        "lambda lr: sgd_update(lr, momentum=0.0)",
    ),
    Mutation(
        "optimizers/two-families#AdaGrad's gain, aligned",
        NOTEBOOK,
        "axes = axes if turned else",
        "axes = axes if dim > 1 else",
    ),
    Mutation(
        "optimizers/two-families#AdaGrad's gain, turned",
        NOTEBOOK,
        "axes = axes if turned else",
        "axes = axes if dim == 1 else",
    ),
    # 08, which schedule
    Mutation(
        "optimizers/lr-cosine#equal to torch",
        SCHEDULES,
        "_cosine(lr, eta_min, min(step, T_max) / T_max)",
        "_cosine(lr, 0.0, min(step, T_max) / T_max)",
    ),
    Mutation(
        "optimizers/lr-cosine#torch beyond the end",
        NOTEBOOK,
        "make = partial(torchs.CosineAnnealingLR, T_max=100, eta_min=0.01)",
        "make = partial(torchs.CosineAnnealingLR, T_max=200, eta_min=0.01)",
    ),
    Mutation(
        "optimizers/lr-cosine#noisy quadratic",
        SCHEDULES,
        "_cosine(lr, eta_min, min(step, T_max) / T_max)",
        "_cosine(lr, 0.9 * lr, min(step, T_max) / T_max)",
    ),
    Mutation(
        "optimizers/lr-inverse-time#through LambdaLR",
        SCHEDULES,
        "return lr / (1 + decay_rate * step)",
        "return lr / (1 + decay_rate) ** step",
    ),
    Mutation(
        "optimizers/lr-inverse-time#sum",
        NOTEBOOK,
        "lambda rate, t: rate / (1 + t), initial=1.0",
        "lambda rate, t: rate * t / (1 + t), initial=1.0",
    ),
    Mutation(
        "optimizers/lr-inverse-time#like a factorial",
        NOTEBOOK,
        "math.lgamma(step + 1 + 1 / k)",
        "math.lgamma(step + 1 / k)",
    ),
    Mutation(
        "optimizers/lr-inverse-time#noisy quadratic",
        SCHEDULES,
        "return lr / (1 + decay_rate * step)",
        "return lr / (1 + decay_rate) ** min(step**2 / 2, 900)",
    ),
    Mutation(
        "optimizers/lr-exponential#equal to torch",
        SCHEDULES,
        "return lr * gamma**step\n",
        "return lr * gamma ** (step * (step + 1) / 2)\n",
    ),
    Mutation(
        "optimizers/lr-exponential#steps to one percent",
        NOTEBOOK,
        "rate *= math.exp(-k * t)",
        "rate *= math.exp(-k)",
    ),
    Mutation(
        "optimizers/lr-cyclic#triangles",
        SCHEDULES,
        "return height / 2**cycle",
        "return height / (1 + cycle)",
    ),
    Mutation(
        "optimizers/lr-cyclic#restarts",
        SCHEDULES,
        "start, length = start + length, length * T_mult",
        "start, length = start + length, length + T_0",
    ),
    Mutation(
        "optimizers/plateau#patience",
        SCHEDULES,
        "if self.num_bad_epochs > self.patience:",
        "if self.num_bad_epochs >= self.patience:",
    ),
    Mutation(
        "optimizers/plateau#random walks",
        SCHEDULES,
        "self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0",
        "self.num_bad_epochs = 0",
    ),
    Mutation(
        "optimizers/plateau#random walks",
        SCHEDULES,
        "self.best * (1 + sign * self.threshold)",
        "self.best * (1 - self.threshold)",
    ),
    Mutation(
        "optimizers/plateau#slow progress",
        SCHEDULES,
        "            self.num_bad_epochs += 1\n",
        "            self.best = value\n            self.num_bad_epochs += 1\n",
    ),
    Mutation(
        "optimizers/plateau#negative metric",
        SCHEDULES,
        "bound = self.best * (1 + sign * self.threshold)",
        "bound = self.best + sign * self.threshold * abs(self.best)",
    ),
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
    # 11, whether warm-up and one cycle help
    Mutation(
        "optimizers/lr-warmup#equal to torch",
        SCHEDULES,
        "return schedule(step - total_iters, lr)",
        "return schedule(step, lr)",
    ),
    Mutation(
        "optimizers/lr-warmup#Adam",
        SCHEDULES,
        "return linear_lr(step, lr, start_factor, 1.0, total_iters)",
        "return linear_lr(step, lr, 1.0, 1.0, total_iters)",
    ),
    Mutation(
        "optimizers/lr-warmup#SGD",
        SCHEDULES,
        "return linear_lr(step, lr, start_factor, 1.0, total_iters)",
        "return linear_lr(step, lr, start_factor, 0.5, total_iters)",
    ),
    Mutation(
        "optimizers/lr-warmup#highest loss",
        SCHEDULES,
        "return linear_lr(step, lr, start_factor, 1.0, total_iters)",
        "return linear_lr(step, lr, 1.0, 1.0, total_iters)",
    ),
    Mutation(
        "optimizers/one-cycle#equal to torch",
        SCHEDULES,
        "values = [max_momentum, base_momentum, max_momentum]",
        "values = [base_momentum, max_momentum, base_momentum]",
    ),
    Mutation(
        "optimizers/one-cycle#steps to 90 %",
        NOTEBOOK,
        "partial(cosine_annealing_lr, T_max=T),",
        "partial(cosine_annealing_lr, T_max=T // 10),",
    ),
    Mutation(
        "optimizers/one-cycle#final accuracy",
        NOTEBOOK,
        "partial(cosine_annealing_lr, T_max=T),",
        "partial(cosine_annealing_lr, T_max=T // 10),",
    ),
    Mutation(
        "optimizers/one-cycle#too high a peak",
        SCHEDULES,
        "values = [first, max_lr, first / final_div_factor]",
        "values = [max_lr, max_lr, first / final_div_factor]",
    ),
    Mutation(
        "optimizers/lr-3e-4#best rate",
        NOTEBOOK,
        "[:, :, 0, 0].mean(1).argmax()",
        "[:, :, 0, 0].mean(1).argmin()",
    ),
    Mutation(
        "optimizers/lr-3e-4#lost in 100 steps",
        NOTEBOOK,
        "[:, :, 0, 0].mean(1).argmax()",
        "[:, :, 0, 0].mean(1).argmin()",
    ),
    Mutation(
        "optimizers/lr-3e-4#lost later",
        NOTEBOOK,
        "(64, 2): 300",
        "(64, 2): 100",
    ),
    Mutation(
        "optimizers/lr-3e-4#range test",
        RANGE_TEST,
        "return math.sqrt(lrs[best[0]] * lrs[best[1]])",
        "return lrs[best[0]]",
    ),
]
