"""The seeded corpus that ``gradcheck verify`` runs: the same cases everywhere, for a seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gradcheck.cases.case import ArraySpec, Case
from gradcheck.cases.draw import Draw, SeededDraw, draw_case
from gradcheck.formats import format_named
from gradcheck.reference.registry import Reference

__all__ = ["corpus"]

EXHAUSTIVE_VARIANTS = 2
"""How many hyperparameter sets of a unary operation are judged at all 65,536 inputs of a 16-bit dtype."""

REPEATED_SIDES = (67, 131)


def corpus(operation: Reference, dtype: str, cases: int, seed: int) -> Iterator[Case]:
    """``cases`` drawn cases, after those that every elementwise operation always gets.

    These are: one number throughout (the same result wherever it stands), and in 16-bit dtypes all 65,536 inputs.
    """
    if operation.elementwise:
        yield from _always(operation, dtype, seed)
    for index in range(cases):
        yield draw_case(operation, SeededDraw(operation.name, seed, index), seed * 1_000_003 + index).on(dtype=dtype)


def _always(operation: Reference, dtype: str, seed: int) -> Iterator[Case]:
    first = operation.arrays[0]
    for variant in range(EXHAUSTIVE_VARIANTS):
        draw = SeededDraw(operation.name, seed, variant) if variant else Draw()
        drawn = draw_case(operation, draw, seed + variant).on(dtype=dtype)
        rest = tuple((name, value) for name, value in drawn.arguments if name != first)
        for side in REPEATED_SIDES:
            repeated = ArraySpec("repeated", (side,))
            yield replace(drawn, arguments=((first, repeated), *rest), cotangent="repeated")
        if format_named(dtype).bits == 16:
            every = ArraySpec("every", (256, 256))
            for cotangent in ("ones", "ordinary"):
                yield replace(drawn, arguments=((first, every), *rest), cotangent=cotangent)
