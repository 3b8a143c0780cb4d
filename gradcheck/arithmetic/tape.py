"""Rules of running error written on a tape, which compiled loops run tile by tile: see ``deferred`` and ``kernels``.

Each rule here is that of the same name in ``running_operators``, which defines it; a test compares every bit.
"""

from __future__ import annotations

import importlib
import math
import os
from functools import cache
from typing import Any, NamedTuple, Protocol

import numpy as np

from gradcheck.arithmetic.model import RoundingModel
from gradcheck.arithmetic.running import Bounded
from gradcheck.formats import Format

__all__ = ["Noted", "Place", "Tape", "kernels"]


@cache
def kernels() -> Any:
    """The compiled loops; None where numba is not installed, or GRADCHECK_FAST is 0."""
    if os.environ.get("GRADCHECK_FAST") == "0":
        return None
    try:
        return importlib.import_module("gradcheck.arithmetic.kernels")
    except ImportError:
        return None


class Place(NamedTuple):
    """Where a number is on a tape: a register that is written for each tile, or before (kept), or an array outside.

    address, row, column: of an array, and how many bytes apart its rows and columns are; bounded: whether a bound is
    beside it.
    """

    number: int
    bounded: bool = False
    outside: bool = False
    kept: bool = False
    address: int = 0
    row: int = 0
    column: int = 0


class Noted(Protocol):
    """A rule that was put off: writes its steps on a tape and says where the result is."""

    def __call__(self, tape: Tape) -> Place: ...


Step = tuple[str, Place, Place, Place, int]
"""What is done, by its name among the kernels' codes; the place written, the two read, and the constant taken, or, of
TOTAL, how many columns there are."""


class Tape:
    """Steps over an array of one shape, taken as rows along its last axis; needs the compiled loops.

    Loads of what is the same throughout, or throughout a row, are run once, or once a row.
    """

    def __init__(self, model: RoundingModel, shape: tuple[int, ...]) -> None:
        self._kernels = kernels()
        self.model = model
        self.shape = shape
        self._rows, self._columns = math.prod(shape[:-1]), shape[-1]
        self._steps: tuple[list[Step], list[Step], list[Step]] = ([], [], [])  # once, once a row, for each tile
        self._constants: list[float] = [0.0]
        self._leaves: np.ndarray = self._kernels.leaves_of(self._columns)
        self._sums: list[tuple[int, int]] = []  # addresses of the sums of a row's pieces, and of the rows' sums
        self._alive: list[Any] = []  # the arrays whose addresses are on the tape
        self._known: dict[int, Place] = {}
        self._count = 0

    def put(self, number: Bounded) -> Place:
        """Write what gives the number: its rule, if that was put off, or loads of its arrays."""
        place = self._known.get(id(number))
        if place is None:
            noted: Noted | None = getattr(number, "noted", None)
            place = self._known[id(number)] = self._load(number) if noted is None else noted(self)
        return place

    def add(self, a: Bounded, b: Bounded) -> Place:
        left, right = self.put(a), self.put(b)
        if right.bounded and not left.bounded:
            left, right = right, left
        return self._rule("ADD", left, right)

    def subtract(self, a: Bounded, b: Bounded) -> Place:
        return self._rule("SUBTRACT", self.put(a), self.put(b))

    def multiply(self, a: Bounded, b: Bounded) -> Place:
        left, right = self.put(a), self.put(b)
        roomy = self.model.has_room
        if not right.bounded or b.size > a.size:
            left, right = right, left
        if left.bounded and not right.bounded:
            left, right, roomy = right, left, False
        return self._rule("MULTIPLY_ROOM" if roomy and right.bounded else "MULTIPLY", left, right)

    def divide(self, a: Bounded, b: Bounded) -> Place:
        """By an exact number."""
        return self._rule("DIVIDE", self.put(a), self.put(b))

    def scale(self, a: Bounded, factor: float) -> Place:
        """By a power of two."""
        left = self.put(a)
        self._constants.append(factor)
        bounded = left.bounded or abs(factor) < 1.0
        name = f"SCALE_{left.bounded:d}{bounded:d}"
        return self._note(name, self._register(bounded), left, constant=len(self._constants) - 1)

    def negative(self, a: Bounded) -> Place:
        left = self.put(a)
        return self._note(f"NEGATIVE_{left.bounded:d}", self._register(left.bounded), left)

    def store(self, result: Place, value: np.ndarray, bound: np.ndarray) -> None:
        """Keep what is at a place in C-contiguous arrays of the tape's shape; the bound only if there is one."""
        self._write("STORE", result, value, 8 * self._columns)
        if result.bounded:
            self._write("STORE_BOUND", result, bound, 8 * self._columns)

    def worst(self, result: Place, got: np.ndarray, store: Format, rounds: bool) -> slice:
        """The largest |got - value| over the stored bound, and in ulps of a format; NaN if any is NaN.

        got: C-contiguous, of the tape's shape, float64 or float32; the result says where among the constants they are.
        """
        first = len(self._constants)
        rounding = (store.roundoff, store.smallest_subnormal) if rounds else (0.0, 0.0)
        self._constants += [*rounding, store.smallest_normal, 0.5 / store.roundoff, 0.0, 0.0]
        self._note("WORST", self._register(True), result, self._whole(got), first)
        return slice(first + 4, first + 6)

    def row_sums(self, terms: Place) -> np.ndarray:
        """Σ value, Σ |value| and, unless it is exact, Σ bound along each row: (2 or 3, rows), once the tape has run."""
        pieces, sums = np.full((len(self._leaves) - 1, 3), np.nan), np.empty((3, self._rows))
        self._note(f"SUM_{terms.bounded:d}", self._array(pieces, 0, 0), terms)
        self._sums.append((_address(pieces), _address(sums)))
        self._alive.append(sums)
        return sums[: 2 + terms.bounded]

    def column_sums(self, terms: Place) -> np.ndarray:
        """The same sums along each column: (2 or 3, columns)."""
        sums = np.full((2 + terms.bounded, self._columns), self._kernels.SUM_STARTS)
        self._note(f"TOTAL_{terms.bounded:d}", self._array(sums, 0, 8), terms, constant=self._columns)
        return sums

    def _rule(self, name: str, left: Place, right: Place) -> Place:
        result = self._note(f"{name}_{left.bounded:d}{right.bounded:d}", self._register(True), left, right)
        if self.model.low_precision:  # a step of its own: no other model's rules have to multiply by 1
            self._constants.append(1.0 + self.model.unit)
            self._note("GROW", result, result, constant=len(self._constants) - 1)
        return result

    def _note(self, name: str, result: Place, a: Place, b: Place | None = None, constant: int = 0) -> Place:
        self._steps[2].append((name, result, a, a if b is None else b, constant))
        return result

    def _register(self, bounded: bool, kept: bool = False) -> Place:
        self._count += 1
        return Place(self._count, bounded, kept=kept)

    def _array(self, array: np.ndarray, row: int, column: int) -> Place:
        self._alive.append(array)
        self._count += 1
        return Place(self._count, outside=True, address=_address(array), row=row, column=column)

    def _whole(self, array: np.ndarray) -> Place:
        """An array of the tape's shape, C-contiguous; one of float32 is widened tile by tile."""
        place = self._array(array, array.itemsize * self._columns, array.itemsize)
        return place if array.dtype == np.float64 else self._note("LOAD_SINGLE", self._register(False), place)

    def _write(self, name: str, result: Place, array: np.ndarray, row: int) -> None:
        self._note(name, self._array(array, row, 8), result)

    def _load(self, number: Bounded) -> Place:
        """The number's arrays, which broadcast to the shape of the tape: as they are, or in a register."""
        value = self._spread(number.value)
        if number.bound is None and value.column:
            return value
        parts = [value] if number.bound is None else [value, self._spread(number.bound)]
        when = max(2 if part.column else 1 if part.row else 0 for part in parts)
        register = self._register(len(parts) == 2, kept=when < 2)
        for name, part in zip(("LOAD", "LOAD_BOUND"), parts, strict=False):
            self._steps[when].append((name, register, part, part, 0))
        return register

    def _spread(self, array: Any) -> Place:
        """An array as rows along the last axis of the tape's shape; a copy where these are not evenly apart."""
        array = np.ascontiguousarray(array, dtype=np.float64)
        *lead, last = (1,) * (len(self.shape) - array.ndim) + array.shape[-len(self.shape) :]
        if math.prod(lead) == 1:
            return self._array(array, 0, 0 if last == 1 else 8)
        if tuple(lead) == self.shape[:-1]:
            return self._array(array, 8 * last, 0 if last == 1 else 8)
        return self._array(np.ascontiguousarray(np.broadcast_to(array, self.shape)), 8 * self._columns, 8)

    def run(self) -> np.ndarray:
        """Run the steps; the constants, which may have been written to."""
        model, constants = self.model, np.array(self._constants)
        places, registers = self._places()
        file = np.empty((registers + 1) * self._kernels.REGISTER)
        base = -(-_address(file) // 64) * 64
        codes, size = self._kernels.CODES, 8 * self._kernels.REGISTER
        steps = [
            (codes[name], result.number, a.number, b.number, constant)
            for part in self._steps
            for name, result, a, b, constant in part
        ]
        table = np.zeros((self._count + 1, 3), dtype=np.int64)
        for number, place in places.items():
            table[number] = (base + size * place, 0, 0) if isinstance(place, int) else place
        units = (model.eta if model.least else 0.0, model.unit, model.eta)
        once, per_row = len(self._steps[0]), len(self._steps[0]) + len(self._steps[1])
        self._kernels.run(
            np.array(steps, dtype=np.int64), once, per_row, table, constants, self._leaves, self._rows, units,
            np.array(self._sums, dtype=np.int64).reshape(-1, 2),
        )  # fmt: skip
        return constants

    def _places(self) -> tuple[dict[int, Any], int]:
        """Where each place is: address and strides of an array, or the number of its register; and how many registers.

        A register is used again once it was last read, unless it is kept.
        """
        last = {place.number: k for k, step in enumerate(self._steps[2]) for place in step[2:4]}
        places: dict[int, Any] = {}
        free: list[int] = []
        count = 0
        for part in self._steps:
            for k, (_, *used, _) in enumerate(part):
                for place in used:
                    if place.number in places:
                        continue
                    if place.outside:
                        places[place.number] = (place.address, place.row, place.column)
                        continue
                    if not free or place.kept:
                        free.append(count)
                        count += 1
                    places[place.number] = free.pop()
                free += [
                    places[place.number]
                    for place in set(used[1:])
                    if not (place.outside or place.kept) and part is self._steps[2] and last[place.number] == k
                ]
        return places, count


def _address(array: np.ndarray) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
