r"""Optimizers as one framework: a first and a second moment of the gradients seen so far, and their ratio.

With phi and psi two ways to sum up a history of gradients g_1, ..., g_t:

m = phi(g_1, ..., g_t)    V = psi(g_1, ..., g_t)    param = param - lr * m / (sqrt(V) + eps)

Everything here is pure and elementwise, so that leading dimensions may hold seeds, starts or settings: many
runs go at once, and ``lr``, betas or momentum may be tensors that broadcast against the parameter. The
optimizer classes compute the same numbers in place.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = [
    "Moment",
    "Update",
    "UpdateState",
    "adadelta_update",
    "adagrad_update",
    "adam_update",
    "adamw_update",
    "corrected",
    "ema",
    "last",
    "look_ahead",
    "make_update",
    "nadam_moment",
    "nadam_update",
    "of_squares",
    "peak",
    "rmsprop_update",
    "sgd_update",
    "total",
    "unit",
    "variance",
    "velocity",
]

Number = float | Tensor  # a tensor broadcasts against the parameter
Rate = Number | Callable[[int], Number]


class UpdateState(NamedTuple):
    """A parameter and what its optimizer remembers; ``UpdateState(param)`` is where a run starts.

    Args:
        param: any shape; leading dimensions may hold runs.
        step: number of updates done.
        first, second, steps: what phi, psi and ``after`` remember; None before the first update.
    Example:
        >>> UpdateState(torch.zeros(2)).step
        0
    """

    param: Tensor
    step: int = 0
    first: Any = None
    second: Any = None
    steps: Any = None


# (memory, value, step) -> (moment, memory): memory is None at first, step counts from 1
Moment = Callable[[Any, Tensor, int], tuple[Tensor, Any]]
Update = Callable[[UpdateState, Tensor], UpdateState]


# ------------------------------------------------------------------------------------ histories summed up


def last() -> Moment:
    """Forget the past: the moment is the newest value.

    Example:
        >>> last()(None, torch.tensor(3.0), 1)[0]
        tensor(3.)
    """
    return lambda memory, value, step: (value, None)


def unit() -> Moment:
    """Ignore the gradients: the moment is 1, for methods with no second moment.

    Example:
        >>> unit()(None, torch.tensor(3.0), 1)[0]
        tensor(1.)
    """
    return lambda memory, value, step: (torch.ones_like(value), None)


def total() -> Moment:
    """The sum of all values so far (AdaGrad's).

    Example:
        >>> total()(torch.tensor(4.0), torch.tensor(3.0), 2)[0]
        tensor(7.)
    """

    def moment(memory: Any, value: Tensor, step: int) -> tuple[Tensor, Any]:
        memory = value if memory is None else memory + value
        return memory, memory

    return moment


def velocity(momentum: Number, dampening: Number = 0.0) -> Moment:
    """A decayed sum, momentum * memory + (1 - dampening) * value.

    Conventions: torch's: the first value enters whole, whatever the dampening; the learning rate stays
    outside.
    Example:
        >>> velocity(0.5)(torch.tensor(4.0), torch.tensor(3.0), 2)[0]
        tensor(5.)

    References: Polyak, "Some methods of speeding up the convergence of iteration methods", 1964.
    """

    def moment(memory: Any, value: Tensor, step: int) -> tuple[Tensor, Any]:
        past = None if memory is None else momentum * memory
        memory = value if past is None else past + (1 - dampening) * value
        return memory, memory

    return moment


def look_ahead(momentum: Number) -> Moment:
    """Nesterov's moment as torch writes it: the value plus momentum times the velocity that holds it.

    Example:
        >>> look_ahead(0.5)(None, torch.tensor(2.0), 1)[0]
        tensor(3.)

    References: Sutskever et al., "On the importance of initialization and momentum in deep learning",
        ICML 2013.
    """
    ahead = velocity(momentum)

    def moment(memory: Any, value: Tensor, step: int) -> tuple[Tensor, Any]:
        speed, memory = ahead(memory, value, step)
        return value + momentum * speed, memory

    return moment


def ema(beta: Number) -> Moment:
    """An exponential moving average from 0: beta * memory + (1 - beta) * value.

    Example:
        >>> ema(0.75)(None, torch.tensor(4.0), 1)[0]  # starts at 0: a quarter of the value
        tensor(1.)
    """

    def moment(memory: Any, value: Tensor, step: int) -> tuple[Tensor, Any]:
        memory = torch.zeros_like(value) if memory is None else memory
        memory = beta * memory + (1 - beta) * value
        return memory, memory

    return moment


def corrected(moment: Moment, beta: Number) -> Moment:
    """Divide a moving average by 1 - beta^step, the weight that its values have by then.

    Example:
        >>> corrected(ema(0.75), 0.75)(None, torch.tensor(4.0), 1)[0]
        tensor(4.)

    References: Kingma & Ba, "Adam", ICLR 2015, Sec. 3, arXiv:1412.6980.
    """

    def divided(memory: Any, value: Tensor, step: int) -> tuple[Tensor, Any]:
        average, memory = moment(memory, value, step)
        return average / (1 - beta**step), memory

    return divided


def peak(moment: Moment) -> Moment:
    """The largest value that a moment has had, kept beside it (AMSGrad's); the moment itself runs on.

    Example:
        >>> peak(last())((torch.tensor(9.0), None), torch.tensor(3.0), 2)[0]
        tensor(9.)

    References: Reddi, Kale & Kumar, "On the Convergence of Adam and Beyond", ICLR 2018, arXiv:1904.09237.
    """

    def highest(memory: Any, value: Tensor, step: int) -> tuple[Tensor, Any]:
        top, inner = (None, None) if memory is None else memory
        current, inner = moment(inner, value, step)
        top = current if top is None else torch.maximum(top, current)
        return top, (top, inner)

    return highest


def of_squares(moment: Moment) -> Moment:
    """The same moment of the squared values.

    Example:
        >>> of_squares(last())(None, torch.tensor(3.0), 1)[0]
        tensor(9.)
    """
    return lambda memory, value, step: moment(memory, value.square(), step)


def variance(beta: Number) -> Moment:
    """The moving average of squares less the square of the moving average (centred RMSProp's).

    Example:
        >>> variance(0.5)(None, torch.tensor(4.0), 1)[0]  # 16 / 2 - (4 / 2)^2
        tensor(4.)

    References: Graves, "Generating Sequences With Recurrent Neural Networks", 2013, Eq. 38-41,
        arXiv:1308.0850.
    """
    average, average_of_squares = ema(beta), of_squares(ema(beta))

    def moment(memory: Any, value: Tensor, step: int) -> tuple[Tensor, Any]:
        means, squares = (None, None) if memory is None else memory
        mean, means = average(means, value, step)
        square, squares = average_of_squares(squares, value, step)
        return square - mean.square(), (means, squares)

    return moment


def nadam_moment(beta1: Number, momentum_decay: Number = 4e-3) -> Moment:
    """NAdam's first moment: this gradient and the average that the next step would use, each corrected.

    With mu_t = beta1 * (1 - 0.96^(t * momentum_decay) / 2) and P_t = mu_1 * ... * mu_t:
    m = (1 - mu_t) / (1 - P_t) * g + mu_(t+1) / (1 - P_(t+1)) * average

    Conventions: torch's: the average itself decays by beta1, not by mu_t. (torch keeps P_t in float32, unless
    that is not the default dtype.)
    Example:
        >>> m, _ = nadam_moment(0.0)(None, torch.tensor(3.0), 1)
        >>> m  # without momentum: the gradient
        tensor(3.)

    References: Dozat, "Incorporating Nesterov Momentum into Adam", ICLR 2016 workshop.
    """
    average = ema(beta1)

    def mu(step: int) -> Number:
        return beta1 * (1 - 0.5 * 0.96 ** (step * momentum_decay))

    def moment(memory: Any, value: Tensor, step: int) -> tuple[Tensor, Any]:
        inner, product = (None, 1.0) if memory is None else memory
        mean, inner = average(inner, value, step)
        now, ahead = mu(step), mu(step + 1)
        product = product * now
        m = (1 - now) / (1 - product) * value + ahead / (1 - product * ahead) * mean
        return m, (inner, product)

    return moment


# ------------------------------------------------------------------------------------------- the framework


def make_update(
    phi: Moment,
    psi: Moment,
    lr: Rate,
    *,
    eps: Number = 0.0,
    weight_decay: Number = 0.0,
    decoupled: bool = False,
    after: Moment | None = None,
) -> Update:
    """An optimizer ``update(state, grad)`` from its two moments.

    param = param - lr * phi / (sqrt(psi) + eps)

    Outside that formula stand weight decay that is decoupled (it takes lr * weight_decay * param from the
    parameter; coupled decay adds weight_decay * param to the gradient), and ``after``.
    Args:
        phi, psi: the first and the second moment.
        lr: learning rate: a number, a tensor that broadcasts, or a function of the number of steps done, 0
            at the first (as LambdaLR counts).
        eps: added to the root.
        weight_decay: strength of the decay.
        decoupled: whether the decay acts on the parameter directly, as in AdamW.
        after: a moment of the ratios phi / (sqrt(psi) + eps) (RMSProp's momentum); None for the newest.
    Returns: a function of an ``UpdateState`` and a gradient of the parameter's shape; it returns the next
        state and alters neither. NaN is carried along, since runs may diverge beside others that do not.
    Example:
        >>> descend = make_update(last(), unit(), lr=0.5)
        >>> descend(UpdateState(torch.tensor(3.0)), torch.tensor(2.0)).param
        tensor(2.)
    """
    smooth = last() if after is None else after

    def update(state: UpdateState, grad: Tensor) -> UpdateState:
        param, step = state.param, state.step + 1
        rate = lr(state.step) if callable(lr) else lr
        if decoupled:
            param = param - rate * weight_decay * param
        else:
            grad = grad + weight_decay * param
        m, first = phi(state.first, grad, step)
        V, second = psi(state.second, grad, step)
        ratio, steps = smooth(state.steps, m / (V.sqrt() + eps), step)
        return UpdateState(param - rate * ratio, step, first, second, steps)

    return update


def sgd_update(
    lr: Rate = 1e-3,
    momentum: Number = 0.0,
    dampening: Number = 0.0,
    weight_decay: Number = 0.0,
    nesterov: bool = False,
) -> Update:
    """Gradient descent: phi is the gradient, its velocity, or Nesterov's look-ahead; psi is 1.

    Args: as ``SGD``'s.
    Example:
        >>> sgd_update(0.5)(UpdateState(torch.tensor(3.0)), torch.tensor(2.0)).param
        tensor(2.)
    """
    phi = look_ahead(momentum) if nesterov else velocity(momentum, dampening)
    if not nesterov and isinstance(momentum, float | int) and momentum == 0:
        phi = last()  # so that dampening means nothing, as in torch
    return make_update(phi, unit(), lr, weight_decay=weight_decay)


def adagrad_update(
    lr: Number = 1e-2,
    lr_decay: float = 0.0,
    weight_decay: Number = 0.0,
    eps: Number = 1e-10,
) -> Update:
    """AdaGrad: phi is the gradient, psi the sum of squares.

    Args: as ``Adagrad``'s.
    Example:
        >>> adagrad_update(1.0, eps=0)(UpdateState(torch.tensor(3.0)), torch.tensor(9.0)).param
        tensor(2.)

    References: Duchi, Hazan & Singer, JMLR 12, 2011.
    """
    rate = (lambda step: lr / (1 + step * lr_decay)) if lr_decay else lr
    psi = of_squares(total())
    return make_update(last(), psi, rate, eps=eps, weight_decay=weight_decay)


def rmsprop_update(
    lr: Rate = 1e-2,
    alpha: Number = 0.99,
    eps: Number = 1e-8,
    weight_decay: Number = 0.0,
    momentum: Number = 0.0,
    centered: bool = False,
) -> Update:
    """RMSProp: phi is the gradient, psi the moving average of squares; momentum acts on the ratio.

    Args: as ``RMSprop``'s.
    Example:
        >>> rmsprop_update(0.5, 0.75, eps=0)(UpdateState(torch.tensor(3.0)), torch.tensor(9.0)).param
        tensor(2.)

    References: Tieleman & Hinton, "Lecture 6.5: rmsprop", Coursera, 2012.
    """
    psi = variance(alpha) if centered else of_squares(ema(alpha))
    after = velocity(momentum)
    return make_update(last(), psi, lr, eps=eps, weight_decay=weight_decay, after=after)


def adadelta_update(
    lr: Rate = 1.0, rho: Number = 0.9, eps: Number = 1e-6, weight_decay: Number = 0.0
) -> Update:
    """Adadelta: the ratio of two root mean squares, of past steps and of gradients, times the gradient.

    It is no case of ``make_update``: its numerator remembers the steps, not only the gradients.
    Args: as ``Adadelta``'s.
    Example:
        >>> update = adadelta_update(eps=1.0)
        >>> update(UpdateState(torch.tensor(3.0)), torch.tensor(0.0)).param
        tensor(3.)

    References: Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012, arXiv:1212.5701.
    """
    of_gradients, of_steps = of_squares(ema(rho)), of_squares(ema(rho))

    def update(state: UpdateState, grad: Tensor) -> UpdateState:
        param, step = state.param, state.step + 1
        rate = lr(state.step) if callable(lr) else lr
        grad = grad + weight_decay * param
        moved = torch.zeros_like(param) if state.steps is None else state.steps
        V, second = of_gradients(state.second, grad, step)
        delta = (moved + eps).sqrt() / (V + eps).sqrt() * grad
        _, steps = of_steps(moved, delta, step)
        return UpdateState(param - rate * delta, step, None, second, steps)

    return update


def adam_update(
    lr: Rate = 1e-3,
    betas: tuple[Number, Number] = (0.9, 0.999),
    eps: Number = 1e-8,
    weight_decay: Number = 0.0,
    amsgrad: bool = False,
    *,
    decoupled_weight_decay: bool = False,
) -> Update:
    """Adam: phi and psi are corrected moving averages, of gradients and of squares.

    Args: as ``Adam``'s; with amsgrad, psi is the largest average of squares so far, corrected.
    Example:
        >>> update = adam_update(1.0, betas=(0.5, 0.5), eps=0)
        >>> update(UpdateState(torch.tensor(3.0)), torch.tensor(4.0)).param  # lr * sign(grad)
        tensor(2.)

    References: Kingma & Ba, ICLR 2015, arXiv:1412.6980; Reddi et al., ICLR 2018, arXiv:1904.09237.
    """
    beta1, beta2 = betas
    average = peak(ema(beta2)) if amsgrad else ema(beta2)
    return make_update(
        corrected(ema(beta1), beta1),
        of_squares(corrected(average, beta2)),
        lr,
        eps=eps,
        weight_decay=weight_decay,
        decoupled=decoupled_weight_decay,
    )


def adamw_update(
    lr: Rate = 1e-3,
    betas: tuple[Number, Number] = (0.9, 0.999),
    eps: Number = 1e-8,
    weight_decay: Number = 1e-2,
    amsgrad: bool = False,
) -> Update:
    """AdamW: Adam with decay by lr * weight_decay on the parameter, outside the two moments.

    Args: as ``AdamW``'s.
    Example:
        >>> update = adamw_update(0.5, weight_decay=0.5)
        >>> update(UpdateState(torch.tensor(4.0)), torch.tensor(0.0)).param
        tensor(3.)

    References: Loshchilov & Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, arXiv:1711.05101.
    """
    return adam_update(
        lr, betas, eps, weight_decay, amsgrad, decoupled_weight_decay=True
    )


def nadam_update(
    lr: Rate = 2e-3,
    betas: tuple[Number, Number] = (0.9, 0.999),
    eps: Number = 1e-8,
    weight_decay: Number = 0.0,
    momentum_decay: Number = 4e-3,
    decoupled_weight_decay: bool = False,
) -> Update:
    """NAdam: Adam with ``nadam_moment`` for phi.

    Args: as ``NAdam``'s.
    Example:
        >>> update = nadam_update(1.0, betas=(0.0, 0.5), eps=0)
        >>> update(UpdateState(torch.tensor(3.0)), torch.tensor(4.0)).param
        tensor(2.)

    References: Dozat, ICLR 2016 workshop.
    """
    beta1, beta2 = betas
    return make_update(
        nadam_moment(beta1, momentum_decay),
        of_squares(corrected(ema(beta2), beta2)),
        lr,
        eps=eps,
        weight_decay=weight_decay,
        decoupled=decoupled_weight_decay,
    )
