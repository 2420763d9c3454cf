"""Synchronized batch norm: one mean and one variance for a batch that is spread over processes."""

import datetime
import os
import socket
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from dlkb.normalization._shared import (
    _at_least_float32,
    _check_input,
    _check_per_channel,
    _spread,
)
from dlkb.normalization.batch import (
    _check_eps,
    _check_momentum,
    batch_norm,
    update_running_statistics,
)

__all__ = [
    "all_reduce_sum",
    "normalize_shard",
    "run_processes",
    "synchronized_batch_norm",
    "synchronized_statistics",
]


def synchronized_batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    process_group: dist.ProcessGroup | None = None,
) -> Tensor:
    r"""``batch_norm`` of one shard, by the statistics of all processes' shards together.

    Conventions: as ``batch_norm``; every process of the group must call it. The gradient of the input is
    that of the sum of all processes' losses; the gradients of weight and bias are this shard's share.
    Args:
        input: (n, C, \*), this process's shard; shards may differ in size.
        process_group: who takes part; None for all processes.
        others: as in ``batch_norm``.
    Returns: (n, C, \*), dtype and device of ``input``.
    Raises: TypeError, ValueError: as ``batch_norm``. RuntimeError: without a process group.
    References: Ioffe & Szegedy, ICML 2015, Alg. 1; Peng et al., "MegDet", CVPR 2018, arXiv:1711.07240.
    """
    if not training:
        return batch_norm(input, running_mean, running_var, weight, bias, eps=eps)
    _check_input(input)
    _check_momentum(momentum)
    _check_eps(eps, training)
    _check_per_channel(input, running_mean=running_mean, running_var=running_var)
    _check_per_channel(input, weight=weight, bias=bias)
    mean, var, count = synchronized_statistics(input, process_group)
    update_running_statistics(running_mean, running_var, mean, var, count, momentum)
    centred = _at_least_float32(input) - _spread(mean, input)
    output = centred / torch.sqrt(_spread(var, input) + eps)
    if weight is not None:
        output = output * _spread(weight, input)
    if bias is not None:
        output = output + _spread(bias, input)
    return output.to(input.dtype)


def synchronized_statistics(
    input: Tensor, process_group: dist.ProcessGroup | None = None
) -> tuple[Tensor, Tensor, int]:
    r"""Mean and biased variance of each channel over all processes' shards, and the number of values.

    Conventions: two all-reduces, first of count and sum, then of the squared distances from the common
    mean. Both are differentiable.
    Args:
        input: (n, C, \*), this process's shard; may hold a single value per channel, or none.
        process_group: who takes part; None for all processes.
    Returns: mean and variance, (C,) each, float32 or float64; values per channel, over all shards.
    Raises: TypeError: if input is not floating point. ValueError: with fewer than 2 values per channel in
        all shards together, or a value that is not finite. RuntimeError: without a process group.
    """
    _check_input(input)
    x = _at_least_float32(input)
    dims = [d for d in range(x.dim()) if d != 1]  # all but C
    own_count = x.new_tensor([x.numel() // x.shape[1]])
    sums = all_reduce_sum(torch.cat([x.sum(dim=dims), own_count]), process_group)
    count = round(sums[-1].item())
    if count < 2:
        raise ValueError(
            "training needs at least 2 values per channel in all shards together: "
            f"got {count}; use a larger batch"
        )
    mean = sums[:-1] / count
    squares = (x - _spread(mean, x)).square().sum(dim=dims)
    var = all_reduce_sum(squares, process_group) / count
    if not torch.isfinite(var).all():
        raise ValueError(
            "a training batch must be finite, since NaN would stay in the running statistics: got NaN, "
            "infinity or overflow in some shard; find its origin before normalizing"
        )
    return mean, var, count


def all_reduce_sum(
    input: Tensor, process_group: dist.ProcessGroup | None = None
) -> Tensor:
    """The sum of all processes' tensors, in each of them; differentiable.

    Conventions: the loss is the sum of all processes' losses. Each process's tensor enters every process's
    sum, so its gradient is the sum of all processes' gradients: the backward pass is an all-reduce too.
    Raises: RuntimeError: without a process group.
    """
    if not dist.is_initialized():
        raise RuntimeError(
            "an all-reduce needs a process group, and none is initialized: call "
            "torch.distributed.init_process_group, or use run_processes; for one process, batch_norm"
        )
    return _AllReduceSum.apply(input, process_group)


class _AllReduceSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input: Tensor, process_group) -> Tensor:
        ctx.process_group = process_group
        total = input.clone()
        dist.all_reduce(total, group=process_group)
        return total

    @staticmethod
    def backward(ctx, grad_output: Tensor) -> tuple[Tensor, None]:
        total = grad_output.clone()
        dist.all_reduce(total, group=ctx.process_group)
        return total, None


def normalize_shard(
    input: Tensor, grad_output: Tensor, synchronized: bool = True
) -> tuple[Tensor, Tensor]:
    r"""Normalize one shard and carry a gradient back: the work of one process in ``run_processes``.

    Args:
        input, grad_output: (n, C, \*), the shard and the gradient of the loss by its output.
        synchronized: whether by the statistics of all shards, or by the shard's own.
    Returns: output and gradient of the input, (n, C, \*) each.
    Raises: TypeError, ValueError, RuntimeError: as ``synchronized_batch_norm``.
    """
    normalize = synchronized_batch_norm if synchronized else batch_norm
    input = input.detach().requires_grad_()
    output = normalize(input, None, None, training=True)
    (grad_input,) = torch.autograd.grad(output, input, grad_output)
    return output.detach(), grad_input


def run_processes(
    function: Callable[..., tuple[Tensor, ...]],
    arguments: Sequence[tuple],
    seconds: float = 120.0,
) -> list[tuple[Tensor, ...]]:
    """Call a function in several processes that can all-reduce, on the CPU; return what each returned.

    Process i calls ``function(*arguments[i])``, with one thread. The processes talk by gloo over the loopback
    interface and meet through a file, so no network is needed. They are new ones, not forks of this one; in
    a script, call it below ``if __name__ == "__main__":``, as for any multiprocessing.
    Args:
        function: defined in a module, not in a notebook, since the processes must import it.
        arguments: one tuple for each process.
        seconds: how long a process waits for another before it gives up.
    Returns: one tuple of tensors for each process, in order.
    Raises: ValueError: for no process, or a function that cannot be imported.
        RuntimeError: with the traceback of the process that failed first.
    """
    if not arguments:
        raise ValueError("give one tuple of arguments for each process: got none")
    if function.__module__ == "__main__" or "<" in function.__qualname__:
        raise ValueError(
            "function must be importable by other processes: got "
            f"{function.__module__}.{function.__qualname__}; define it in a module"
        )
    import torch.multiprocessing as processes

    methods = processes.get_all_start_methods()
    method = "forkserver" if "forkserver" in methods else "spawn"
    if method == "forkserver":  # torch is imported once, for all
        processes.get_context(method).set_forkserver_preload([__name__])
    with tempfile.TemporaryDirectory() as folder:
        try:
            processes.start_processes(
                _work,
                (function, [tuple(own) for own in arguments], folder, seconds),
                nprocs=len(arguments),
                start_method=method,
            )
        except (
            processes.ProcessRaisedException,
            processes.ProcessExitedException,
        ) as failure:
            # One failure makes the others fail too, for want of their peer: the first is the cause.
            errors = sorted(Path(folder).glob("*.error"), key=_written)
            cause = errors[0].read_text() if errors else str(failure)
            raise RuntimeError(f"a process failed:\n{cause}") from failure
        return [
            torch.load(Path(folder) / f"{rank}.pt") for rank in range(len(arguments))
        ]


def _work(rank: int, function, arguments, folder: str, seconds: float) -> None:
    """What each process does: join the group, call the function, leave its result in the folder."""
    torch.set_num_threads(1)
    loopback = {name for _, name in socket.if_nameindex()} & {"lo", "lo0"}
    if loopback:  # otherwise gloo looks up the machine's name, which may need a network
        os.environ["GLOO_SOCKET_IFNAME"] = loopback.pop()
    dist.init_process_group(
        "gloo",
        store=dist.FileStore(str(Path(folder) / "store"), len(arguments)),
        rank=rank,
        world_size=len(arguments),
        timeout=datetime.timedelta(seconds=seconds),
    )
    try:
        torch.save(tuple(function(*arguments[rank])), Path(folder) / f"{rank}.pt")
        dist.barrier()
    except Exception:
        (Path(folder) / f"{rank}.error").write_text(traceback.format_exc())
        raise
    finally:
        dist.destroy_process_group()


def _written(path: Path) -> int:
    return path.stat().st_mtime_ns
