"""Curves and scatters as a file, by matplotlib: PNG, SVG, PDF, by the ending of its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gradcheck.errors import UsageError, choices
from gradcheck.report.curve import Curve
from gradcheck.report.trace import MEASURES, input_ticks, trace_of

__all__ = ["ENDINGS", "check_matplotlib", "save_curves", "save_points"]

ENDINGS = (".png", ".svg", ".pdf")
BINS = 1200


def check_matplotlib(path: Path) -> None:
    """Raise UsageError unless a figure with the path's ending can be drawn here."""
    if path.suffix not in ENDINGS:
        raise UsageError(f"--plot {str(path)!r}: expected a name that ends in {choices(ENDINGS)}.")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise UsageError("--plot needs matplotlib: pip install 'gradcheck[plot]'.") from None


def _new(rows: int, columns: int) -> Any:
    """A figure without a window, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0 * columns, 2.9 * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def save_curves(curves: list[Curve], path: Path) -> None:
    """A row for each curve: error/bound and error in ulp against the input."""
    figure, axes = _new(len(curves), len(MEASURES))
    for row, curve in zip(axes, curves, strict=True):
        for ax, measure in zip(row, MEASURES, strict=True):
            _draw(ax, curve, measure)
    _save(figure, path)


def _draw(ax: Any, curve: Curve, measure: str) -> None:
    trace = trace_of(curve, measure, BINS)
    ax.fill_between(trace.places, trace.worst, step="mid", color="#2f6fb5", alpha=0.25, linewidth=0)
    ax.step(trace.places, trace.worst, where="mid", color="#2f6fb5", linewidth=0.9)
    if trace.logarithmic:
        positive = trace.worst[trace.worst > 0.0]
        top = float(positive.max())
        bottom = max(float(positive.min()) / 2.0, min(1e-3, top / 1e3))
        ax.set_yscale("log")
        ax.set_ylim(bottom, min(top, np.finfo(np.float64).max / 4.0) * 2.0)
    else:
        ax.set_ylim(0.0, max(1.05, float(trace.worst.max(initial=0.0)) * 1.05))
    if measure == "ratio":
        ax.axhline(1.0, color="#b3261e", linewidth=1.0, linestyle="--", label="the bound")
    if len(trace.infinite):
        ax.plot(
            trace.infinite, np.full(len(trace.infinite), 0.97), "v", color="#b3261e", markersize=5,
            transform=ax.get_xaxis_transform(), label="no error is allowed here",
        )  # fmt: skip
    if ax.get_legend_handles_labels()[1]:
        ax.legend(loc="best", fontsize=8, frameon=False)
    ax.set_xlim(-1.0, 1.0)
    places, labels = input_ticks(curve)
    ax.set_xticks(places, labels, fontsize=8)
    ax.set_xlabel("input", fontsize=9)
    ax.set_title(f"{curve.case.operation}, {curve.case.dtype}, {curve.output}: {MEASURES[measure]}", fontsize=10)
    ax.grid(alpha=0.25)


def save_points(title: str, groups: dict[str, tuple[list[float], list[float]]], path: Path) -> None:
    """Errors over bounds against sizes by output; both axes are logarithmic."""
    figure, axes = _new(1, 1)
    ax = axes[0, 0]
    least = min((e for _, errors in groups.values() for e in errors if e > 0.0), default=1e-3) / 2.0
    for marker, (name, (sizes, errors)) in zip("osD^v<>Ph*", groups.items(), strict=False):
        finite = [error if np.isfinite(error) else np.nan for error in errors]
        ax.plot(np.maximum(sizes, 0.5), np.maximum(finite, least), marker, label=name, markersize=4, alpha=0.7)
    ax.axhline(1.0, color="#b3261e", linewidth=1.0, linestyle="--", label="the bound")
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xlabel("elements of the largest array of the case", fontsize=9)
    ax.set_ylabel("error / bound", fontsize=9)
    ax.set_title(title, fontsize=10)
    ax.legend(fontsize=8)
    ax.grid(alpha=0.25)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise UsageError(f"--plot {str(path)!r} cannot be written: {error.strerror}.") from None
