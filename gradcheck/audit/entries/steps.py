"""The bench of step rules: each step of a history is a place."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gradcheck.arithmetic import balls, rounding_model
from gradcheck.audit.entries.bench import Bench, Lift, Numbers, Place, as_balls
from gradcheck.audit.entries.step_tampers import STEP_TAMPERS
from gradcheck.cases.case import Case
from gradcheck.cases.history import History
from gradcheck.formats import FORMATS, format_named
from gradcheck.reference.optim.evaluate import (
    BALLS,
    FLOAT64,
    Before,
    bounded_step,
    lifted_step,
    outputs_of,
    take_step,
)
from gradcheck.reference.optim.rule import StepRule
from gradcheck.subject.optim_gradients import step_gradients
from gradcheck.subject.optimizers import Entry, Moment, Seen, run_history
from gradcheck.verdict.steps import before_step, judge_seen
from gradcheck.verdict.verdict import Verdict

__all__ = ["RanHistory", "StepBench"]


@dataclass
class RanHistory:
    """A history as it ran, and the gradients through its differentiable steps, each taken once."""

    history: History
    seen: Seen
    gradients: dict[Any, dict[str, Entry]] = field(default_factory=dict)
    starts: dict[Any, Before] = field(default_factory=dict)
    lifted: dict[Any, Any] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        return self.seen.outcome

    def places(self) -> list[tuple[int, int]]:
        """Steps and parameters that had a gradient."""
        return [
            (step, i)
            for step, moments in enumerate(self.seen.before)
            for i, moment in enumerate(moments)
            if moment.grad is not None
        ]

    def taken(self, history: History, i: int, was: Moment, names: tuple[str, ...], *more: Any, **words: Any) -> Any:
        """As ``step_gradients``."""
        key = (i, id(was), names)
        if key not in self.gradients:
            self.gradients[key] = step_gradients(history, i, was, names, *more, **words)
        return self.gradients[key]


FIRST = 8
"""Steps of a history that are asked what other implementations would do."""


class StepBench(Bench):
    """Rules are judged on the steps at which they differ from the true one."""

    fields = ("function", "start")
    without = (*Bench.without, "gradcheck.reference.optim.scalar")
    layouts = True
    special = STEP_TAMPERS

    def observe(self, entry: StepRule, case: Case) -> RanHistory:
        history = History(case)
        return RanHistory(history, run_history(history))

    def judge(
        self, entry: StepRule, case: Case, seen: RanHistory, places: Collection[Place] | None = None
    ) -> list[Verdict]:
        return judge_seen(seen.history, _only(seen, places), entry, gradients=seen.taken, named=False)

    def values(
        self, entry: StepRule, case: Case, seen: RanHistory, lift: Lift, places: Collection[Place] | None = None
    ) -> dict[Place, dict[str, Any]]:
        chosen = seen.places() if places is None else places
        if lift is balls:
            return {
                place: as_balls(outputs_of(take_step(entry, _before(entry, seen, place), BALLS))) for place in chosen
            }
        return {place: _float64_outputs(entry, seen, place) for place in chosen}

    def rounding(self, entry: StepRule, case: Case, seen: RanHistory, place: Place) -> dict[str, np.ndarray]:
        bounded = bounded_step(entry, _before(entry, seen, place), rounding_model("float64"))
        return {name: output.full_bound() for name, output in bounded.items()}

    def telling(self, case: Case, seen: RanHistory) -> Collection[Place]:
        """The first two steps, when the state is new, and the last."""
        places = seen.places()
        return [place for place in places if place[0] < 2] + places[-1:]

    def special_at(self, case: Case, seen: RanHistory, place: Place) -> bool:
        before = _before(seen.history.rule, seen, place)
        return not all(np.isfinite(a).all() for a in (before.param, before.grad, *before.state.values()))

    def elsewhere(self, entry: StepRule, case: Case, seen: RanHistory) -> list[tuple[Any, RanHistory]]:
        """The same steps in the implementations that ``verify`` does not run on this device."""
        modes = [mode for mode in entry.modes if mode == "capturable" or mode.startswith("compile:")]
        ran = {mode: RanHistory(History(case.on(mode=mode)), seen.seen) for mode in modes if case.device == "cpu"}
        return [(place, there) for there in ran.values() for place in seen.places()[:FIRST]]

    def numbers(self, case: Case, seen: RanHistory) -> dict[str, Numbers]:
        """Of one step and parameter of the history, which follow from the seed."""
        places = seen.places()
        if not places:
            return {}
        step, i = places[case.seed % len(places)]
        was, now = seen.seen.before[step][i], seen.seen.after[step][i]
        found = {"param": _numbers(now.param, was.param)}
        for name, entry in now.state.items():
            if name != "step":
                empty = replace(entry, array=np.zeros(entry.array.shape))
                found[f"state[{name}]"] = _numbers(entry, was.state.get(name, empty))
        return found

    def tampered_at(self, case: Case, seen: RanHistory) -> Collection[Place]:
        places = seen.places()
        return [places[case.seed % len(places)]]

    def replaced(self, case: Case, seen: RanHistory, output: str, array: np.ndarray) -> RanHistory:
        places = seen.places()
        step, i = places[case.seed % len(places)]
        now = seen.seen.after[step][i]
        if output == "param":
            return with_moment(seen, step, i, replace(now, param=replace(now.param, array=array)))
        name = output[6:-1]
        state = {**now.state, name: replace(now.state[name], array=array)}
        return with_moment(seen, step, i, replace(now, state=state))


def with_moment(seen: RanHistory, step: int, i: int, moment: Moment) -> RanHistory:
    """The history with another moment after one step."""
    after = [list(moments) for moments in seen.seen.after]
    after[step][i] = moment
    return replace(seen, seen=replace(seen.seen, after=after))


def _before(rule: StepRule, seen: RanHistory, place: Any) -> Before:
    """What a step starts from, whatever is wrong with the rule."""
    if place not in seen.starts:
        step, i = place
        seen.starts[place] = before_step(seen.history, rule, step, i, seen.seen.before[step][i])
    return seen.starts[place]


def _float64_outputs(rule: StepRule, seen: RanHistory, place: Any) -> dict[str, Any]:
    """Of a step, lifted once for all rules that start from the same state."""
    key = place, rule.start
    if key not in seen.lifted:
        seen.lifted[key] = lifted_step(rule, _before(rule, seen, place), FLOAT64)
    param, grad, state, t, options = seen.lifted[key]
    return outputs_of(rule.function(param, grad, state, t, **options))


def _numbers(now: Entry, was: Entry) -> Numbers:
    form = format_named(now.dtype if now.dtype in FORMATS else "float64")
    return Numbers(now.array, form, was.array)


def _only(seen: RanHistory, places: Collection[Place] | None) -> Seen:
    """The history with those steps alone to be judged: elsewhere parameters are without a gradient."""
    if places is None:
        return seen.seen
    before = [
        [moment if (step, i) in places else replace(moment, grad=None) for i, moment in enumerate(moments)]
        for step, moments in enumerate(seen.seen.before)
    ]
    return replace(seen.seen, before=before)
