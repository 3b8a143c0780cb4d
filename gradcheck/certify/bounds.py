"""The proof that running error bounds hold: against the Arb truth, and against simulated rounding in every format."""

from __future__ import annotations

import math
from typing import Any

import flint
import numpy as np

from gradcheck.arithmetic import Ball, Bounded, RoundingModel, ball_precision, balls, rounding_model, stored
from gradcheck.arithmetic.machine import Machine
from gradcheck.arithmetic.simulated import Simulated, lift
from gradcheck.cases.case import Case
from gradcheck.cases.inputs import Bits, arguments_of, cotangents_of
from gradcheck.cases.tame import is_tame
from gradcheck.certify.derivative import MOST_BITS
from gradcheck.formats import FORMATS
from gradcheck.reference.evaluate import bounded_outputs, evaluate_all, float64_outputs
from gradcheck.reference.registry import Reference
from gradcheck.verdict.compare import error_ratios

__all__ = [
    "MODELS", "RUNS", "accepts_anything", "compare_with_simulation", "compare_with_truth", "exact_ball",
    "float64_differs", "special_values_differ",
]  # fmt: skip

MODELS = tuple(
    (dtype, grade)
    for dtype, form in FORMATS.items()
    for grade in (("agrees", "coarse") if form.bits == 16 else ("agrees",))
)
"""Every dtype under every grade in which it is judged."""

RUNS: tuple[dict[str, bool], ...] = ({"random": False}, {}, {"pairwise": True, "fused": True})
"""Ways to compute: to the nearest, one by one; at random, one by one; at random, by halves with fused products."""

NEGLIGIBLE = 2.0**-20
"""A ball is fine enough where its radius is this share of the bound that it is compared with."""


def accepts_anything(operation: Reference, case: Case) -> str:
    """The sentence that says where whatever PyTorch gives in float32 would be accepted, although all numbers are tame.

    A fault there is never seen. Empty where the case is not tame.
    """
    here = case.on(dtype="float32")
    if not is_tame(here):
        return ""
    for name, output in _bounded(operation, here, rounding_model("float32", wide=True)).items():
        anything = np.isinf(output.full_bound())
        if anything.any():
            return f"{here}: {int(anything.sum())} of {anything.size} elements of {name} have no finite bound."
    return ""


def float64_differs(operation: Reference, case: Case) -> str:
    """The sentence that says where a formula in float64 is not within its own bound of the running error arithmetic.

    Raises KeyError where one of them has an output that the other has not.
    """
    plain, bounded = _plain(operation, case), _bounded(operation, case, rounding_model("float64"))
    for name in plain | bounded:
        with np.errstate(all="ignore"):
            ratios = np.asarray(error_ratios(plain[name], bounded[name]), dtype=np.float64)
        if words := _sentence(case, name, ratios, plain[name], np.asarray(bounded[name].value), "float64", "bounds"):
            return words
    return ""


def special_values_differ(operation: Reference, case: Case) -> str:
    """The sentence that says where a special value of float64 is not the one that a finite bound makes certain.

    These are ±inf and NaN, and in elementwise operations the sign of zero; that of a sum hangs on its order.
    """
    bounded = _bounded(operation, case, rounding_model(case.dtype, wide=True))
    for name, output in _plain(operation, case).items():
        value = np.asarray(bounded[name].value)
        differ = (output != value) & ~(np.isnan(output) & np.isnan(value)) & ~(np.isfinite(output) & np.isfinite(value))
        if operation.elementwise:
            differ |= (output == value) & (np.signbit(output) != np.signbit(value))
        differ &= np.isfinite(bounded[name].full_bound())
        if differ.any():
            index = tuple(int(i) for i in np.argwhere(differ)[0])
            return f"{case}: {name}{list(index)} is {output[index]} in float64, but {value[index]} with running error."
    return ""


def compare_with_truth(operation: Reference, case: Case, bits: int) -> tuple[float | None, str]:
    """Worst error from the Arb enclosure over the bound, and a sentence where that exceeds 1.

    Compared are float64, by the bounds that count its own rounding; and the values of the running error arithmetic,
    in float64 (summed in another order) and in the wide carrier, each by its own bounds.
    Elements without a finite true value, or with inputs that are not finite, are left to the comparison with simulated
    rounding; the ratio is None where there are no others.
    """
    narrow, wide = (_bounded(operation, case, rounding_model("float64", wide=wide)) for wide in (False, True))
    sources = {
        "float64": (_plain(operation, case), narrow),
        "running error": ({name: np.asarray(output.value) for name, output in narrow.items()}, narrow),
        "wide running error": ({name: np.asarray(output.value) for name, output in wide.items()}, wide),
    }
    ratios: dict[tuple[str, str], np.ndarray] = {}
    truth: dict[str, Ball] = {}
    while bits <= MOST_BITS:
        with ball_precision(bits):
            truth = _truth(operation, case)
            ratios = {
                (source, name): _distances(values[name], ball, bounded[name].full_bound())
                for source, (values, bounded) in sources.items()
                for name, ball in truth.items()
            }
            if all(_fine(ball, wide[name].full_bound()) for name, ball in truth.items()):
                break
        bits *= 2
    known = [ratio for ratio in ratios.values() if not np.isnan(ratio).all()]
    worst = max((float(np.nanmax(ratio)) for ratio in known), default=None)
    if worst is None or worst <= 1.0:
        return worst, ""
    source, name = next(key for key, ratio in ratios.items() if np.any(ratio > 1.0))
    true = np.asarray(np.frompyfunc(lambda ball: float(ball.mid()), 1, 1)(truth[name].array), dtype=np.float64)
    known_ratios = np.nan_to_num(ratios[source, name], nan=0.0, posinf=np.inf)
    return worst, _sentence(case, name, known_ratios, sources[source][0][name], true, source, "truth")


def _truth(operation: Reference, case: Case) -> dict[str, Ball]:
    with np.errstate(all="ignore"):
        outputs = evaluate_all(operation, arguments_of(case), cotangents_of(case), balls, balls)
    return {name: balls(output) for name, output in outputs.items()}


def _distances(got: np.ndarray, truth: Ball, bounds: np.ndarray) -> np.ndarray:
    """Largest possible error over the bound, in Arb; NaN where the truth is not finite."""

    def distance(value: Any, ball: flint.arb, bound: float) -> float:
        if not ball.is_finite():
            return math.nan
        off = ball - exact_ball(value)
        if math.isinf(bound) or (off.is_exact() and off == 0):
            return 0.0
        ratio = off.abs_upper() / bound
        return float(ratio.upper()) if ratio.is_finite() else math.inf

    return np.asarray(np.frompyfunc(distance, 3, 1)(got, truth.array, bounds), dtype=np.float64)


def exact_ball(value: Any) -> flint.arb:
    """A number of either carrier as a ball without radius, at 113 bits of precision or more; NaN if not finite."""
    if not np.isfinite(value):
        return flint.arb("nan")
    significand, exponent = np.frexp(value)
    ball = flint.arb(0)
    for _ in range(3):  # so many significands of float64 hold one of the wide carrier
        part = float(significand)
        ball, significand = ball + part, significand - part
    return ball * flint.arb(2) ** int(exponent)


def _fine(truth: Ball, bounds: np.ndarray) -> bool:
    """Whether every radius is negligible beside its bound."""

    def fine(ball: flint.arb, bound: float) -> bool:
        return not ball.is_finite() or math.isinf(bound) or ball.rad() <= bound * NEGLIGIBLE

    return bool(np.all(np.frompyfunc(fine, 2, 1)(truth.array, bounds)))


def compare_with_simulation(operation: Reference, case: Case) -> tuple[dict[str, float], list[str]]:
    """Worst error of simulated rounding over the bound, by model, and a sentence for each model where it exceeds 1."""
    worst: dict[str, float] = {}
    words: list[str] = []
    for dtype, grade in MODELS:
        here = case.on(dtype=dtype)
        model = rounding_model(dtype, grade=grade, wide=True)
        bounded = _bounded(operation, here, model)
        label = dtype if grade == "agrees" else f"{dtype} {grade}"
        worst[label] = 0.0
        for run, options in enumerate(RUNS):
            machine = Machine(model, Bits("simulated", case.seed, label, run).below, **options)
            for name, output in simulated_outputs(operation, here, machine).items():
                with np.errstate(all="ignore"):
                    ratios = np.asarray(error_ratios(output, bounded[name]), dtype=np.float64)
                worst[label] = max(worst[label], float(ratios.max(initial=0.0)))
                if not words or not words[-1].startswith(str(here)):
                    value = np.asarray(bounded[name].value)
                    sentence = _sentence(here, name, ratios, output, value, f"simulated {label}", "the reference")
                    words += [sentence] if sentence else []
    return worst, words


def simulated_outputs(operation: Reference, case: Case, machine: Machine) -> dict[str, np.ndarray]:
    """The outputs as the machine computes and stores them, in the wide type."""
    with np.errstate(all="ignore"):
        outputs = evaluate_all(
            operation,
            arguments_of(case),
            cotangents_of(case),
            lambda array: Simulated(array, machine),
            lambda number: lift(number, machine),
            lambda array, output: Simulated(array, lift(output, machine).machine),
        )
        return {name: stored(lift(output, machine)).value for name, output in outputs.items()}


def _plain(operation: Reference, case: Case) -> dict[str, np.ndarray]:
    return float64_outputs(operation, arguments_of(case), cotangents_of(case))


def _bounded(operation: Reference, case: Case, model: RoundingModel) -> dict[str, Bounded]:
    return bounded_outputs(operation, arguments_of(case), cotangents_of(case), model)


def _sentence(
    case: Case, name: str, ratios: np.ndarray, got: np.ndarray, other: np.ndarray, left: str, right: str
) -> str:
    if not ratios.size or ratios.max() <= 1.0:
        return ""
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(ratios)), ratios.shape))
    return (
        f"{case}: {name}{list(index)} is {float(got[index])!r} in {left} and {float(other[index])!r} in {right}, "
        f"{float(ratios[index]):.6g} times the bound apart."
    )
