"""How rules of the running error arithmetic get their operands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradcheck.arithmetic.model import RoundingModel
from gradcheck.arithmetic.running import Bounded, lift

__all__ = ["Rule", "binary", "unary"]

Rule = Callable[[RoundingModel, Bounded, Bounded], Bounded]
"""The rule of a function of two bounded numbers."""


def binary(rule: Callable[[RoundingModel, Bounded, Bounded], Any]) -> Callable[[Any, Any], Any]:
    """A rule of two bounded numbers as one of two operands, one of which may be a plain number or array."""

    def lifted(a: Any, b: Any) -> Any:
        model = a.model if isinstance(a, Bounded) else b.model
        return rule(model, lift(a, model), lift(b, model))

    return lifted


def unary(rule: Callable[[RoundingModel, Bounded], Any]) -> Callable[[Any], Any]:
    """A rule of the model and a bounded number as one of the number alone."""
    return lambda a: rule(a.model, a)
