"""Which judge is asked about a case: that of the kind of its entry."""

from __future__ import annotations

import importlib

from gradcheck.cases.case import Case
from gradcheck.reference.registry import entry_named
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
    module, function = JUDGES[entry_named(case.operation).kind]
    verdicts: list[Verdict] = getattr(importlib.import_module(module), function)(case)
    return verdicts
