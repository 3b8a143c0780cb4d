"""A line search for the strong Wolfe conditions, by brackets and cubic interpolation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

__all__ = ["strong_wolfe"]

Holds = Callable[[Any], bool]


class _Point(NamedTuple):
    """Step length, value, gradient, slope along the direction."""

    t: Any
    f: Any
    g: Any
    slope: Any


def strong_wolfe(
    along: Callable[[Any], tuple[Any, Any]], t: Any, d: Any, f: Any, g: Any, slope: Any, most: int, holds: Holds,
    c1: float = 1e-4, c2: float = 0.9, tolerance: float = 1e-9,
) -> tuple[Any, Any, Any, int]:  # fmt: skip
    """``(f, g, t, evaluations)`` at a step length with f ≤ f0 + c1·t·slope0 and |slope| ≤ c2·|slope0|.

    Brackets such a point, then zooms in (Nocedal & Wright 2006, algorithms 3.5 and 3.6; the order of the tests is that
    of M. Schmidt's minFunc, which PyTorch follows). along(t): value and gradient at t; most: the most evaluations after
    the first; a trial nearer than a tenth of the bracket to its end is moved inside when that happens twice in a row.
    """
    first = _Point(0.0, f, g, slope)

    def at(step: Any) -> _Point:
        value, gradient = along(step)
        return _Point(step, value, gradient, np.sum(gradient * d))

    def too_high(point: _Point) -> bool:
        return holds(point.f > f + c1 * point.t * slope)

    def flat(point: _Point) -> bool:
        return holds(np.abs(point.slope) <= -c2 * slope)

    before, now, tries, done = first, at(t), 0, False
    bracket: list[_Point] | None = None
    while tries < most:
        if too_high(now) or (tries > 1 and holds(now.f >= before.f)):
            bracket = [before, now]
            break
        if flat(now):
            bracket, done = [now], True
            break
        if holds(now.slope >= 0.0):
            bracket = [before, now]
            break
        least, largest = now.t + 0.01 * (now.t - before.t), now.t * 10.0
        trial = _cubic(before, now, holds, (least, largest))
        before, now = now, at(trial)
        tries += 1
    if bracket is None:
        bracket = [first, now]
    evaluations = tries + 1
    low, high = (0, 1) if holds(bracket[0].f <= bracket[-1].f) else (1, 0)
    stuck = False
    while not done and tries < most:
        width = np.abs(bracket[1].t - bracket[0].t)
        if holds(width * np.max(np.abs(d)) < tolerance):
            break
        trial, stuck = _inside(_cubic(bracket[0], bracket[1], holds, None), bracket, stuck, holds)
        now = at(trial)
        evaluations, tries = evaluations + 1, tries + 1
        if too_high(now) or holds(now.f >= bracket[low].f):
            bracket[high] = now
            low, high = (0, 1) if holds(bracket[0].f <= bracket[1].f) else (1, 0)
            continue
        if flat(now):
            done = True
        elif holds(now.slope * (bracket[high].t - bracket[low].t) >= 0.0):
            bracket[high] = bracket[low]
        bracket[low] = now
    best = bracket[low]
    return best.f, best.g, best.t, evaluations


def _cubic(a: _Point, b: _Point, holds: Holds, bounds: tuple[Any, Any] | None) -> Any:
    """The minimiser of the cubic through both points, clamped to bounds or to [a, b]; their middle if it has none."""
    ordered = holds(a.t <= b.t)
    least, largest = bounds or ((a.t, b.t) if ordered else (b.t, a.t))
    d1 = a.slope + b.slope - 3.0 * (a.f - b.f) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not holds(square >= 0.0):
        return (least + largest) / 2.0
    d2 = np.sqrt(square)
    left, right = (a, b) if ordered else (b, a)
    lowest = right.t - (right.t - left.t) * ((right.slope + d2 - d1) / (right.slope - left.slope + 2.0 * d2))
    return np.minimum(np.maximum(lowest, least), largest)


def _inside(t: Any, bracket: list[_Point], stuck: bool, holds: Holds) -> tuple[Any, bool]:
    """The trial, moved a tenth of the bracket inside where it is at an end, or near one for the second time."""
    least, largest = np.minimum(bracket[0].t, bracket[1].t), np.maximum(bracket[0].t, bracket[1].t)
    tenth = 0.1 * (largest - least)
    if not holds(np.minimum(largest - t, t - least) < tenth):
        return t, False
    if stuck or holds(t >= largest) or holds(t <= least):
        nearer = holds(np.abs(t - largest) < np.abs(t - least))
        return (largest - tenth if nearer else least + tenth), False
    return t, True
