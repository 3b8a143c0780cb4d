"""Plain numbers: what a reference must give for inputs that anybody can check by hand or in a table.

A float stands for itself and is compared exactly. A string is a decimal, good to its last digit, and is compared
within float64's own running error bound. None stands for NaN.
"""

from __future__ import annotations

import math
from typing import Any

import flint
import numpy as np

from gradcheck.arithmetic import ball_precision, rounding_model
from gradcheck.reference.evaluate import bounded_outputs, float64_outputs
from gradcheck.reference.registry import reference_named

__all__ = ["check", "gives"]

Known = Any


def gives(name: str, arguments: dict[str, Any], cotangent: Any = None) -> dict[str, np.ndarray]:
    """All outputs in float64; lists of floats become arrays, the cotangent is of ones unless given."""
    reference = reference_named(name if name.startswith("nn.") else f"nn.functional.{name}")
    prepared = _prepared(reference.arrays, arguments)

    def make(output: str, shape: tuple[int, ...]) -> np.ndarray:
        return np.ones(shape) if cotangent is None else np.asarray(cotangent, dtype=np.float64).reshape(shape)

    return float64_outputs(reference, prepared, make)


def check(name: str, arguments: dict[str, Any], cotangent: Any = None, **expected: Known) -> None:
    """Compare every output that is named: ``value``, and gradients by the name of their array."""
    reference = reference_named(name if name.startswith("nn.") else f"nn.functional.{name}")
    prepared = _prepared(reference.arrays, arguments)

    def make(output: str, shape: tuple[int, ...]) -> np.ndarray:
        return np.ones(shape) if cotangent is None else np.asarray(cotangent, dtype=np.float64).reshape(shape)

    got = gives(name, arguments, cotangent)
    bounds = bounded_outputs(reference, prepared, make, rounding_model("float64"))
    for output, known in expected.items():
        key = output if output == "value" else f"grad[{output}]"
        numbers = np.array(known, dtype=object)
        assert got[key].shape == numbers.shape, f"{key} has shape {got[key].shape}, should be {numbers.shape}"
        bound = bounds[key].full_bound()
        for index in np.ndindex(*numbers.shape):
            sentence = _differs(float(got[key][index]), numbers[index], float(bound[index]))
            assert not sentence, f"{name}: {key}{list(index)} {sentence}"


def _prepared(arrays: tuple[str, ...], arguments: dict[str, Any]) -> dict[str, Any]:
    """Lists to arrays: of floats, or of integers where all are."""
    made = {}
    for key, value in arguments.items():
        array = np.asarray(value) if key in arrays and value is not None else value
        made[key] = array
    return made


def _differs(got: float, known: Any, bound: float) -> str:
    if known is None:
        return "" if math.isnan(got) else f"is {got}, should be NaN"
    if not isinstance(known, str):
        same = got == known and (got != 0.0 or math.copysign(1.0, got) == math.copysign(1.0, known) or known == 0)
        return "" if same else f"is {got}, should be {known} exactly"
    with ball_precision(200):
        decimals = len(known.partition(".")[2])
        distance = abs(flint.arb(known) - got)
        return "" if distance <= flint.arb(bound) + flint.arb(10) ** -decimals else f"is {got}, should be {known}"
