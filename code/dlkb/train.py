"""Train one network, many at once (seeds times settings behind one call), or each arm at its best rate.

A comparison of settings needs several seeds; small networks spend most of their time between operations.
``fit_many`` therefore stacks the members' parameters and trains them in one vectorized pass
(``torch.func``), and loops where that is measured to be faster. Either way gives the same numbers.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

__all__ = [
    "Runs",
    "Setting",
    "Tuned",
    "batch_order",
    "class_order",
    "fit",
    "fit_many",
    "fit_tuned",
    "share_right",
]

# Multiplications of one member's step above which a loop is faster, on one thread: fully connected networks
# were 1.8 times faster stacked at 0.8 million and 0.8 times at 2.7 million, convolutional ones 1.3 times at
# 2.6 million and 0.9 times at 5.3 million.
CONNECTED_LIMIT, CONVOLUTIONAL_LIMIT = 1_500_000, 3_500_000

Loss = Callable[[Tensor, Tensor], Tensor]
Record = Callable[[Mapping[str, Tensor]], Tensor]
Score = Callable[[Tensor, Tensor], Tensor]
NAN = float("nan")


@dataclass(frozen=True)
class Setting:
    """One arm of a comparison: a network and how SGD trains it.

    ``model`` is called once a seed, with torch's random state seeded, and returns a new module.
    ``lr``, ``momentum`` and ``weight_decay`` mean what they mean in torch.optim.SGD.
    """

    model: Callable[[], nn.Module]
    lr: float
    momentum: float = 0.0
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        for name in ("lr", "momentum", "weight_decay"):
            if not getattr(self, name) >= 0:
                raise ValueError(
                    f"{name} must not be negative: got {getattr(self, name)}"
                )


@dataclass
class Runs:
    """What ``fit_many`` found. G settings, S seeds, T steps; every tensor keeps the order of both.

    ``loss`` (G, S, T): training loss of each batch, before the step. ``accuracy`` (G, S): share of the
    held-out samples classified rightly in evaluation mode, NaN without any. ``recorded`` (G, S, T, ...):
    what ``record`` returned, or None. ``models``: the trained networks, ``models[name][i]`` for seed i.
    """

    names: tuple[str, ...]
    seeds: tuple[int, ...]
    loss: Tensor
    accuracy: Tensor
    recorded: Tensor | None = None
    models: dict[str, list[nn.Module]] = field(default_factory=dict, repr=False)

    def __getitem__(self, name: str) -> int:
        """Index of a setting, for use in the tensors: ``runs.loss[runs["with"]]``."""
        if name not in self.names:
            raise KeyError(f"no setting {name!r}; there are {', '.join(self.names)}")
        return self.names.index(name)

    def steps_to(self, loss: float, window: int = 1) -> Tensor:
        """(G, S): steps until the mean loss of ``window`` batches is first at most ``loss``; T if never."""
        mean = self.loss.unfold(-1, window, 1).mean(-1)  # (G, S, T - window + 1)
        reached = mean <= loss
        first = reached.to(torch.int64).argmax(-1) + window
        return torch.where(reached.any(-1), first, self.loss.shape[-1])


def batch_order(
    count: int, batch_size: int, steps: int, generator: torch.Generator
) -> Tensor:
    """Indices of the batches: epochs in random order, the incomplete last batch of each left out.

    Returns: (steps, batch_size), int64.
    Raises: ValueError: if a batch is empty or larger than the data.
    Example:
        >>> batch_order(10, 4, 3, torch.Generator().manual_seed(0)).shape
        torch.Size([3, 4])
    """
    if not 1 <= batch_size <= count:
        raise ValueError(
            f"batch_size must be from 1 to the {count} samples: got {batch_size}"
        )
    whole = count // batch_size * batch_size
    epochs = -(-steps * batch_size // whole)
    order = [torch.randperm(count, generator=generator)[:whole] for _ in range(epochs)]
    return torch.cat(order).view(-1, batch_size)[:steps]


def class_order(
    y: Tensor,
    indices: Tensor,
    classes: int,
    batch_size: int,
    steps: int,
    generator: torch.Generator,
) -> Tensor:
    """Indices of skewed batches: each holds equally many samples of a few classes, drawn anew each time.

    Args:
        y: (N,), the classes of all samples.
        indices: the samples to draw from, with replacement.
        classes: how many classes a batch holds; must divide ``batch_size``.
    Returns: (steps, batch_size), int64, a batch's samples grouped by class.
    Raises: ValueError: if there are not that many classes, or batch_size is no multiple.
    Example:
        >>> y = torch.arange(10).repeat(5)
        >>> order = class_order(y, torch.arange(50), 2, 6, 4, torch.Generator().manual_seed(0))
        >>> [len(y[batch].unique()) for batch in order]
        [2, 2, 2, 2]
    """
    own = [indices[y[indices] == c] for c in y[indices].unique()]
    if not 1 <= classes <= len(own) or batch_size < 1 or batch_size % classes:
        raise ValueError(
            f"classes must be from 1 to {len(own)} and divide batch_size: "
            f"got classes={classes}, batch_size={batch_size}"
        )
    each = batch_size // classes
    batches = []
    for _ in range(steps):
        chosen = torch.randperm(len(own), generator=generator)[:classes]
        drawn = [
            own[c][torch.randint(len(own[c]), (each,), generator=generator)]
            for c in chosen
        ]
        batches.append(torch.cat(drawn))
    return torch.stack(batches)


def fit(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    order: Iterable[Tensor],
    *,
    lr: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    loss: Loss = nn.functional.cross_entropy,
    callback: Callable[[int, nn.Module], None] | None = None,
) -> Tensor:
    """Train one network by SGD, in place.

    Args:
        x, y: all samples and their targets.
        order: for each step, the indices of its batch, such as ``batch_order`` gives.
        callback: called as ``callback(step, model)`` after each step, counted from 0.
    Returns: (T,), the loss of each batch before its step.
    Example:
        >>> x, y = torch.eye(4), torch.arange(4)
        >>> order = batch_order(4, 4, 50, torch.Generator().manual_seed(0))
        >>> history = fit(nn.Linear(4, 4), x, y, order, lr=1.0)
        >>> bool(history[-1] < history[0])
        True
    """
    optimizer = torch.optim.SGD(
        model.parameters(), lr=lr, momentum=momentum, weight_decay=weight_decay
    )
    model.train()
    history = []
    for step, indices in enumerate(order):
        optimizer.zero_grad()
        value = loss(model(x[indices]), y[indices])
        value.backward()
        optimizer.step()
        history.append(value.detach())
        if callback is not None:
            callback(step, model)
    return torch.stack(history)


def fit_many(
    settings: Mapping[str, Setting],
    x: Tensor,
    y: Tensor,
    *,
    seeds: Sequence[int],
    steps: int | None = None,
    batch_size: int | None = None,
    splits: Sequence[tuple[Tensor, Tensor]] | None = None,
    orders: Sequence[Tensor] | None = None,
    loss: Loss = nn.functional.cross_entropy,
    record: Record | None = None,
    stack: bool | None = None,
) -> Runs:
    """Train every setting with every seed, paired: a seed fixes initialization, order and split for all arms.

    Args:
        settings: by name; networks of one architecture are trained together.
        x, y: all samples and their targets, on the device to compute on.
        seeds: one run of each setting for each.
        steps, batch_size: of the batches that ``batch_order`` draws, when no ``orders`` are given.
        splits: for each seed, indices of the training and of the held-out samples; None trains on all.
        orders: for each seed, (T, B) indices of its batches among all samples, such as ``class_order`` gives.
        record: maps the parameters of one setting after a step, each (S, ...), to what to keep, (S, ...).
        stack: train vectorized, or in a loop; None for what is faster.
    Networks are stacked only if they differ in their parameters and buffers alone; parameters that do not
    require a gradient stay as they are.
    Returns: ``Runs``.
    Raises: ValueError: if there is nothing to train, ``splits`` or ``orders`` are not one a seed or differ in
        size, both ``orders`` and ``steps`` or ``batch_size`` are given, an order holds held-out samples, or
        ``stack`` is True and a setting's networks cannot be stacked.
    References: torch.func, after Bradbury et al., JAX, 2018.
    """
    _check(settings, seeds, splits, orders, (steps, batch_size))
    if splits is None:
        everything = torch.arange(len(x))
        splits = [(everything, everything[:0])] * len(seeds)
    if orders is None:
        orders = [
            train[_seeded_order(len(train), batch_size, steps, seed)]
            for (train, _), seed in zip(splits, seeds, strict=True)
        ]
    batches = torch.stack(list(orders)).to(x.device)  # (S, T, B)
    held_out = torch.stack([second for _, second in splits]).to(x.device)

    models = {
        name: [_seeded(s.model, seed).to(x.device) for seed in seeds]
        for name, s in settings.items()
    }
    curves: dict[str, Tensor] = {}
    kept: dict[str, Tensor] = {}
    for names in _same_architecture(models):
        group = {name: settings[name] for name in names}
        stacked = _stack(models[names[0]], x[:2], len(batches[0, 0]), stack)
        train_group = _fit_stacked if stacked else _fit_looped
        train_group(group, models, x, y, batches, loss, record, curves, kept)
    return Runs(
        tuple(settings),
        tuple(seeds),
        torch.stack([curves[name] for name in settings]),
        torch.stack(
            [_scores(models[name], x, y, held_out, share_right) for name in settings]
        ),
        torch.stack([kept[name] for name in settings]) if record is not None else None,
        models,
    )


@dataclass
class Tuned:
    """What ``fit_tuned`` found. R rates, V seeds that tried them all, S seeds in all.

    ``rates``: the chosen one of each seed. ``validation`` (R, V): scores at every rate. ``test`` (S,): scores
    at the chosen rate. ``models``: the S networks trained at it. Scores are float64, on the CPU.
    """

    rates: tuple[float, ...]
    validation: Tensor
    test: Tensor
    models: list[nn.Module] = field(repr=False)


def share_right(output: Tensor, target: Tensor) -> Tensor:
    """Share of the samples, or of their positions, whose largest logit is that of their class.

    Args:
        output: (N, classes, *).
        target: (N, *), classes.
    Example:
        >>> share_right(torch.eye(4), torch.tensor([0, 1, 2, 0]))
        tensor(0.7500, dtype=torch.float64)
    """
    return (output.argmax(1) == target).double().mean()


def fit_tuned(
    model: Callable[[], nn.Module],
    x: Tensor,
    y: Tensor,
    *,
    rates: Sequence[float],
    seeds: Sequence[int],
    parts: Sequence[tuple[Tensor, Tensor, Tensor]],
    steps: int | None = None,
    batch_size: int | None = None,
    orders: Sequence[Tensor] | None = None,
    tuning_seeds: int | None = None,
    per_seed: bool = False,
    score: Score = share_right,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    loss: Loss = nn.functional.cross_entropy,
    stack: bool | None = None,
) -> Tuned:
    """Give an arm its best learning rate: chosen by validation data, trained with every seed, then tested.

    Conventions: the rate with the highest validation score wins, the first one in a tie; NaN counts as the
    worst. It is the mean over seeds that counts, and one rate for all; or, ``per_seed``, each seed's own, so
    that the noise of the choice is within the spread over seeds. Test data choose nothing.
    Args:
        model: as in ``Setting``; so are momentum and weight_decay.
        rates: learning rates to choose from.
        parts: for each seed, indices of its training, validation and test samples.
        steps, batch_size, orders, loss, stack: as in ``fit_many``.
        tuning_seeds: how many seeds, from the first, try all rates; None for all, which ``per_seed`` needs.
        per_seed: whether each seed takes the rate that is best for it.
        score: maps a network's outputs and their targets to a number, the higher the better.
    Returns: ``Tuned``.
    Raises: ValueError: if tuning_seeds is not from 1 to the number of seeds (with ``per_seed``: all of them),
        or as ``fit_many``.
    Example:
        >>> x, y, all = torch.eye(4), torch.arange(4), torch.arange(4)
        >>> options = {"rates": (0.0, 1.0), "seeds": [0], "steps": 20, "batch_size": 4}
        >>> found = fit_tuned(lambda: nn.Linear(4, 4), x, y, parts=[(all, all, all)], **options)
        >>> found.rates, found.test
        ((1.0,), tensor([1.], dtype=torch.float64))
    """
    tuning_seeds = len(seeds) if tuning_seeds is None else tuning_seeds
    if not 1 <= tuning_seeds <= len(seeds) or len(parts) != len(seeds):
        raise ValueError(
            f"tuning_seeds must be from 1 to the {len(seeds)} seeds, and parts one a seed: "
            f"got {tuning_seeds} and {len(parts)} parts"
        )
    if per_seed and tuning_seeds < len(seeds):
        raise ValueError(
            f"per_seed needs all {len(seeds)} seeds to tune: got tuning_seeds={tuning_seeds}; leave it out"
        )
    if orders is not None:
        _check_orders(orders, seeds, [(a, torch.cat(rest)) for a, *rest in parts])

    def train(rates: Sequence[float], first: int, last: int) -> list[list[nn.Module]]:
        settings = {str(r): Setting(model, r, momentum, weight_decay) for r in rates}
        runs = fit_many(
            settings,
            *(x, y),
            seeds=seeds[first:last],
            steps=steps,
            batch_size=batch_size,
            splits=[(own, own[:0]) for own, _, _ in parts[first:last]],
            orders=None if orders is None else orders[first:last],
            loss=loss,
            stack=stack,
        )
        return [runs.models[str(rate)] for rate in rates]

    tried = train(rates, 0, tuning_seeds)
    own = [part[1] for part in parts[:tuning_seeds]]
    validation = torch.stack([_scores(models, x, y, own, score) for models in tried])
    judged = validation if per_seed else validation.mean(1, keepdim=True)  # (R, V or 1)
    best = judged.nan_to_num(-torch.inf).argmax(0).expand(tuning_seeds).tolist()
    models = [tried[index][seed] for seed, index in enumerate(best)]
    if tuning_seeds < len(seeds):
        rest = len(seeds) - tuning_seeds
        models += train([rates[best[0]]], tuning_seeds, len(seeds))[0]
        best += best[:1] * rest
    test = _scores(models, x, y, [part[2] for part in parts], score)
    return Tuned(tuple(rates[index] for index in best), validation, test, models)


def _fit_stacked(settings, models, x, y, batches, loss, record, curves, kept) -> None:
    """All members of one architecture at once: M = settings times seeds, settings first."""
    members = [model for name in settings for model in models[name]]
    parameters, buffers = stack_module_state(members)
    parameters = {name: p.detach() for name, p in parameters.items()}
    skeleton = members[0].train()
    requires_grad = {n: p.requires_grad for n, p in skeleton.named_parameters()}
    frozen = [name for name, required in requires_grad.items() if not required]
    buffers |= {name: parameters.pop(name) for name in frozen}  # used, not trained
    seeds = batches.shape[0]

    def constant(kind: str) -> Tensor:
        values = [getattr(s, kind) for s in settings.values()]
        return torch.tensor(values, dtype=x.dtype, device=x.device).repeat_interleave(
            seeds
        )

    lr, momentum, decay = constant("lr"), constant("momentum"), constant("weight_decay")

    def value_of(parameters, buffers, batch, target):
        return loss(functional_call(skeleton, (parameters, buffers), (batch,)), target)

    step_of = vmap(grad_and_value(value_of), randomness="different")
    velocity = {name: torch.zeros_like(p) for name, p in parameters.items()}
    history, records = [], []
    for step in range(batches.shape[1]):
        indices = batches[:, step].repeat(len(settings), 1)  # (M, B)
        gradients, values = step_of(parameters, buffers, x[indices], y[indices])
        for name, p in parameters.items():
            shape = (-1, *[1] * (p.dim() - 1))
            gradient = gradients[name].addcmul_(decay.view(shape), p)
            velocity[name].mul_(momentum.view(shape)).add_(gradient)
            p.addcmul_(lr.view(shape), velocity[name], value=-1)
        history.append(values.detach())
        if record is not None:
            for index in range(len(settings)):
                own = slice(index * seeds, (index + 1) * seeds)
                state = parameters | buffers
                records.append(
                    record({name: state[name][own].clone() for name in requires_grad})
                )
    loss_of = torch.stack(history, dim=-1).view(len(settings), seeds, -1)  # (G, S, T)
    for index, name in enumerate(settings):
        curves[name] = loss_of[index]
        if record is not None:
            kept[name] = torch.stack(records[index :: len(settings)], dim=1)
    _write_back(members, parameters | buffers)


def _fit_looped(settings, models, x, y, batches, loss, record, curves, kept) -> None:
    """One member after the other."""
    for name, setting in settings.items():
        losses, records = [], []
        for model, order in zip(models[name], batches, strict=True):
            own: list[Tensor] = []

            def keep(step: int, model: nn.Module, own: list[Tensor] = own) -> None:
                if record is not None:
                    state = {
                        n: p.detach().clone().unsqueeze(0)
                        for n, p in model.named_parameters()
                    }
                    own.append(record(state).squeeze(0))

            losses.append(
                fit(
                    *(model, x, y, order),
                    lr=setting.lr,
                    momentum=setting.momentum,
                    weight_decay=setting.weight_decay,
                    loss=loss,
                    callback=keep,
                )
            )
            records.append(own)
        curves[name] = torch.stack(losses)
        if record is not None:
            kept[name] = torch.stack([torch.stack(own) for own in records])


@torch.no_grad()
def _write_back(members: list[nn.Module], state: dict[str, Tensor]) -> None:
    for index, member in enumerate(members):
        for name, own in [*member.named_parameters(), *member.named_buffers()]:
            own.copy_(state[name][index])


@torch.no_grad()
def _scores(
    models: Sequence[nn.Module],
    x: Tensor,
    y: Tensor,
    parts: Sequence[Tensor],
    score: Score,
) -> Tensor:
    """(S,) float64: each network's score on its own part of the data, in evaluation mode; NaN for none."""
    found = []
    for model, indices in zip(models, parts, strict=True):
        own = indices.to(x.device)
        value = score(model.eval()(x[own]), y[own]) if len(own) else torch.tensor(NAN)
        found.append(value.double().cpu())
    return torch.stack(found)


def _seeded_order(count: int, batch_size: int, steps: int, seed: int) -> Tensor:
    return batch_order(count, batch_size, steps, torch.Generator().manual_seed(seed))


def _seeded(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def _same_architecture(models: Mapping[str, list[nn.Module]]) -> list[list[str]]:
    """Names of settings whose networks can be stacked: one code and one configuration, shapes included.

    A setting whose own networks differ from seed to seed stands alone; see ``_alike``.
    """
    groups: list[list[str]] = []
    for name, own in models.items():
        for group in groups:
            if all(_alike(models[group[0]][0], model) for model in own):
                group.append(name)
                break
        else:
            groups.append([name])
    return groups


def _alike(first: nn.Module, second: nn.Module) -> bool:
    """Whether the first network's code computes the second's function, given the second's parameters.

    What a module holds beside parameters and buffers must be equal: a string such as ``repr`` need not show
    it. Objects that cannot be compared, hooks among them, count as different.
    """
    pairs = list(zip_longest(first.named_modules(), second.named_modules()))
    if any(a is None or b is None or a[0] != b[0] for a, b in pairs):
        return False
    return all(
        type(a) is type(b)
        and _equal(_configuration(a), _configuration(b))
        and _shapes(a) == _shapes(b)
        for (_, a), (_, b) in pairs
    )


def _configuration(module: nn.Module) -> dict[str, object]:
    held = ("_parameters", "_buffers", "_modules")
    return {name: value for name, value in vars(module).items() if name not in held}


def _shapes(module: nn.Module) -> list[tuple]:
    own = [
        *module.named_parameters(recurse=False),
        *module.named_buffers(recurse=False),
    ]
    return [(name, t.shape, t.dtype, t.requires_grad) for name, t in own]


def _equal(first: object, second: object) -> bool:
    if type(first) is not type(second):
        return False
    if isinstance(first, Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return list(first) == list(second) and all(
            _equal(first[key], second[key]) for key in first
        )
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(_equal, first, second))
    try:
        return bool(first == second)
    except (TypeError, ValueError):  # an array's comparison has no single truth
        return False


def _stack(
    own: Sequence[nn.Module], sample: Tensor, batch_size: int, wanted: bool | None
) -> bool:
    """Whether to stack a group, given the networks of its first setting."""
    if not all(_alike(own[0], model) for model in own[1:]):
        if wanted:
            raise ValueError(
                "stack=True needs networks that differ in their parameters only: got a setting whose "
                "networks differ from seed to seed in what they hold, such as a hook; leave stack out"
            )
        return False
    return _stacking_pays(own[0], sample, batch_size) if wanted is None else wanted


def _stacking_pays(model: nn.Module, sample: Tensor, batch_size: int) -> bool:
    """Whether a member's step is so small that calls cost more than arithmetic (see ``make bench``)."""
    convolutional = any(isinstance(m, nn.modules.conv._ConvNd) for m in model.modules())
    limit = CONVOLUTIONAL_LIMIT if convolutional else CONNECTED_LIMIT
    return batch_size * _multiplications(model, sample) <= limit


@torch.no_grad()
def _multiplications(model: nn.Module, sample: Tensor) -> int:
    """Multiplications of one sample in the linear and convolutional layers.

    ``sample``: (N, *), two or more where a norm uses the batch's statistics in evaluation too.
    """
    counts = []

    def count(module: nn.Module, inputs: tuple, output: Tensor) -> None:
        per_output = module.weight[0].numel()
        counts.append(per_output * output.numel() // len(sample))

    kinds = (nn.Linear, nn.modules.conv._ConvNd)
    handles = [
        m.register_forward_hook(count) for m in model.modules() if isinstance(m, kinds)
    ]
    training = model.training
    model.eval()(sample)
    model.train(training)
    for handle in handles:
        handle.remove()
    return sum(counts)


def _check(settings, seeds, splits, orders, drawn) -> None:
    if not settings or not len(seeds):
        raise ValueError(
            f"give at least one setting and one seed: got {len(settings)} settings, {len(seeds)} seeds"
        )
    if splits is not None:
        if len(splits) != len(seeds):
            raise ValueError(
                f"give one split a seed: got {len(splits)} splits for {len(seeds)} seeds"
            )
        sizes = {(len(first), len(second)) for first, second in splits}
        if len(sizes) > 1:
            raise ValueError(
                f"all splits must have the same sizes: got {sorted(sizes)}"
            )
    if None in drawn if orders is None else drawn != (None, None):
        raise ValueError(
            "give either steps and batch_size, or orders: "
            f"got {drawn} and {'no orders' if orders is None else 'orders'}"
        )
    if orders is not None:
        _check_orders(orders, seeds, splits)


def _check_orders(orders, seeds, splits) -> None:
    shapes = {tuple(order.shape) for order in orders}
    if len(orders) != len(seeds) or len(shapes) > 1 or len(orders[0].shape) != 2:
        raise ValueError(
            f"give one order a seed, (steps, batch_size), all of one shape: got {len(orders)} orders "
            f"for {len(seeds)} seeds, with shapes {sorted(shapes)}"
        )
    for seed, order, (_, held_out) in zip(seeds, orders, splits or (), strict=False):
        if torch.isin(order, held_out.to(order.device)).any():
            raise ValueError(
                f"no order may hold held-out samples: that of seed {seed} does; draw from the training part"
            )
