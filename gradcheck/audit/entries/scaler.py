"""The bench of the gradient scaler: a state machine over a history of gradients."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from gradcheck.audit.entries.bench import Bench, Lift, Numbers, Place, SpecialTamper
from gradcheck.cases.case import Case
from gradcheck.cases.inputs import arguments_of
from gradcheck.formats import format_named
from gradcheck.reference.clipping.scaler import Scaler, bounded_history
from gradcheck.subject.scaler import Scaled, run_scaler
from gradcheck.verdict.scaler import judge_scaled
from gradcheck.verdict.verdict import Verdict

__all__ = ["ScalerBench"]


def _resumed_from_zero(case: Case, seen: Scaled) -> Scaled | None:
    rows = seen.resumed.get("tracker")
    if rows is None or not rows.size or not rows[0]:
        return None
    return replace(seen, resumed={**seen.resumed, "tracker": rows - rows[0]})


class ScalerBench(Bench):
    """Scales are powers and products of few numbers: float64 holds a product of two in float32 exactly.

    So what is the same in float64 is compared no further; the bounded values are what is compared.
    """

    special: ClassVar[tuple[SpecialTamper, ...]] = (
        SpecialTamper("a tracker that is not loaded", "resumed", _resumed_from_zero),
    )

    def observe(self, entry: Scaler, case: Case) -> Scaled:
        return run_scaler(entry, case, arguments_of(case))

    def judge(self, entry: Scaler, case: Case, seen: Scaled, places: Collection[Place] | None = None) -> list[Verdict]:
        return judge_scaled(case, entry, arguments_of(case), seen)

    def values(
        self, entry: Scaler, case: Case, seen: Scaled, lift: Lift, places: Collection[Place] | None = None
    ) -> dict[Place, dict[str, Any]]:
        found = bounded_history(entry, arguments_of(case), case.dtype)
        return {"": {name: np.asarray(getattr(value, "value", value)) for name, value in found.items()}}

    def special_at(self, case: Case, seen: Scaled, place: Place) -> bool:
        """Compared in float64 throughout."""
        return True

    def numbers(self, case: Case, seen: Scaled) -> dict[str, Numbers]:
        form = {"scaled": case.dtype, "unscaled": case.dtype}
        return {
            name: Numbers(rows, format_named(form.get(name, "float32")), np.roll(rows, 1, axis=0))
            for name, rows in seen.outputs.items()
        }

    def replaced(self, case: Case, seen: Scaled, output: str, array: np.ndarray) -> Scaled:
        return replace(seen, outputs={**seen.outputs, output: array})
