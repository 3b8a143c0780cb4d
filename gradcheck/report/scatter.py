"""What stands in for an error curve where an output element depends on many numbers: the cases of a seeded corpus."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gradcheck.cases.case import Case
from gradcheck.run.plan import Selection, cases_of, pieces
from gradcheck.verdict.kinds import judge
from gradcheck.verdict.verdict import Verdict

__all__ = ["Point", "by_output", "points_of", "size_of"]


@dataclass(frozen=True)
class Point:
    """One verdict, and how large its case is (elements of its largest array)."""

    size: int
    verdict: Verdict


def size_of(case: Case) -> int:
    """Elements of the largest array of a case."""
    return max((math.prod(spec.shape) for spec in case.specs.values()), default=0)


def points_of(selection: Selection, judging: Callable[[Case], list[Verdict]] = judge) -> Iterator[Point]:
    """The verdicts of a selection, case by case."""
    for piece in pieces(selection):
        for case in cases_of(piece):
            yield from (Point(size_of(case), verdict) for verdict in judging(case))


def by_output(points: list[Point]) -> dict[str, tuple[list[float], list[float]]]:
    """Sizes and errors over bounds by output, of the verdicts that have figures."""
    groups: dict[str, tuple[list[float], list[float]]] = {}
    for point in points:
        if not math.isnan(point.verdict.error_over_bound):
            sizes, errors = groups.setdefault(point.verdict.output, ([], []))
            sizes.append(float(point.size))
            errors.append(point.verdict.error_over_bound)
    return groups
