"""A picture of ns per element over the number of elements."""

from __future__ import annotations

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, NullFormatter

from .cases import CONTENDERS
from .measurements import Measurements

# Okabe and Ito's colours, which colour-blind readers can tell apart, too.
PALETTE = {
    "black": "#000000",
    "grey": "#999999",
    "orange": "#e69f00",
    "pink": "#cc79a7",
    "light blue": "#56b4e9",
    "green": "#009e73",
    "blue": "#0072b2",
    "red": "#d55e00",
}
COLOURS = {
    "torch": PALETTE["pink"],
    "jax": PALETTE["orange"],
    "naive": PALETTE["black"],
    "numpy": PALETTE["blue"],
    "mask": PALETTE["green"],
    "constant": PALETTE["light blue"],
    "copy": PALETTE["grey"],
    "simdrop": PALETTE["red"],
}


def draw(measurements: Measurements, facts: dict[str, str]) -> bytes:
    """Forward on float32, a panel for each p, as a PNG file has it."""
    canvas = Canvas(figsize=(12, 6.4), dpi=110, layout="constrained")
    FigureCanvasAgg(canvas)
    panels = canvas.subplots(1, 2, sharey=True)
    for panel, p in zip(panels, (0.5, 0.1), strict=True):
        groups = measurements.select(family="contenders", work="forward", dtype="float32", p=p)
        sizes = [group.n for group in groups]
        for name, colour in COLOURS.items():
            ours = name == "simdrop"
            if any(name not in measurements.by_group[group] for group in groups):
                continue
            theirs = [measurements.by_group[group][name].their_ns for group in groups]
            panel.plot(
                sizes,
                [measurements.our_ns(group) for group in groups] if ours else theirs,
                label=CONTENDERS[name],
                color=colour,
                linewidth=3 if ours else 1.5,
                zorder=3 if ours else 2,
                marker="o",
                markersize=6 if ours else 4,
            )
        panel.set(xscale="log", yscale="log", title=f"p = {p}", xlabel="elements")
        panel.set_xticks(sizes, [label(n) for n in sizes])
        panel.set_xticks([], minor=True)
        panel.grid(alpha=0.3)
        panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panel.yaxis.set_minor_formatter(NullFormatter())
    panels[0].set_ylabel("ns per element")
    handles, labels = panels[0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside right center", frameon=False)
    canvas.suptitle("Dropout forward, float32, one thread: lower is faster")
    lines = [f"{name}: {fact}" for name, fact in facts.items()]
    half = (len(lines) + 1) // 2
    canvas.supxlabel(
        "\n".join("   ".join(part) for part in (lines[:half], lines[half:])), fontsize=7
    )
    content = io.BytesIO()
    canvas.savefig(content, format="png")
    return content.getvalue()


def label(n: int) -> str:
    """A number of elements, short."""
    return f"{n:,}" if n < 1_000_000 else f"{n:.2g}".replace("e+0", "e")
