"""Which cases are tame: where a bound that is infinite says more of the formula than of the numbers."""

from __future__ import annotations

from gradcheck.cases.case import Case
from gradcheck.cases.inputs import BOOLEAN_KINDS, INTEGER_KINDS

__all__ = ["is_tame"]

TAME = ("ordinary", "positive", "inner", "shares", "signs", *INTEGER_KINDS, *BOOLEAN_KINDS)
"""Kinds of values with which nothing overflows in float32, nor comes near a pole unless the formula goes there."""


def is_tame(case: Case) -> bool:
    """Whether all arrays are of tame kinds, in a format of more than 16 bits."""
    return case.dtype in ("float64", "float32") and all(spec.kind in TAME for spec in case.specs.values())
