"""Curves and scatters in the terminal, by plotext."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradcheck.report.curve import Curve
from gradcheck.report.trace import MEASURES, Trace, input_ticks, number, steps_to, trace_of

__all__ = ["draw_curve", "draw_points"]

HEIGHT = 13
LEAST_BESIDE = 120
"""Columns from which two panels stand side by side."""


def draw_curve(curve: Curve, width: int, colour: bool) -> str:
    """Error/bound and error in ulp of one output against its input, as text of so many columns."""
    panels = [_curve_panel(curve, measure, width if width < LEAST_BESIDE else width // 2) for measure in MEASURES]
    return _arranged([_built(panel, colour) for panel in panels], width)


def _arranged(panels: list[str], width: int) -> str:
    if width < LEAST_BESIDE:
        return "\n".join(panels)
    rows = zip(*(panel.splitlines() for panel in panels), strict=True)
    return "\n".join("".join(row) for row in rows)


def _curve_panel(curve: Curve, measure: str, width: int) -> dict[str, Any]:
    trace = trace_of(curve, measure, 2 * width)
    places, labels = input_ticks(curve)
    if width < LEAST_BESIDE:  # every other label, the ends and 0 among them
        places, labels = places[::2], labels[::2]
    return {
        "title": f"{curve.case.operation.rpartition('.')[2]} {curve.case.dtype}: {MEASURES[measure]} of {curve.output}",
        "width": width,
        "xticks": (places.tolist(), labels),
        "trace": trace,
        "one": measure == "ratio",
    }


def draw_points(
    title: str, groups: Mapping[str, tuple[Sequence[float], Sequence[float]]], width: int, colour: bool
) -> str:
    """Errors over bounds (second) against sizes (first) by output, as text; both axes are logarithmic."""
    import plotext as plt

    plt.clear_figure()
    _prepare(plt, title, width, colour)
    sizes = np.concatenate([np.log2(np.maximum(x, 1.0)) for x, _ in groups.values()])
    errors = np.concatenate([np.asarray(y, dtype=float) for _, y in groups.values()])
    heights, ticks = _heights(errors, logarithmic=True)
    start = 0
    for marker, (name, (x, _)) in zip("●×◆+*■▲○", groups.items(), strict=False):
        part = slice(start, start + len(x))
        start += len(x)
        plt.scatter(sizes[part].tolist(), heights[part].tolist(), label=name, marker=marker)
    _one(plt, errors, logarithmic=True)
    powers = range(int(sizes.min()), math.ceil(sizes.max()) + 1, max(1, int(np.ptp(sizes)) // 8))
    plt.xticks(list(powers), [number(2.0**power) for power in powers])
    plt.yticks(*ticks)
    plt.ylim(min(ticks[0]), max(ticks[0]))
    return str(plt.build()) if colour else str(plt.uncolorize(plt.build()))


def _prepare(plt: Any, title: str, width: int, colour: bool) -> None:
    plt.theme("clear")
    plt.plot_size(width, HEIGHT + 2)
    plt.title(title)


def _built(panel: dict[str, Any], colour: bool) -> str:
    import plotext as plt

    plt.clear_figure()
    _prepare(plt, panel["title"], panel["width"], colour)
    trace: Trace = panel["trace"]
    heights, ticks = _heights(trace.worst, trace.logarithmic)
    plt.plot(trace.places.tolist(), heights.tolist(), marker="braille", color="cyan")
    if panel["one"]:
        _one(plt, trace.worst, trace.logarithmic)
    if len(trace.infinite):
        top = max([*heights.tolist(), *ticks[0]], default=1.0)
        plt.scatter(trace.infinite.tolist(), [top] * len(trace.infinite), marker="∞", color="red")
    plt.xticks(*panel["xticks"])
    plt.yticks(*ticks)
    plt.ylim(min(ticks[0]), max(ticks[0]))
    plt.xlim(-1.0, 1.0)
    text = str(plt.build())
    return text if colour else str(plt.uncolorize(text))


def _one(plt: Any, errors: np.ndarray, logarithmic: bool) -> None:
    """A line where the error is the bound."""
    finite = errors[np.isfinite(errors)]
    if logarithmic or finite.max(initial=0.0) >= 1.0:
        plt.hline(0.0 if logarithmic else 1.0, color="red")


def _heights(errors: np.ndarray, logarithmic: bool) -> tuple[np.ndarray, tuple[list[float], list[str]]]:
    """Heights of errors on their axis (decimal logarithms, at least six powers of ten below the largest), and ticks."""
    finite = errors[np.isfinite(errors)]
    largest = float(finite.max(initial=0.0))
    if not logarithmic:
        ticks = steps_to(largest or 1.0)
        return errors, (ticks, [f"{tick:.3g}" for tick in ticks])
    top = math.ceil(math.log10(largest)) if largest else 0
    least = float(finite[finite > 0.0].min(initial=1.0))
    bottom = max(top - 6, math.floor(math.log10(least)) - 1, -300) if top < 30 else -2
    heights = np.log10(np.clip(errors, 10.0**bottom, 10.0**top))
    powers = sorted({*range(bottom, top + 1, max(1, (top - bottom) // 4)), top, 0 if bottom <= 0 <= top else top})
    return heights, ([float(p) for p in powers], ["1" if p == 0 else f"1e{p}" for p in powers])
