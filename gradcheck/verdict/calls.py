"""Judge LBFGS one call of ``step`` at a time, from PyTorch's own state before it, under running error bounds."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.arithmetic import Bounded, RoundingModel
from gradcheck.arithmetic.running import lift, lift_array
from gradcheck.cases.case import Case
from gradcheck.errors import UsageError, choices
from gradcheck.reference.optim.lbfgs import ClosureRule, LBFGSState, UndecidedError
from gradcheck.reference.optim.options import refusal
from gradcheck.reference.optim.problems import PROBLEMS
from gradcheck.subject.closures import Calls, run_calls
from gradcheck.subject.optimizers import Factory
from gradcheck.verdict.compare import Worst, error_ratios, worst_errors
from gradcheck.verdict.models import grades_of, model_of
from gradcheck.verdict.outputs import verdict
from gradcheck.verdict.verdict import Verdict, Witness
from gradcheck.verdict.witness import witness_of

__all__ = ["asked", "flat_outputs", "judge_calls", "judge_made"]

AGREED = Worst(0.0, 0.0, 0.0)


def judge_calls(case: Case, rule: ClosureRule, subject: Factory | None = None) -> list[Verdict]:
    """Verdicts on the parameter and every state entry after each call, the worst of all calls; and on what must stay.

    A call whose decisions hang on rounding errors is not judged, and a note on the parameter says so.
    """
    given, problem, calls = asked(case, rule)
    return judge_made(case, rule, run_calls(case, given, problem, calls, subject))


def asked(case: Case, rule: ClosureRule) -> tuple[dict[str, Any], str, int]:
    """The options that a case gives, its problem, and how many calls.

    Raises UsageError for an unknown problem, and for a vector that cannot be cut as the case says.
    """
    given = {**rule.hyperparameters, **dict(case.arguments)}
    problem, calls, parts, pairs = (given[name] for name in ("problem", "calls", "parts", "complex"))
    if problem not in PROBLEMS:
        raise UsageError(f"case {case}: problem {problem!r} is not known; expected {choices(PROBLEMS)}.")
    shape = case.specs["param0"].shape
    if len(shape) != 1 or (pairs and shape[0] % 2):
        raise UsageError(f"case {case}: param0 has shape {shape}, expected a vector{' of pairs' if pairs else ''}.")
    if parts not in (1, 2) or shape[0] < parts * (2 if pairs else 1):
        raise UsageError(f"case {case}: parts={parts!r} of {shape[0]} numbers; expected 1 or 2, none of them empty.")
    if not isinstance(calls, int) or calls < 1:
        raise UsageError(f"case {case}: calls={calls!r}, expected 1 or more.")
    given = {name: value for name, value in case.arguments if name in rule.options}
    if wrong := refusal(rule.name, rule.options, given):
        raise UsageError(f"case {case}: {wrong}.")
    if case.mode not in rule.modes:
        raise UsageError(
            f"case {case}: {rule.name} has no implementation {case.mode!r}; expected {choices(rule.modes)}."
        )
    return given, problem, calls


def judge_made(case: Case, rule: ClosureRule, seen: Calls) -> list[Verdict]:
    """The same of calls that were made already."""
    given, problem, _ = asked(case, rule)
    if seen.outcome != "ran":
        return [_verdict(case, "param", seen.outcome, Worst(np.nan, np.nan, np.nan), words=seen.words)]
    outputs: dict[str, tuple[Worst, Witness | None, str]] = {}
    undecided = []
    for call, ((param, state), (param_after, after)) in enumerate(zip(seen.moments, seen.moments[1:], strict=False)):
        options = {**rule.options, **given}
        models = (model_of(case, grade) for grade in grades_of(case))
        try:
            bounds = [_reference(rule, param, state, PROBLEMS[problem], options, model) for model in models]
        except UndecidedError:
            undecided.append(call)
            continue
        for name, got in flat_outputs(param_after, after).items():
            worst, witness = _worst(got, [bound.get(name) for bound in bounds])
            known, shown, words = outputs.get(name, (AGREED, None, ""))
            if worst.ratio > 1.0 and (worst.coarse, worst.ratio) > (known.coarse, known.ratio):
                shown, words = witness, f"worst at call {call}"
            outputs[name] = Worst(*(max(pair) for pair in zip(known, worst, strict=True))), shown, words
    notes = (f"not judged, since a decision hangs on rounding: calls {undecided}",) if undecided else ()
    verdicts = [
        _verdict(case, name, worst.status, worst, witness=witness, words=words, notes=notes if name == "param" else ())
        for name, (worst, witness, words) in outputs.items()
    ]
    changed = seen.changed[0] if seen.changed else ""
    stays = Worst(np.inf, np.inf, np.inf) if changed else AGREED
    kept = _verdict(case, "untouched", stays.status, stays, words=changed)
    return [*verdicts, kept] if verdicts else [_verdict(case, "param", "agrees", AGREED, notes=notes), kept]


def _reference(
    rule: ClosureRule, param: np.ndarray, state: LBFGSState, objective: Any, options: dict[str, Any],
    model: RoundingModel,
) -> dict[str, Bounded]:  # fmt: skip
    def lifted(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(lifted(part) for part in value)
        if isinstance(value, np.ndarray):  # a number may be Python's own, of more digits
            return lift_array(value, model) if value.ndim else lift(float(value), model)
        return value

    options = {k: lift(v, model) if isinstance(v, float) else v for k, v in options.items()}
    with np.errstate(all="ignore"):
        after, kept = rule.function(
            lifted(param), LBFGSState(*(lifted(entry) for entry in state)), objective, **options
        )
    return {name: lift(entry, model) for name, entry in flat_outputs(after, kept).items()}


def flat_outputs(param: Any, state: LBFGSState) -> dict[str, Any]:
    """Outputs by name; each remembered vector of a list counts for itself."""
    outputs = {"param": param}
    for name, entry in state._asdict().items():
        parts = entry if isinstance(entry, tuple) else () if entry is None else (entry,)
        places = [f"[{k}]" for k in range(len(parts))] if isinstance(entry, tuple) else [""]
        outputs |= {f"state[{name}]{place}": part for place, part in zip(places, parts, strict=False)}
    return outputs


def _worst(got: Any, bounds: list[Bounded | None]) -> tuple[Worst, Witness | None]:
    """By the bounds of one grade or two, and where it was."""
    value, (agrees, *rest) = np.asarray(got, dtype=np.float64), bounds
    coarse = rest[0] if rest else None
    if agrees is None or agrees.shape != value.shape:
        return Worst(np.inf, np.inf, np.inf), None
    if not value.size:
        return AGREED, None
    with np.errstate(all="ignore"):
        worst = worst_errors(value, agrees, coarse)
        if worst.ratio <= 1.0:
            return worst, None
        ratios = error_ratios(value, agrees)
        return worst, witness_of(
            value, agrees, ratios if coarse is None else np.minimum(ratios, error_ratios(value, coarse)), {}
        )


def _verdict(case: Case, output: str, status: str, worst: Worst, **more: Any) -> Verdict:
    return verdict(case, output, status, *worst, **more)
