"""The bench of averages over steps: the step of an average and its closed form."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.arithmetic import balls, rounding_model
from gradcheck.audit.entries.bench import Bench, Lift, Numbers, Place, as_balls
from gradcheck.cases.case import Case
from gradcheck.cases.inputs import arguments_of
from gradcheck.formats import format_named
from gradcheck.reference.averaging.averaging import Averaging, bounded_averages
from gradcheck.subject.averaging import Averaged, run_averaging
from gradcheck.verdict.averaging import judge_averaged
from gradcheck.verdict.verdict import Verdict

__all__ = ["AveragingBench"]


class AveragingBench(Bench):
    """Each row of the average is taken from what PyTorch had before it; the closed form from all rows."""

    fields = ("function", "closed")

    def observe(self, entry: Averaging, case: Case) -> Averaged:
        return run_averaging(entry, case, arguments_of(case))

    def judge(
        self, entry: Averaging, case: Case, seen: Averaged, places: Collection[Place] | None = None
    ) -> list[Verdict]:
        return judge_averaged(case, entry, arguments_of(case), seen)

    def values(
        self, entry: Averaging, case: Case, seen: Averaged, lift: Lift, places: Collection[Place] | None = None
    ) -> dict[Place, dict[str, Any]]:
        arguments = arguments_of(case)
        given = {name: value for name, value in arguments.items() if name in entry.options}
        options = {
            name: lift(value) if isinstance(value, float) else value
            for name, value in {**entry.options, **given}.items()
        }
        rows = lift(arguments[entry.array])
        found: dict[str, Any] = {}
        for count in range(len(arguments[entry.array])):
            before = {name: lift(array) for name, array in seen.after[count - 1].items()} if count else None
            step = entry.function(before, rows[count], count, **options, route=case.mode)
            found |= {f"{name} after row {count}": value for name, value in step.items()}
        found |= {f"closed {name}": value for name, value in entry.closed(rows, **options).items()}
        return {"": as_balls(found) if lift is balls else found}

    def rounding(self, entry: Averaging, case: Case, seen: Averaged, place: Place) -> dict[str, np.ndarray]:
        steps, closed = bounded_averages(entry, arguments_of(case), seen.after, rounding_model("float64"), case.mode)
        rows = {f"{name} after row {count}": b for count, step in enumerate(steps) for name, b in step.items()}
        return {name: b.full_bound() for name, b in (rows | {f"closed {n}": b for n, b in closed.items()}).items()}

    def special_at(self, case: Case, seen: Averaged, place: Place) -> bool:
        return not np.isfinite(arguments_of(case)[case.arguments[0][0]]).all()

    def numbers(self, case: Case, seen: Averaged) -> dict[str, Numbers]:
        row, form = case.seed % len(seen.after), format_named(case.dtype)
        return {
            name: Numbers(array, form, seen.after[row - 1][name] if row else array)
            for name, array in seen.after[row].items()
        }

    def replaced(self, case: Case, seen: Averaged, output: str, array: np.ndarray) -> Averaged:
        row = case.seed % len(seen.after)
        after = [{**one, output: array} if i == row else one for i, one in enumerate(seen.after)]
        return replace(seen, after=after)
