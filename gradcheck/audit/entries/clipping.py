"""The bench of clipping functions."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from gradcheck.arithmetic import balls, rounding_model
from gradcheck.audit.entries.bench import Bench, Lift, Numbers, Place, SpecialTamper, as_balls, float64
from gradcheck.cases.case import Case
from gradcheck.cases.inputs import arguments_of
from gradcheck.formats import format_named
from gradcheck.reference.clipping.clipping import Clipping, bounded_clipping, clip, gradients_of
from gradcheck.subject.clipping import Clipped, run_clipping
from gradcheck.verdict.clipping import judge_clipped
from gradcheck.verdict.verdict import Verdict

__all__ = ["ClippingBench"]


def _untouched(case: Case, seen: Clipped) -> Clipped | None:
    """The last gradient is not clipped."""
    grads = {name: grad for name, grad in gradients_of(arguments_of(case)).items() if grad is not None}
    for name, grad in reversed(grads.items()):
        key = f"grad[{name}]"
        if key in seen.outputs and not np.array_equal(grad, seen.outputs[key], equal_nan=True):
            return replace(seen, outputs={**seen.outputs, key: grad})
    return None


class ClippingBench(Bench):
    """The gradients of a case go in as they are drawn."""

    layouts = True
    special: ClassVar[tuple[SpecialTamper, ...]] = (SpecialTamper("a gradient left as it was", "grad", _untouched),)

    def observe(self, entry: Clipping, case: Case) -> Clipped:
        return run_clipping(entry, case, arguments_of(case))

    def judge(
        self, entry: Clipping, case: Case, seen: Clipped, places: Collection[Place] | None = None
    ) -> list[Verdict]:
        return judge_clipped(case, entry, arguments_of(case), seen)

    def values(
        self, entry: Clipping, case: Case, seen: Clipped, lift: Lift, places: Collection[Place] | None = None
    ) -> dict[Place, dict[str, Any]]:
        found = clip(entry, arguments_of(case), lift, lift)
        return {"": as_balls(found) if lift is balls else {name: float64(value) for name, value in found.items()}}

    def rounding(self, entry: Clipping, case: Case, seen: Clipped, place: Place) -> dict[str, np.ndarray]:
        bounded = bounded_clipping(entry, arguments_of(case), rounding_model("float64"))
        return {name: output.full_bound() for name, output in bounded.items()}

    def special_at(self, case: Case, seen: Clipped, place: Place) -> bool:
        arrays = [array for array in arguments_of(case).values() if isinstance(array, np.ndarray)]
        return not all(np.isfinite(array).all() for array in arrays)

    def numbers(self, case: Case, seen: Clipped) -> dict[str, Numbers]:
        given, form = gradients_of(arguments_of(case)), format_named(case.dtype)
        found = {}
        for name, array in seen.outputs.items():
            before = given.get(name[5:-1])
            found[name] = Numbers(array, form, array if before is None else before)
        return found

    def replaced(self, case: Case, seen: Clipped, output: str, array: np.ndarray) -> Clipped:
        return replace(seen, outputs={**seen.outputs, output: array})
