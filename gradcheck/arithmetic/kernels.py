"""Compiled loops for large arrays: a tape of elementwise rules run tile by tile, in the nearest cache. Needs numba.

A tape is a list of steps: a code, the place that it writes, the two that it reads, and which constant it takes. A place
is an array outside or a register, given by the address of its first number and by how far apart, in bytes, its rows and
its columns are (0: the same one throughout). A register is a tile of one row, of values, and of their bounds beside
them. Every loop computes what NumPy computes, number by number and in the same order: compiled without fast-math, and
no product is fused with a sum.

All but the outermost functions take addresses: references to arrays would be counted, which takes longer than a tile.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.arithmetic.compiled_sums import SUM_STARTS, joined_sums, leaf_sums, leaves_of
from gradcheck.arithmetic.compiler import (
    bits_of,
    compiled,
    intrinsic,
    number_of,
    pointer,
    taken_as,
    types,
    widest_vectors,
)  # fmt: skip
from gradcheck.arithmetic.plans import MOST_COLUMNS

__all__ = ["CODES", "REGISTER", "SUM_STARTS", "TILE", "largest", "leaves_of", "run"]

TILE = MOST_COLUMNS
"""Elements of one register at the most: a dozen fill half of the nearest cache, shared by two threads of a core."""

REGISTER = 2 * TILE + 40
"""Numbers from one register to the next: a multiple of 4,096 bytes would make the processor take one for another."""

LOAD, LOAD_BOUND, LOAD_SINGLE, STORE, STORE_BOUND, SUM_0, SUM_1, TOTAL_0, TOTAL_1 = range(9)
ADD_00, ADD_10, ADD_11, SUBTRACT_00, SUBTRACT_10, SUBTRACT_01, SUBTRACT_11 = range(9, 16)
MULTIPLY_00, MULTIPLY_01, MULTIPLY_11, MULTIPLY_ROOM_01, MULTIPLY_ROOM_11 = range(16, 21)
DIVIDE_00, DIVIDE_10, SCALE_00, SCALE_01, SCALE_11, NEGATIVE_0, NEGATIVE_1, GROW, WORST = range(21, 30)

_others = ("MOST_COLUMNS", "REGISTER", "SUM_STARTS", "TILE")
CODES = {name: code for name, code in globals().items() if name.isupper() and name not in _others}
"""Steps by name. The digits say which operands have a bound (of SCALE: whether operand and result have one). SUM writes
the sums of a tile, TOTAL adds to those of each column."""

_integers = taken_as(types.CPointer(types.int64), types.int64, "inttoptr")
_singles = taken_as(types.CPointer(types.float32), types.CPointer(types.float64), "bitcast")
"""Pointers: to the int64 at an address, and to the float32 where one to a float64 points."""


@intrinsic
def _further(context: Any, pointer: Any) -> Any:
    """The pointer one tile further on: so the compiler knows that values and bounds of a register do not overlap."""

    def made(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.gep(arguments[0], [context.get_constant(types.intp, TILE)])

    return pointer(pointer), made


_MAGNITUDE = np.int64(0x7FFFFFFFFFFFFFFF)
_EXPONENT = np.int64(0x7FF0000000000000)
_LEAST = np.int64(-(2**63))
"""Flips the sign bit: bits flipped so are in the order of unsigned integers."""
BELOW_ONE = 1.0 - 2.0**-51
TINY = 2.0**-1000
"""Where bound·(ratio·BELOW_ONE) - (error + TINY), each rounded, is not below 0, error/bound, rounded, is at most the
ratio. For a power of two in the place of the bound BELOW_ONE is not needed: the product is exact."""


@compiled
def _allowed(a: float, p: float, roundoff: float, least: float) -> float:
    """The bound p of a once it is stored."""
    return ((abs(a) + p) * roundoff + least) + p


@compiled
def _worst(a: Any, p: Any, got: Any, n: int, constants: int) -> None:
    """Largest |got - a| over the bound p once it is stored, and in ulps, of this tile and those before.

    constants: address of roundoff and smallest number of storing (0: it rounds nothing), the smallest normal number of
    the format that ulps are counted in, how many of them a power of two has, and the bits of the two maxima so far,
    among which those of NaN are the largest.
    """
    words, maxima = pointer(constants), _integers(constants)
    roundoff, least, normal, share = words[0], words[1], bits_of(words[2]), 1.0 / words[3]
    ratio, ulp = maxima[4], maxima[5]
    ratio_known, ulp_known, above, beyond = number_of(ratio) * BELOW_ONE, number_of(ulp), _LEAST, _LEAST
    for i in range(n):
        error = abs(got[i] - a[i])
        one = number_of(max(bits_of(a[i]) & _EXPONENT, normal)) * share
        margin = _allowed(a[i], p[i], roundoff, least) * ratio_known - (error + TINY)
        above = max(above, bits_of(margin) ^ _LEAST)
        beyond = max(beyond, bits_of(one * ulp_known - (error + TINY)) ^ _LEAST)
    if above > _EXPONENT ^ _LEAST:  # one is negative or NaN: a quotient, which takes longest, may be the largest yet
        for i in range(n):
            ratio = max(ratio, bits_of(abs(got[i] - a[i]) / _allowed(a[i], p[i], roundoff, least)) & _MAGNITUDE)
    if beyond > _EXPONENT ^ _LEAST:
        for i in range(n):
            one = number_of(max(bits_of(a[i]) & _EXPONENT, normal)) * share
            ulp = max(ulp, bits_of(abs(got[i] - a[i]) / one) & _MAGNITUDE)
    maxima[4], maxima[5] = ratio, ulp


@compiled
def _at(places: int, place: int, row: int, start: int) -> Any:
    """The pointer to a place from a row and a column on."""
    words = _integers(places + 24 * place)
    return pointer(words[0] + row * words[1] + start * words[2])


@compiled
def _step(
    step: int, places: int, constants: int, row: int, leaf: int, start: int, n: int, own: float, unit: float, eta: float
) -> None:  # fmt: skip
    """One step on one tile: d from a and b, with the bounds e from p and q.

    leaf: which tile of its row; step, places and constants are addresses: of arrays, references would be counted.
    """
    widest_vectors()
    words = _integers(step)
    code = words[0]
    d, a, b = _at(places, words[1], row, start), _at(places, words[2], row, start), _at(places, words[3], row, start)
    e, p, q = _further(d), _further(a), _further(b)
    uniform = _integers(places + 24 * words[2])[2] == 0
    if code == LOAD and uniform:
        number = a[0]
        for i in range(n):
            d[i] = number
    elif code == LOAD:
        for i in range(n):
            d[i] = a[i]
    elif code == LOAD_BOUND and uniform:
        number = a[0]
        for i in range(n):
            e[i] = number
    elif code == LOAD_BOUND:
        for i in range(n):
            e[i] = a[i]
    elif code == STORE:
        for i in range(n):
            d[i] = a[i]
    elif code == STORE_BOUND:
        for i in range(n):
            d[i] = p[i]
    elif code in (SUM_0, SUM_1):
        sums, place = leaf_sums(a, p if code == SUM_1 else a, n), 3 * leaf
        d[place], d[place + 1], d[place + 2] = sums
    elif code == TOTAL_0:
        sizes = _at(places, words[1], row, start + words[4])
        for i in range(n):
            d[i] += a[i]
            sizes[i] += abs(a[i])
    elif code == TOTAL_1:
        sizes = _at(places, words[1], row, start + words[4])
        spreads = _at(places, words[1], row, start + 2 * words[4])
        for i in range(n):
            d[i] += a[i]
            sizes[i] += abs(a[i])
            spreads[i] += p[i]
    elif code == ADD_00:
        for i in range(n):
            v = a[i] + b[i]
            d[i] = v
            e[i] = abs(v) * unit + own
    elif code == ADD_10:
        for i in range(n):
            v = a[i] + b[i]
            d[i] = v
            e[i] = abs(v) * unit + own + p[i]
    elif code == ADD_11:
        for i in range(n):
            v = a[i] + b[i]
            d[i] = v
            e[i] = abs(v) * unit + own + p[i] + q[i]
    elif code == SUBTRACT_00:
        for i in range(n):
            v = a[i] - b[i]
            d[i] = v
            e[i] = abs(v) * unit + own
    elif code == SUBTRACT_10:
        for i in range(n):
            v = a[i] - b[i]
            d[i] = v
            e[i] = abs(v) * unit + own + p[i]
    elif code == SUBTRACT_01:
        for i in range(n):
            v = a[i] - b[i]
            d[i] = v
            e[i] = abs(v) * unit + own + q[i]
    elif code == SUBTRACT_11:
        for i in range(n):
            v = a[i] - b[i]
            d[i] = v
            e[i] = abs(v) * unit + own + p[i] + q[i]
    elif code == MULTIPLY_00:
        for i in range(n):
            v = a[i] * b[i]
            d[i] = v
            e[i] = abs(v) * unit + eta
    elif code == MULTIPLY_01:
        for i in range(n):
            v = a[i] * b[i]
            d[i] = v
            e[i] = abs(v) * unit + abs(a[i]) * q[i] + eta
    elif code == MULTIPLY_11:
        for i in range(n):
            v = a[i] * b[i]
            d[i] = v
            e[i] = abs(v) * unit + abs(a[i]) * q[i] + p[i] * (abs(b[i]) + q[i]) + eta
    elif code == MULTIPLY_ROOM_01:
        for i in range(n):
            e[i] = (abs(b[i]) * unit + q[i]) * abs(a[i]) + eta
            d[i] = a[i] * b[i]
    elif code == MULTIPLY_ROOM_11:
        for i in range(n):
            e[i] = (abs(b[i]) * unit + q[i]) * abs(a[i]) + p[i] * (abs(b[i]) + q[i]) + eta
            d[i] = a[i] * b[i]
    elif code == DIVIDE_00:
        for i in range(n):
            v = a[i] / b[i]
            d[i] = v
            e[i] = abs(v) * unit + eta
    elif code == DIVIDE_10:
        for i in range(n):
            v = a[i] / b[i]
            d[i] = v
            e[i] = abs(v) * unit + eta + p[i] / abs(b[i])
    elif code == SCALE_00:
        factor = pointer(constants)[words[4]]
        for i in range(n):
            d[i] = a[i] * factor
    elif code == SCALE_01:
        factor = pointer(constants)[words[4]]
        added = eta if abs(factor) < 1.0 else 0.0
        for i in range(n):
            d[i] = a[i] * factor
            e[i] = added
    elif code == SCALE_11:
        factor = pointer(constants)[words[4]]
        added = eta if abs(factor) < 1.0 else 0.0
        for i in range(n):
            e[i] = p[i] * abs(factor) + added
            d[i] = a[i] * factor
    elif code == NEGATIVE_0:
        for i in range(n):
            d[i] = -a[i]
    elif code == NEGATIVE_1:
        for i in range(n):
            e[i] = p[i]
            d[i] = -a[i]
    elif code == GROW:
        growth = pointer(constants)[words[4]]
        for i in range(n):
            e[i] *= growth
    elif code == LOAD_SINGLE:
        singles = _singles(a)
        for i in range(n):
            d[i] = singles[i]
    elif code == WORST:
        _worst(a, p, b, n, constants + 8 * words[4])


@compiled
def run(
    steps: Any, once: int, per_row: int, places: Any, constants: Any, leaves: Any, rows: int, units: Any, sums: Any
) -> None:  # fmt: skip
    """Run a tape over the rows of a number; each tile is a piece in which NumPy would add up the row.

    steps: (k, 5), of which those before ``once`` are run once and those before ``per_row`` once a row; places: (m, 3);
    leaves: where the tiles begin, and where the last one ends; units: what a sum adds, unit roundoff and η; sums:
    (m, 2), addresses of what SUM writes, three numbers for each tile of a row, and of (3, rows) that get their sums.
    """
    own, unit, eta = units
    size, rest, left = np.empty(64, np.int64), np.zeros(64, np.int64), np.empty((64, 3))
    table, at, numbers, tiles = steps.ctypes.data, places.ctypes.data, constants.ctypes.data, len(leaves) - 1
    for row in range(rows):
        for leaf in range(tiles):
            start, n = leaves[leaf], leaves[leaf + 1] - leaves[leaf]
            first = per_row if leaf else once if row else 0
            for k in range(first, len(steps)):
                _step(table + 40 * k, at, numbers, row, leaf, start, n if k >= per_row else TILE, own, unit, eta)
        for k in range(len(sums)):
            total, found = joined_sums(pointer(sums[k, 0]), leaves[tiles], size, rest, left), pointer(sums[k, 1])
            for part in range(3):
                found[part * rows + row] = SUM_STARTS + total[part]


@compiled
def largest(numbers: Any) -> int:
    """The bits of the largest |number| of a flat array of float64, seen as int64; those of a NaN if there is one."""
    peak = np.int64(0)
    for i in range(len(numbers)):
        peak = max(peak, numbers[i] & _MAGNITUDE)
    return peak
