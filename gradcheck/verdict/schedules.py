"""Judge the rates and momenta that a scheduler yields, before and after a resume, and that it touches nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.arithmetic import RoundingModel, rounding_model
from gradcheck.cases.case import AXES, Case
from gradcheck.cases.inputs import arguments_of
from gradcheck.errors import UsageError, choices
from gradcheck.formats import format_named
from gradcheck.reference.registry import entry_named
from gradcheck.reference.schedule.evaluate import bounded_sequences, completed
from gradcheck.reference.schedule.options import refusal
from gradcheck.reference.schedule.schedule import LR_ONLY, MOMENTUM, Schedule
from gradcheck.subject.schedules import Driven, run_schedule
from gradcheck.verdict.compare import error_ratios
from gradcheck.verdict.outputs import exact_verdict, fact_verdict, verdict, within_bound
from gradcheck.verdict.verdict import Verdict

__all__ = ["judge_driven", "judge_schedule"]

FLOATS = rounding_model("float64")
"""Python's floats, in which schedulers compute."""


def judge_schedule(
    case: Case, *, entry: Schedule | None = None, subject: Callable[..., Any] | None = None
) -> list[Verdict]:
    """Verdicts on ``lr`` and, where it is driven, ``momentum``, after every step; on ``resumed``, where the case has a
    resume: the same bits as without one; and on ``rest``: what the scheduler must leave alone.

    entry and subject stand in for the registered closed form and for PyTorch's class (planted faults). Raises
    UsageError for a mode or dtype that the schedule does not have.
    """
    if entry is None:
        entry = _schedule_named(case.operation)
    case = _in_a_known_mode(case, entry)
    arguments = completed(entry, arguments_of(case))
    _check(case, entry, arguments)
    return judge_driven(case, entry, arguments, run_schedule(entry, case, arguments, subject))


def judge_driven(case: Case, entry: Schedule, arguments: dict[str, Any], driven: Driven) -> list[Verdict]:
    """The same of a scheduler that was run already, on completed arguments."""
    if driven.outcome != "ran":
        return [verdict(case, "lr", driven.outcome, words=driven.words)]
    model = rounding_model(case.dtype) if case.mode == "tensor" else FLOATS
    expected = bounded_sequences(entry, arguments, model)
    if "momentum" in expected and model is not FLOATS:
        expected["momentum"] = bounded_sequences(entry, arguments, FLOATS)["momentum"]
    verdicts = [within_bound(case, name, driven.outputs[name], reference) for name, reference in expected.items()]
    if any(found.status == "deviates" for found in verdicts):
        words = _off_by_an_epoch(entry, arguments, driven, model)
        verdicts = [replace(found, words=words) if found.status == "deviates" else found for found in verdicts]
    if driven.resumed:
        names = ("lr", *(name for name in driven.resumed if name != "lr"))
        rows = len(driven.resumed["lr"])
        got = np.concatenate([driven.resumed[name] for name in names], axis=1)
        whole = np.concatenate([driven.outputs[name][-rows:] for name in names], axis=1)
        verdicts.append(exact_verdict(case, "resumed", got, whole, FLOATS))
    return [*verdicts, fact_verdict(case, "rest", (*driven.altered, *_driven_unasked(driven, set(expected))))]


def _off_by_an_epoch(entry: Schedule, arguments: dict[str, Any], driven: Driven, model: RoundingModel) -> str:
    """In words, whether every rate is the one of the epoch before, or after; empty where that explains nothing."""
    got = driven.outputs["lr"]
    longer = {**arguments, "steps": arguments["steps"] + 1}
    try:
        rates = bounded_sequences(entry, longer, model)["lr"]
    except (IndexError, ValueError):  # a schedule by metrics has no epoch after the last
        rates = bounded_sequences(entry, arguments, model)["lr"]
    for words, shown, meant in (
        ("every rate is that of the epoch before", got[1:], rates[: len(got) - 1]),
        ("every rate is that of the epoch after", got, rates[1 : len(got) + 1]),
        ("from the first step on, every rate is that of the epoch after", got[1:], rates[2 : len(got) + 1]),
    ):
        if shown.shape == meant.shape and shown.size and not (error_ratios(shown, meant) > 1.0).any():
            return words
    return ""


def _driven_unasked(driven: Driven, expected: set[str]) -> tuple[str, ...]:
    """Sentences on numbers that move and that the schedule does not drive."""
    rows = ((name, array) for name, array in driven.outputs.items() if name not in expected)
    return tuple(
        f"{name} moves, and the schedule does not drive it" for name, array in rows if np.ptp(array, axis=0).any()
    )


def _schedule_named(name: str) -> Schedule:
    entry = entry_named(name)
    if not isinstance(entry, Schedule):
        raise UsageError(f"{name} is no schedule, but of kind {entry.kind!r}.")
    return entry


def _check(case: Case, entry: Schedule, arguments: dict[str, Any]) -> None:
    """Raises UsageError for an optimizer that there is not, rates that are none, and options that PyTorch refuses."""
    known, rates = (*MOMENTUM, *LR_ONLY), arguments["lr"]
    if arguments["optimizer"] not in known:
        raise UsageError(f"case {case}: optimizer={arguments['optimizer']!r} is not known; expected {choices(known)}.")
    if not isinstance(rates, tuple) or not rates or not all(isinstance(lr, int | float) and lr >= 0.0 for lr in rates):
        raise UsageError(f"case {case}: lr={rates!r}, expected a tuple of a number >= 0 for each parameter group.")
    if wrong := refusal(entry, arguments):
        raise UsageError(f"case {case}: {wrong}.")


def _in_a_known_mode(case: Case, entry: Schedule) -> Case:
    if case.mode == AXES["mode"]:
        case = case.on(mode=entry.modes[0])
    if case.mode not in entry.modes:
        raise UsageError(f"mode {case.mode!r} is not one of {entry.name}; expected {choices(entry.modes)}.")
    allowed = ("float64", "float32") if case.mode == "tensor" else ("float64",)
    if format_named(case.dtype).name not in allowed:
        raise UsageError(f"dtype {case.dtype!r}: mode {case.mode} of a schedule is in {choices(allowed)}.")
    return case
