"""What was found about bits that stay the same or do not; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["OUTCOMES", "PROMISED", "Found", "broken_promises"]

OUTCOMES = ("same", "differs", "raises", "unsupported", "none")
"""``none``: there is no case that could tell."""

PROMISED = "deterministic run to run"
"""What ``torch.use_deterministic_algorithms`` promises."""


@dataclass(frozen=True)
class Found:
    """What was found of one property of one operation in one dtype.

    cases, differing: how many were compared, and in how many of them bits differ; share: of the elements of an output,
    and ulp: how far apart, at worst; outputs: those that differ; line: the case where most of them do; words: PyTorch's
    where it raises, or says that it has no such kernel.
    """

    operation: str
    dtype: str
    property: str
    outcome: str
    cases: int = 0
    differing: int = 0
    share: float = 0.0
    ulp: float = 0.0
    outputs: tuple[str, ...] = ()
    line: str = ""
    words: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"outputs": list(self.outputs)}


def broken_promises(found: Iterable[Found]) -> list[Found]:
    """Those of them that are not as PyTorch promises."""
    return [one for one in found if one.property == PROMISED and one.outcome == "differs"]
