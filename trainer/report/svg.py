"""Matplotlib figures as inline SVG whose colours are the page's own, so they follow light, dark and print."""

import io
import re
from collections.abc import Callable
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# drawn in the light theme's values, replaced by the CSS variable of that name
INK, MUTED, RULE = "#1b2733", "#5c6a76", "#d9dfe4"
GOOD, DEFECT, REVIEW, ACCENT = "#2b6cb0", "#d1495b", "#b7791f", "#0f7173"
_VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    RULE: "rule",
    GOOD: "good",
    DEFECT: "defect",
    REVIEW: "review",
    ACCENT: "accent",
}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 9.5,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.pad": 6,
    "ytick.major.pad": 6,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}


def render(draw: Callable[[Figure], None], title: str, width: float = 5.6, height: float = 3.7) -> str:
    """Draw a figure and return it as one `<svg>` element without prolog, metadata, fonts or fixed colours.

    Args:
        draw: fills an empty figure, using only the colours above.
        title: what a screen reader says; distinct for every chart of a page, as element ids derive from it.
        width, height: in inches at 72 points each; the page scales the result.
    """
    with rc_context({**_STYLE, "svg.hashsalt": title}):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        figure.patch.set_visible(False)
        draw(figure)
        for axes in figure.axes:
            axes.patch.set_visible(False)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    view_box = re.search(r'viewBox="([^"]+)"', text)
    assert view_box is not None  # every Matplotlib SVG has one
    body = text[text.index("</metadata>") + len("</metadata>") :]
    body = re.sub(r"<style.*?</style>", "", body, flags=re.DOTALL)  # would apply to the whole page
    body = re.sub(r' id="[A-Za-z0-9.]+_\d+"', "", body)  # repeated from chart to chart
    body = re.sub(r"font: ([\d.]+)px [^;\"]+", r"font-size: \1px", body)
    body = re.sub(r"font-family: [^;\"]+;?", "", body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var(--{variable})")
    return f'<svg viewBox="{view_box[1]}" role="img" aria-label="{title}">{body}'
