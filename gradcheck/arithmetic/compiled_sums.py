"""Compiled sums in NumPy's order: in pieces of up to 128 numbers, each in eight partial sums, and halves of halves.

The order is that of ``pairwise_sum`` in NumPy's loops of sums. Needs numba.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from llvmlite import ir

from gradcheck.arithmetic.compiler import build, compiled, intrinsic, types
from gradcheck.arithmetic.plans import MOST_COLUMNS

__all__ = ["SUM_STARTS", "eight_sums", "joined_sums", "leaf_sums", "leaves_of"]

SUM_STARTS = float(np.add.reduce(np.array([-0.0])))
"""What NumPy adds the first term to: 0.0, and -0.0 since 1.25."""


@intrinsic
def eight_sums(context: Any, values: Any, bounds: Any, n: Any) -> Any:
    """Of n·8 numbers, n > 0, the sums of every eighth from the first on, from the second on, …: of the values, of their
    sizes and of the bounds, 24 in all.

    Written out since numba does not have the compiler look for sums that it could take together.
    """

    def made(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        eight, bits = ir.VectorType(ir.DoubleType(), 8), ir.VectorType(ir.IntType(64), 8)
        lines = [builder.bitcast(pointer, eight.as_pointer()) for pointer in arguments[:2]]
        magnitude = ir.Constant(bits, [2**63 - 1] * 8)

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


@lru_cache(maxsize=256)
def leaves_of(columns: int) -> np.ndarray:
    """Where the pieces begin in which NumPy adds so many numbers, and where the last one ends: int64, ascending."""

    def sizes(n: int) -> list[int]:
        if n <= MOST_COLUMNS:
            return [n]
        half = n // 2 - n // 2 % 8
        return sizes(half) + sizes(n - half)

    return np.cumsum([0, *sizes(columns)], dtype=np.int64)


@compiled
def _together(r: Any) -> float:
    """Eight partial sums added up as NumPy does."""
    return ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]))


@compiled
def leaf_sums(values: Any, bounds: Any, n: int) -> tuple[float, float, float]:
    """Σ value, Σ |value| and Σ bound of one piece; values and bounds by pointer."""
    value = size = spread = SUM_STARTS
    done = 0
    if n >= 8:
        done = n - n % 8
        sums = eight_sums(values, bounds, n // 8)
        value, size, spread = _together(sums[:8]), _together(sums[8:16]), _together(sums[16:])
    for i in range(done, n):
        value += values[i]
        size += abs(values[i])
        spread += bounds[i]
    return value, size, spread


@compiled
def joined_sums(leaves: Any, columns: int, size: Any, rest: Any, left: Any) -> tuple[float, float, float]:
    """The sums of a row of the sums of its pieces (``leaf_sums``, three numbers each, by pointer), half and half.

    Without recursion, which numba does not bring back from a file: size and rest (64, int64) and left (64, 3) hold the
    halves that are open.
    """
    depth, leaf, size[0] = 0, 0, columns
    while True:
        while size[depth] > MOST_COLUMNS:
            half = size[depth] // 2
            half -= half % 8
            rest[depth] = size[depth] - half
            depth += 1
            size[depth] = half
        total = (leaves[leaf], leaves[leaf + 1], leaves[leaf + 2])
        leaf += 3
        while depth and not rest[depth - 1]:  # a right half: the sum of both is done
            depth -= 1
            total = (left[depth, 0] + total[0], left[depth, 1] + total[1], left[depth, 2] + total[2])
        if not depth:
            return total
        left[depth - 1, 0], left[depth - 1, 1], left[depth - 1, 2] = total
        size[depth] = rest[depth - 1]
        rest[depth - 1] = 0
