"""A sweep over the number line of a format: inputs in ascending order, for curves of an error against its input.

The line is the format's own: neighbours lie at equal distances, so it is logarithmic, piecewise linear between powers
of two. Most of a sweep goes where functions are not yet saturated, a part to the tiny numbers, a part to the huge ones.
Everything is whole numbers, so that a sweep has the same bits everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gradcheck.formats import Format

__all__ = ["BESIDE", "knots", "position", "swept"]

TINY = 2.0**-12
BESIDE = 16
"""How many numbers to either side of a kink are in a sweep."""

SHARES = (0.0, 0.15, 0.85, 1.0)
"""Of either half of a sweep: up to which share it lies below the tiny, the ordinary and the largest numbers."""


def knots(form: Format) -> np.ndarray:
    """0, where tiny numbers end, where functions are saturated (twice the logarithm of the largest number), the end."""
    saturated = 2.0 ** math.ceil(math.log2(2.0 * math.log(form.largest)))
    return np.array([0.0, TINY, saturated, form.largest])


def _ordinals(form: Format, positive: np.ndarray) -> np.ndarray:
    """Places of numbers that are not negative on the number line: 0 for 0, 1 for the smallest subnormal number."""
    return form.to_bits(positive).astype(np.int64)


def position(form: Format, values: np.ndarray) -> np.ndarray:
    """Where finite numbers stand on the axis of a sweep, in [-1, 1]."""
    places = _ordinals(form, knots(form)).astype(np.float64)
    return np.copysign(np.interp(_ordinals(form, np.abs(values)).astype(np.float64), places, SHARES), values)


def swept(
    form: Format, n: int, at: Sequence[float] = (), low: float | None = None, high: float | None = None
) -> np.ndarray:
    """n finite numbers of the format in ascending order, the points ``at`` and their neighbours among them.

    Between ``low`` and ``high``, where both are given, they lie at equal distances; else along the whole number line.
    """
    points = form.round(np.array(at, dtype=np.float64))
    beside = form.step(points[:, None], np.arange(-BESIDE, BESIDE + 1)).ravel()
    beside = beside[np.isfinite(beside)]
    if low is not None and high is not None:
        beside = beside[(low <= beside) & (beside <= high)][: n // 2]
        rest = n - len(beside)
        line = low + (high - low) * (np.arange(rest) / max(rest - 1, 1))
    else:
        beside = beside[: n // 2]
        rest = n - len(beside)
        half = _half(form, rest // 2)
        line = np.concatenate([-half, np.zeros(rest % 2), half])
    return np.sort(form.round(np.concatenate([line, beside]) + 0.0), kind="stable")


def _half(form: Format, n: int) -> np.ndarray:
    """n positive numbers, as many between each two knots as its share says."""
    places = _ordinals(form, knots(form))
    ends = [int(share * n) for share in SHARES]
    ordinals = [
        _between(int(start), int(stop), last - first)
        for start, stop, first, last in zip(places[:-1], places[1:], ends[:-1], ends[1:], strict=True)
    ]
    return form.step(np.zeros(n), np.concatenate(ordinals))


def _between(start: int, stop: int, n: int) -> np.ndarray:
    """n whole numbers in (start, stop] at equal distances, the last one ``stop``; without a product that overflows."""
    step, rest = divmod(stop - start, max(n, 1))
    index = np.arange(1, n + 1, dtype=np.int64)
    return start + step * index + rest * index // max(n, 1)
