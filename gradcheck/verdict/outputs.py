"""Verdicts on named arrays that are no outputs of an operation: within a bound, or exactly as they should be."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.arithmetic import Bounded, rounding_model
from gradcheck.cases.case import Case
from gradcheck.verdict.compare import Worst, digest_of, error_ratios, worst_errors
from gradcheck.verdict.verdict import Verdict
from gradcheck.verdict.witness import witness_of

__all__ = ["exact_verdict", "fact_verdict", "verdict", "within_bound"]


def verdict(
    case: Case,
    output: str,
    status: str,
    error_over_bound: float = np.nan,
    error_over_storage_bound: float = np.nan,
    ulp: float = np.nan,
    digest: str = "",
    **more: Any,
) -> Verdict:
    """A verdict on an output of the case; without numbers unless they are given."""
    return Verdict(
        operation=case.operation,
        mode=case.mode,
        dtype=case.dtype,
        device=case.device,
        layout=case.layout,
        setting=case.setting,
        output=output,
        status=status,
        error_over_bound=error_over_bound,
        error_over_storage_bound=error_over_storage_bound,
        ulp=ulp,
        digest=digest,
        case=str(case),
        **more,
    )


def fact_verdict(case: Case, output: str, wrong: tuple[str, ...]) -> Verdict:
    """Whether a fact holds: ``wrong`` are sentences on what does not."""
    if not wrong:
        return verdict(case, output, "agrees", error_over_bound=0.0, error_over_storage_bound=0.0, ulp=0.0)
    return verdict(case, output, "deviates", np.inf, np.inf, np.inf, words="; ".join(dict.fromkeys(wrong)))


def exact_verdict(case: Case, output: str, got: np.ndarray, should_be: np.ndarray, model: Any) -> Verdict:
    """Equality, bit by bit but for the sign of zero."""
    return within_bound(case, output, got, Bounded(np.asarray(should_be, dtype=np.float64), None, model), exact=True)


def within_bound(
    case: Case, output: str, got: np.ndarray, reference: Bounded, coarse: Bounded | None = None, exact: bool = False
) -> Verdict:
    """The array against the reference's bound, once it is stored; ``exact`` allows for no rounding on the way there.

    got: float64 array holding numbers of the subject's format, of the reference's shape.
    """
    digest = digest_of(np.ascontiguousarray(got).tobytes())
    if got.shape != reference.shape:
        return fact_verdict(case, output, (f"{output} has shape {got.shape}, should be {reference.shape}",))
    with np.errstate(all="ignore"):
        if exact:
            reference = Bounded(np.asarray(reference.value), None, rounding_model("float64"))  # no room for storing
            same = (got == reference.value) | (np.isnan(got) & np.isnan(reference.value))
            ratios = np.where(same, 0.0, np.inf)
            ulp = float(np.where(same, 0.0, np.abs(got - reference.value)).max(initial=0.0))
            worst = Worst(float(ratios.max(initial=0.0)), float(ratios.max(initial=0.0)), ulp)
        else:
            worst = worst_errors(got, reference, coarse)
            ratios = error_ratios(got, reference)
            if coarse is not None and worst[1] > 1.0:
                ratios = np.minimum(ratios, error_ratios(got, coarse))
        status = worst.status
        witness = None if status == "agrees" else witness_of(got, reference, ratios, {})
    numbers = dict(zip(("error_over_bound", "error_over_storage_bound", "ulp"), map(float, worst), strict=True))
    return verdict(case, output, status, digest=digest, witness=witness, **numbers)
