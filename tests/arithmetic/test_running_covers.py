"""The promise of running error, as a property over random expressions: its bound covers truth and every rounding."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcheck.arithmetic import Bounded, Mask, RoundingModel, ball_precision, balls, rounding_model
from gradcheck.arithmetic.carrier import HAS_WIDE
from gradcheck.arithmetic.machine import Machine
from gradcheck.arithmetic.mask import decide
from gradcheck.arithmetic.model import UPWARD
from gradcheck.arithmetic.running import lift, lift_array
from gradcheck.arithmetic.simulated import Simulated
from gradcheck.arithmetic.simulated import lift as lift_to_machine
from gradcheck.cases.case import ArraySpec
from gradcheck.cases.inputs import Bits, make_array
from gradcheck.certify.bounds import MODELS, exact_ball
from gradcheck.verdict.compare import error_ratios
from tests.arithmetic.expressions import COMPARE, SIDE, Node, evaluate, expressions

KINDS = ("ordinary", "integers", "ties", "wide", "large", "subnormal", "near", "special", "huge", "edges")
BITS = 400
"""Balls this fine have radii far below any bound, except where a comparison of equal numbers is undecided."""


def models() -> list[RoundingModel]:
    """Every dtype under every grade, and float64 with values in a wider float."""
    return [*(rounding_model(dtype, grade=grade) for dtype, grade in MODELS), rounding_model("float64", wide=True)]


def flushing_models() -> list[Any]:
    """The models under which subnormal numbers are flushed to zero."""
    return [rounding_model(dtype, grade=grade, flushed=True) for dtype, grade in MODELS]


def described(model: RoundingModel) -> str:
    return f"{model.store.name}{' in a wider float' if model.wide else ''}"


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
    leaves = {name: lift_array(array, model) for name, array in given_arrays.items()}
    return lift(evaluate(tree, leaves, lambda number: lift(number, model)), model)


def uncovered_rounding(tree: Node, kind: str, seed: int, *, flushed: bool = False) -> list[str]:
    """A sentence for each model whose bound some simulated computation leaves."""
    sentences = []
    for model in flushing_models() if flushed else models():
        dtype, grade = described(model), model.grade
        given_arrays = arrays(kind, seed, model)
        with np.errstate(all="ignore"):
            bound = bounded(tree, given_arrays, model)
            for number, machine in enumerate(machines(model, seed)):
                read = machine.work if flushed else np.asarray  # operands are flushed before they are used
                leaves = {name: Simulated(read(array), machine) for name, array in given_arrays.items()}
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
    for model in models():
        dtype, grade = described(model), model.grade
        given_arrays = arrays(kind, seed, model)
        with np.errstate(all="ignore"), ball_precision(BITS):
            bound = bounded(tree, given_arrays, model)
            truth = balls(evaluate(tree, {n: balls(array) for n, array in given_arrays.items()}, balls, open_at_poles))
            for index in np.ndindex(*bound.shape):
                ball, allowed = truth.array[index], float(bound.full_bound()[index])
                if not ball.is_finite() or math.isinf(allowed):
                    continue
                distance = abs(ball - exact_ball(np.asarray(bound.value)[index]))
                # A ball that is wide, since it is the hull of two branches, has to touch the bound only.
                if not distance.abs_lower() <= allowed:
                    sentences.append(f"{tree} of {kind} values, {dtype} {grade}{list(index)}: {distance} > {allowed}")
                    break
    return sentences


SEEDS = st.integers(0, 999)


@given(expressions(), st.sampled_from(KINDS), SEEDS)
def test_the_bound_covers_every_way_to_round(tree: Node, kind: str, seed: int) -> None:
    assert uncovered_rounding(tree, kind, seed) == []


@given(expressions(), st.sampled_from(("subnormal", "wide", "edges", "ordinary")), SEEDS)
def test_the_bound_covers_flushing_of_subnormal_numbers(tree: Node, kind: str, seed: int) -> None:
    assert uncovered_rounding(tree, kind, seed, flushed=True) == []


@given(expressions(), st.sampled_from(KINDS), SEEDS)
def test_the_bound_reaches_the_truth(tree: Node, kind: str, seed: int) -> None:
    assert uncovered_truth(tree, kind, seed) == []


@given(expressions(), st.sampled_from(KINDS), SEEDS)
def test_values_are_carried_as_the_model_says_and_bounds_in_float64(tree: Node, kind: str, seed: int) -> None:
    for model in models():
        with np.errstate(all="ignore"):
            outcome = bounded(tree, arrays(kind, seed, model), model)
        assert np.asarray(outcome.value).dtype == model.carrier
        assert outcome.bound is None or np.asarray(outcome.bound).dtype == np.float64
        assert outcome.magnitude.dtype == np.float64


@pytest.mark.skipif(not HAS_WIDE, reason="np.longdouble is no wider than float64 here")
@given(expressions(), st.sampled_from(("ordinary", "integers", "ties", "near")), SEEDS)
def test_a_wider_carrier_promises_more_and_never_less(tree: Node, kind: str, seed: int) -> None:
    """Where nothing is undecided or overflows, the bound of a wider reference is the smaller one."""
    narrow, wide = rounding_model("float64"), rounding_model("float64", wide=True)
    with np.errstate(all="ignore"):
        loose, tight = (bounded(tree, arrays(kind, seed, narrow), model).full_bound() for model in (narrow, wide))
    assert (tight <= loose * UPWARD)[np.isfinite(loose)].all()
