"""Signals and gradients layer by layer, of many networks at once: what they are, and what theory says."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.modules.conv import _ConvNd

from dlkb.initialization.fans import layer_fans
from dlkb.receptive_field.trials import Skip

__all__ = [
    "Signals",
    "layer_gradients",
    "layer_outputs",
    "measure_signals",
    "predict_signals",
]

# Nodes of the quadrature, over 9 standard deviations on either side: close enough together for an activation
# that turns within a hundredth of a deviation, and an even number, so that none lies on the kink of a ReLU.
NODES, REACH = 20_000, 9.0


@dataclass(frozen=True)
class Signals:
    """Moments along a stack of L modules, of S networks; position 0 is the input, l what module l gives out.

    ``forward`` (S, L + 1): mean square of the values. ``mean`` (S, L + 1): their mean. ``backward``
    (S, L + 1): mean square of the gradient with respect to them, for a gradient at the end that is standard
    normal. All are taken over samples and units, in float64.
    """

    forward: Tensor
    mean: Tensor
    backward: Tensor

    @property
    def variance(self) -> Tensor:
        """(S, L + 1): mean square less squared mean, over samples and units."""
        return self.forward - self.mean.square()

    def after(self, network: nn.Sequential, *kinds: type) -> list[int]:
        """Positions of what the modules of these kinds give out, to index the moments with.

        Raises: ValueError: if the network has another number of modules, or none of these kinds.
        Example:
            >>> network = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 3), nn.Tanh())
            >>> signals = measure_signals([network], torch.ones(5, 2))
            >>> signals.after(network, nn.Tanh)
            [2, 4]
        """
        if len(network) != self.forward.shape[1] - 1:
            raise ValueError(
                f"the network must have {self.forward.shape[1] - 1} modules, as those that were measured: "
                f"got {len(network)}"
            )
        found = [i for i, m in enumerate(network, start=1) if isinstance(m, kinds)]
        if not found:
            names = ", ".join(kind.__name__ for kind in kinds)
            raise ValueError(
                f"the network has no module of kind: {names or 'none given'}"
            )
        return found


def layer_outputs(networks: Sequence[nn.Sequential], input: Tensor) -> list[Tensor]:
    r"""What each module of each network gives out.

    Args:
        networks: S, that differ in their parameters only; they stay in their mode.
        input: (N, \*), the samples, the same for all networks.
    Returns: L + 1 tensors, (S, N, \*), the input first; detached.
    Raises: ValueError: if there is no network, one is no nn.Sequential, or one has a module with parameters
        at two places.
    Example:
        >>> networks = [nn.Sequential(nn.Linear(2, 3), nn.Tanh()) for _ in range(4)]
        >>> [tuple(values.shape) for values in layer_outputs(networks, torch.ones(5, 2))]
        [(4, 5, 2), (4, 5, 3), (4, 5, 3)]
    """
    run, state = _stacked(networks)
    with torch.no_grad():
        outputs = vmap(run, (0, None), randomness="different")(state, input)
    return [input.expand(len(networks), *input.shape), *outputs]


def layer_gradients(
    networks: Sequence[nn.Sequential],
    input: Tensor,
    *,
    end: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> list[Tensor]:
    r"""Gradient of (output * end) summed, with respect to what each module of each network gives out.

    Args:
        networks, input: as for ``layer_outputs``.
        end: (S, N, \*), the gradient at the output; None to draw standard normal numbers.
        generator: for the draw, on the device of ``input``.
    Returns: L + 1 tensors, (S, N, \*): with respect to the input first, ``end`` itself last.
    Raises: ValueError: as ``layer_outputs``, or if ``end`` has not the shape of the output.
    Example:
        >>> networks = [nn.Sequential(nn.Linear(2, 3), nn.Tanh()) for _ in range(4)]
        >>> [tuple(values.shape) for values in layer_gradients(networks, torch.ones(5, 2))]
        [(4, 5, 2), (4, 5, 3), (4, 5, 3)]
    """
    run, state = _stacked(networks)
    # added zeros, whose gradients are those of the values that they are added to
    zeros = [
        torch.zeros_like(v).requires_grad_() for v in layer_outputs(networks, input)
    ]
    if end is None:
        end = torch.empty_like(zeros[-1]).normal_(generator=generator)
    if end.shape != zeros[-1].shape:
        raise ValueError(
            f"end must have the shape of the output, {tuple(zeros[-1].shape)}: got {tuple(end.shape)}"
        )
    with torch.enable_grad():
        follow = vmap(run, (0, None, 0), randomness="different")
        *_, output = follow(state, input, zeros)
    return list(torch.autograd.grad(output, zeros, end))


def measure_signals(
    networks: Sequence[nn.Sequential],
    input: Tensor,
    *,
    generator: torch.Generator | None = None,
) -> Signals:
    """Mean squares of values and of gradients at every position of every network.

    Args:
        networks, input: as for ``layer_outputs``.
        generator: draws the gradient at the end, standard normal; on the device of ``input``.
    Returns: ``Signals``.
    Example:
        >>> network = nn.Sequential(nn.Linear(2, 2, bias=False))
        >>> _ = network[0].weight.data.copy_(torch.eye(2) * 3)
        >>> measure_signals([network], torch.tensor([[1.0, 1.0]])).forward
        tensor([[1., 9.]], dtype=torch.float64)

    References: Glorot & Bengio, "Understanding the Difficulty of Training Deep Feedforward Neural Networks",
        AISTATS 2010, Sec. 4.2; He, Zhang, Ren & Sun, "Delving Deep into Rectifiers", ICCV 2015, Sec. 2.2,
        arXiv:1502.01852.
    """
    values = layer_outputs(networks, input)
    gradients = layer_gradients(networks, input, generator=generator)
    return Signals(_moments(values, 2), _moments(values, 1), _moments(gradients, 2))


def predict_signals(
    network: nn.Sequential,
    input_moment: float = 1.0,
    *,
    weight_variance: Sequence[float] | None = None,
) -> Signals:
    r"""What a wide network with independent weights of mean 0 would have at every position, by theory.

    A layer multiplies the mean square by fan_in times the weights' variance on the way up, and by fan_out
    times it on the way down; biases add their own mean square. An activation f, whose input z then is about
    normal, gives E f(z)^2 up and multiplies by E f'(z)^2 down. A skip adds what its branch does to 1.

    Conventions: fan_in counts the weights of one output, and fan_out those of one input: of a convolution
    channels times kernel, over the stride on the way down. Zeros that pad the border are not accounted for.
    Exact in expectation for linear layers of any width; with activations for wide ones, whose inputs have
    mean 0: an activation right behind a skip that adds up values of one sign is beyond it.
    Args:
        network: Linear and convolutional layers, activations that act on each value alone, ``Flatten``,
            ``Identity``, ``Sequential``, and ``Skip`` of ``dlkb.receptive_field.trials``.
        input_moment: mean square of the input.
        weight_variance: one for each layer with weights, in order of use; None for the mean squares of the
            weights that are there.
    Returns: ``Signals`` of one network; ``mean`` is 0 but behind activations, where it is E f(z).
    Raises: TypeError: for a module with parameters of another kind. ValueError: if input_moment is negative,
        or variances are not one for each layer.
    Example:
        >>> network = nn.Sequential(nn.Linear(100, 50, bias=False), nn.ReLU())
        >>> found = predict_signals(network, weight_variance=[2 / 100])
        >>> [round(moment, 6) for moment in found.forward[0].tolist()]
        [1.0, 2.0, 1.0]
        >>> [round(moment, 6) for moment in found.backward[0].tolist()]  # 50 * 2 / 100 / 2, 1 / 2, 1
        [0.5, 0.5, 1.0]

    References: Glorot & Bengio 2010; He et al. 2015; Poole et al., "Exponential Expressivity in Deep Neural
        Networks through Transient Chaos", NeurIPS 2016, arXiv:1606.05340; Schoenholz et al., "Deep
        Information Propagation", ICLR 2017, arXiv:1611.01232.
    """
    if not input_moment >= 0:
        raise ValueError(f"a mean square is not negative: got {input_moment}")
    layers = [m for m in network.modules() if isinstance(m, nn.Linear | _ConvNd)]
    if weight_variance is None:
        weight_variance = [
            m.weight.detach().double().square().mean().item() for m in layers
        ]
    if len(weight_variance) != len(layers):
        raise ValueError(
            f"give one variance for each of {len(layers)} layers with weights: got {len(weight_variance)}"
        )
    variances = {id(m): v for m, v in zip(layers, weight_variance, strict=True)}
    forward, means, factors = [input_moment], [0.0], []
    for module in network:
        moment, mean, factor = _predict(module, forward[-1], means[-1], variances)
        forward.append(moment)
        means.append(mean)
        factors.append(factor)
    backward = [1.0]
    for factor in reversed(factors):
        backward.append(backward[-1] * factor)
    rows = [forward, means, backward[::-1]]
    return Signals(*(torch.tensor([row], dtype=torch.float64) for row in rows))


def _predict(
    module: nn.Module, moment: float, mean: float, variances: dict[int, float]
) -> tuple[float, float, float]:
    """Mean square and mean behind a module, and the factor of the gradient's mean square."""
    if isinstance(module, nn.Linear | _ConvNd):
        up, down = layer_fans(module)
        bias = 0.0
        if module.bias is not None:
            bias = module.bias.detach().double().square().mean().item()
        variance = variances[id(module)]
        return up * variance * moment + bias, 0.0, down * variance
    if isinstance(module, Skip):
        branch, branch_mean, factor = _predict(module.branch, moment, mean, variances)
        return moment + branch + 2 * mean * branch_mean, mean + branch_mean, 1 + factor
    if isinstance(module, nn.Sequential):
        total = 1.0
        for inner in module:
            moment, mean, factor = _predict(inner, moment, mean, variances)
            total *= factor
        return moment, mean, total
    if isinstance(module, nn.Identity | nn.Flatten):
        return moment, mean, 1.0
    if next(module.parameters(), None) is not None:
        raise TypeError(
            "theory is given for Linear, convolutional layers, skips and activations without parameters: "
            f"got {type(module).__name__}"
        )
    return _activation(module, moment)


def _activation(module: nn.Module, moment: float) -> tuple[float, float, float]:
    """E f(z)^2, E f(z) and E f'(z)^2 for normal z of this mean square, by the trapezoidal rule."""
    nodes = torch.linspace(-REACH, REACH, NODES, dtype=torch.float64)
    weights = torch.softmax(-nodes.square() / 2, dim=0)  # the density, with sum 1
    with torch.enable_grad():
        z = (nodes * math.sqrt(moment)).requires_grad_()
        value = module(z * 1)  # a copy, should the module work in place
        (slope,) = torch.autograd.grad(value.sum(), z)
    value = value.detach()
    means = (value.square(), value, slope.square())
    first, second, third = ((weights * v).sum().item() for v in means)
    return first, second, third


def _stacked(networks: Sequence[nn.Sequential]):
    """A function of one network's state and input that gives every module's output, and the stacked state."""
    if not len(networks):
        raise ValueError("give at least one network: got none")
    for network in networks:
        if not isinstance(network, nn.Sequential):
            raise ValueError(
                f"networks must be nn.Sequential, to be followed: got {type(network).__name__}"
            )
        learned = [id(m) for m in network if next(m.parameters(), None) is not None]
        if len(set(learned)) < len(learned):
            raise ValueError(
                "a module with parameters must stand at one place: got one that is used again; "
                "give each place its own"
            )
    parameters, buffers = stack_module_state(list(networks))
    state = {name: p.detach() for name, p in parameters.items()}
    state |= buffers
    skeleton = copy.deepcopy(networks[0])
    for module in skeleton.modules():
        if getattr(module, "inplace", False):
            module.inplace = False  # it would write over the output before
    # named_children would leave out a module that is used again, as one ReLU for all layers
    children = [
        (name, module)
        for name, module in skeleton.named_modules(remove_duplicate=False)
        if name and "." not in name
    ]

    def run(state, input, added=None):
        x, outputs = input if added is None else input + added[0], []
        for index, (name, module) in enumerate(children, start=1):
            start = f"{name}."
            own = {
                key.removeprefix(start): value
                for key, value in state.items()
                if key.startswith(start)
            }
            x = functional_call(module, own, (x,))
            if added is not None:
                x = x + added[index]
            outputs.append(x)
        return outputs

    return run, state


def _moments(values: Sequence[Tensor], power: int) -> Tensor:
    """(S, L + 1): the mean of a power of each tensor's values, network by network."""
    return torch.stack(
        [v.double().pow(power).flatten(1).mean(1) for v in values], dim=1
    )
