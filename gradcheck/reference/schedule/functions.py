"""Functions of the user's that a case can name: what they return is given, and exact for both sides."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic import number
from gradcheck.errors import UsageError, choices

__all__ = ["FUNCTIONS", "function_named", "values_of"]

FUNCTIONS: dict[str, Callable[[float], float]] = {
    "halving": lambda x: 0.5**x,
    "inverse": lambda x: 1.0 / (1.0 + x),
    "decay": lambda x: 0.95**x,
    "zigzag": lambda x: 1.25 if x % 2 else 0.75,
    "wave": lambda x: 0.75 + 0.25 * math.sin(x),
    "off after 3": lambda x: 1.0 if x <= 3 else 0.0,
}


def function_named(name: str) -> Callable[[float], float]:
    """The function that a case names. Raises UsageError where there is none."""
    if name not in FUNCTIONS:
        raise UsageError(f"function {name!r} is not known; expected {choices(FUNCTIONS)}.")
    return FUNCTIONS[name]


def values_of(name: str, at: Any, like: Any) -> Any:
    """The function's values at whole numbers, in the arithmetic of ``like``; shape of ``at``."""
    return number(1.0, like) * np.array([function_named(name)(int(x)) for x in np.ravel(at)]).reshape(np.shape(at))
