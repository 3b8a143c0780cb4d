"""The bench of schedules: closed form and route; PyTorch's sequence of rates is one observation."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from gradcheck.arithmetic import Bounded, ball_precision, balls, rounding_model
from gradcheck.arithmetic.running import lift
from gradcheck.audit.entries.bench import Bench, Lift, Numbers, Place, SpecialTamper, as_balls
from gradcheck.cases.case import Case
from gradcheck.cases.inputs import arguments_of
from gradcheck.formats import format_named
from gradcheck.reference.schedule.evaluate import bounded_sequences, completed, routed_sequence, sequences
from gradcheck.reference.schedule.schedule import Schedule
from gradcheck.subject.schedules import Driven, run_schedule
from gradcheck.verdict.schedules import judge_driven
from gradcheck.verdict.verdict import Verdict

__all__ = ["ScheduleBench"]

BITS = 300
FLOATS = rounding_model("float64")


def _bounded(value: float) -> Bounded:
    return lift(float(value), FLOATS)


def _late(name: str) -> Any:
    """Every rate as it was a step before."""

    def change(case: Case, seen: Driven) -> Driven | None:
        rows = seen.outputs.get(name)
        if rows is None:
            return None
        late = np.concatenate([rows[:1], rows[:-1]])
        return None if np.array_equal(late, rows) else replace(seen, outputs={**seen.outputs, name: late})

    return change


def _of_one_group(case: Case, seen: Driven) -> Driven | None:
    rows = seen.outputs["lr"]
    same = np.repeat(rows[:, :1], rows.shape[1], axis=1)
    return None if np.array_equal(same, rows) else replace(seen, outputs={**seen.outputs, "lr": same})


def _resumed_late(case: Case, seen: Driven) -> Driven | None:
    rows = seen.resumed.get("lr")
    if rows is None or len(rows) < 2 or np.array_equal(rows[0], rows[1]):
        return None
    return replace(seen, resumed={**seen.resumed, "lr": np.concatenate([rows[:1], rows[:-1]])})


class ScheduleBench(Bench):
    """A wrong route has the values of the closed form, and is shown by the certificate that compares the two."""

    fields = ("closed", "route")
    without = (*Bench.without, "gradcheck.reference.schedule.schedule")
    special: ClassVar[tuple[SpecialTamper, ...]] = (
        SpecialTamper("rates one epoch late", "lr", _late("lr")),
        SpecialTamper("momenta one epoch late", "momentum", _late("momentum")),
        SpecialTamper("one group's rate for all", "lr", _of_one_group),
        SpecialTamper("resumed one epoch late", "resumed", _resumed_late),
    )

    def observe(self, entry: Schedule, case: Case) -> Driven:
        return run_schedule(entry, case, self._arguments(entry, case))

    def judge(
        self, entry: Schedule, case: Case, seen: Driven, places: Collection[Place] | None = None
    ) -> list[Verdict]:
        return judge_driven(case, entry, self._arguments(entry, case), seen)

    def values(
        self, entry: Schedule, case: Case, seen: Driven, lift: Lift, places: Collection[Place] | None = None
    ) -> dict[Place, dict[str, Any]]:
        arguments = self._arguments(entry, case)
        number = balls if lift is balls else np.float64
        found = sequences(entry, arguments, number, number)
        if entry.route is not None:
            found["route"] = routed_sequence(entry, arguments, number, number)
        return {"": as_balls(found) if lift is balls else found}

    def rounding(self, entry: Schedule, case: Case, seen: Driven, place: Place) -> dict[str, np.ndarray]:
        arguments = self._arguments(entry, case)
        found: dict[str, Any] = dict(bounded_sequences(replace(entry, route=None), arguments, FLOATS))
        if entry.route is not None:
            found["route"] = lift(routed_sequence(entry, arguments, _bounded, _bounded), FLOATS)
        return {name: value.full_bound() for name, value in found.items()}

    def contradiction(self, entry: Schedule, case: Case) -> str:
        if entry.route is None:
            return ""
        arguments = self._arguments(entry, case)
        try:
            with ball_precision(BITS), np.errstate(all="ignore"):
                closed = balls(sequences(entry, arguments, balls, balls)["lr"]).array
                routed = balls(routed_sequence(entry, arguments, balls, balls)).array
        except Exception as error:  # a wrong formula may raise anything
            return f"it raises {type(error).__name__}"
        same = closed.shape == routed.shape and all(
            a.overlaps(b) for a, b in zip(closed.ravel(), routed.ravel(), strict=True)
        )
        return "" if same else "route and closed form are two schedules"

    def numbers(self, case: Case, seen: Driven) -> dict[str, Numbers]:
        return {
            name: Numbers(rows, format_named(case.dtype if name == "lr" else "float64"), np.roll(rows, 1, axis=0))
            for name, rows in seen.outputs.items()
            if name == "lr" or any(word == "max_momentum" for word, _ in case.arguments)
        }

    def replaced(self, case: Case, seen: Driven, output: str, array: np.ndarray) -> Driven:
        return replace(seen, outputs={**seen.outputs, output: array})

    @staticmethod
    def _arguments(entry: Schedule, case: Case) -> dict[str, Any]:
        return completed(entry, arguments_of(case))
