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
from llvmlite import ir

from gradcheck.arithmetic.compiler import (
    bits_of,
    build,
    compiled,
    intrinsic,
    number_of,
    pointer,
    taken_as,
    types,
    widest_vectors,
)  # fmt: skip

__all__ = ["CODES", "REGISTER", "SUM_STARTS", "TILE", "eight_sums", "largest", "run"]

TILE = 128
"""Elements of one register: a dozen of them fill half of the nearest cache, which two threads of a core may share."""

REGISTER = 2 * TILE + 40
"""Numbers from one register to the next: a multiple of 4,096 bytes would make the processor take one for another."""

LOAD, LOAD_BOUND, LOAD_SINGLE, STORE, STORE_BOUND, TOTAL, TOTAL_SIZE, TOTAL_BOUND = range(8)
ADD_00, ADD_10, ADD_11, SUBTRACT_00, SUBTRACT_10, SUBTRACT_01, SUBTRACT_11 = range(8, 15)
MULTIPLY_00, MULTIPLY_01, MULTIPLY_11, MULTIPLY_ROOM_01, MULTIPLY_ROOM_11 = range(15, 20)
DIVIDE_00, DIVIDE_10, SCALE_00, SCALE_01, SCALE_11, NEGATIVE_0, NEGATIVE_1, GROW, WORST = range(20, 29)

CODES = {name: code for name, code in globals().items() if name.isupper() and name not in ("TILE", "REGISTER")}
"""Steps by name. The digits say which operands have a bound (of SCALE: whether operand and result have one)."""

SUM_STARTS = float(np.add.reduce(np.array([-0.0])))
"""What NumPy adds the first term to: 0.0, and -0.0 since 1.25."""

_integers = taken_as(types.CPointer(types.int64), types.int64, "inttoptr")
_singles = taken_as(types.CPointer(types.float32), types.CPointer(types.float64), "bitcast")
"""Pointers: to the int64 at an address, and to the float32 where one to a float64 points."""


@intrinsic
def _further(context: Any, pointer: Any) -> Any:
    """The pointer one tile further on: so the compiler knows that values and bounds of a register do not overlap."""

    def made(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.gep(arguments[0], [context.get_constant(types.intp, TILE)])

    return pointer(pointer), made


@intrinsic
def eight_sums(context: Any, values: Any, bounds: Any, n: Any) -> Any:
    """Of n·8 numbers, n > 0, the sums of every eighth from the first on, from the second on, …: of the values, of their
    sizes and of the bounds, 24 in all.

    Written out since numba does not have the compiler look for sums that it could take together.
    """

    def made(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        eight, bits = ir.VectorType(ir.DoubleType(), 8), ir.VectorType(ir.IntType(64), 8)
        lines = [builder.bitcast(pointer, eight.as_pointer()) for pointer in arguments[:2]]
        magnitude = ir.Constant(bits, [int(_MAGNITUDE)] * 8)

        def row(k: Any) -> list[Any]:
            value, bound = (builder.load(builder.gep(line, [k]), align=8) for line in lines)
            size = builder.bitcast(builder.and_(builder.bitcast(value, bits), magnitude), eight)
            return [value, size, bound]

        n, one = arguments[2], ir.Constant(arguments[2].type, 1)
        sums = [build.alloca_once_value(builder, first) for first in row(ir.Constant(n.type, 0))]
        with build.for_range(builder, n, start=one) as loop:
            for place, term in zip(sums, row(loop.index), strict=True):
                builder.store(builder.fadd(builder.load(place), term), place)
        found = [builder.load(place) for place in sums]
        lanes = [builder.extract_element(whole, ir.Constant(ir.IntType(32), i)) for whole in found for i in range(8)]
        return context.make_tuple(builder, signature.return_type, lanes)

    return types.UniTuple(types.float64, 24)(values, bounds, n), made


_MAGNITUDE = np.int64(0x7FFFFFFFFFFFFFFF)
_EXPONENT = np.int64(0x7FF0000000000000)
_LEAST = np.int64(-(2**63))
"""Flips the sign bit: bits flipped so are in the order of unsigned integers."""
BELOW_ONE = 1.0 - 2.0**-51
TINY = 2.0**-1000
"""Where bound·(ratio·BELOW_ONE) - (error + TINY), each rounded, is not below 0, error/bound, rounded, is at most the
ratio. For a power of two in the place of the bound BELOW_ONE is not needed: the product is exact."""


@compiled
def _worst(d: Any, e: Any, a: Any, p: Any, got: Any, n: int, constants: int) -> None:
    """Largest |got - a| over the bound p once it is stored, and in ulps, of this tile and those before; d, e: scratch.

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
        allowed = ((abs(a[i]) + p[i]) * roundoff + least) + p[i]
        one = number_of(max(bits_of(a[i]) & _EXPONENT, normal)) * share
        d[i] = allowed
        e[i] = error
        above = max(above, bits_of(allowed * ratio_known - (error + TINY)) ^ _LEAST)
        beyond = max(beyond, bits_of(one * ulp_known - (error + TINY)) ^ _LEAST)
    if above > _EXPONENT ^ _LEAST:  # one is negative or NaN: a quotient, which takes longest, may be the largest yet
        for i in range(n):
            ratio = max(ratio, bits_of(e[i] / d[i]) & _MAGNITUDE)
    if beyond > _EXPONENT ^ _LEAST:
        for i in range(n):
            one = number_of(max(bits_of(a[i]) & _EXPONENT, normal)) * share
            ulp = max(ulp, bits_of(e[i] / one) & _MAGNITUDE)
    maxima[4], maxima[5] = ratio, ulp


@compiled
def _at(places: int, place: int, row: int, start: int) -> Any:
    """The pointer to a place from a row and a column on."""
    words = _integers(places + 24 * place)
    return pointer(words[0] + row * words[1] + start * words[2])


@compiled
def _step(
    step: int, places: int, constants: int, row: int, start: int, n: int, own: float, unit: float, eta: float
) -> None:  # fmt: skip
    """One step on one tile: d from a and b, with the bounds e from p and q.

    step, places and constants are addresses: of arrays, references would be counted.
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
    elif code == TOTAL:
        for i in range(n):
            d[i] += a[i]
    elif code == TOTAL_SIZE:
        for i in range(n):
            d[i] += abs(a[i])
    elif code == TOTAL_BOUND:
        for i in range(n):
            d[i] += p[i]
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
        _worst(d, e, a, p, b, n, constants + 8 * words[4])


@compiled
def _together(r: Any) -> float:
    """Eight partial sums added up as NumPy does."""
    return ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]))


@compiled
def _leaf_sums(values: int, bounds: int, n: int) -> tuple[float, float, float]:
    """Σ value, Σ |value| and Σ bound of up to 128 numbers, each in eight partial sums, as NumPy adds them."""
    value = size = spread = SUM_STARTS
    done = 0
    if n >= 8:
        done = n - n % 8
        sums = eight_sums(pointer(values), pointer(bounds), n // 8)
        value, size, spread = _together(sums[:8]), _together(sums[8:16]), _together(sums[16:])
    a, p = pointer(values), pointer(bounds)
    for i in range(done, n):
        value += a[i]
        size += abs(a[i])
        spread += p[i]
    return value, size, spread


@compiled
def _pairwise_sums(values: int, bounds: int, n: int, size: Any, rest: Any, left: Any) -> tuple[float, float, float]:
    """The same sums of any number beside one another in NumPy's order (``pairwise_sum`` in its loops of sums): half and
    half, down to 128. Without recursion, which numba does not bring back from a file: size and rest (64, int64) and
    left (64, 3) hold the halves that are open."""
    depth, size[0] = 0, n
    while True:
        while size[depth] > 128:
            half = size[depth] // 2
            half -= half % 8
            rest[depth] = size[depth] - half
            depth += 1
            size[depth] = half
        total = _leaf_sums(values, bounds, size[depth])
        values += 8 * size[depth]
        bounds += 8 * size[depth]
        while depth and not rest[depth - 1]:  # a right half: the sum of both is done
            depth -= 1
            total = (left[depth, 0] + total[0], left[depth, 1] + total[1], left[depth, 2] + total[2])
        if not depth:
            return total
        left[depth - 1, 0], left[depth - 1, 1], left[depth - 1, 2] = total
        size[depth] = rest[depth - 1]
        rest[depth - 1] = 0


@compiled
def run(
    steps: Any, once: int, per_row: int, places: Any, constants: Any, rows: int, columns: int, units: Any, lines: Any
) -> None:  # fmt: skip
    """Run a tape over ``rows`` × ``columns`` elements.

    steps: (k, 5), of which those before ``once`` are run once and those before ``per_row`` once a row; places: (m, 3);
    units: what a sum adds, unit roundoff and η; lines: (m, 4), addresses of lines of values and of their bounds, by how
    much these grow from row to row (0: the steps store them for each), and the address of (3, rows) that get their sums
    and that of the values' sizes.
    """
    own, unit, eta = units
    size, rest, left = np.empty(64, np.int64), np.empty(64, np.int64), np.empty((64, 3))
    table, at, numbers = steps.ctypes.data, places.ctypes.data, constants.ctypes.data
    for row in range(rows):
        for start in range(0, columns, TILE):
            n = min(TILE, columns - start)
            first = per_row if start else once if row else 0
            for k in range(first, len(steps)):
                _step(table + 40 * k, at, numbers, row, start, n if k >= per_row else TILE, own, unit, eta)
        for k in range(len(lines)):
            further = row * lines[k, 2]
            values, bounds, sums = lines[k, 0] + further, lines[k, 1] + further, pointer(lines[k, 3])
            total = _pairwise_sums(values, bounds, columns, size, rest, left)
            for part in range(3):
                sums[part * rows + row] = SUM_STARTS + total[part]


@compiled
def largest(numbers: Any) -> int:
    """The bits of the largest |number| of a flat array of float64, seen as int64; those of a NaN if there is one."""
    peak = np.int64(0)
    for i in range(len(numbers)):
        peak = max(peak, numbers[i] & _MAGNITUDE)
    return peak
