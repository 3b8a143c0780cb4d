"""Building blocks of the ``inputs`` functions: which shapes, values and hyperparameters an operation takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gradcheck.reference.registry import Kink

__all__ = ["POSITIVE", "REDUCTIONS", "elementwise", "hyperparameters", "kink", "rows_of_x"]

POSITIVE = (1.0, 0.5, 2.0, 1.7, 0.3, 3.1)
"""Values of a positive hyperparameter: representable ones, and ones that every format rounds."""

REDUCTIONS = ("mean", "sum", "none")


def hyperparameters(draw: Any, **options: Sequence[Any]) -> dict[str, Any]:
    """One value of each hyperparameter; the first option is the simplest (usually the default)."""
    return {name: draw.choice(values) for name, values in options.items()}


def elementwise(
    kinks: Callable[..., Sequence[float]] = lambda: (0.0,), **options: Sequence[Any]
) -> Callable[[Any], Any]:
    """Inputs of a unary operation: any shape, any values; ``kinks(**hyperparameters)`` says where it has kinks."""

    def inputs(draw: Any) -> dict[str, Any]:
        chosen = hyperparameters(draw, **options)
        return {"x": draw.array(draw.shape(), near=kinks(**chosen)), **chosen}

    return inputs


def rows_of_x(arguments: dict[str, Any]) -> tuple[str, ...]:
    """``rows`` of an operation with one array whose rows along axis 0 are independent."""
    return ("x",) if arguments["x"].ndim else ()


def kink(
    where: str, what: str, x: Sequence[float], value: Sequence[float], gradient: Sequence[float], /, **options: Any
) -> Kink:
    """The convention of a unary operation at the numbers ``x``: its values and gradients there."""
    return Kink(where, what, {"x": list(x), **options}, {"value": list(value), "grad[x]": list(gradient)})
