"""What an audit found, as plain records: easy to print as a table and as JSON. Nothing here imports torch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from gradcheck.audit.limits import TooLongError
from gradcheck.errors import ContractError

__all__ = ["AuditReport", "Catch", "Fate", "Kill", "OperationAudit", "Plan", "Row", "Sensitivity", "by_contract"]

RARE = 1000
"""A fault that strikes once in so many calls is caught by chance alone: it has to strike during the run."""


@dataclass(frozen=True)
class Plan:
    """How much to do of each operation.

    sample: mutants of each (None: all); seeds: of the sensitivity; modes: of an operation, each audited by itself;
    every_dtype: a mutant is tried in all dtypes, and not only until it is killed in one.
    """

    dtypes: tuple[str, ...]
    cases: int
    seed: int
    sample: int | None
    seeds: int
    modes: tuple[str, ...] = ("backward",)
    every_dtype: bool = False


@dataclass(frozen=True)
class Kill:
    """A case (its number in the corpus, from 1) that shows a fault, and how: an output that deviates, or the contract.

    It is the first that does, or one that has shown others and was tried before: the first then has a smaller number.
    """

    cases: int
    how: str
    case: str


def by_contract(error: Exception) -> str:
    """How a wrong formula shows itself that raises an error, whatever it is, in the words of a Kill."""
    if isinstance(error, ContractError):
        return "by contract"
    words = str(error) if isinstance(error, TooLongError) else f"it raises {type(error).__name__}"
    return f"by contract: {words}"


@dataclass(frozen=True)
class Fate:
    """One mutant, and what became of it.

    kind: `killed`; `survived`; `equivalent` (no fault: the same values to 100 digits and the same bounds);
    `bound only` (the same values, other bounds: it can be killed only where a bound becomes too small for PyTorch); or
    `elsewhere` (a fault in an implementation that does not run on this device). kills: by dtype.
    """

    operator: str
    function: str
    line: int
    before: str
    after: str
    kind: str
    kills: dict[str, Kill]
    reason: str = ""

    @property
    def diff(self) -> str:
        return f"{self.function}:{self.line} ({self.operator})\n- {self.before}\n+ {self.after}"


@dataclass(frozen=True)
class Catch:
    """A tampered output in one dtype: cases until it is noticed (0: never), and in how many cases it struck.

    status: of the verdict; where it is never noticed, `known` if the ledger took it for one of PyTorch's known
    deviations, and `coarse` if PyTorch's own result is coarse there: those hide it.
    value_bound: whether it strikes only where certain numbers come out (subnormals, huge ones): an output that never
    has them cannot have the fault. within_reach: where it never struck, whether it would in a larger corpus.
    """

    dtype: str
    tamper: str
    output: str
    cases: int
    struck: int
    status: str
    value_bound: bool = False
    within_reach: bool = True

    @property
    def survived(self) -> bool:
        """Whether it was planted, and never noticed."""
        return not self.cases and not self.hidden and self.struck > 0

    @property
    def never_struck(self) -> bool:
        """Whether there was no case to plant it in, for a fault that does not hang on the numbers that come out."""
        return not self.cases and not self.hidden and not self.struck and not self.value_bound

    @property
    def hidden(self) -> bool:
        """Whether PyTorch's own faults hide it."""
        return not self.cases and self.status in ("known", "coarse")


@dataclass(frozen=True)
class Sensitivity:
    """The smallest reported error of one output in one dtype, off at every element (`all`) or at the `largest` alone.

    roundoffs: over all cases; per_root: over those where the output comes through a reduction of length n >= 2 (see
    ``lengths``), in units of √n roundoffs (None where there are none). inf: no error is reported with enough seeds.
    """

    dtype: str
    output: str
    place: str
    roundoffs: float
    per_root: float | None

    @property
    def reached(self) -> bool:
        """At most 8 roundoffs element by element, 4·√n for a reduction of length n."""
        return self.roundoffs <= 8.0 if self.per_root is None else self.per_root <= 4.0


@dataclass(frozen=True)
class Row:
    """Figures of one operation in one dtype.

    counted: mutants that are faults and were tried in it; until: cases until the first kill; share: of all that were
    tried, those that were killed.
    """

    operation: str
    dtype: str
    mode: str
    counted: int
    killed: int
    median_until: float
    worst_until: int
    tampers: int
    caught: int
    roundoffs: float
    per_root: float | None

    @property
    def share(self) -> float:
        return self.killed / self.counted if self.counted else 1.0


@dataclass(frozen=True)
class OperationAudit:
    """Everything about one operation in one mode.

    cases: how many there were, by dtype, of those dtypes that PyTorch has it in; seconds: of processor time;
    every_dtype: whether mutants were tried in all dtypes.
    """

    operation: str
    cases: dict[str, int]
    fates: list[Fate]
    catches: list[Catch]
    sensitivities: list[Sensitivity]
    seconds: float
    mode: str = "backward"
    every_dtype: bool = False

    def of(self, kind: str) -> list[Fate]:
        return [fate for fate in self.fates if fate.kind == kind]

    @property
    def label(self) -> str:
        """The operation, and its mode where that is not backward."""
        return self.operation if self.mode == "backward" else f"{self.operation} [{self.mode}]"

    @property
    def tamper_survivors(self) -> list[Catch]:
        return [catch for catch in self.catches if catch.survived]

    @property
    def never_struck(self) -> list[Catch]:
        return [catch for catch in self.catches if catch.never_struck]

    @property
    def chance_of_rare(self) -> float:
        """Of meeting a fault that strikes once in RARE calls of this operation during the run."""
        return 1.0 - (1.0 - 1.0 / RARE) ** sum(self.cases.values())

    def rows(self) -> Iterator[Row]:
        counted = [fate for fate in self.fates if fate.kind in ("killed", "survived")]
        for dtype in self.cases:
            tried = counted
            if not self.every_dtype:
                counted = [fate for fate in counted if dtype not in fate.kills]
            until = [fate.kills[dtype].cases for fate in tried if dtype in fate.kills]
            catches = [c for c in self.catches if c.dtype == dtype and (c.cases or c.survived)]
            seen = [s for s in self.sensitivities if s.dtype == dtype]
            roots = [s.per_root for s in seen if s.per_root is not None]
            yield Row(
                self.operation, dtype, self.mode, len(tried), len(until),
                median(until or [math.nan]), max(until, default=0),
                len(catches), sum(c.cases > 0 for c in catches),
                max((s.roundoffs for s in seen), default=math.nan), max(roots, default=None),
            )  # fmt: skip


@dataclass(frozen=True)
class AuditReport:
    """All operations together. Exit status 1: something survived, or was not planted where more cases would let it."""

    operations: list[OperationAudit]
    cases: int
    seed: int
    sample: int | None
    seconds: float = field(default=0.0, compare=False)

    def fates(self, kind: str) -> list[tuple[str, Fate]]:
        """Fates of one kind, each with its operation, and its mode where that is not backward."""
        return [(audit.label, fate) for audit in self.operations for fate in audit.of(kind)]

    @property
    def share(self) -> float:
        """Of the mutants that are faults, the share that is killed in some dtype."""
        killed, survived = len(self.fates("killed")), len(self.fates("survived"))
        return killed / (killed + survived) if killed + survived else 1.0

    @property
    def status(self) -> int:
        missed = any(audit.tamper_survivors for audit in self.operations)
        skipped = any(catch.within_reach for audit in self.operations for catch in audit.never_struck)
        return int(bool(self.fates("survived")) or missed or skipped)

    def rows(self) -> Iterator[Row]:
        for audit in self.operations:
            yield from audit.rows()

    def as_json(self) -> dict[str, Any]:
        """Plain values; a figure that is infinite or unknown is null."""
        content = asdict(self)
        content |= {"share": self.share, "status": self.status, "rows": [asdict(row) for row in self.rows()]}
        plain: dict[str, Any] = _finite(content)
        return plain


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
