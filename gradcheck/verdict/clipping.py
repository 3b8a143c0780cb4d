"""Judge what clipping did to gradients, the norm that it returns, and that it touches nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic import Bounded
from gradcheck.cases.case import AXES, Case
from gradcheck.cases.inputs import arguments_of
from gradcheck.errors import UsageError, choices
from gradcheck.reference.clipping.clipping import Clipping, bounded_clipping, gradients_of
from gradcheck.reference.optim.options import refusal
from gradcheck.reference.registry import entry_named
from gradcheck.subject.clipping import Clipped, run_clipping
from gradcheck.verdict.models import grades_of, is_small, model_of
from gradcheck.verdict.outputs import exact_verdict, fact_verdict, verdict, within_bound
from gradcheck.verdict.verdict import Verdict

__all__ = ["judge_clipped", "judge_clipping"]


def judge_clipping(
    case: Case, *, entry: Clipping | None = None, subject: Callable[..., Any] | None = None
) -> list[Verdict]:
    """Verdicts on ``total``, on every ``grad[…]`` and on ``rest``: what must not change.

    Where an error is asked for, for a norm that is not finite, the verdict is on ``error``, and on gradients that have
    to be as they were. entry and subject stand in for the registered formula and for PyTorch's function (planted
    faults). Raises UsageError for a mode that clipping does not have.
    """
    found = entry if entry is not None else entry_named(case.operation)
    if not isinstance(found, Clipping):
        raise UsageError(f"{case.operation} is no clipping, but of kind {found.kind!r}.")
    if case.mode == AXES["mode"]:
        case = case.on(mode=found.modes[0])
    if case.mode not in found.modes:
        raise UsageError(f"mode {case.mode!r} is not one of {found.name}; expected {choices(found.modes)}.")
    arguments = arguments_of(case)
    if wrong := refusal(found.name, found.options, arguments):
        raise UsageError(f"case {case}: {wrong}.")
    return judge_clipped(case, found, arguments, run_clipping(found, case, arguments, subject))


def judge_clipped(case: Case, entry: Clipping, arguments: dict[str, Any], clipped: Clipped) -> list[Verdict]:
    """The same of gradients that were clipped already."""
    if clipped.outcome == "unsupported":
        return [verdict(case, "total", "unsupported", words=clipped.words)]
    wide = is_small(case)
    grades = {grade: bounded_clipping(entry, arguments, model_of(case, grade, wide)) for grade in grades_of(case)}
    if arguments.get("error_if_nonfinite"):
        error = _judge_error(case, arguments, clipped, grades["agrees"]["total"])
        if error is not None:
            return error
    if clipped.outcome == "raises":
        return [verdict(case, "total", "raises", words=clipped.words)]
    coarse = grades.get("coarse", {})
    missing = tuple(f"{name} is missing" for name in grades["agrees"] if name not in clipped.outputs)
    verdicts = [
        within_bound(case, name, clipped.outputs[name], reference, coarse.get(name))
        for name, reference in grades["agrees"].items()
        if name in clipped.outputs
    ]
    unasked = tuple(f"the formula has no {name}" for name in clipped.outputs if name not in grades["agrees"])
    return [*verdicts, fact_verdict(case, "rest", (*clipped.altered, *missing, *unasked))]


def _judge_error(case: Case, arguments: dict[str, Any], clipped: Clipped, total: Bounded) -> list[Verdict] | None:
    """Verdicts where the norm is not finite, for certain or as it was computed; None for an ordinary case."""
    certain = not np.isfinite(total.value) and not np.any(total.full_bound())
    raised = clipped.outcome == "raises" and "non-finite" in clipped.words
    bound = total.full_bound()
    overflows = bool(abs(total.value) + bound > total.model.store.largest)
    possible = certain or not np.isfinite(bound) or overflows
    if certain and not raised:
        return [fact_verdict(case, "error", ("a norm that is not finite raises no error",))]
    if not raised:
        return None
    if not possible:
        return [fact_verdict(case, "error", (f"raised for a norm of {float(total.value):.6g}: {clipped.words}",))]
    kept = [
        exact_verdict(case, f"grad[{name}]", clipped.outputs[f"grad[{name}]"], grad, total.model)
        for name, grad in gradients_of(arguments).items()
        if grad is not None
    ]
    return [fact_verdict(case, "error", ()), *kept]
