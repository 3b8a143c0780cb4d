"""A planted fault, and how it counts as caught: worse than the untampered verdict on the very same case."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from gradcheck.cases.case import Case
from gradcheck.cases.corpus import corpus
from gradcheck.reference.registry import Reference, reference_named

__all__ = ["ALL", "HALVES", "WIDE", "Fault", "cases_of", "catches", "ledger", "named"]

WIDE = ("float64", "float32")
HALVES = ("float16", "bfloat16")
ALL = (*WIDE, *HALVES)

#: As many drawn cases as `gradcheck verify` judges by default.
CASES = 60

SEVERITY = ("agrees", "coarse", "deviates", "raises")


@dataclass(frozen=True)
class Fault:
    """One row of the table: what is wrong, with which operation, and which output has to be blamed.

    formula: a wrong reference function in place of the right one; tamper: from the module ``tampering`` (imported
    when the test runs, since it imports torch) to what makes a wrong subject of PyTorch's own function; status: what
    the verdict has to be; axes: where on the axes the fault shows.
    """

    name: str
    operation: str
    blamed: str
    formula: Callable[..., Any] | None = None
    tamper: Callable[[Any], Callable[[Any], Any]] | None = None
    dtypes: tuple[str, ...] = ALL
    status: str = "deviates"
    axes: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.operation}: {self.name}".replace(" ", "-")

    @property
    def reference(self) -> Reference:
        return named(self.operation)

    def planted(self) -> dict[str, Any]:
        """The arguments that make judge_case judge with the fault in place."""
        if self.formula is not None:
            return {"operation": replace(self.reference, function=self.formula)}
        from gradcheck.subject.adapters import operation_named
        from tests.planted import tampering

        assert self.tamper is not None
        return {"subject": self.tamper(tampering)(operation_named(self.reference.name))}


def cases_of(fault: Fault, dtype: str) -> Iterator[Case]:
    """The default corpus of the fault's operation, where on the axes the fault shows; large cases last."""
    return iter(sorted((case.on(**fault.axes) for case in corpus(fault.reference, dtype, CASES, 0)), key=_is_large))


def _is_large(case: Case) -> bool:
    return any(math.prod(spec.shape) > 1000 for spec in case.specs.values())


def catches(fault: Fault, dtype: str) -> Iterator[Any]:
    """The verdicts that blame the fault, not excused by the ledger, and worse than the clean one on the same case."""
    from gradcheck.verdict.judge import judge_case

    planted = fault.planted()
    for case in cases_of(fault, dtype):
        for verdict in judge_case(case, **planted):
            if (verdict.output, verdict.status) == (fault.blamed, fault.status) and ledger().match(verdict) is None:
                clean = {other.output: other for other in judge_case(case)}[fault.blamed]
                if _badness(verdict) > _badness(clean):
                    yield verdict


def _badness(verdict: Any) -> tuple[int, float]:
    return SEVERITY.index(verdict.status), verdict.error_over_bound


def named(operation: str) -> Reference:
    """The reference of a layer (``nn.…``), or of a function by its name below nn.functional."""
    return reference_named(operation if operation.startswith("nn.") else f"nn.functional.{operation}")


@functools.cache
def ledger() -> Any:
    from gradcheck.verdict.ledger import load_ledger

    return load_ledger()
