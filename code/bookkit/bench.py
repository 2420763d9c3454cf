"""Figures: building and executing, on a copy of the book; training many networks at once; box losses;
receptive fields; optimizers.

Each line says what was measured, the median of a few runs with the range, and what it should be at most.
"""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bookkit.book import Book, code_cells, read_notebook, write_notebook
from bookkit.kernel import kernel_environment

RUNS = 3


def run(book: Book) -> int:
    """Measure all figures and print them with their conditions."""
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
        f"{len(book.notebooks())} notebooks; median of {RUNS} runs (range)"
    )
    with tempfile.TemporaryDirectory() as folder:
        copy = _copy(book, Path(folder))
        _line(
            "import dlkb.claims", _repeat(lambda: _python("import dlkb.claims")), None
        )
        _line("import torch", _repeat(lambda: _python("import torch")), None)
        _line(
            "whole site, strict",
            _repeat(lambda: _bookkit(copy, "book", "--strict")),
            60,
        )
        _bookkit(copy, "book")
        _line(
            "site after a prose edit",
            _repeat(lambda: _bookkit(copy, "book"), lambda: _edit(copy)),
            10,
        )
        _line("execute, nothing stale", _repeat(lambda: _bookkit(copy, "execute")), 2)
        _executing(copy)
    _training()
    _boxes()
    _receptive_fields()
    _optimizers()
    return 0


def _training() -> None:
    """``fit_many`` against a loop of ``fit``, on one thread: ratios of medians."""
    import torch

    from dlkb.datasets import digits
    from dlkb.train import Setting, fit_many

    torch.set_num_threads(1)
    data = digits()
    print(
        "fit_many, one thread: seconds of the loop over its own; at least 1 is wanted, 3 for the first two"
    )
    for name, make, batch_size, members in _networks():

        def train(
            stack: bool | None, make=make, batch_size=batch_size, members=members
        ) -> None:
            settings = {"one": Setting(make, 0.1, 0.9)}
            options = {
                "seeds": range(members),
                "steps": 60,
                "batch_size": batch_size,
                "stack": stack,
            }
            fit_many(settings, data.x, data.y, **options)

        train(True)  # warm up
        chosen, loop = (
            statistics.median(_repeat(lambda s=s: train(s))) for s in (None, False)
        )
        print(f"  {name:40}{loop / chosen:8.2f}", flush=True)


def _boxes() -> None:
    """Box losses against torchvision's, forward and backward, on one thread: ratios of medians."""
    import torch
    import torchvision.ops

    import dlkb.losses

    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    low, sides = (torch.rand(2, 1_000_000, 2, generator=generator) * 50 for _ in "ab")
    boxes1, boxes2 = torch.cat([low, low + sides + 1], dim=2)
    boxes1.requires_grad_()
    print(
        "1,000,000 pairs of boxes, one thread: seconds of torchvision's loss over ours; at least 1 is wanted"
    )
    for name in ("generalized", "distance", "complete"):
        seconds = []
        for library in (torchvision.ops, dlkb.losses):
            loss = getattr(library, f"{name}_box_iou_loss")

            def train(loss=loss) -> None:
                torch.autograd.grad(loss(boxes1, boxes2).sum(), boxes1)

            train()  # warm up
            seconds.append(statistics.median(_repeat(train)))
        print(
            f"  {f'{name}_box_iou_loss':40}{seconds[0] / seconds[1]:8.2f}", flush=True
        )


def _receptive_fields() -> None:
    """The table of ResNet-152, against asking the gradient for its last map alone; on one thread."""
    import torch
    import torchvision.models

    from dlkb.receptive_field import gradient_support, receptive_field

    torch.set_num_threads(1)
    model = torchvision.models.resnet152(weights=None)
    trunk = torch.nn.Sequential(*list(model.children())[:-2])
    receptive_field(trunk, (3, 64, 64))  # warm up
    table = _repeat(lambda: receptive_field(model, (3, 1472, 1472)))
    _line("receptive fields of ResNet-152", table, 1)
    gradient = _repeat(lambda: gradient_support(trunk, (3, 1472, 32)))
    ratio = statistics.median(gradient) / statistics.median(table)
    print("  seconds of the gradient, on a strip of 1472 x 32, over those of the table")
    print(f"  {'ResNet-152':40}{ratio:8.2f}", flush=True)


def _optimizers(batch_size: int = 4, rounds: int = 15) -> None:
    """Steps on ResNet-18's parameters against torch's, on one thread: medians of ratios taken in turns."""
    import copy

    import torch
    import torchvision.models

    import dlkb.optimizers
    from dlkb.optimizers.framework import UpdateState, adam_update

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = torchvision.models.resnet18(weights=None)
    model(torch.randn(batch_size, 3, 64, 64)).square().sum().backward()
    print(
        f"a step for ResNet-18, gradients of one batch of {batch_size}, one thread: seconds of ours over "
        "those of torch's with foreach=False, taken in turns; at most 1.5 is wanted"
    )

    def parameters() -> list:
        params = copy.deepcopy(list(model.parameters()))
        for param, origin in zip(params, model.parameters(), strict=True):
            param.grad = origin.grad
        return params

    def compare(name: str, step: Callable, other: Callable) -> None:
        seconds = [[], []]
        for count in range(rounds + 2):  # the first two warm up
            for kept, action in zip(seconds, (step, other), strict=True):
                started = time.perf_counter()
                action()
                if count >= 2:
                    kept.append(time.perf_counter() - started)
        ratio = statistics.median(a / b for a, b in zip(*seconds, strict=True))
        middle = 1000 * statistics.median(seconds[0])
        print(f"  {name:40}{ratio:8.2f}  ({middle:.1f} ms)", flush=True)

    for name, settings in OPTIMIZERS:
        steps = [
            getattr(library, name)(
                parameters(),
                **{"lr": 1e-3, "weight_decay": 1e-2, "foreach": False, **settings},
            ).step
            for library in (dlkb.optimizers, torch.optim)
        ]
        told = ", ".join(f"{key}={value}" for key, value in settings.items())
        compare(f"{name}({told})", *steps)

    update, params = adam_update(1e-3, weight_decay=1e-2), parameters()
    states = [UpdateState(param.detach()) for param in params]

    def pure() -> None:
        for index, param in enumerate(params):
            states[index] = update(states[index], param.grad)

    theirs = torch.optim.Adam(
        parameters(), lr=1e-3, weight_decay=1e-2, foreach=False
    ).step
    print("  and what the pure formulas, which write a tensor for each operation, cost")
    compare("adam_update", pure, theirs)


OPTIMIZERS = [
    ("SGD", {"weight_decay": 0}),
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("Adagrad", {}),
    ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.9, "centered": True}),
    ("Adadelta", {}),
    ("Adam", {}),
    ("Adam", {"amsgrad": True}),
    ("AdamW", {}),
    ("NAdam", {}),
    ("RAdam", {}),
    ("Adamax", {}),
]


def _networks() -> Iterator[tuple]:
    from torch import nn

    def connected(width: int, norm: bool):
        def block(inputs: int, outputs: int) -> list:
            return [
                nn.Linear(inputs, outputs),
                *([nn.BatchNorm1d(outputs)] * norm),
                nn.ReLU(),
            ]

        return lambda: nn.Sequential(
            nn.Flatten(), *block(64, width), *block(width, width), nn.Linear(width, 10)
        )

    def convolutional():
        first = [nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()]
        second = [
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
        ]
        return nn.Sequential(
            *first, *second, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)
        )

    yield "32 MLPs of 64 units, batch 32", connected(64, False), 32, 32
    yield "32 MLPs of 64 units, batch norm, batch 32", connected(64, True), 32, 32
    yield "32 MLPs of 256 units, batch 32", connected(256, False), 32, 32
    for batch_size in (8, 32, 128):
        yield f"16 CNNs, batch {batch_size}", convolutional, batch_size, 16


def _executing(book: Book) -> None:
    wall = _repeat(lambda: _bookkit(book, "execute", "--force"))
    _line("execute, everything", wall, None)
    own = [_seconds_of(book, path) for path in book.notebooks()]
    notebooks = [
        read_notebook(path)["metadata"]["dlkb"]["seconds"] for path in book.notebooks()
    ]
    print(
        f"{'  wall time over summed notebook time':42}{statistics.median(wall) / sum(notebooks):8.2f}"
    )
    overhead = [whole - cells for whole, (cells, _) in zip(notebooks, own, strict=True)]
    imports = statistics.median(first for _, first in own)
    print(
        f"{'  a notebook over its cells: kernel':42}{statistics.median(overhead):8.2f} s"
    )
    print(f"{'  its imports cell':42}{imports:8.2f} s")


def _seconds_of(book: Book, path: Path) -> tuple[float, float]:
    """Seconds in a notebook's cells, and those of its imports cell, by papermill's own clock."""
    import papermill

    with kernel_environment(book), tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / path.name
        papermill.execute_notebook(
            path, out, cwd=path.parent, progress_bar=False, shutdown_kernel="immediate"
        )
        seconds = [
            c["metadata"]["papermill"]["duration"]
            for c in code_cells(json.loads(out.read_text()))
        ]
    return sum(seconds), seconds[2]  # after the bootstrap cell and the parameters


def _copy(book: Book, folder: Path) -> Book:
    for name in ("chapters", "data", "code", "requirements", "_static"):
        shutil.copytree(
            book.root / name,
            folder / name,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    for name in ("_config.yml", "_toc.yml", "references.bib", "pyproject.toml"):
        shutil.copy(book.root / name, folder / name)
    return Book(folder)


def _edit(book: Book) -> None:
    """Change a word of prose in the longest notebook."""
    path = max(book.notebooks(), key=lambda p: p.stat().st_size)
    notebook = read_notebook(path)
    notebook["cells"][0]["source"] = [
        f"{''.join(notebook['cells'][0]['source'])}\n\nEdited."
    ]
    write_notebook(path, notebook)


def _bookkit(book: Book, *arguments: str) -> None:
    _quietly([sys.executable, "-m", "bookkit", "--root", str(book.root), *arguments])


def _python(program: str) -> None:
    _quietly([sys.executable, "-c", program])


def _quietly(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def _repeat(
    action: Callable[[], None], before: Callable[[], None] = lambda: None
) -> list[float]:
    seconds = []
    for _ in range(RUNS):
        before()
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return seconds


def _line(name: str, seconds: list[float], limit: float | None) -> None:
    middle = statistics.median(seconds)
    wanted = (
        ""
        if limit is None
        else f"  at most {limit} s: {'yes' if middle <= limit else 'NO'}"
    )
    print(
        f"{name:42}{middle:8.2f} s ({min(seconds):.2f} to {max(seconds):.2f}){wanted}",
        flush=True,
    )
