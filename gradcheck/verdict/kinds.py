"""Which judge is asked about a case: that of the kind of its entry."""

from __future__ import annotations

import importlib

from gradcheck.cases.case import Case
from gradcheck.cases.settings import words_of
from gradcheck.reference.registry import entry_named
from gradcheck.subject.settings import unavailable
from gradcheck.verdict.absent import as_absent, lacking
from gradcheck.verdict.outputs import verdict
from gradcheck.verdict.verdict import Verdict

__all__ = ["JUDGES", "judge"]

JUDGES = {
    "operation": ("gradcheck.verdict.judge", "judge_case"),
    "optimizer": ("gradcheck.verdict.steps", "judge_history"),
    "schedule": ("gradcheck.verdict.schedules", "judge_schedule"),
    "averaging": ("gradcheck.verdict.averaging", "judge_averaging"),
    "clipping": ("gradcheck.verdict.clipping", "judge_clipping"),
    "scaler": ("gradcheck.verdict.scaler", "judge_scaler"),
    "integer": ("gradcheck.verdict.integers", "judge_integers"),
}
"""By kind of entry: module and function. Modules are imported when a case of their kind is met."""


def judge(case: Case) -> list[Verdict]:
    """Verdicts on every output of the case. Raises UsageError for an operation that is not known."""
    kind = entry_named(case.operation).kind
    if reason := unavailable(case.setting) or _does_not_concern(case, kind):
        return [verdict(case, "value", "unsupported", words=reason)]
    if reason := lacking(case):
        return [verdict(case, "value", "absent", words=reason)]
    module, function = JUDGES[kind]
    verdicts: list[Verdict] = getattr(importlib.import_module(module), function)(case)
    return [as_absent(found) for found in verdicts]


def _does_not_concern(case: Case, kind: str) -> str:
    """Why a case is not judged under autocast, which is for forward passes of float32 tensors; empty where it is."""
    if "autocast" not in words_of(case.setting):
        return ""
    if kind != "operation":
        return f"not supported: autocast does not concern entries of kind {kind!r}"
    if case.dtype not in ("float32", "float64"):
        return f"not supported: autocast is judged on float32 and float64 tensors, not on {case.dtype}"
    return ""
