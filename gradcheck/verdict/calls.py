"""Judge LBFGS one call of ``step`` at a time, from PyTorch's own state before it, under running error bounds."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.arithmetic import Bounded, rounding_model
from gradcheck.arithmetic.running import lift, lift_array
from gradcheck.cases.case import Case
from gradcheck.errors import UsageError, choices
from gradcheck.reference.optim.lbfgs import ClosureRule, LBFGSState, UndecidedError
from gradcheck.reference.optim.problems import PROBLEMS
from gradcheck.subject.closures import Calls, run_calls
from gradcheck.subject.optimizers import Factory
from gradcheck.verdict.compare import error_ratios
from gradcheck.verdict.outputs import verdict
from gradcheck.verdict.verdict import Verdict, Witness
from gradcheck.verdict.witness import witness_of

__all__ = ["asked", "flat_outputs", "judge_calls", "judge_made"]


def judge_calls(case: Case, rule: ClosureRule, subject: Factory | None = None) -> list[Verdict]:
    """Verdicts on the parameter and every state entry after each call, the worst of all calls; and on what must stay.

    A call whose decisions hang on rounding errors is not judged, and a note says so.
    """
    given, problem, calls = asked(case, rule)
    return judge_made(case, rule, run_calls(case, given, problem, calls, subject))


def asked(case: Case, rule: ClosureRule) -> tuple[dict[str, Any], str, int]:
    """The options that a case gives, its problem, and how many calls. Raises UsageError for an unknown problem."""
    given = {name: value for name, value in case.arguments if name in rule.hyperparameters}
    problem, calls = (given.pop(name, rule.hyperparameters[name]) for name in ("problem", "calls"))
    if problem not in PROBLEMS:
        raise UsageError(f"case {case}: problem {problem!r} is not known; expected {choices(PROBLEMS)}.")
    return given, problem, calls


def judge_made(case: Case, rule: ClosureRule, seen: Calls) -> list[Verdict]:
    """The same of calls that were made already."""
    given, problem, _ = asked(case, rule)
    if case.dtype != "float64" or seen.outcome != "ran":
        words = seen.words or "not supported by gradcheck: L-BFGS is judged in float64, its decisions hang on rounding"
        return [_verdict(case, "param", "raises" if seen.outcome == "raises" else "unsupported", np.nan, words=words)]
    worst: dict[str, tuple[float, Witness | None, str]] = {}
    undecided = []
    for call, ((param, state), (param_after, after)) in enumerate(zip(seen.moments, seen.moments[1:], strict=False)):
        try:
            expected = _reference(rule, param, state, PROBLEMS[problem], {**rule.options, **given})
        except UndecidedError:
            undecided.append(call)
            continue
        for name, got in flat_outputs(param_after, after).items():
            ratio, witness = _ratio(got, expected.get(name))
            if ratio > worst.get(name, (-1.0, None, ""))[0]:
                worst[name] = (ratio, witness, f"worst at call {call}")
    notes = (f"not judged, since a decision hangs on rounding: calls {undecided}",) if undecided else ()
    verdicts = [
        _verdict(
            case, name, "agrees" if ratio <= 1.0 else "deviates", ratio,
            witness=witness if ratio > 1.0 else None, words=place if ratio > 1.0 else "", notes=notes,
        )
        for name, (ratio, witness, place) in worst.items()
    ]  # fmt: skip
    changed = seen.changed[0] if seen.changed else ""
    kept = _verdict(case, "untouched", "deviates" if changed else "agrees", np.inf if changed else 0.0, words=changed)
    return [*verdicts, kept] if verdicts else [_verdict(case, "param", "agrees", 0.0, notes=notes), kept]


def _reference(
    rule: ClosureRule, param: np.ndarray, state: LBFGSState, objective: Any, options: dict[str, Any]
) -> dict[str, Bounded]:
    model = rounding_model("float64")

    def lifted(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(lifted(part) for part in value)
        return lift_array(value, model) if isinstance(value, np.ndarray) else value

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


def _ratio(got: Any, expected: Bounded | None) -> tuple[float, Witness | None]:
    value = np.asarray(got, dtype=np.float64)
    if expected is None or expected.shape != value.shape:
        return np.inf, None
    with np.errstate(all="ignore"):
        ratios = error_ratios(value, expected)
        worst = float(ratios.max(initial=0.0))
        return worst, witness_of(value, expected, ratios, {}) if worst > 1.0 else None


def _verdict(case: Case, output: str, status: str, ratio: float, **more: Any) -> Verdict:
    return verdict(case, output, status, error_over_bound=ratio, error_over_storage_bound=ratio, **more)
