"""Rules of the running error arithmetic for comparisons: three-valued where the operands' intervals overlap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic.mask import Mask, decide
from gradcheck.arithmetic.model import RoundingModel
from gradcheck.arithmetic.running import Bounded
from gradcheck.arithmetic.running_operands import binary

__all__ = ["comparison", "is_nan", "refuse_mask_arithmetic"]


def comparison(compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A comparison, undecided where the operands are nearer than their errors."""

    def rule(m: RoundingModel, a: Bounded, b: Bounded) -> Any:
        likely = compare(a.value, b.value)
        if a.bound is None and b.bound is None:
            return likely
        errors = a.full_bound() + b.full_bound()
        undecided = (errors > 0) & ((np.abs(a.value - b.value) <= errors) | np.isinf(errors))
        return decide(likely, undecided)

    return binary(rule)


def is_nan(m: RoundingModel, a: Bounded) -> Any:
    """Whether it is NaN, undecided where nothing is known of it."""
    return decide(np.isnan(a.value), np.isinf(a.full_bound()))


def refuse_mask_arithmetic(a: Any, b: Any) -> Any:
    """Masks choose; a product with one would hide what is undecided."""
    mask = a if isinstance(a, Mask) else b
    raise mask._missing("arithmetic with a mask", {})
