"""The proof that running error bounds hold: against the Arb truth, and against simulated rounding in every format."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.arithmetic import Bounded, RoundingModel, ball_precision, balls, enclosure, rounding_model, stored
from gradcheck.arithmetic.simulated import Machine, Simulated, lift
from gradcheck.cases.case import Case
from gradcheck.cases.inputs import Bits, arguments_of, cotangent_of
from gradcheck.certify.derivative import MOST_BITS
from gradcheck.formats import FORMATS
from gradcheck.reference.evaluate import bounded_outputs, evaluate, float64_outputs
from gradcheck.reference.registry import Reference
from gradcheck.verdict.judge import error_ratios

__all__ = ["MODELS", "RUNS", "compare_with_simulation", "compare_with_truth", "special_values_differ"]

MODELS = tuple(
    (dtype, grade)
    for dtype, form in FORMATS.items()
    for grade in (("agrees", "coarse") if form.bits == 16 else ("agrees",))
)
"""Every dtype under every grade in which it is judged."""

RUNS = ({"random": False}, {}, {"pairwise": True, "fused": True})
"""Ways to compute: to the nearest, one by one; at random, one by one; at random, by halves with fused products."""

NEGLIGIBLE = 2.0**-20
"""A ball is fine enough where its radius is this share of the bound that it is compared with."""


def special_values_differ(operation: Reference, case: Case) -> str:
    """The sentence that says where float64 and the running error arithmetic differ in any bit (NaNs count as one)."""
    plain = _plain(operation, case)
    bounded = _bounded(operation, case, rounding_model(case.dtype))
    for name, output in plain.items():
        value = np.asarray(bounded[name].value)
        same = (output == value) & (np.signbit(output) == np.signbit(value)) | (np.isnan(output) & np.isnan(value))
        if not same.all():
            index = tuple(int(i) for i in np.argwhere(~same)[0])
            return f"{case}: {name}{list(index)} is {output[index]} in float64, but {value[index]} with running error."
    return ""


def compare_with_truth(operation: Reference, case: Case, bits: int) -> tuple[float | None, str]:
    """Worst error of float64 from the Arb enclosure, over its own bound, and a sentence where that exceeds 1.

    Elements without a finite true value, or with inputs that are not finite, are left to the comparison with simulated
    rounding; the ratio is None where there are no others.
    """
    plain = _plain(operation, case)
    bounded = _bounded(operation, case, rounding_model("float64"))
    bounds = {name: output.full_bound() for name, output in bounded.items()}
    worst, words = None, ""
    for name, (middle, radius) in _enclosures(operation, case, bounds, bits).items():
        known = np.isfinite(radius)
        if not known.any():
            continue
        got = plain[name]
        with np.errstate(all="ignore"):
            distance = np.where(got == middle, 0.0, np.abs(got - middle)) + radius
            ratios = np.where(distance == 0.0, 0.0, distance / bounds[name])
        ratios = np.where(known & ~np.isinf(bounds[name]), np.where(np.isnan(ratios), np.inf, ratios), 0.0)
        worst = max(worst or 0.0, float(ratios.max()))
        words = words or _sentence(case, name, ratios, got, middle, "float64", "the enclosure's middle")
    return worst, words


def _enclosures(
    operation: Reference, case: Case, bounds: dict[str, np.ndarray], bits: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Middle and radius of every output, at a precision that makes the radius negligible beside the bound."""
    arguments = arguments_of(case)
    while True:
        with ball_precision(bits), np.errstate(all="ignore"):
            value, pullback = evaluate(operation, arguments, balls, balls)
            outputs = {"value": value, **pullback(balls(cotangent_of(case, np.shape(value))))}
            enclosures = {name: enclosure(balls(output)) for name, output in outputs.items()}
            fine = all(
                np.all((radius <= bounds[name] * NEGLIGIBLE + _half_ulp(middle)) | np.isnan(radius))
                for name, (middle, radius) in enclosures.items()
            )
        if fine or bits >= MOST_BITS:
            return enclosures
        bits = min(2 * bits, MOST_BITS)


def _half_ulp(middle: np.ndarray) -> np.ndarray:
    """The radius includes the rounding of the middle to float64, which no precision makes smaller."""
    with np.errstate(all="ignore"):
        return np.where(np.isfinite(middle), FORMATS["float64"].ulp(middle), 0.0)


def compare_with_simulation(operation: Reference, case: Case) -> tuple[dict[str, float], list[str]]:
    """Worst error of simulated rounding over the bound, by model, and a sentence for each model where it exceeds 1."""
    worst, words = {}, []
    for dtype, grade in MODELS:
        here = case.on(dtype=dtype)
        model = rounding_model(dtype, grade=grade)
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
        value, pullback = evaluate(
            operation,
            arguments_of(case),
            lambda array: Simulated(array, machine),
            lambda number: lift(number, machine),
        )
        value = lift(value, machine)
        cotangent = Simulated(cotangent_of(case, value.shape), value.machine)
        outputs = {"value": value, **pullback(cotangent)}
        return {name: stored(lift(output, machine)).value for name, output in outputs.items()}


def _plain(operation: Reference, case: Case) -> dict[str, np.ndarray]:
    return float64_outputs(operation, arguments_of(case), lambda shape: cotangent_of(case, shape))


def _bounded(operation: Reference, case: Case, model: RoundingModel) -> dict[str, Bounded]:
    return bounded_outputs(operation, arguments_of(case), lambda shape: cotangent_of(case, shape), model)


def _sentence(
    case: Case, name: str, ratios: np.ndarray, got: np.ndarray, other: np.ndarray, left: str, right: str
) -> str:
    if not ratios.size or ratios.max() <= 1.0:
        return ""
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(ratios)), ratios.shape))
    return (
        f"{case}: {name}{list(index)} is {float(got[index])!r} in {left} and {float(other[index])!r} in {right}, "
        f"{float(ratios[index]):.3g} times its bound apart."
    )
