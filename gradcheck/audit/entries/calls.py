"""The bench of L-BFGS: each call of ``step`` is a place."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.arithmetic import balls
from gradcheck.audit.entries.bench import Bench, Lift, Numbers, Place, as_balls
from gradcheck.cases.case import Case
from gradcheck.errors import ContractError
from gradcheck.formats import format_named
from gradcheck.reference.optim.lbfgs import RULE, ClosureRule, LBFGSState
from gradcheck.reference.optim.problems import PROBLEMS
from gradcheck.subject.closures import Calls, run_calls
from gradcheck.verdict.calls import asked, flat_outputs, judge_made
from gradcheck.verdict.verdict import Verdict

__all__ = ["CallBench"]


class CallBench(Bench):
    """Each call is judged from PyTorch's own state before it.

    Nothing is said of a call whose decisions hang on rounding, so a wrong formula of which they do everywhere would
    pass: it breaks the contract where the true one decides.
    """

    def observe(self, entry: ClosureRule, case: Case) -> Calls:
        given, problem, calls = asked(case, entry)
        return run_calls(case, given, problem, calls)

    def judge(
        self, entry: ClosureRule, case: Case, seen: Calls, places: Collection[Place] | None = None
    ) -> list[Verdict]:
        verdicts = judge_made(case, entry, seen)
        if _undecided(verdicts) and _undecided(verdicts) != _undecided(judge_made(case, RULE, seen)):
            raise ContractError(f"{entry.name}: a decision hangs on rounding that must not.")
        return verdicts

    def values(
        self, entry: ClosureRule, case: Case, seen: Calls, lift: Lift, places: Collection[Place] | None = None
    ) -> dict[Place, dict[str, Any]]:
        given, problem, _ = asked(case, entry)
        options = {**entry.options, **given}
        found: dict[Place, dict[str, Any]] = {}
        for call, (param, state) in enumerate(seen.moments[:-1]):
            if places is not None and call not in places:
                continue
            lifted = LBFGSState(*(_lifted(part, lift) for part in state))
            after, kept = entry.function(_lifted(param, lift), lifted, PROBLEMS[problem], **options)
            outputs = flat_outputs(after, kept)
            found[call] = as_balls(outputs) if lift is balls else outputs
        return found

    def telling(self, case: Case, seen: Calls) -> Collection[Place]:
        return range(len(seen.moments) - 1)

    def numbers(self, case: Case, seen: Calls) -> dict[str, Numbers]:
        """Of the first call, whose decisions hang least on rounding; of Python's numbers those that the dtype holds."""
        form = format_named(case.dtype)
        (before, _), (param, state) = seen.moments[0], seen.moments[1]
        found = {"param": Numbers(param, form, before)}
        for name in ("d", "t", "prev_flat_grad", "prev_loss"):
            value = getattr(state, name)
            if value is not None and np.array_equal(form.round(value), value, equal_nan=True):
                found[f"state[{name}]"] = Numbers(np.atleast_1d(value), form, np.atleast_1d(value))
        return found

    def replaced(self, case: Case, seen: Calls, output: str, array: np.ndarray) -> Calls:
        param, state = seen.moments[1]
        if output == "param":
            changed = (array, state)
        else:
            name = output[6:-1]
            changed = (param, state._replace(**{name: array.reshape(np.shape(getattr(state, name)))}))
        return replace(seen, moments=[seen.moments[0], changed])


def _undecided(verdicts: list[Verdict]) -> tuple[str, ...]:
    """What is said of calls that were not judged."""
    return tuple(note for verdict in verdicts[:1] for note in verdict.notes)


def _lifted(value: Any, lift: Lift) -> Any:
    if isinstance(value, tuple):
        return tuple(_lifted(part, lift) for part in value)
    return lift(value) if isinstance(value, np.ndarray) else value
