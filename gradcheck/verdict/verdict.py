"""A verdict: what was found about one named output of one case."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

__all__ = ["STATUSES", "Verdict", "Witness"]

STATUSES = ("agrees", "coarse", "deviates", "raises", "unsupported", "absent", "crashed", "timed out")
"""From right to wrong to not known. `coarse`: within the bound of rounding every operation to the storage dtype;
`absent`: this PyTorch has no function of that name, or not with such a parameter."""


@dataclass(frozen=True)
class Witness:
    """The worst element: where it is, what went in, what came out, what should have, and the allowed error.

    excess: the worst ratio above 1 by kind of element: ``nan input`` (the element of the first array that an
    elementwise operation made it from is NaN), ``nan`` (one side alone is NaN), ``overflow`` (got an infinity for a
    finite number) and ``ordinary``.
    """

    index: tuple[int, ...]
    inputs: tuple[tuple[str, float], ...]
    got: float
    should_be: float
    bound: float
    exceeding: int
    elements: int
    excess: tuple[tuple[str, float], ...] = ()


@dataclass(unsafe_hash=True)  # never changed; frozen, it would take three times as long to make
class Verdict:
    """One output judged. The ratios are worst errors over bounds (at most 1: as right as the dtype allows).

    error_over_bound: against the bound of `agrees`; error_over_storage_bound: against that of `coarse`; ulp: the
    worst error in units in the last place; digest: of the output's bits; words: PyTorch's, or what was noticed;
    seconds: its share of the time that the case took (all outputs have the same).
    """

    operation: str
    mode: str
    dtype: str
    device: str
    layout: str
    output: str
    status: str
    error_over_bound: float
    error_over_storage_bound: float
    ulp: float
    case: str
    digest: str
    words: str = ""
    witness: Witness | None = None
    setting: str = "default"
    notes: tuple[str, ...] = ()
    seconds: float = field(default=math.nan, compare=False, repr=False)

    def as_json(self) -> dict[str, Any]:
        """The fields that ``--json`` promises; ratios that are infinite or unknown are null."""
        names = (
            "operation", "mode", "dtype", "device", "layout", "setting", "output", "status", "error_over_bound",
            "error_over_storage_bound", "ulp", "case", "digest",
        )  # fmt: skip
        fields = {name: getattr(self, name) for name in names}
        return {name: _finite(value) for name, value in fields.items()} | {
            "words": self.words,
            "notes": list(self.notes),
        }


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if abs(value) < float("inf") else ("inf" if value > 0 else None)
    return value
