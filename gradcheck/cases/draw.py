"""Drawing a case: what a reference's ``inputs`` function asks of whoever draws.

One description serves two drawers: SeededDraw here (the corpus of ``gradcheck verify``) and HypothesisDraw in the test
suite's strategies. A drawer only has to draw whole numbers; the simplest choice comes first, so that Hypothesis
shrinks to it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from gradcheck.cases.case import ArraySpec, Case
from gradcheck.cases.inputs import Bits
from gradcheck.cases.layouts import CONTIGUOUS
from gradcheck.reference.registry import Entry, Reference

__all__ = [
    "LARGE",
    "LAYOUT_CHOICES",
    "NEAR_KINDS",
    "REAL_KINDS",
    "SCALES",
    "SIDES",
    "Draw",
    "LargeDraw",
    "ModeDraw",
    "SeededDraw",
    "draw_case",
    "elements",
    "large_case",
    "plain_case",
]  # fmt: skip

T = TypeVar("T")

SIDES = (2, 3, 1, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 0)
"""Sides around the vector widths of kernels, where vectorised loops have their tails; and the empty side."""

REAL_KINDS = (
    "ordinary", "integers", "ties", "wide", "near", "large", "edges", "subnormal", "special", "huge", "close", "rare",
)  # fmt: skip
"""Kinds of values for an array that may hold any number."""

NEAR_KINDS = ("near", "close")
"""Kinds of values around given points."""

LAYOUT_CHOICES = ("contiguous", "contiguous", "contiguous", "transposed", "sliced")
"""Layouts of the arrays of a drawn case (where an array cannot have it, it is contiguous); kernels have paths of their
own for each. The test suite draws all of them, ``gradcheck verify --layout`` judges in the one that is asked for."""

TAME_KINDS = ("ordinary", "integers", "ties", "wide", "subnormal")
"""Kinds of values for an array beside the first: faults there would hide those that the first array shows."""


class Draw:
    """The drawer of the simplest case; a subclass overrides ``integer``, and ``kind`` to prefer certain kinds.

    layouts: to choose from for the arrays of an operation; cotangent_layouts: the same for its cotangents.
    """

    layouts: Sequence[str] = LAYOUT_CHOICES
    cotangent_layouts: Sequence[str] = (CONTIGUOUS,)

    def integer(self, low: int, high: int) -> int:
        """A whole number in [low, high]; low is the simplest."""
        return low

    def choice(self, options: Sequence[T]) -> T:
        return options[self.integer(0, len(options) - 1)]

    def boolean(self) -> bool:
        return self.choice((False, True))

    def kind(self, kinds: Sequence[str]) -> str:
        return self.choice(kinds)

    def side(self, least: int = 0, most: int = 65) -> int:
        return self.choice([side for side in SIDES if least <= side <= most])

    def shape(self, dims: tuple[int, int] = (0, 3), least: int = 0, most: int = 600) -> tuple[int, ...]:
        """A shape with so many dimensions, sides of at least ``least`` and about ``most`` elements at the most."""
        n = self.choice(sorted(range(dims[0], dims[1] + 1), key=lambda d: abs(d - 1)))
        sides: list[int] = []
        room = most
        for _ in range(n):
            side = self.side(least, max(room, least, 1))
            sides.append(side)
            room //= max(side, 1)
        return tuple(sides)

    def array(
        self, shape: tuple[int, ...], kinds: Sequence[str] = REAL_KINDS, near: Sequence[float] = (0.0,)
    ) -> ArraySpec:
        """An array of that shape; ``near`` are the points (kinks, thresholds) that the kinds of NEAR_KINDS look at."""
        kind = self.kind(kinds)
        return ArraySpec(kind, shape, (("at", tuple(float(p) for p in near)),) if kind in NEAR_KINDS else ())

    def scaled(self, array: ArraySpec, times: float) -> ArraySpec:
        """The array with all values times a factor (rounded to the format)."""
        return replace(array, options=(*array.options, ("times", times)))

    def indices(self, shape: tuple[int, ...], below: int, ignore: int | None = None) -> ArraySpec:
        """Class indices; with ``ignore``, a quarter of them are that index."""
        options = (("below", below),) if ignore is None else (("below", below), ("ignore", ignore))
        return ArraySpec("indices", shape, options)

    def mask(self, shape: tuple[int, ...], share: float = 0.75) -> ArraySpec:
        """Booleans, about that share of them true."""
        return ArraySpec("mask", shape, (("share", share),))

    def lengths(self, shape: tuple[int, ...], low: int, high: int) -> ArraySpec:
        """Whole numbers in [low, high]."""
        return ArraySpec("lengths", shape, (("low", low), ("high", high)))

    def offsets(self, pieces: int, total: int, closed: bool = False) -> ArraySpec:
        """Where consecutive pieces of ``total`` things begin: 0 first, never falling; pieces may be empty.

        closed: one more number, where the last piece ends.
        """
        if closed:
            return ArraySpec("offsets", (pieces + 1,), (("total", total), ("closed", True)))
        return ArraySpec("offsets", (pieces,), (("total", total),))

    def distinct(self, shape: tuple[int, ...], below: int, dims: int = 1) -> ArraySpec:
        """Class indices, those along the last ``dims`` dimensions together distinct (at most ``below`` of them)."""
        return ArraySpec("distinct", shape, (("below", below), ("row", math.prod(shape[-dims:]))))

    def probabilities(self, shape: tuple[int, ...], axis: int) -> ArraySpec:
        """Positive numbers that sum to 1 along an axis."""
        return ArraySpec("shares", shape, (("axis", axis),))

    def tame(self, shape: tuple[int, ...]) -> ArraySpec:
        return self.array(shape, TAME_KINDS)

    def optional(self, value: T) -> T | None:
        return self.choice((value, None))


class SeededDraw(Draw):
    """Draws from a seed; case number ``index`` of an operation takes kind number ``index`` of its first array."""

    def __init__(self, operation: str, seed: int, index: int) -> None:
        self._bits = Bits("case", operation, seed, index)
        self._turn: int | None = index

    def integer(self, low: int, high: int) -> int:
        return low + int(self._bits.below(high - low + 1, 1)[0])

    def kind(self, kinds: Sequence[str]) -> str:
        if self._turn is None:
            return kinds[0] if self.integer(0, 2) else self.choice(kinds)
        turn, self._turn = self._turn, None
        return kinds[turn % len(kinds)]


class ModeDraw(SeededDraw):
    """Draws for a mode other than backward: only kinds of values that it can be judged on, and small where it is dear.

    kinds: those left out, unless there is no other; most: elements of an array.
    """

    cotangent_layouts = (CONTIGUOUS, CONTIGUOUS, "transposed", "sliced", "expanded")

    def __init__(self, operation: str, seed: int, index: int, without: tuple[str, ...], most: int) -> None:
        super().__init__(operation, seed, index)
        self._without, self._most = without, most

    def kind(self, kinds: Sequence[str]) -> str:
        return super().kind([kind for kind in kinds if kind not in self._without] or ["ordinary"])

    def shape(self, dims: tuple[int, int] = (0, 3), least: int = 0, most: int = 600) -> tuple[int, ...]:
        return super().shape(dims, least, min(most, self._most))

    def side(self, least: int = 0, most: int = 65) -> int:
        # A side has to be drawn: the smallest that there is, where all are larger than is liked.
        smallest = min(side for side in SIDES if least <= side <= most)
        return super().side(least, max(smallest, min(most, self._most)))


class LargeDraw(Draw):
    """Draws large shapes of ordinary values: kernels change their ways with the size.

    Either every side and shape is ``scale`` times as large as usual and all other choices are the first (the simplest),
    or the first side or shape alone is and all other choices are the last.
    """

    def __init__(self, scale: int, last: bool) -> None:
        self._scale, self._last = scale, last

    def integer(self, low: int, high: int) -> int:
        return high if self._last else low

    def kind(self, kinds: Sequence[str]) -> str:
        return kinds[0]

    def side(self, least: int = 0, most: int = 65) -> int:
        return self._scaled(most)

    def shape(self, dims: tuple[int, int] = (0, 3), least: int = 0, most: int = 600) -> tuple[int, ...]:
        size = self._scaled(most)
        return (size,) if dims[1] == 1 or self._last else (math.isqrt(size) + 1,) * 2

    def _scaled(self, most: int) -> int:
        size = most * self._scale + 1
        if self._last:
            self._scale = 1
        return size


COTANGENT_CHOICES = ("ordinary", "ordinary", "ordinary", "ones", "integers", "wide", "subnormal")


def draw_case(operation: Entry, draw: Draw, seed: int) -> Case:
    """A case of the operation (dtype float64; move it with ``Case.on``)."""
    arguments: dict[str, Any] = operation.inputs(draw)
    cotangent = draw.choice(COTANGENT_CHOICES)
    if not isinstance(operation, Reference):  # what other kinds of entries pull back is their own affair
        layout = draw.choice(LAYOUT_CHOICES)
        return Case(operation.name, tuple(arguments.items()), seed, layout=layout)
    layout, of_cotangent = draw.choice(draw.layouts), draw.choice(draw.cotangent_layouts)
    if of_cotangent != CONTIGUOUS:
        cotangent = f"{cotangent}:{of_cotangent}"
    return Case(operation.name, tuple(arguments.items()), seed, cotangent=cotangent, layout=layout)


LARGE = 1 << 15
"""Elements that a large case exceeds: PyTorch's kernels split their work into grains of that size."""

SCALES = tuple(side << doublings for doublings in range(16) for side in (2, 3))


def plain_case(operation: Entry, seed: int, scale: int, *, last: bool = False) -> Case:
    """A case of ordinary values and the first of all options, or the last, ``scale`` times as large as drawn ones.

    With the last options the cotangent is all ones: sums of terms of one sign, which do not cancel, show faults best.
    """
    arguments = operation.inputs(LargeDraw(scale, last))
    return Case(operation.name, tuple(arguments.items()), seed, cotangent="ones" if last else "ordinary")


def large_case(operation: Entry, seed: int, *, last: bool = False) -> Case:
    """The smallest plain case with an array of more than LARGE elements."""
    for scale in SCALES:
        case = plain_case(operation, seed, scale, last=last)
        if elements(case) > LARGE:
            break
    return case


def elements(case: Case) -> int:
    """Elements of the largest array of a case, one that it asks for by its ``size`` among them."""
    shapes = [spec.shape for spec in case.specs.values()]
    size = dict(case.arguments).get("size")
    return max(map(math.prod, [*shapes, size] if isinstance(size, tuple) else shapes), default=1)
