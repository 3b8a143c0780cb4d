"""Pieces of cases that are given by their lines: those of an earlier run, here or somewhere else."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from gradcheck.cases.case import AXES
from gradcheck.cases.line import axes_of_line, line_on
from gradcheck.reference.registry import entries
from gradcheck.run.plan import PIECE_CASES, Piece

__all__ = ["listed_pieces", "moved_cases"]


def moved_cases(
    lines: Iterable[str],
    operations: Iterable[str],
    wanted: dict[str, tuple[str, ...]],
    moved: dict[str, tuple[str, ...]],
) -> tuple[list[str], list[str]]:
    """The lines to run, and the operations that this gradcheck does not have.

    operations: those to keep; wanted: words to keep on an axis (dtype, mode, layout), all where there are none;
    moved: words on an axis (device, setting) that each case is run on, its own where there are none.
    """
    known, kept = entries(), set(operations)
    places = [dict(zip(moved, words, strict=True)) for words in itertools.product(*moved.values())]
    chosen: dict[str, None] = {}
    unknown: dict[str, None] = {}
    for line in lines:
        name, axes = line.partition("(")[0], AXES | axes_of_line(line)[1]
        if name not in known:
            unknown[name] = None
        elif name in kept and all(axes[axis] in words for axis, words in wanted.items()):
            chosen |= dict.fromkeys(line_on(line, **place) for place in places)
    return list(chosen), list(unknown)


def listed_pieces(lines: Iterable[str]) -> list[Piece]:
    """Pieces of neighbouring cases of one operation and place."""
    found = []
    for (name, dtype, device, layout, mode, setting), group in itertools.groupby(lines, _place):
        cases = list(group)
        for start in range(0, len(cases), PIECE_CASES):
            some = tuple(cases[start : start + PIECE_CASES])
            found.append(Piece(name, dtype, device, layout, (mode,), 0, 0, 0, len(some), setting, lines=some))
    return found


def _place(line: str) -> tuple[str, str, str, str, str, str]:
    axes = AXES | axes_of_line(line)[1]
    return (line.partition("(")[0], axes["dtype"], axes["device"], axes["layout"], axes["mode"], axes["setting"])
