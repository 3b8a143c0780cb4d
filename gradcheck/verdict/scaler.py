"""Judge a gradient scaler over a history: scales, growth tracker, skipped steps, unscaled gradients, resume."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic import rounding_model
from gradcheck.cases.case import AXES, Case
from gradcheck.cases.inputs import arguments_of
from gradcheck.errors import UsageError, choices
from gradcheck.reference.clipping.scaler import EVENTS, Scaler, bounded_history
from gradcheck.reference.optim.options import refusal
from gradcheck.reference.registry import entry_named
from gradcheck.subject.scaler import Scaled, run_scaler
from gradcheck.verdict.models import model_of
from gradcheck.verdict.outputs import exact_verdict, fact_verdict, verdict, within_bound
from gradcheck.verdict.verdict import Verdict

__all__ = ["judge_scaled", "judge_scaler"]


def judge_scaler(
    case: Case, *, entry: Scaler | None = None, subject: Callable[..., Any] | None = None
) -> list[Verdict]:
    """Verdicts on ``scale``, ``tracker``, ``stepped``, ``scaled`` and ``unscaled``; on ``resumed`` and on ``rest``.

    resumed: where the case has a resume, the same numbers as without one; rest: what it refuses and leaves alone.

    entry and subject stand in for the registered state machine and for PyTorch's class (planted faults). Raises
    UsageError for an unknown mode, or a history that does not fit the gradients.
    """
    found = entry if entry is not None else entry_named(case.operation)
    if not isinstance(found, Scaler):
        raise UsageError(f"{case.operation} is no scaler, but of kind {found.kind!r}.")
    if case.mode == AXES["mode"]:
        case = case.on(mode=found.modes[0])
    if case.mode not in found.modes:
        raise UsageError(f"mode {case.mode!r} is not one of {found.name}; expected {choices(found.modes)}.")
    arguments = arguments_of(case)
    history = arguments["history"]
    if len(history) != len(arguments["grad"]) or not set(history) <= set(EVENTS):
        raise UsageError(f"history={history!r}: expected one of {choices(EVENTS)} for each row of grad.")
    if wrong := refusal(found.name, found.options, arguments):
        raise UsageError(f"case {case}: {wrong}.")
    return judge_scaled(case, found, arguments, run_scaler(found, case, arguments, subject))


def judge_scaled(case: Case, entry: Scaler, arguments: dict[str, Any], scaled: Scaled) -> list[Verdict]:
    """The same of a history that was run already."""
    if scaled.outcome != "ran":
        return [verdict(case, "scale", scaled.outcome, words=scaled.words)]
    expected = bounded_history(entry, arguments, case.dtype, flushed=model_of(case).flushed)
    model = rounding_model("float32")
    verdicts = []
    for name, reference in expected.items():
        got = scaled.outputs[name]
        exact = isinstance(reference, np.ndarray)
        verdicts.append(
            exact_verdict(case, name, got, reference, model) if exact else within_bound(case, name, got, reference)
        )
    if scaled.resumed:
        names = tuple(expected)
        got = np.concatenate([scaled.resumed[name].ravel() for name in names])
        whole = np.concatenate([_last(scaled.outputs[name], len(scaled.resumed[name])).ravel() for name in names])
        verdicts.append(exact_verdict(case, "resumed", got, whole, model))
    unasked = tuple(f"the state machine has no {name}" for name in scaled.outputs if name not in expected)
    return [*verdicts, fact_verdict(case, "rest", (*scaled.altered, *unasked))]


def _last(array: np.ndarray, rows: int) -> np.ndarray:
    return array[len(array) - rows :]
