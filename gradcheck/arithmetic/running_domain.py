"""Where the error of an operand may take it out of a function's domain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic.running import Bounded

__all__ = ["below", "everywhere", "nan_below"]


def everywhere(*operands: Bounded) -> Any:
    """These functions do not overflow: what is not finite is a pole, or outside the domain."""
    return np.True_


def below(a: Bounded, pole: float, compare: Callable[[Any, Any], Any]) -> Any:
    """Where the operand's error may take it out of the domain from ``pole`` on; wholly outside, NaN is certain."""
    if a.bound is None:
        return np.False_
    return (a.bound > 0.0) & compare(a.value - a.bound, pole) & (a.value + a.bound >= pole)


def nan_below(a: Bounded, pole: float, compare: Callable[[Any, Any], Any], spread: Any) -> Any:
    """``spread``, and NaN, which ``repair`` finds, where the operand may be out of the domain."""
    if (a.value - a.bound).min(initial=pole + 1.0) > pole:
        return spread
    return np.where(below(a, pole, compare), np.nan, spread)
