"""Does this processor compute the same bits as the one that the stored outputs come from?

Threads, instruction sets and libraries are pinned (``bookkit.kernel``), yet libraries may choose their loops
by the maker of the processor, or the size of its caches. Seeded training then gives other digits: no error,
and no reason to doubt a bound, but no comparison of digits can pass. So each notebook keeps, beside its
outputs, a digest of typical computations; where this processor's is another, only bounds count.
"""

import hashlib
import os
import subprocess
import sys
from functools import cache

from bookkit.kernel import PINNED

GIVEN = "BOOKKIT_ARITHMETIC"  # set for the processes of one run, so that it is computed once


def this_processor() -> str:
    """16 hex digits: the digest of ``compute`` in a process with the pins of the notebooks."""
    return os.environ.get(GIVEN) or _computed()


@cache
def _computed() -> str:
    command = [sys.executable, "-m", "bookkit.arithmetic"]
    environment = {**os.environ, **PINNED}
    return subprocess.check_output(command, text=True, env=environment).strip()


def is_of_other_arithmetic(notebook: dict) -> bool:
    """Whether the notebook's outputs come from a processor that computes other bits than this one."""
    stored = notebook["metadata"].get("dlkb", {}).get("arithmetic")
    return stored not in (None, this_processor())


def compute() -> str:
    """Draw, multiply, convolve, decompose and train a little, with torch and numpy; digest all bits."""
    import numpy as np
    import torch
    from torch import nn

    digest = hashlib.sha256()
    torch.manual_seed(0)

    def add(*tensors) -> None:
        for tensor in tensors:
            digest.update(np.ascontiguousarray(torch.as_tensor(tensor)).tobytes())

    for dtype in (torch.float32, torch.float64):
        a, b = torch.randn(97, 64, dtype=dtype), torch.randn(64, 33, dtype=dtype)
        add(a @ b, a.exp(), a.tanh(), a.softmax(1), a.abs().log(), a.var(0), a.sum())
        add(torch.bmm(a[None].repeat(5, 1, 1), b[None].repeat(5, 1, 1)))
        square = a.T @ a
        add(torch.linalg.eigvalsh(square), torch.linalg.svdvals(a))
        add(torch.linalg.solve(square, b), np.linalg.lstsq(a, a[:, 0])[0])
        add(a.numpy() @ b.numpy(), np.linalg.svd(a.numpy())[1])
    images, classes = torch.randn(32, 3, 16, 16), torch.arange(32) % 10
    networks = (
        nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()),
        nn.Sequential(nn.Conv2d(3, 32, 5, stride=2), nn.GroupNorm(4, 32), nn.Tanh()),
        nn.Sequential(nn.Flatten(2), nn.GRU(256, 16, batch_first=True)),
        nn.Sequential(nn.Flatten(), nn.Linear(768, 64), nn.ReLU()),
    )
    for body in networks:
        head = nn.LazyLinear(10)
        parameters = [*body.parameters()]
        for _ in range(20):
            features = body(images)
            features = features[0] if isinstance(features, tuple) else features
            loss = nn.functional.cross_entropy(head(features.flatten(1)), classes)
            parameters = [*body.parameters(), *head.parameters()]
            gradients = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                for p, gradient in zip(parameters, gradients, strict=True):
                    p -= 0.1 * gradient
            add(loss.detach())
        add(*(p.detach() for p in parameters))
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    print(compute())
