"""Judge what PyTorch did on a case by the reference's running error bounds."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gradcheck.arithmetic import Bounded, rounding_model
from gradcheck.cases.case import ArraySpec, Case
from gradcheck.cases.inputs import arguments_of, cotangent_words
from gradcheck.errors import MissingRuleError, choices
from gradcheck.reference.registry import Reference, reference_named
from gradcheck.subject.run import Observed, Operation, run_case
from gradcheck.verdict.compare import Worst, digest_of, error_ratios, look_together, stored_bound, worst_errors
from gradcheck.verdict.models import grades_of, is_small, model_of, output_dtypes
from gradcheck.verdict.oracles import oracle_outputs
from gradcheck.verdict.outputs import fact_verdict, verdict
from gradcheck.verdict.verdict import Verdict
from gradcheck.verdict.witness import witness_of

__all__ = ["bounds_of", "error_ratios", "judge_against", "judge_case", "judge_observed", "stored_bound"]


def judge_case(case: Case, *, operation: Reference | None = None, subject: Operation | None = None) -> list[Verdict]:
    """Verdicts on every output of the case; one verdict on ``value`` where PyTorch did not run.

    operation and subject stand in for the registered reference and for PyTorch's own function (planted faults).
    """
    operation = operation or reference_named(case.operation)
    arguments = arguments_of(case)
    observed = run_case(operation, case, arguments, subject)
    return judge_observed(operation, case, arguments, observed)


def judge_observed(operation: Reference, case: Case, arguments: dict[str, Any], observed: Observed) -> list[Verdict]:
    """Verdicts on outputs that were observed already."""
    try:
        grades = bounds_of(operation, case, arguments, observed)
    except (MissingRuleError, ValueError):
        if not model_of(case).least:
            raise
        return [verdict(case, "value", "unsupported", np.nan, np.nan, np.nan, "", words=UNDECIDED)]
    return judge_against(operation, case, arguments, observed, grades)


UNDECIDED = (
    "not supported: the reference takes places by comparison, which operands that may be flushed leave undecided"
)


INTEGERS = ("int64", "int32", "bool")
"""Dtypes of outputs that are not floats, whatever the dtype of the case."""

Bounds = dict[str, dict[str, Bounded]]
"""By grade and output: what the reference says."""


def bounds_of(operation: Reference, case: Case, arguments: dict[str, Any], observed: Observed) -> Bounds:
    """The outputs of the reference with their bounds; nothing where PyTorch did not run."""
    if observed.outcome != "ran":
        return {}
    known, wide = arguments | observed.drawn, is_small(case)
    return {
        grade: oracle_outputs(operation, case, known, observed, model_of(case, grade, wide))
        for grade in grades_of(case)
    }


def judge_against(
    operation: Reference, case: Case, arguments: dict[str, Any], observed: Observed, grades: Bounds
) -> list[Verdict]:
    """Verdicts on outputs by bounds that were evaluated already: one evaluation serves many tampered subjects."""
    if observed.outcome != "ran":
        return [verdict(case, "value", observed.outcome, np.nan, np.nan, np.nan, "", words=observed.words)]
    notes = _place_notes(operation, case, observed)
    coarse = grades.get("coarse", {})
    with np.errstate(all="ignore"):
        if not coarse:
            known = ((name, number) for name, number in grades["agrees"].items() if name in observed.elements)
            look_together([(observed.numbers(name), number) for name, number in known])
        verdicts = [
            _judge_output(
                case, arguments, observed, name, reference, coarse.get(name), (*notes.get(name, ()), *observed.notes)
            )
            for name, reference in grades["agrees"].items()
        ]
    for name in observed.elements:
        if case.mode == "backward" and name not in grades["agrees"]:
            verdicts.append(fact_verdict(case, name, (f"the reference has no output {name}",)))
    if observed.wrong:  # whatever the numbers are, which are judged all the same
        verdicts.append(fact_verdict(case, "bits", observed.wrong))
    return verdicts


def _judge_output(
    case: Case,
    arguments: dict[str, Any],
    observed: Observed,
    name: str,
    reference: Bounded,
    coarse: Bounded | None,
    notes: tuple[str, ...],
) -> Verdict:
    if name not in observed.elements:
        return verdict(case, name, "deviates", np.inf, np.inf, np.inf, "", words=f"there is no output {name}")
    got = observed.numbers(name)
    digest = digest_of(observed.elements[name])
    if got.shape != reference.shape:
        words = f"{name} has shape {got.shape}, should be {reference.shape}"
        return verdict(case, name, "deviates", np.inf, np.inf, np.inf, digest, words=words)
    if observed.dtypes[name] in INTEGERS:  # an output without gradient, and exact
        reference = Bounded(np.asarray(reference.value), None, rounding_model("float64"))
    elif observed.dtypes[name] not in (allowed := output_dtypes(case, name, reference.model)):
        words = f"{name} has dtype {observed.dtypes[name]}, should be {choices(allowed)}"
        return verdict(case, name, "deviates", np.inf, np.inf, np.inf, digest, words=words)
    worst = _worst(got, reference, coarse)
    status = worst.status
    witness = None
    if status != "agrees":
        ratios = error_ratios(got, reference)
        if status == "deviates" and coarse is not None:
            ratios = np.minimum(ratios, error_ratios(got, coarse))
        witness = witness_of(got, reference, ratios, arguments, _nan_inputs(case, arguments))
    return verdict(case, name, status, *worst, digest, witness=witness, notes=notes)


class _Compared(NamedTuple):
    """A comparison: the numbers' bytes, the coarse bounds beside the reference's own, and what came out."""

    got: bytearray
    coarse: Bounded | None
    worst: Worst


KEPT_BYTES = 1 << 14
"""Up to so many bytes the numbers of the last comparison are kept with the bounds that they were compared with: modes
that share the reference's evaluation mostly give the same numbers as well."""


def _worst(got: np.ndarray, reference: Bounded, coarse: Bounded | None) -> Worst:
    """The worst errors of an output, which follow from its numbers and the very bounds that they are compared with."""
    if got.nbytes > KEPT_BYTES:
        return worst_errors(got, reference, coarse)
    kept: _Compared | None = getattr(reference, "compared", None)
    if kept is None or kept.coarse is not coarse or kept.got != got.data:
        kept = reference.compared = _Compared(bytearray(got.data), coarse, worst_errors(got, reference, coarse))
    return kept.worst


def _nan_inputs(case: Case, arguments: dict[str, Any]) -> Any:
    """Where an output element depends on one element of the first array alone, and that is NaN."""
    operation = reference_named(case.operation)
    return np.isnan(arguments[operation.arrays[0]]) if operation.elementwise else False


def _place_notes(operation: Reference, case: Case, observed: Observed) -> dict[str, tuple[str, ...]]:
    """Where one number throughout went in, an elementwise operation should give one number throughout.

    Where only bits differ within the bound, that is information, not a deviation.
    """
    if not (operation.elementwise and cotangent_words(case.cotangent)[0] == "repeated"):
        return {}
    first = dict(case.arguments)[operation.arrays[0]]
    if not (isinstance(first, ArraySpec) and first.kind == "repeated"):
        return {}
    notes: dict[str, tuple[str, ...]] = {}
    for name, output in observed.outputs.items():
        distinct = len(np.unique(output))
        if distinct > 1:
            notes[name] = (f"{distinct} different results for one number, depending on its place in the tensor",)
    return notes
