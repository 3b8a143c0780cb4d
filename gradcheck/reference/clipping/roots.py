"""Powers and roots of what is no less than 0 on any machine, such as a norm, though its error bound reaches below."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic import Bounded, number
from gradcheck.arithmetic.carrier import float64_of
from gradcheck.arithmetic.model import UPWARD
from gradcheck.errors import ContractError

__all__ = ["raised", "root"]


def root(x: Any, p: float) -> Any:
    """x^(1/p) for x >= 0 and a finite p. Where squares underflow, x lies between 0 and its bound, and so does the root.

    Raises ContractError for a p that is not finite.
    """
    if not np.isfinite(p):
        raise ContractError(f"p={p}: expected a finite number.")
    return _rising(x, lambda y: np.sqrt(y) if p == 2.0 else y ** (number(1.0, y) / p))


def raised(x: Any, p: float) -> Any:
    """x^p for x >= 0 and p > 0."""
    return _rising(x, lambda y: y * y if p == 2.0 else y**p)


def _rising(x: Any, function: Callable[[Any], Any]) -> Any:
    """A function that rises from 0 at 0; where x may be 0 it lies between 0 and its value at the largest x."""
    whole = function(x)
    if not isinstance(x, Bounded) or x.bound is None:
        return whole
    high = (x.value + x.bound) * UPWARD
    at_zero = (x.value <= x.bound) & np.isfinite(high)
    if not np.any(at_zero):
        return whole
    end = function(Bounded(np.where(at_zero, high, 1.0), None, x.model))
    reach = float64_of(np.maximum(end.value + end.full_bound(), whole.value) * UPWARD)
    return Bounded(whole.value, np.where(at_zero, reach, whole.full_bound()), x.model)
