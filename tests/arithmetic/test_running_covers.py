"""The promise of running error, as a property over random expressions: its bound covers truth and every rounding."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gradcheck.arithmetic import Bounded, Mask, ball_precision, balls, rounding_model
from gradcheck.arithmetic.machine import Machine
from gradcheck.arithmetic.mask import decide
from gradcheck.arithmetic.running import lift
from gradcheck.arithmetic.simulated import Simulated
from gradcheck.arithmetic.simulated import lift as lift_to_machine
from gradcheck.cases.case import ArraySpec
from gradcheck.cases.inputs import Bits, make_array
from gradcheck.certify.bounds import MODELS
from gradcheck.verdict.compare import error_ratios
from tests.arithmetic.expressions import COMPARE, SIDE, Node, evaluate, expressions

KINDS = ("ordinary", "integers", "ties", "wide", "large", "subnormal", "near", "special", "huge", "edges")
BITS = 400
"""Balls this fine have radii far below any bound, except where a comparison of equal numbers is undecided."""


def machines(model: Any, seed: int) -> list[Machine]:
    """To nearest; at random; all up and all down, which is covered since sums here have so few terms."""
    up, down = (lambda limit, n: np.full(n, limit - 1)), (lambda limit, n: np.zeros(n, dtype=np.int64))
    return [
        Machine(model, up, random=False),
        Machine(model, Bits("one by one", seed).below),
        Machine(model, Bits("by halves", seed).below, pairwise=True, fused=True),
        Machine(model, up),
        Machine(model, down),
    ]


def arrays(kind: str, seed: int, model: Any) -> dict[str, np.ndarray]:
    kinds = {"x0": kind, "x1": "ordinary"}
    return {name: make_array(ArraySpec(k, (SIDE, SIDE)), model.store, seed, name) for name, k in kinds.items()}


def bounded(tree: Node, given_arrays: dict[str, np.ndarray], model: Any) -> Bounded:
    leaves = {name: Bounded(array, None, model) for name, array in given_arrays.items()}
    return lift(evaluate(tree, leaves, lambda number: lift(number, model)), model)


def uncovered_rounding(tree: Node, kind: str, seed: int) -> list[str]:
    """A sentence for each model whose bound some simulated computation leaves."""
    sentences = []
    for dtype, grade in MODELS:
        model = rounding_model(dtype, grade=grade)
        given_arrays = arrays(kind, seed, model)
        with np.errstate(all="ignore"):
            bound = bounded(tree, given_arrays, model)
            for number, machine in enumerate(machines(model, seed)):
                leaves = {name: Simulated(array, machine) for name, array in given_arrays.items()}
                got = lift_to_machine(
                    evaluate(tree, leaves, lambda value, machine=machine: lift_to_machine(value, machine)), machine
                )
                worst = error_ratios(machine.store(got.value), bound).max(initial=0.0)
                if worst > 1.0:
                    sentences.append(f"{tree} of {kind} values, {dtype} {grade}, machine {number}: {worst} bounds off")
    return sentences


def open_at_poles(name: str, a: Any, b: Any) -> Any:
    """A comparison of balls, undecided where an operand is not a number: float64 has ±inf where Arb has none."""
    outcome = COMPARE[name](a, b)
    strange = [np.asarray(np.frompyfunc(lambda x: not x.is_finite(), 1, 1)(balls(part).array), bool) for part in (a, b)]
    likely, undecided = (outcome.likely, outcome.undecided) if isinstance(outcome, Mask) else (outcome, False)
    return decide(likely, undecided | strange[0] | strange[1])


def uncovered_truth(tree: Node, kind: str, seed: int) -> list[str]:
    """A sentence for each model whose bound does not reach from the float64 value to the Arb truth."""
    sentences = []
    for dtype, grade in MODELS:
        model = rounding_model(dtype, grade=grade)
        given_arrays = arrays(kind, seed, model)
        with np.errstate(all="ignore"), ball_precision(BITS):
            bound = bounded(tree, given_arrays, model)
            truth = balls(evaluate(tree, {n: balls(array) for n, array in given_arrays.items()}, balls, open_at_poles))
            for index in np.ndindex(*bound.shape):
                ball, allowed = truth.array[index], float(bound.full_bound()[index])
                if not ball.is_finite() or math.isinf(allowed):
                    continue
                distance = abs(ball - float(np.asarray(bound.value)[index]))
                # A ball that is wide, since it is the hull of two branches, has to touch the bound only.
                if not distance.abs_lower() <= allowed:
                    sentences.append(f"{tree} of {kind} values, {dtype} {grade}{list(index)}: {distance} > {allowed}")
                    break
    return sentences


SEEDS = st.integers(0, 999)


@given(expressions(), st.sampled_from(KINDS), SEEDS)
def test_the_bound_covers_every_way_to_round(tree: Node, kind: str, seed: int) -> None:
    assert uncovered_rounding(tree, kind, seed) == []


@given(expressions(), st.sampled_from(KINDS), SEEDS)
def test_the_bound_reaches_the_truth(tree: Node, kind: str, seed: int) -> None:
    assert uncovered_truth(tree, kind, seed) == []
