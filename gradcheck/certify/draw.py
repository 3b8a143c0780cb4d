"""Cases to certify on.

The derivative is compared where it exists for sure: kinds of values that lie on a kink, at a tie, at a special value
or at the edge of the format with probability 0 (:data:`SMOOTH`). What holds at kinks and ties is a convention, said in
each reference's docstring and judged against PyTorch itself. The bounds are checked on values of every kind.
"""

from __future__ import annotations

from collections.abc import Sequence

from gradcheck.cases.case import Case
from gradcheck.cases.draw import SeededDraw, draw_case
from gradcheck.cases.inputs import BOOLEAN_KINDS, INTEGER_KINDS
from gradcheck.reference.registry import Reference

__all__ = ["SMOOTH", "any_case", "is_smooth", "smooth_case"]

SMOOTH = ("ordinary", "wide", "positive", "unit", "inner", "shares", "signs", *INTEGER_KINDS, *BOOLEAN_KINDS)
"""Kinds of values for which the vjp has to be the derivative; ``unit`` holds 0 and 1, which CONVENTIONS deal with."""

MOST_ELEMENTS = 40
"""Balls cost a microsecond or so each, and more elements prove no more of a formula."""


class _SmallDraw(SeededDraw):
    def shape(self, dims: tuple[int, int] = (0, 3), least: int = 0, most: int = 600) -> tuple[int, ...]:
        return super().shape(dims, least, min(most, MOST_ELEMENTS))

    def side(self, least: int = 0, most: int = 65) -> int:
        return super().side(least, max(least, min(most, MOST_ELEMENTS)))


class _SmoothDraw(_SmallDraw):
    def kind(self, kinds: Sequence[str]) -> str:
        return super().kind([kind for kind in kinds if kind in SMOOTH] or ["ordinary"])


def smooth_case(operation: Reference, seed: int, index: int) -> Case:
    """A case whose arrays are all of smooth kinds."""
    return _varied(draw_case(operation, _SmoothDraw(f"smooth {operation.name}", seed, index), seed * 1_000_003 + index))


def any_case(operation: Reference, seed: int, index: int) -> Case:
    """A case with values of any kind."""
    return _varied(draw_case(operation, _SmallDraw(f"any {operation.name}", seed, index), seed * 1_000_003 + index))


def _varied(case: Case) -> Case:
    """The case, but with ordinary cotangents in place of equal ones.

    A long sum of equal terms stalls where it is added up in 16-bit arithmetic, rounded to nearest: its roundings are
    all of one sign, and the probabilistic bound of a sum, which takes them for mean independent, claims nothing of it.
    """
    return case.on(cotangent="ordinary") if case.cotangent in ("ones", "integers") else case


def is_smooth(case: Case) -> bool:
    """Whether all arrays of the case are of smooth kinds."""
    return all(spec.kind in SMOOTH for spec in case.specs.values())
