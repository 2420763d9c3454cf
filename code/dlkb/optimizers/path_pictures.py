"""Pictures of paths on surfaces: on contours, and to step through."""

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dlkb.optimizers.surfaces import Surface
from dlkb.plotting import COLORS, INK
from dlkb.steps import Steps, step_through

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_paths", "step_paths"]

SIDE, TOP, GAP = (
    250,
    22,
    14,
)  # units of the drawing: a panel, its title, what is between
TRAIL = 8  # points behind each dot

Paths = Mapping[str, Tensor]


def draw_paths(axis: "Axes", surface: Surface, paths: Paths) -> None:
    """Draw paths on a surface's contours, each in its colour, from a ring to a dot; crosses mark minima.

    Conventions: contours part the drawn box by area, so that steep and flat surfaces both show them.
    Args:
        axis: of matplotlib; it gets the surface's box and name.
        surface: of 2 dimensions.
        paths: by name, up to as many as there are colours; (steps + 1, 2).
    Raises: ValueError: for more paths than colours, or none.
    """
    x, y, values = surface.grid(101)
    axis.contour(x, y, values, _levels(values), colors=INK, linewidths=0.5, alpha=0.6)
    for (name, path), colour in _coloured(paths):
        path = path.detach().cpu()
        axis.plot(*path.T, color=colour, linewidth=1.3, label=name)
        axis.plot(*path[-1:].T, "o", color=colour, markersize=5)
    axis.plot(*path[:1].T, "o", color=INK, markersize=7, fillstyle="none")
    for minimum in surface.minima:
        axis.plot(*minimum, "x", color=INK, markersize=8)
    axis.set(xlim=surface.box[0], ylim=surface.box[1], title=surface.name)


def step_paths(
    panels: Mapping[str, tuple[Surface, Paths]], title: str, every: int = 1
) -> Steps:
    """Runs on several surfaces at once, to step through: two panels a row, a dot for each run.

    Each panel shows contours, whole paths faintly, and each run's present point with a short trail.

    Args:
        panels: by name; a surface of 2 dimensions and its paths by name, (steps + 1, 2) each.
        title: read out in place of the picture.
        every: steps from frame to frame.
    Returns: what a notebook shows as HTML.
    Raises: ValueError: for more paths than colours, or none.
    Example:
        >>> from dlkb.optimizers.surfaces import saddle
        >>> step_paths({"saddle": (saddle(), {"still": torch.zeros(3, 2)})}, "A saddle")
        3 steps, from step 0 to step 2: A saddle
    """
    length = min(len(path) for _, paths in panels.values() for path in paths.values())
    moments = range(0, length, every)
    still, frames = _legend(panels), [""] * len(moments)
    for number, (name, (surface, paths)) in enumerate(panels.items()):
        across, down = number % 2 * (SIDE + GAP), number // 2 * (SIDE + TOP + GAP) + TOP
        view = f'<svg x="{across}" y="{down + TOP}" width="{SIDE}" height="{SIDE}">'
        placed = [
            (_place(surface, path), colour) for (_, path), colour in _coloured(paths)
        ]
        faint = "".join(_line(path, colour, 0.35) for path, colour in placed)
        still += (
            f'<text x="{across}" y="{down + 16}" fill="{INK}" font-size="14">{escape(name)}</text>'
            f"{view}{_contours(surface)}{faint}</svg>"
        )
        for i, t in enumerate(moments):
            now = "".join(_dot(path[: t + 1], colour) for path, colour in placed)
            frames[i] += f"{view}{now}</svg>"
    rows = (len(panels) + 1) // 2
    size = (2 * SIDE + GAP, rows * (SIDE + TOP + GAP) + TOP)
    return step_through(frames, [f"step {t}" for t in moments], title, size, still)


def _coloured(paths: Paths) -> list[tuple[tuple[str, Tensor], str]]:
    if not 0 < len(paths) <= len(COLORS):
        raise ValueError(
            f"a surface takes 1 to {len(COLORS)} paths, one a colour: got {len(paths)}"
        )
    return list(zip(paths.items(), COLORS.values(), strict=False))


def _levels(values: Tensor) -> list[float]:
    """Heights below which 1, 4, 10, 20, ... percent of the drawn area lie."""
    shares = torch.tensor([0.01, 0.04, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9]).to(values)
    return torch.quantile(values.flatten(), shares).tolist()


def _place(surface: Surface, points: Tensor) -> Tensor:
    """From the surface's coordinates to a panel's, y downwards."""
    box = torch.tensor(surface.box, dtype=torch.float64)
    share = (points.detach().cpu().double() - box[:, 0]) / (box[:, 1] - box[:, 0])
    return SIDE * torch.stack([share[..., 0], 1 - share[..., 1]], -1)


def _line(points: Tensor, colour: str, opacity: float) -> str:
    """A polyline; of points that leave the panel far behind, or are not finite, nothing is drawn."""
    near = points[(points - SIDE / 2).abs().amax(-1) < 4 * SIDE].tolist()
    text = " ".join(f"{x:.1f},{y:.1f}" for x, y in near)
    return (
        f'<polyline points="{text}" fill="none" stroke="{colour}" '
        f'stroke-width="1.5" opacity="{opacity}"/>'
    )


def _dot(path: Tensor, colour: str) -> str:
    x, y = path[-1].nan_to_num(-SIDE, -SIDE, -SIDE).clamp(-SIDE, 2 * SIDE).tolist()
    ball = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>'
    return _line(path[-TRAIL:], colour, 1) + ball


def _contours(surface: Surface) -> str:
    from contourpy import contour_generator  # matplotlib's own

    x, y, values = surface.grid(61)
    lines = contour_generator(x.numpy(), y.numpy(), values.numpy())
    return "".join(
        _line(_place(surface, torch.as_tensor(line)), INK, 0.45)
        for level in _levels(values)
        for line in lines.lines(level)
    )


def _legend(panels: Mapping[str, tuple[Surface, Paths]]) -> str:
    """The names of the first panel's paths, each in its colour, on one line."""
    text, x = "", 0
    for (name, _), colour in _coloured(next(iter(panels.values()))[1]):
        style = f'fill="{colour}" font-size="14" font-weight="bold"'
        text += f'<text x="{x}" y="14" {style}>{escape(name)}</text>'
        x += 12 * len(name) + 12
    return text
