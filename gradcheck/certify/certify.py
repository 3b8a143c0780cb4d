"""Certify a reference: on each case, every proof that the case allows."""

from __future__ import annotations

from gradcheck.cases.case import Case
from gradcheck.certify.bounds import (
    accepts_anything,
    compare_with_simulation,
    compare_with_truth,
    special_values_differ,
)
from gradcheck.certify.certificate import Certificate, Summary
from gradcheck.certify.conventions import CONVENTIONS
from gradcheck.certify.derivative import prove_derivative
from gradcheck.certify.draw import any_case, is_smooth, smooth_case
from gradcheck.reference.registry import Reference

__all__ = ["CASES", "certify", "certify_case"]

CASES = 50
"""Smooth cases of a reference by default, and as many with values of any kind."""


def certify(operation: Reference, cases: int = CASES, seed: int = 0, bits: int = 160) -> Summary:
    """``cases`` smooth cases and as many with values of any kind; ``bits``: the precision that balls start from.

    What is proved: the vjp is the derivative of its own forward, to at least 40 digits (smooth cases); float64 lies
    within its running error bound of the true value; the bound of every dtype and grade covers simulated rounding;
    special values propagate in the running error arithmetic as in float64, and in simulated rounding as bounded;
    no bound is infinite on ordinary numbers in float32.
    """
    drawn = [draw(operation, seed, index) for index in range(cases) for draw in (smooth_case, any_case)]
    convention = CONVENTIONS.get(operation.name)
    certificates = (certify_case(operation, case, bits) for case in drawn)
    return Summary.of(operation.name, certificates, convention.words if convention else "")


def certify_case(operation: Reference, case: Case, bits: int = 160) -> Certificate:
    """All proofs on one float64 case; the derivative only where the case is smooth."""
    failures = [special_values_differ(operation, case), accepts_anything(operation, case)]
    digits, used = None, bits
    if is_smooth(case):
        proof = prove_derivative(operation, case, bits)
        digits, used = proof.digits, proof.bits
        failures.append(proof.failure)
    truth, words = compare_with_truth(operation, case, bits)
    simulated, sentences = compare_with_simulation(operation, case)
    failures += [words, *sentences]
    return Certificate(operation.name, str(case), digits, used, truth, simulated, tuple(filter(None, failures)))
