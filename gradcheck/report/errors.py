"""The plots of the page: errors against inputs, judged anew, and worst recorded errors against the size of a case."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.record.read import Record
from gradcheck.record.run import Run
from gradcheck.report.overview import figure

__all__ = ["BINS", "curves", "sizes"]

BINS = 300
_ARRAY = re.compile(r"\b[a-z]+\((\d+(?:, \d+)*)\b")


def sizes(record: Record, run: Run) -> dict[str, dict[str, dict[str, list[Any]]]]:
    """By operation, dtype and ``value`` or ``gradient``: pairs of a power of two and the worst error over the bound of
    the cases whose largest array has less than twice as many elements."""
    sql = """SELECT c.line, c.operation, c.dtype, v.output, max(v.error_over_bound) FROM verdicts v
        JOIN cases c ON c.id = v.case_id WHERE v.run = ? AND v.error_over_bound IS NOT NULL GROUP BY c.id, v.output"""
    worst: dict[str, dict[str, dict[str, dict[int, float]]]] = {}
    for line, operation, dtype, output, ratio in record.rows(sql, run.number):
        side = "gradient" if output.startswith(("grad[", "hvp[", "jacobian[", "tangent")) else "value"
        powers = worst.setdefault(operation, {}).setdefault(dtype, {}).setdefault(side, {})
        power = size_of_line(line).bit_length() - 1
        powers[power] = max(powers.get(power, 0.0), ratio)
    return {
        operation: {
            dtype: {side: [[p, figure(r)] for p, r in sorted(powers.items())] for side, powers in sides.items()}
            for dtype, sides in dtypes.items()
        }
        for operation, dtypes in worst.items()
    }


def size_of_line(line: str) -> int:
    """Elements of the largest array in a case line, at least 1; read without parsing it, since there are many."""
    return max((math.prod(map(int, shape.split(", "))) for shape in _ARRAY.findall(line)), default=1) or 1


def curves(places: list[tuple[str, str]], told: Callable[[str], None] = lambda words: None) -> dict[str, Any]:
    """Error curves of operations in dtypes, computed now by the installed PyTorch on the CPU.

    ``inputs``: by dtype what lies in the bins, and the ticks; ``curves``: by operation, dtype and output the worst of
    each bin. Operations without a curve are left out. told: hears what is being drawn.
    """
    from gradcheck.errors import UsageError
    from gradcheck.reference.registry import entries
    from gradcheck.report.curve import curve_case, curves_of, has_curve
    from gradcheck.subject.facts import facts, use_one_thread

    use_one_thread()
    inputs: dict[str, Any] = {}
    drawn: dict[str, dict[str, dict[str, Any]]] = {}
    for operation, dtype in places:
        entry: Any = entries().get(operation)
        if not has_curve(entry):
            continue
        told(f"{operation} {dtype}")
        try:
            found = curves_of(entry, curve_case(entry, dtype))
        except UsageError:  # this PyTorch has no kernel for it, as the verdicts say
            continue
        for curve in found:
            inputs.setdefault(dtype, _inputs(curve))
            drawn.setdefault(operation, {}).setdefault(dtype, {})[curve.output] = _drawn(curve)
    return {"inputs": inputs, "curves": drawn, "facts": facts("cpu")}


def _inputs(curve: Any) -> dict[str, Any]:
    """What lies in the middle of each bin (all curves of a dtype have the same axis), and the ticks."""
    from gradcheck.report.trace import input_ticks, number, places_of

    places = places_of(curve, curve.x)
    middles = (np.arange(BINS) + 0.5) / BINS * 2.0 - 1.0
    nearest = curve.x[np.clip(np.searchsorted(places, middles), 0, len(places) - 1)]
    ticks, labels = input_ticks(curve)
    return {
        "x": [f"{value:.4g}" for value in nearest],
        "ticks": [[float(f"{place:.5f}"), label] for place, label in zip(ticks, labels, strict=True)],
        "words": number(float(len(curve.x))),
    }


def _drawn(curve: Any) -> dict[str, Any]:
    from gradcheck.report.trace import MEASURES, trace_of

    worst = curve.worst
    measures = {}
    for measure in MEASURES:
        trace = trace_of(curve, measure, BINS)
        values: list[Any] = [None] * BINS
        for place, value in zip(trace.places, trace.worst, strict=True):
            values[_bin(place)] = float(f"{value:.3g}")
        measures[measure] = {
            "y": values,
            "log": trace.logarithmic,
            "inf": [_bin(place) for place in trace.infinite],
        }
    return {
        **measures,
        "worst": figure(curve.ratio[worst]),
        "at": f"{curve.x[worst]:.9g}",
        "worst_ulp": figure(curve.ulp.max()),
        "exceeding": curve.exceeding,
        "inputs": len(curve.x),
        "case": "gradcheck replay '" + str(curve.case).replace("'", '"') + "'",
    }


def _bin(place: float) -> int:
    return min(int((place + 1.0) / 2.0 * BINS), BINS - 1)
