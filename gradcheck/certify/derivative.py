"""The proof that a written vjp is the derivative of its own forward: dual numbers over Arb balls.

For a direction d of the arrays and a cotangent g, ⟨g, derivative of the value along d⟩ = Σ ⟨vjp(g), d⟩. Both sides are
enclosed; the ball of their difference either excludes 0, which refutes the vjp, or shrinks with growing precision.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import flint
import numpy as np

from gradcheck.arithmetic import Ball, Dual, ball_precision, balls, expanded_nodes, tangent_of
from gradcheck.cases.case import Case
from gradcheck.cases.inputs import Bits, arguments_of, cotangent_of, cotangents_of
from gradcheck.certify.conventions import CONVENTIONS
from gradcheck.reference.evaluate import evaluate, float64_outputs, gradient_name
from gradcheck.reference.registry import Reference

__all__ = ["DIGITS", "MOST_BITS", "Proof", "prove_derivative"]

DIGITS = 40
"""Decimal digits that a proof has to show."""

MOST_BITS = 2560

SINGLE_ELEMENTS = 3
"""Directions of one element each, besides the dense one: a small gradient is not hidden there by larger ones. Of an
elementwise operation every element is compared by itself anyway."""


@dataclass(frozen=True)
class Proof:
    """digits: to which the two sides agree, None where the value has no derivative; failure: a sentence, or ""."""

    digits: float | None
    bits: int
    failure: str = ""


def prove_derivative(operation: Reference, case: Case, bits: int = 160) -> Proof:
    """Compare the vjp with the derivative along a dense direction and a few single elements; see the module."""
    arguments = arguments_of(case)
    shapes = {name: arguments[name].shape for name in operation.differentiable_in(arguments)}
    outputs = float64_outputs(operation, arguments, cotangents_of(case))
    if not any(math.prod(shape) for shape in shapes.values()) or not _finite(operation, outputs):
        return Proof(None, bits)  # nothing to differentiate by, or nothing to differentiate: the mean of nothing
    convention = CONVENTIONS.get(operation.name)
    outside = convention.outside(arguments) if convention else {}
    proofs = []
    for label, direction in _directions(case, shapes, 0 if operation.elementwise else SINGLE_ELEMENTS):
        for name in outside.keys() & direction.keys():
            direction[name][outside[name]] = 0.0
        proofs.append(_prove(operation, case, arguments, direction, label, bits))
    return min(proofs, key=lambda proof: (not proof.failure, proof.digits))


def _finite(operation: Reference, outputs: dict[str, np.ndarray]) -> bool:
    """Whether every output that has a gradient is finite."""
    values = (array for name, array in outputs.items() if not name.startswith("grad[") and name not in operation.aux)
    return all(np.isfinite(array).all() for array in values)


def _directions(
    case: Case, shapes: dict[str, tuple[int, ...]], singles: int
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """All arrays at once along random dyadic numbers; then so many single elements, of each array in turn."""
    random = {name: Bits(case.seed, "direction", name) for name in shapes}
    dense = {name: random[name].bell(math.prod(shape)).reshape(shape) for name, shape in shapes.items()}
    yield "a dense direction", dense
    filled = [name for name, shape in shapes.items() if math.prod(shape)]
    for turn in range(singles):
        name = filled[turn % len(filled)]
        place = int(random[name].below(math.prod(shapes[name]), 1)[0])
        single = {other: np.zeros(shape) for other, shape in shapes.items()}
        index = tuple(int(i) for i in np.unravel_index(place, shapes[name]))
        single[name][index] = 1.0
        yield f"{name}{list(index)}", single


def _prove(
    operation: Reference,
    case: Case,
    arguments: dict[str, Any],
    direction: dict[str, np.ndarray],
    label: str,
    bits: int,
) -> Proof:
    """Double the precision until the sides differ for sure or agree to enough digits."""
    while True:
        with ball_precision(bits):
            sides = _both_sides(operation, case, arguments, direction)
            for derivative, gradient in sides:
                if derivative.is_finite() and gradient.is_finite() and not derivative.overlaps(gradient):
                    return Proof(0.0, bits, _refuted(case, label, derivative, gradient))
            digits = min((_digits(*pair, bits) for pair in sides), default=0.0)
        if digits >= DIGITS:
            return Proof(digits, bits)
        if bits >= MOST_BITS:
            words = f"{case}: along {label} only {max(digits, 0.0):.0f} digits are certain at {bits} bits."
            return Proof(digits, bits, words)
        bits = min(2 * bits, MOST_BITS)


def _both_sides(
    operation: Reference, case: Case, arguments: dict[str, Any], direction: dict[str, np.ndarray]
) -> list[tuple[flint.arb, flint.arb]]:
    """The derivative along the direction, from the forward and from the vjp; of an elementwise operation each one."""
    along = {id(arguments[name]): balls(part) for name, part in direction.items()}

    def dual(array: np.ndarray) -> Any:
        return Dual(balls(array), along[id(array)]) if id(array) in along else balls(array)

    with np.errstate(all="ignore"):
        with expanded_nodes():
            values, _ = evaluate(operation, arguments, dual, balls)
        plain, pullback = evaluate(operation, arguments, balls, balls)
        cotangents = {
            name: balls(cotangent_of(case, np.shape(output), None, name))
            for name, output in plain.items()
            if name not in operation.aux
        }
        gradients = pullback(cotangents)
    forward = [
        product
        for name, cotangent in cotangents.items()
        for product in _products(cotangent, balls(tangent_of(values[name])))
    ]
    backward = [
        product
        for name, part in direction.items()
        for product in _products(balls(part), balls(gradients[gradient_name(name)]))
    ]
    if operation.elementwise:
        return list(zip(forward, backward, strict=True))
    return [(sum(forward, flint.arb(0)), sum(backward, flint.arb(0)))]


def _products(weights: Ball, numbers: Ball) -> list[flint.arb]:
    """Weight times number; a weight of 0 takes no notice of the number, which may be NaN where nothing is asked."""
    pairs = zip(weights.array.ravel(), numbers.array.ravel(), strict=True)
    return [flint.arb(0) if weight.is_zero() else weight * number for weight, number in pairs]


def _digits(derivative: flint.arb, gradient: flint.arb, bits: int) -> float:
    """Digits of agreement, relative to the derivative; -inf where nothing is certain yet.

    Where even the finest balls hold 0 the derivative may be 0 (a softmax of one class), and digits count absolutely.
    """
    difference = (derivative - gradient).abs_upper()
    if not difference.is_finite():
        return -math.inf
    everything = bits * math.log10(2.0)
    if difference.is_zero():
        return everything
    least = max(derivative.abs_lower(), gradient.abs_lower())
    if least.is_zero():
        if bits < MOST_BITS:
            return -math.inf
        least = flint.arb(1)
    return min(everything, float((least / difference).log() / flint.arb(10).log()))


def _refuted(case: Case, label: str, derivative: flint.arb, gradient: flint.arb) -> str:
    relative = abs(derivative - gradient) / max(abs(derivative), abs(gradient))
    return (
        f"{case}: along {label} the vjp gives {gradient.str(20, radius=False)}, but the derivative of the forward is "
        f"{derivative.str(20, radius=False)}; they differ by {relative.str(3, radius=False)} of it."
    )
