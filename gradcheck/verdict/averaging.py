"""Judge averages over training: each step from the average before it, and the closed form after all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic import Bounded
from gradcheck.cases.case import AXES, Case
from gradcheck.cases.inputs import arguments_of
from gradcheck.errors import UsageError, choices
from gradcheck.reference.averaging.averaging import Averaging, bounded_averages
from gradcheck.reference.optim.options import refusal
from gradcheck.reference.registry import entry_named
from gradcheck.subject.averaging import Averaged, run_averaging
from gradcheck.verdict.models import grades_of, model_of
from gradcheck.verdict.outputs import fact_verdict, verdict, within_bound
from gradcheck.verdict.verdict import Verdict

__all__ = ["judge_averaged", "judge_averaging"]


def judge_averaging(
    case: Case, *, entry: Averaging | None = None, subject: Callable[..., Any] | None = None
) -> list[Verdict]:
    """Verdicts on every average, one row for each step, on the ``closed`` form of it after the last, and on ``rest``.

    entry and subject stand in for the registered formula and for PyTorch's averaging function (planted faults). Raises
    UsageError for a mode that the average does not have.
    """
    found = entry if entry is not None else entry_named(case.operation)
    if not isinstance(found, Averaging):
        raise UsageError(f"{case.operation} is no average, but of kind {found.kind!r}.")
    if case.mode == AXES["mode"]:
        case = case.on(mode=found.modes[0])
    if case.mode not in found.modes:
        raise UsageError(f"mode {case.mode!r} is not one of {found.name}; expected {choices(found.modes)}.")
    arguments = arguments_of(case)
    if wrong := refusal(found.name, found.options, arguments):
        raise UsageError(f"case {case}: {wrong}.")
    return judge_averaged(case, found, arguments, run_averaging(found, case, arguments, subject))


def judge_averaged(case: Case, entry: Averaging, arguments: dict[str, Any], averaged: Averaged) -> list[Verdict]:
    """The same of averages that were taken already."""
    if averaged.outcome != "ran":
        return [verdict(case, "params", averaged.outcome, words=averaged.words)]
    bounds = []
    for grade in grades_of(case):
        model = model_of(case, grade)
        steps, closed = bounded_averages(entry, arguments, averaged.after, model, case.mode)
        names = tuple(closed)
        bounds.append(
            {name: _stacked([step[name] for step in steps]) for name in names}
            | {f"closed {name}": value for name, value in closed.items()}
        )
    got = {name: np.stack([after[name] for after in averaged.after]) for name in names}
    got |= {f"closed {name}": averaged.after[-1][name] for name in names}
    coarse = bounds[1] if len(bounds) > 1 else {}
    verdicts = [within_bound(case, name, got[name], bounds[0][name], coarse.get(name)) for name in got]
    unasked = tuple(f"the formula has no {name}" for name in averaged.after[-1] if name not in names)
    return [*verdicts, fact_verdict(case, "rest", (*averaged.altered, *unasked))]


def _stacked(rows: list[Bounded]) -> Bounded:
    return Bounded(np.stack([row.value for row in rows]), np.stack([row.full_bound() for row in rows]), rows[0].model)
