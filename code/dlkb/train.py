"""Train one network, or many at once: seeds times settings behind one call.

A comparison of settings needs several seeds; small networks spend most of their time between operations.
``fit_many`` therefore stacks the members' parameters and trains them in one vectorized pass
(``torch.func``), and loops where that is measured to be faster. Either way gives the same numbers.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

__all__ = ["Runs", "Setting", "batch_order", "fit", "fit_many"]

# Multiplications of one member's step above which a loop is faster, on one thread: fully connected networks
# were 1.8 times faster stacked at 0.8 million and 0.8 times at 2.7 million, convolutional ones 1.3 times at
# 2.6 million and 0.9 times at 5.3 million.
CONNECTED_LIMIT, CONVOLUTIONAL_LIMIT = 1_500_000, 3_500_000

Loss = Callable[[Tensor, Tensor], Tensor]
Record = Callable[[Mapping[str, Tensor]], Tensor]


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
    steps: int,
    batch_size: int,
    splits: Sequence[tuple[Tensor, Tensor]] | None = None,
    loss: Loss = nn.functional.cross_entropy,
    record: Record | None = None,
    stack: bool | None = None,
) -> Runs:
    """Train every setting with every seed, paired: a seed fixes initialization, order and split for all arms.

    Args:
        settings: by name; networks of one architecture are trained together.
        x, y: all samples and their targets, on the device to compute on.
        seeds: one run of each setting for each.
        splits: for each seed, indices of the training and of the held-out samples; None trains on all.
        record: maps the parameters of one setting after a step, each (S, ...), to what to keep, (S, ...).
        stack: train vectorized, or in a loop; None for what is faster.
    Returns: ``Runs``.
    Raises: ValueError: if there is nothing to train, or ``splits`` are not one a seed or differ in size.
    References: torch.func, after Bradbury et al., JAX, 2018.
    """
    _check(settings, seeds, splits)
    if splits is None:
        everything = torch.arange(len(x))
        splits = [(everything, everything[:0])] * len(seeds)
    train = torch.stack([first for first, _ in splits])  # (S, N)
    held_out = torch.stack([second for _, second in splits])
    orders = [
        batch_order(
            train.shape[1], batch_size, steps, torch.Generator().manual_seed(seed)
        )
        for seed in seeds
    ]
    batches = torch.stack(
        [own[order] for own, order in zip(train, orders, strict=True)]
    )  # (S, T, B)
    batches, held_out = batches.to(x.device), held_out.to(x.device)

    models = {
        name: [_seeded(s.model, seed).to(x.device) for seed in seeds]
        for name, s in settings.items()
    }
    curves: dict[str, Tensor] = {}
    kept: dict[str, Tensor] = {}
    for names in _same_architecture(models):
        group = {name: settings[name] for name in names}
        example = models[names[0]][0]
        pays = _stacking_pays(example, x[:1], batch_size) if stack is None else stack
        train_group = _fit_stacked if pays else _fit_looped
        train_group(group, models, x, y, batches, loss, record, curves, kept)
    return Runs(
        tuple(settings),
        tuple(seeds),
        torch.stack([curves[name] for name in settings]),
        torch.stack([_accuracies(models[name], x, y, held_out) for name in settings]),
        torch.stack([kept[name] for name in settings]) if record is not None else None,
        models,
    )


def _fit_stacked(settings, models, x, y, batches, loss, record, curves, kept) -> None:
    """All members of one architecture at once: M = settings times seeds, settings first."""
    members = [model for name in settings for model in models[name]]
    parameters, buffers = stack_module_state(members)
    parameters = {name: p.detach() for name, p in parameters.items()}
    skeleton = members[0].train()
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
                records.append(
                    record({name: p[own].clone() for name, p in parameters.items()})
                )
    loss_of = torch.stack(history, dim=-1).view(len(settings), seeds, -1)  # (G, S, T)
    for index, name in enumerate(settings):
        curves[name] = loss_of[index]
        if record is not None:
            kept[name] = torch.stack(records[index :: len(settings)], dim=1)
    _write_back(members, parameters, buffers)


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
def _write_back(members: list[nn.Module], parameters: dict, buffers: dict) -> None:
    for index, member in enumerate(members):
        for name, p in member.named_parameters():
            p.copy_(parameters[name][index])
        for name, b in member.named_buffers():
            b.copy_(buffers[name][index])


@torch.no_grad()
def _accuracies(
    models: list[nn.Module], x: Tensor, y: Tensor, held_out: Tensor
) -> Tensor:
    """(S,): accuracy of each seed's network on its own held-out samples, in evaluation mode."""
    if held_out.shape[1] == 0:
        return torch.full((len(models),), float("nan"))
    found = []
    for model, indices in zip(models, held_out, strict=True):
        guess = model.eval()(x[indices]).argmax(1)
        found.append((guess == y[indices]).double().mean())
    return torch.stack(found).cpu()


def _seeded(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def _same_architecture(models: Mapping[str, list[nn.Module]]) -> list[list[str]]:
    """Names of settings whose networks can be stacked: same modules, same shapes."""
    groups: dict[tuple, list[str]] = {}
    for name, (model, *_) in models.items():
        shapes = tuple((n, tuple(t.shape)) for n, t in model.state_dict().items())
        groups.setdefault((repr(model), type(model), shapes), []).append(name)
    return list(groups.values())


def _stacking_pays(model: nn.Module, sample: Tensor, batch_size: int) -> bool:
    """Whether a member's step is so small that calls cost more than arithmetic (see ``make bench``)."""
    convolutional = any(isinstance(m, nn.modules.conv._ConvNd) for m in model.modules())
    limit = CONVOLUTIONAL_LIMIT if convolutional else CONNECTED_LIMIT
    return batch_size * _multiplications(model, sample) <= limit


@torch.no_grad()
def _multiplications(model: nn.Module, sample: Tensor) -> int:
    """Multiplications of one sample in the linear and convolutional layers. ``sample``: (1, *)."""
    counts = []

    def count(module: nn.Module, inputs: tuple, output: Tensor) -> None:
        per_output = module.weight[0].numel()
        counts.append(per_output * output.numel())

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


def _check(settings, seeds, splits) -> None:
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
