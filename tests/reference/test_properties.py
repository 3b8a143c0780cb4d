"""What holds for every reference, by its bounds alone: the vjp is linear in the cotangent, and 0 for none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradcheck.arithmetic import Bounded, rounding_model
from gradcheck.cases.draw import Draw, ModeDraw, draw_case
from gradcheck.cases.inputs import KINDS, Bits, arguments_of
from gradcheck.certify.draw import SMOOTH
from gradcheck.reference.evaluate import bounded_outputs
from gradcheck.reference.registry import Reference, references

OTHERS = tuple(kind for kind in KINDS if kind not in SMOOTH or kind == "wide")  # what underflows on the way


def gradients(reference: Reference, arguments: dict[str, Any], *words: object, factors: tuple[float, ...]) -> Any:
    """Gradients for Σ factor·cotangent, of as many cotangents of small whole numbers as there are factors."""

    def cotangent(output: str, shape: tuple[int, ...]) -> np.ndarray:
        parts = [Bits(*words, output, place).below(9, int(np.prod(shape))) - 4.0 for place in range(len(factors))]
        return sum(factor * part for factor, part in zip(factors, parts, strict=True)).reshape(shape) + 0.0

    outputs = bounded_outputs(reference, arguments, cotangent, rounding_model("float64"))
    return {name: output for name, output in outputs.items() if name.startswith("grad[")}


def beyond(found: Bounded, expected: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Places where two numbers are further apart than both their bounds allow."""
    with np.errstate(all="ignore"):
        return np.argwhere(np.abs(np.asarray(found.value) - expected) > found.full_bound() + allowed)


@pytest.mark.parametrize("name", references())
def test_the_vjp_is_linear_in_the_cotangent(name: str) -> None:
    """vjp(2a - 3b) = 2·vjp(a) - 3·vjp(b), within the bounds of the three."""
    reference = references()[name]
    for index in range(2):
        case = draw_case(reference, ModeDraw(name, 5, index, without=OTHERS, most=60), index)
        arguments = arguments_of(case)
        both = gradients(reference, arguments, name, index, factors=(2.0, -3.0))
        first, second = (gradients(reference, arguments, name, index, factors=f) for f in ((1.0, 0.0), (0.0, 1.0)))
        for output, found in both.items():
            expected = 2.0 * np.asarray(first[output].value) - 3.0 * np.asarray(second[output].value)
            allowed = 2.0 * first[output].full_bound() + 3.0 * second[output].full_bound()
            assert not beyond(found, expected, allowed).size, f"{case}: {output}"


@pytest.mark.parametrize("name", references())
def test_the_vjp_of_no_cotangent_is_zero(name: str) -> None:
    reference = references()[name]
    case = draw_case(reference, Draw(), 0)
    for output, found in gradients(reference, arguments_of(case), factors=(0.0,)).items():
        assert not np.any(found.value), f"{case}: {output}"


def test_a_vjp_that_is_not_linear_is_seen() -> None:
    """Clipping a cotangent is what a planted fault looks like here."""
    found = Bounded(np.array([1.0]), np.array([0.25]), rounding_model("float64"))
    assert beyond(found, np.array([1.5]), np.array([0.125])).size
    assert not beyond(found, np.array([1.5]), np.array([0.25])).size
