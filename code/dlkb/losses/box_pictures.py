"""Pictures of boxes: one on another, the landscape of a loss, and descents to step through."""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dlkb.losses.box_descent import from_centre
from dlkb.plotting import COLORS, INK
from dlkb.steps import Steps, step_through

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "draw_atlas",
    "draw_boxes",
    "draw_landscape",
    "draw_situations",
    "landscape",
    "step_descents",
]

FLAT = 1e-9  # a shorter gradient has no direction
SIDE, PANEL, HEIGHT = 34, 230, 210  # units of the drawing: a target's side, a panel

Loss = Callable[[Tensor, Tensor], Tensor]
Cut = Callable[[Tensor, Tensor], tuple[Tensor | float, ...]]


def draw_boxes(
    axis: "Axes", predicted: Tensor, target: Tensor, enclosing: bool = False
) -> None:
    """Draw a target box in grey and a predicted one as an outline, on equal axes without ticks.

    Args:
        axis: of matplotlib.
        predicted, target: (4,), corners.
        enclosing: draw also the smallest box around both, its diagonal and the line that joins the centres.
    """
    from matplotlib.patches import Rectangle

    def rectangle(box: Tensor, **style) -> None:
        x1, y1, x2, y2 = box.tolist()
        axis.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, **style))

    rectangle(target, color=INK, alpha=0.4, lw=0)
    rectangle(predicted, fill=False, ec=COLORS["orange"], lw=2)
    if enclosing:
        low = torch.minimum(predicted, target)[:2]
        high = torch.maximum(predicted, target)[2:]
        rectangle(torch.cat([low, high]), fill=False, ec=COLORS["blue"], ls="--")
        axis.plot(*torch.stack([low, high], 1).tolist(), color=COLORS["blue"], ls=":")
        centres = [(box[:2] + box[2:]) / 2 for box in (predicted, target)]
        axis.plot(*torch.stack(centres, 1).tolist(), color=COLORS["violet"], marker="o")
    axis.autoscale_view()
    axis.set(aspect="equal", xticks=[], yticks=[])
    axis.spines[:].set_visible(False)


def draw_situations(predicted: Mapping[str, Tensor], target: Tensor) -> "Figure":
    """Draw predicted boxes on one target, side by side at one scale, each with its name below it.

    Args:
        predicted: by name; (4,), corners.
        target: (4,), corners.
    Returns: the figure, without a title.
    """
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(
        1, len(predicted), figsize=(7.0, 2.0), sharex=True, sharey=True, squeeze=False
    )
    for axis, (name, box) in zip(axes[0], predicted.items(), strict=True):
        draw_boxes(axis, box, target)
        axis.set_xlabel(name, fontsize="small")
    return figure


def landscape(
    loss: Loss, cut: Cut, across: Tensor, up: Tensor
) -> tuple[Tensor, Tensor]:
    """A loss over a plane of boxes, and the direction in which it falls; the target is the unit square.

    Args:
        loss: of predicted and target corners, (*, 4) each; (*).
        cut: from the plane's two coordinates to a box (x, y, w, h), centre and sides, tensors or numbers.
        across: (X,), values of the first coordinate.
        up: (Y,), of the second.
    Returns: the loss, (Y, X), and the direction of descent by both coordinates, (2, Y, X), of length 1; NaN
        where there is no gradient.
    Example:
        >>> from dlkb.losses.boxes import generalized_box_iou_loss
        >>> aside = lambda x, y: (x, y, 1.0, 1.0)
        >>> landscape(generalized_box_iou_loss, aside, torch.tensor([2.0]), torch.tensor([0.0]))[1].flatten()
        tensor([-1., -0.])
    """
    grid = torch.meshgrid(across, up, indexing="xy")
    u, v = (g.clone().requires_grad_() for g in grid)
    numbers = [torch.as_tensor(n, dtype=u.dtype, device=u.device) for n in cut(u, v)]
    box = from_centre(torch.stack(torch.broadcast_tensors(*numbers), dim=-1))
    square = from_centre(box.new_tensor([0, 0, 1, 1])).expand_as(box)
    value = loss(box, square)
    slope = torch.stack(torch.autograd.grad(value.sum(), [u, v]))
    length = slope.norm(dim=0)
    return value.detach(), torch.where(length > FLAT, -slope / length, math.nan)


def draw_landscape(axis: "Axes", loss: Loss, cut: Cut) -> None:
    """Draw ``landscape`` from -2 to 2 in both coordinates: contours from 0 to 2, arrows for the direction."""
    fine = torch.linspace(-2, 2, 60, dtype=torch.float64)
    value, _ = landscape(loss, cut, fine, fine)
    axis.contourf(fine, fine, value, levels=[n / 8 for n in range(17)])
    coarse = fine[2::7]
    _, (right, upwards) = landscape(loss, cut, coarse, coarse)
    axis.quiver(coarse, coarse, right, upwards, color="white", scale=14, width=0.012)
    axis.set(aspect="equal")


def draw_atlas(
    losses: Mapping[str, Loss], cuts: Mapping[tuple[str, str], Cut]
) -> "Figure":
    """Draw the landscape of each loss, a column, in each cut, a row.

    Args:
        losses: by name.
        cuts: by the names of their two coordinates, across and up.
    Returns: the figure, without a title.
    """
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(
        len(cuts),
        len(losses),
        figsize=(7.4, 0.3 + 1.7 * len(cuts)),
        sharex=True,
        sharey="row",
        squeeze=False,
    )
    for row, ((across, up), cut) in zip(axes, cuts.items(), strict=True):
        row[0].set_ylabel(up, fontsize="small")
        for axis, loss in zip(row, losses.values(), strict=True):
            draw_landscape(axis, loss, cut)
            axis.set_xlabel(across, fontsize="small")
    for axis, name in zip(axes[0], losses, strict=True):
        axis.set_title(name, fontsize="medium")
    return figure


def step_descents(paths: Mapping[str, Tensor], title: str, every: int = 10) -> Steps:
    """Descents of a box to the unit square at the origin, side by side, to step through.

    Each panel shows the target in grey, the box, and its centres so far as dots.

    Args:
        paths: by name, up to as many as there are colours; (steps + 1, 4), centre and sides.
        title: read out in place of the picture.
        every: steps from frame to frame.
    Returns: what a notebook shows as HTML.
    Raises: ValueError: for more paths than colours, or none.
    Example:
        >>> step_descents({"still": torch.tensor([[1.0, 0.0, 1.0, 1.0]] * 3)}, "A box", every=1)
        3 steps, from step 0 to step 2: A box
    """
    if not 0 < len(paths) <= len(COLORS):
        raise ValueError(
            f"step_descents draws 1 to {len(COLORS)} paths, one a colour: got {len(paths)}"
        )
    panels = [
        (name, path, colour, 70 + PANEL * i)
        for i, ((name, path), colour) in enumerate(
            zip(paths.items(), COLORS.values(), strict=False)
        )
    ]
    still = "".join(
        f'<rect x="{x - 17}" y="133" width="{SIDE}" height="{SIDE}" fill="{INK}" opacity="0.45"/>'
        f'<text x="{x - 50}" y="16" fill="{colour}" font-size="14">{name}</text>'
        for name, _, colour, x in panels
    )
    moments = range(0, min(len(path) for path in paths.values()), every)
    frames = [
        "".join(_frame(path[: t + 1], colour, x) for _, path, colour, x in panels)
        for t in moments
    ]
    size = (PANEL * len(panels), HEIGHT)
    return step_through(frames, [f"step {t}" for t in moments], title, size, still)


def _frame(path: Tensor, colour: str, offset: int) -> str:
    """The last box of a path and some of its centres before, as SVG; y points upwards."""
    x, y, w, h = (SIDE * path[-1]).tolist()
    area, apart = path[-1, 2:].prod(), path[-1, :2].norm()
    text = (
        f'<rect x="{offset + x - w / 2:.1f}" y="{150 - y - h / 2:.1f}" width="{w:.1f}" '
        f'height="{h:.1f}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
        f'<text x="{offset - 50}" y="204" fill="{INK}" font-size="12">'
        f"area {area:.2f}, centres {apart:.2f} apart</text>"
    )
    for cx, cy in (SIDE * path[::10, :2]).tolist():
        text += f'<circle cx="{offset + cx:.1f}" cy="{150 - cy:.1f}" r="2" fill="{colour}"/>'
    return text
