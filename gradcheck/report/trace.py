"""A curve made ready for drawing: worst errors by place on the axis of inputs, and the axes' ticks.

Every drawing (terminal, figure, page) shows the same: places in [-1, 1], of each bin of inputs its worst error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gradcheck.cases.case import ArraySpec
from gradcheck.cases.sweep import knots, position
from gradcheck.report.curve import Curve

__all__ = ["MEASURES", "Trace", "input_ticks", "number", "places_of", "steps_to", "trace_of"]

MEASURES = {"ratio": "error / bound", "ulp": "error in ulp"}
"""What is drawn against the input: fields of a curve, and their titles."""

LINEAR_TO = {"ratio": 4.0, "ulp": 16.0}
"""Up to which worst error an axis is linear; beyond, it is logarithmic."""


@dataclass(frozen=True)
class Trace:
    """The worst error of each bin that has inputs, in order, and where it is infinite (no error is allowed there)."""

    places: np.ndarray
    worst: np.ndarray
    infinite: np.ndarray
    logarithmic: bool


def places_of(curve: Curve, x: np.ndarray) -> np.ndarray:
    """Places of inputs on the axis: along the window of the sweep, or along the format's number line."""
    window = _window(curve)
    if window is None:
        return position(curve.form, x)
    low, high = window
    return (np.asarray(x) - low) / (high - low) * 2.0 - 1.0


def _window(curve: Curve) -> tuple[float, float] | None:
    spec = next(value for _, value in curve.case.arguments if isinstance(value, ArraySpec))
    options = dict(spec.options)
    return (options["low"], options["high"]) if "low" in options else None


def trace_of(curve: Curve, measure: str, bins: int) -> Trace:
    """The worst of a measure (see MEASURES) in so many bins of equal width."""
    values = getattr(curve, measure)
    index = np.clip(((places_of(curve, curve.x) + 1.0) / 2.0 * bins).astype(np.int64), 0, bins - 1)
    worst = np.full(bins, -1.0)
    np.maximum.at(worst, index, values)
    met = np.flatnonzero(worst >= 0.0)
    places, worst = (met + 0.5) / bins * 2.0 - 1.0, worst[met]
    finite = np.isfinite(worst)
    largest = worst[finite].max(initial=0.0)
    return Trace(places[finite], worst[finite], places[~finite], bool(largest > LINEAR_TO[measure]))


def input_ticks(curve: Curve) -> tuple[np.ndarray, list[str]]:
    """Places and labels of some inputs on the axis."""
    window = _window(curve)
    if window is not None:
        values = np.linspace(*window, 9)
    else:
        _, tiny, saturated, largest = knots(curve.form)
        powers = 2.0 ** np.array([-8.0, -4.0, 0.0, 4.0])
        positive = np.array([tiny, *powers[powers < saturated / 4.0], saturated, largest])
        values = np.concatenate([-positive[::-1], [0.0], positive])
    return places_of(curve, values), [number(value) for value in values]


def number(value: float) -> str:
    """A figure for people: three digits, powers of two that are no short decimals as such."""
    if value and math.isfinite(value):
        mantissa, exponent = math.frexp(abs(value))
        if mantissa == 0.5 and not -3 <= exponent - 1 <= 13:
            return f"{'-' if value < 0 else ''}2^{exponent - 1}"
    return "∞" if value == math.inf else "-∞" if value == -math.inf else f"{value:.3g}"


def steps_to(largest: float) -> list[float]:
    """Ticks of a linear axis from 0: three to six round numbers, the last one not below ``largest``."""
    power = 10.0 ** math.floor(math.log10(largest))
    step = next(m * power / 10.0 for m in (2.0, 2.5, 5.0, 10.0, 20.0) if m * power / 2.0 >= largest)
    return [step * k for k in range(math.ceil(largest / step) + 1)]
