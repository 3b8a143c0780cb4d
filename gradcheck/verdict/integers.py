"""Judge operations from integers to integers: exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic import rounding_model
from gradcheck.cases.case import Case
from gradcheck.cases.inputs import arguments_of
from gradcheck.errors import UsageError
from gradcheck.reference.integer import IntegerOperation
from gradcheck.reference.registry import entry_named
from gradcheck.subject.integers import run_integers
from gradcheck.verdict.outputs import exact_verdict, fact_verdict, verdict
from gradcheck.verdict.verdict import Verdict

__all__ = ["judge_integers"]


def judge_integers(
    case: Case, *, entry: IntegerOperation | None = None, subject: Callable[..., Any] | None = None
) -> list[Verdict]:
    """Verdicts on ``value``, and on ``type``: int64, without a gradient.

    entry and subject stand in for the registered formula and for PyTorch's function (planted faults). Raises UsageError
    for an entry of another kind.
    """
    found = entry if entry is not None else entry_named(case.operation)
    if not isinstance(found, IntegerOperation):
        raise UsageError(f"{case.operation} is no operation on integers, but of kind {found.kind!r}.")
    arguments = arguments_of(case)
    should_be = np.asarray(found.function(**arguments))
    try:
        got, dtype, differentiable = run_integers(case, arguments, subject)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        return [verdict(case, "value", "raises", words=f"{type(error).__name__}: {error}")]
    wrong = [f"value has dtype {dtype}, should be int64"] if dtype != "int64" else []
    wrong += ["value requires a gradient"] if differentiable else []
    value = exact_verdict(case, "value", got, should_be, rounding_model("float64"))
    return [value, fact_verdict(case, "type", tuple(wrong))]
