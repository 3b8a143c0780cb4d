"""What the tests of schedules, clipping, averages and scalers share."""

from __future__ import annotations

from typing import Any

from gradcheck.cases.case import Case
from gradcheck.cases.draw import LAYOUT_CHOICES, Draw, SeededDraw
from gradcheck.reference.registry import Entry, entries
from gradcheck.verdict.verdict import Verdict

__all__ = ["deviating", "drawn_cases", "named"]


def named(kind: str) -> list[str]:
    """Names of all entries of a kind."""
    return [name for name, entry in entries().items() if entry.kind == kind]


def drawn_case(entry: Entry, draw: Draw, seed: int, **axes: Any) -> Case:
    """One case; layouts are drawn where gradients have one."""
    arguments = entry.inputs(draw)
    layout = draw.choice(LAYOUT_CHOICES) if entry.kind == "clipping" else "contiguous"
    return Case(entry.name, tuple(arguments.items()), seed, layout=layout, **axes)


def drawn_cases(entry: Entry, n: int, **axes: Any) -> list[Case]:
    """``n`` cases from seeds."""
    return [drawn_case(entry, SeededDraw(entry.name, 0, i), i, **axes) for i in range(n)]


def deviating(verdicts: list[Verdict]) -> dict[str, Verdict]:
    """Verdicts other than agreement, by output."""
    return {verdict.output: verdict for verdict in verdicts if verdict.status not in ("agrees", "coarse")}
