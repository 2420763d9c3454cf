"""Several update rules side by side in one batch of runs, each with rows of its own."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dlkb.optimizers.framework import Number, Update, UpdateState

__all__ = ["by_rows"]


def by_rows(
    rules: Sequence[Callable[[Number], Update]], rows: Sequence[int]
) -> Callable[[Tensor], Update]:
    """A rule whose first rows follow the first rule, the next rows the second, and so on.

    So the gradients of all methods' runs are computed in one pass.
    Args:
        rules: ``rule(lr)`` gives an update of a parameter (runs, values).
        rows: how many runs each has, in this order.
    Returns: ``rule(lr)`` with lr (runs, 1); in its state, ``first`` holds the rules' own states.
    Raises: ValueError: if there is not one count for each rule, or they do not sum to the runs.
    Example:
        >>> from dlkb.optimizers.framework import adam_update, sgd_update
        >>> both = by_rows([sgd_update, adam_update], [1, 1])
        >>> state = both(torch.full((2, 1), 0.5))(UpdateState(torch.zeros(2, 1)), torch.full((2, 1), 4.0))
        >>> state.param
        tensor([[-2.0000],
                [-0.5000]])
    """
    if len(rules) != len(rows):
        raise ValueError(
            f"give each rule its number of rows: got {len(rules)} rules, {len(rows)} numbers"
        )

    def mixed(lr: Tensor) -> Update:
        updates = [rule(rate) for rule, rate in zip(rules, _cut(lr, rows), strict=True)]

        def update(state: UpdateState, grad: Tensor) -> UpdateState:
            held = state.first or [UpdateState(state.param)] * len(rows)
            pieces = zip(
                updates, held, _cut(state.param, rows), _cut(grad, rows), strict=True
            )
            after = [move(own._replace(param=p), g) for move, own, p, g in pieces]
            param = torch.cat([own.param for own in after])
            return UpdateState(param, state.step + 1, first=after)

        return update

    return mixed


def _cut(x: Tensor, rows: Sequence[int]) -> tuple[Tensor, ...]:
    if sum(rows) != len(x):
        raise ValueError(
            f"the rows of all rules must be all {len(x)} runs: got {list(rows)}, {sum(rows)} in all"
        )
    return x.split(list(rows))
