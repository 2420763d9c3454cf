"""One style for every figure: readable on light and dark pages, and for colour-blind readers.

Figures have no background of their own; ink and colours are mid-tones that stand out, by a contrast of
at least 3 to 1, from white and from near-black alike.
"""

from typing import Any

__all__ = ["COLORS", "INK", "use_style"]

INK = "#767676"
# Found by search among mid-tones: at least 39 CIELAB units apart in each simulated colour blindness,
# where the mid-tones of Okabe and Ito's palette (2008) come as close as 16.
COLORS = {
    "blue": "#1194d3",
    "orange": "#e8590c",
    "violet": "#7a3ff2",
    "brown": "#8c5a50",
}


def use_style() -> None:
    """Set matplotlib's defaults for this session to the book's style."""
    import matplotlib

    matplotlib.rcParams.update(_settings())


def _settings() -> dict[str, Any]:
    from cycler import cycler

    cycle = cycler(color=list(COLORS.values())) + cycler(
        linestyle=["-", "--", "-.", ":"]
    )
    ink = dict.fromkeys(
        (
            "text.color",
            "axes.labelcolor",
            "axes.edgecolor",
            "xtick.color",
            "ytick.color",
            "hatch.color",
        ),
        INK,
    )
    clear = dict.fromkeys(
        ("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "none"
    )
    return {
        **ink,
        **clear,
        "axes.prop_cycle": cycle,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlelocation": "left",
        "axes.titlesize": "large",
        "axes.titleweight": "bold",
        "axes.grid": False,
        "figure.constrained_layout.use": True,
        "figure.dpi": 110,
        "figure.figsize": (7.0, 3.0),
        "font.size": 10.5,
        "image.cmap": "cividis",
        "legend.frameon": False,
        "lines.linewidth": 2.0,
        "svg.hashsalt": "dlkb",
    }
