"""Hypothesis strategies for cases: the one drawer besides SeededDraw, and the only module that imports hypothesis.

What is drawn is a recipe (shapes, hyperparameters, kinds of values, a seed), never numbers: an example costs
milliseconds whatever its size, and a failing one shrinks to the first choice at every place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from gradcheck.cases.case import Case
from gradcheck.cases.draw import LAYOUT_CHOICES, Draw, draw_case
from gradcheck.cases.layouts import CONTIGUOUS, LAYOUTS
from gradcheck.reference.registry import Reference

__all__ = ["SEEDS", "HypothesisDraw", "cases"]

SEEDS = 1000
"""How many seeds there are to draw from; small ones make a short case line."""


class HypothesisDraw(Draw):
    """Draws whole numbers through Hypothesis, so that the case shrinks to the simplest choices; in every layout."""

    layouts = (*LAYOUT_CHOICES, *(layout for layout in LAYOUTS if layout not in LAYOUT_CHOICES))
    cotangent_layouts = (*(CONTIGUOUS,) * 5, *LAYOUTS)

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self._draw = draw

    def integer(self, low: int, high: int) -> int:
        return low if low == high else self._draw(st.integers(low, high))


@st.composite
def cases(draw: Callable[[st.SearchStrategy[Any]], Any], reference: Reference) -> Case:
    """Cases of one operation, in float64; ``Case.on`` moves them to other dtypes, devices and layouts.

    Shrinks to few dimensions, short sides, ordinary values, default hyperparameters, contiguous arrays and seed 0.
    """
    return draw_case(reference, HypothesisDraw(draw), draw(st.integers(0, SEEDS - 1)))
