"""How inputs are scaled: what `--scale auto` chooses, and in which words it says so."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...nn import inputs
from ...nn.inputs import Column, Scaling, Summary
from ..options import spelled

# Columns have one scale if half of those that vary reach this part of the largest magnitude, and
# their median deviation this one.
REACHED, SPREAD = 0.9, 1 / 100


def choose(
    x: NDArray[Any],
    rows: NDArray[np.intp] | None,
    wanted: str,
    table: Sequence[Column] | None,
) -> tuple[Scaling, tuple[float, float], str]:
    """How the inputs of a training set are scaled, their span, and a sentence on it."""
    pixels = x.dtype == np.uint8
    rows = None if rows is None else np.sort(rows)  # as they are in a file
    chosen, why = wanted, ""
    if wanted == "auto" and pixels:
        chosen, why = "unit", "they are uint8"
    elif wanted == "auto" and x.dtype.kind == "b":
        chosen, why = "none", "they are booleans"
    summary = None
    if chosen in ("auto", "standard"):
        summary = Summary.of(x, rows)
        least, most = float(summary.least.min()), float(summary.most.max())
    else:
        spans = [(float(part.min()), float(part.max())) for part in inputs.in_rows(x, rows)]
        least, most = min(low for low, _ in spans), max(high for _, high in spans)
    if chosen == "auto" and summary:
        chosen, why = _auto(summary, x.ndim > 2)
    if chosen == "standard" and summary:
        scaling = Scaling.standard(summary, _numbers(table))
        what = "each column has mean 0 and deviation 1"
    elif chosen == "unit":
        scaling = Scaling.unit(255.0 if pixels else max(most, -least))
        what = f"divided by {spelled(scaling.divisor)}, " + (
            "the largest uint8" if pixels else "the largest magnitude in the training set"
        )
    else:
        scaling, what = Scaling("none"), "as they are"
    how = f"--scale auto chose {chosen}: {why}" if why else f"--scale {chosen}"
    return scaling, (least, most), f"Inputs: {what} ({how})."


def _auto(summary: Summary, images: bool) -> tuple[str, str]:
    """A kind of scaling, and why: what a statistician would choose who looks at the columns."""
    varies = summary.varies
    if not varies.any():
        return "unit", "they do not vary"
    magnitude, deviation = summary.magnitude[varies], summary.deviation[varies]
    mean, largest = summary.mean[varies], float(summary.magnitude.max())
    if (abs(mean) < 0.5).all() and ((deviation > 0.5) & (deviation < 2)).all():
        return "none", "columns have means near 0 and deviations near 1"
    alike = np.mean(magnitude >= REACHED * largest) >= 0.5
    if images or (alike and np.median(deviation) >= SPREAD * largest):
        if 0.5 <= largest <= 1:
            return "none", f"they reach from {summary.least.min():g} to {summary.most.max():g}"
        return "unit", "examples are images" if images else "columns have one scale"
    return "standard", "columns have different scales"


def _numbers(table: Sequence[Column] | None) -> NDArray[np.bool_] | None:
    """Which inputs are numbers, and not categories."""
    if table is None:
        return None
    return np.concatenate([np.full(c.width, c.categories is None) for c in table])
