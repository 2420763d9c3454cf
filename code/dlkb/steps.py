"""Pictures to step through on a page that has no kernel: drawn beforehand, switched by the browser."""

from collections.abc import Sequence
from html import escape

from dlkb.plotting import INK

__all__ = ["Steps", "step_through"]

SHOW = (
    "const p=this.closest('.dlkb-steps'),f=p.querySelectorAll('g.frame');"
    "f.forEach((g,i)=>g.setAttribute('display',i==this.value?'inline':'none'));"
    "const t=f[this.value].dataset.label;"
    "p.querySelector('output').value=t;this.setAttribute('aria-valuetext',t)"
)
PLAY = (
    "const r=this.parentNode.querySelector('input');"
    "if(this.timer){clearInterval(this.timer);this.timer=0;this.textContent='Play';return}"
    "if(r.value==r.max)r.value=r.min;"
    "this.textContent='Pause';"
    "this.timer=setInterval(()=>{if(r.value==r.max){this.click();return}"
    "r.stepUp();r.dispatchEvent(new Event('input'))},150)"
)


class Steps:
    """Frames that display themselves with a slider and a button; plain text elsewhere."""

    def __init__(self, page: str, text: str):
        self.page = page
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return self.page


def step_through(
    frames: Sequence[str],
    labels: Sequence[str],
    title: str,
    size: tuple[int, int],
    still: str = "",
) -> Steps:
    """One frame at a time, chosen by a slider or played; without JavaScript the first frame stands.

    Conventions: no id and no other host is named, so that output is the same each time and off the net.
    The slider takes the arrow keys, Home and End, and speaks the frame's label; the drawing speaks ``title``.
    Args:
        frames: SVG elements as text, one string a frame. Round their numbers: output is compared as text.
        labels: what stands beside the slider, one for each frame.
        title: read out in place of the picture.
        size: width and height of the drawing, in its own units and, at most, in pixels.
        still: SVG elements below every frame.
    Returns: what a notebook shows as HTML.
    Raises: ValueError: if there is no frame, or not one label for each.
    Example:
        >>> step_through(["<circle r='1'/>", "<circle r='2'/>"], ["small", "large"], "A circle", (4, 4))
        2 steps, from small to large: A circle
    """
    if not frames or len(frames) != len(labels):
        raise ValueError(
            f"step_through needs one label for each of 1 or more frames: got {len(frames)} frames "
            f"and {len(labels)} labels"
        )
    width, height = size
    drawn = "\n".join(
        f'<g class="frame" data-label="{escape(label)}" display="{"none" if i else "inline"}">{frame}</g>'
        for i, (frame, label) in enumerate(zip(frames, labels, strict=True))
    )
    page = (
        f'<div class="dlkb-steps" style="max-width:{width}px;color:{INK}">\n'
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}" '
        f'style="display:block;width:100%;height:auto">\n'
        f'<g aria-hidden="true">\n{still}\n{drawn}\n</g>\n</svg>\n'
        f'<div style="display:flex;gap:0.7em;align-items:center;flex-wrap:wrap">'
        f'<button type="button" onclick="{escape(PLAY)}">Play</button>'
        f'<input type="range" min="0" max="{len(frames) - 1}" value="0" aria-label="step" '
        f'aria-valuetext="{escape(labels[0])}" '
        f'style="flex:1 1 8em;min-width:0" oninput="{escape(SHOW)}">'
        f'<output aria-live="off" style="min-width:12em">{escape(labels[0])}</output></div>\n</div>'
    )
    return Steps(
        page, f"{len(frames)} steps, from {labels[0]} to {labels[-1]}: {title}"
    )
