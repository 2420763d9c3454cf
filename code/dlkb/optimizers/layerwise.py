"""Rules that look at a whole weight tensor, such as its norm, for many runs at once."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dlkb.optimizers.framework import Number, Update, UpdateState

__all__ = ["per_tensor", "tensor_norm", "tensor_rms"]


def tensor_norm(x: Tensor, dims: int | None = None) -> Tensor:
    """The Euclidean norm over the last ``dims`` dimensions, which stay, with length 1.

    Args:
        x: (..., *shape); leading dimensions are runs.
        dims: number of dimensions of one tensor; None for all.
    Example:
        >>> tensor_norm(torch.tensor([[3.0, 4.0], [6.0, 8.0]]), dims=1)
        tensor([[ 5.],
                [10.]])
    """
    dims = x.dim() if dims is None else dims
    if dims == 0:
        return x.abs()
    return torch.linalg.vector_norm(x, dim=tuple(range(-dims, 0)), keepdim=True)


def tensor_rms(x: Tensor, dims: int | None = None) -> Tensor:
    """The root of the mean square over the last ``dims`` dimensions, as ``tensor_norm``.

    Example:
        >>> tensor_rms(torch.tensor([1.0, -1.0]))
        tensor([1.])
    """
    dims = x.dim() if dims is None else dims
    count = x.shape[x.dim() - dims :].numel()
    return tensor_norm(x, dims) / max(1, count) ** 0.5


def per_tensor(
    rule: Callable[[Number, int], Update], shapes: Sequence[Sequence[int]]
) -> Callable[[Number], Update]:
    """A rule for whole tensors as one for flat parameters, which it cuts into tensors of these shapes.

    Args:
        rule: ``rule(lr, dims)`` gives the update of a tensor with ``dims`` dimensions after those of runs.
        shapes: of a network's tensors, in the order in which they lie in the flat parameter.
    Returns: ``flat(lr)``, an update of a parameter (runs, values); lr is a number, or (runs, 1).
    Raises: ValueError: if the shapes do not fill the parameter.
    Example:
        >>> from dlkb.optimizers.framework import sgd_update
        >>> flat = per_tensor(lambda lr, dims: sgd_update(lr), [(2, 2), (2,)])
        >>> flat(0.5)(UpdateState(torch.ones(1, 6)), torch.ones(1, 6)).param
        tensor([[0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000]])
    """
    shapes = [torch.Size(shape) for shape in shapes]
    sizes = [shape.numel() for shape in shapes]

    def cut(flat: Tensor) -> list[Tensor]:
        pieces = flat.split(sizes, dim=1)
        return [p.reshape(-1, *s) for p, s in zip(pieces, shapes, strict=True)]

    def flat_rule(lr: Number) -> Update:
        def tensor_rule(dims: int) -> Update:
            rate = lr.view(-1, *[1] * dims) if isinstance(lr, Tensor) else lr
            return rule(rate, dims)

        def update(state: UpdateState, grad: Tensor) -> UpdateState:
            if sum(sizes) != state.param.shape[1]:
                raise ValueError(
                    f"shapes must fill the flat parameter of {state.param.shape[1]} values: got "
                    f"{sum(sizes)} in {[tuple(shape) for shape in shapes]}"
                )
            held = state.first or [UpdateState(state.param)] * len(shapes)
            pieces = zip(held, cut(state.param), strict=True)
            before = [own._replace(param=piece) for own, piece in pieces]
            after = [
                tensor_rule(len(shape))(piece, g)
                for shape, piece, g in zip(shapes, before, cut(grad), strict=True)
            ]
            flat = torch.cat([p.param.reshape(len(grad), -1) for p in after], 1)
            return UpdateState(flat, state.step + 1, first=after)

        return update

    return flat_rule
