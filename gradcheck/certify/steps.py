"""Certificates of step rules: the bound of a step against the Arb truth, and against simulated rounding.

The steps that are certified come from the rule's own histories: it is run in float64 over the gradients of a case, its
state rounded to the formats that PyTorch keeps it in, and PyTorch has no part in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import flint
import numpy as np

from gradcheck.arithmetic import Ball, ball_precision, balls, rounding_model, stored
from gradcheck.arithmetic.machine import Machine
from gradcheck.arithmetic.running import lift as lift_bounded
from gradcheck.arithmetic.simulated import lift as lift_simulated
from gradcheck.cases.case import Case
from gradcheck.cases.history import History
from gradcheck.cases.inputs import Bits
from gradcheck.certify.bounds import MODELS, RUNS
from gradcheck.formats import format_named
from gradcheck.reference.optim.evaluate import (
    BALLS,
    FLOAT64,
    SCALAR_FORMAT,
    Before,
    bounded_arithmetic,
    outputs_of,
    simulated_arithmetic,
    take_step,
)
from gradcheck.reference.optim.rule import StepRule
from gradcheck.verdict.compare import error_ratios

__all__ = ["compare_step_with_simulation", "compare_step_with_truth", "own_steps"]

BITS = 256
"""Precision of the truth: its radius is nothing beside a float64 bound, whatever cancels in a bias correction."""


def own_steps(case: Case, rule: StepRule | None = None) -> Iterator[Before]:
    """Every step of the case's history, as the rule itself takes it in the case's dtype, for every parameter."""
    history = History(case)
    rule = rule or history.rule
    for i, param in enumerate(history.params):
        state: dict[str, np.ndarray] = {}
        t = 0
        for step in range(history.steps):
            grad = history.grad(step, i)
            if grad is None:
                continue
            t += 1
            before = Before(
                param=param,
                grad=grad,
                state=state,
                t=t,
                dtype=case.dtype,
                options=history.full_options(i),
                mode=case.mode,
                tensors=history.tensors(i),
                rows=history.rows(step, i),
            )
            yield before
            after = outputs_of(take_step(rule, before, FLOAT64))
            param = format_named(case.dtype).round(after.pop("param"))
            state = {name[6:-1]: _form(rule, name[6:-1], case.dtype).round(entry) for name, entry in after.items()}


def _form(rule: StepRule, entry: str, dtype: str) -> Any:
    return format_named(SCALAR_FORMAT if entry in rule.scalars else dtype)


def compare_step_with_truth(rule: StepRule, before: Before) -> float:
    """Worst error of the step in float64, from its Arb enclosure, over the running error bound; 0 where all is special.

    Elements whose truth is not finite are left out.
    """
    model = rounding_model("float64")
    bounded = outputs_of(take_step(rule, before, bounded_arithmetic(model)))
    plain = outputs_of(take_step(rule, before, FLOAT64))
    worst = 0.0
    with ball_precision(BITS):
        truth = outputs_of(take_step(rule, before, BALLS))
        for name, ball in truth.items():
            bounds = lift_bounded(bounded[name], model).full_bound()
            ratios = _distances(np.asarray(plain[name], dtype=np.float64), balls(ball), bounds)
            worst = max(worst, float(np.nanmax(ratios, initial=0.0)))
    return worst


def _distances(got: np.ndarray, truth: Ball, bounds: np.ndarray) -> np.ndarray:
    def distance(value: float, ball: flint.arb, bound: float) -> float:
        if not ball.is_finite():
            return math.nan
        if math.isinf(bound) or (ball.is_exact() and ball == value):
            return 0.0
        error = (ball - value).abs_upper()
        return float((error / bound).upper()) if bound else math.inf

    return np.asarray(np.frompyfunc(distance, 3, 1)(got, truth.array, bounds), dtype=np.float64)


def compare_step_with_simulation(rule: StepRule, before: Before, seed: int = 0) -> dict[str, float]:
    """Worst error of simulated rounding over the bound, by dtype and grade; the step's numbers are rounded to each."""
    worst: dict[str, float] = {}
    for dtype, grade in MODELS:
        model = rounding_model(dtype, grade=grade)
        here = _rounded(rule, before, dtype)
        bounded = outputs_of(take_step(rule, here, bounded_arithmetic(model)))
        label = dtype if grade == "agrees" else f"{dtype} {grade}"
        for run, options in enumerate(RUNS):
            machine = Machine(model, Bits("simulated step", seed, label, run).below, **options)
            for name, output in outputs_of(take_step(rule, here, simulated_arithmetic(machine))).items():
                with np.errstate(all="ignore"):
                    got = np.asarray(stored(lift_simulated(output, machine)).value)
                    ratios = error_ratios(got, lift_bounded(bounded[name], model))
                worst[label] = max(worst.get(label, 0.0), float(np.max(ratios, initial=0.0)))
    return worst


def _rounded(rule: StepRule, before: Before, dtype: str) -> Before:
    form = format_named(dtype)
    state = {name: _form(rule, name, dtype).round(entry) for name, entry in before.state.items()}
    return Before(
        param=form.round(before.param),
        grad=form.round(before.grad),
        state=state,
        t=before.t,
        dtype=dtype,
        options=before.options,
        mode=before.mode,
        tensors=before.tensors,
        rows=before.rows,
    )
