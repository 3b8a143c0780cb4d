"""Compiled rules for small arrays in the wide carrier: value and bound of a rule in one loop. Needs numba and an x86.

A number of n elements is one array of float64: n values of ``np.longdouble``, 16 bytes each, behind them the same in
float64, and n bounds; without these it is exact. Every loop computes what NumPy computes, number by number and in the
same order: values by the x87 (``extended``), bounds in float64, compiled without fast-math.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.arithmetic import extended as x87
from gradcheck.arithmetic.compiled_sums import SUM_STARTS, leaf_sums
from gradcheck.arithmetic.compiler import bits_of, compiled, number_of, pointer

__all__ = ["ADD", "DIVIDE", "MULTIPLY", "ROOT", "SCALE", "SUBTRACT", "combine", "reunite", "sums", "widen", "worst"]

ADD, SUBTRACT, MULTIPLY, DIVIDE, ROOT, SCALE = range(6)

_MAGNITUDE = np.int64(0x7FFFFFFFFFFFFFFF)
_EXPONENT = np.int64(0x7FF0000000000000)


@compiled
def widen(numbers: Any, data: Any) -> float:
    """Make exact wide numbers of a flat array of float64; the largest |number|, NaN if one is."""
    peak, n, to = np.int64(0), len(numbers), data.ctypes.data
    for i in range(n):
        data[2 * n + i] = x87.widen(to + 16 * i, numbers[i])
        peak = max(peak, bits_of(numbers[i]) & _MAGNITUDE)
    return number_of(peak)


@compiled
def _rounding(few: bool, size: float, first: float, second: float, eta: float, c: Any) -> float:
    """``with_rounding`` of ``ulps``, of one element."""
    if few:
        spread = first + second
        reached = size + spread
        half = number_of(bits_of(reached * c[2]) & _EXPONENT) * c[3] + reached * c[4]
        return half + eta + spread
    return size * c[0] + eta + first + second


@compiled
def _values(
    code: int, to: int, one: int, step_one: int, two: int, step_two: int, n: int, factor: float, narrow: Any
) -> None:  # fmt: skip
    """The results of a rule, wide from an address on and in float64; operands by address and bytes from one to next."""
    if code == MULTIPLY:
        for k in range(n):
            narrow[k] = x87.multiply(to + 16 * k, one + step_one * k, two + step_two * k)
    elif code == ADD:
        for k in range(n):
            narrow[k] = x87.add(to + 16 * k, one + step_one * k, two + step_two * k)
    elif code == SUBTRACT:
        for k in range(n):
            narrow[k] = x87.subtract(to + 16 * k, one + step_one * k, two + step_two * k)
    elif code == DIVIDE:
        for k in range(n):
            narrow[k] = x87.divide(to + 16 * k, one + step_one * k, two + step_two * k)
    elif code == ROOT:
        for k in range(n):
            narrow[k] = x87.sqrt(to + 16 * k, one + step_one * k)
    else:
        for k in range(n):
            narrow[k] = x87.scale(to + 16 * k, one + step_one * k, factor)


@compiled
def _spread(line: Any, step: int, scratch: Any, n: int) -> Any:
    """A line of n numbers: as it is, or of the same number throughout where the step is 0."""
    if step:
        return line
    number = line[0]  # read once: the compiler cannot know that scratch is elsewhere
    for k in range(n):
        scratch[k] = number
    return scratch


@compiled
def combine(
    code: int, a: Any, b: Any, data: Any, plan: Any, few: bool, constants: Any, floor: float, root: float, factor: float
) -> float:  # fmt: skip
    """Write the result of a rule on two numbers, of which ROOT and SCALE read the first alone; its largest bound.

    plan: rows and columns of the result, and of each operand its size and by how many elements its rows and columns
    are apart (0: the same one throughout); few: whether it has few elements; constants: unit, η, what is rounded
    upward, half an ulp and the carrier's own, 0; floor: of the divisor, or under the root; root: what a reciprocal of a
    root may err besides; factor: the power of two, or ±1, of SCALE. NaN comes back where NumPy has to look at the
    numbers.
    """
    rows, columns, size_a, size_b = plan[0], plan[1], plan[2], plan[5]
    n, step_a, step_b = rows * columns, plan[4], plan[7]
    to, at_a, at_b = data.ctypes.data, a.ctypes.data, b.ctypes.data
    c, zero = pointer(constants.ctypes.data), constants.ctypes.data + 40
    has_p, has_q = np.int64(len(a) > 3 * size_a), np.int64(len(b) > 3 * size_b)
    room = np.empty(4 * columns)
    rooms = room.ctypes.data
    eta, peak, bad = c[1], np.int64(0), np.int64(0)
    for row in range(rows):
        i, j, k = row * plan[3], row * plan[6], row * columns
        one, two, v = at_a + 16 * i, at_b + 16 * j, pointer(to + 8 * (2 * n + k))
        _values(code, to + 16 * k, one, 16 * step_a, two, 16 * step_b, columns, factor, v)
        if len(data) == 3 * n:
            continue
        e = pointer(to + 8 * (3 * n + k))
        x = _spread(pointer(at_a + 8 * (2 * size_a + i)), step_a, pointer(rooms), columns)
        y = _spread(pointer(at_b + 8 * (2 * size_b + j)), step_b, pointer(rooms + 8 * columns), columns)
        p = pointer(at_a + 8 * (3 * size_a + i) if has_p else zero)
        q = pointer(at_b + 8 * (3 * size_b + j) if has_q else zero)
        p = _spread(p, step_a * has_p, pointer(rooms + 16 * columns), columns)
        q = _spread(q, step_b * has_q, pointer(rooms + 24 * columns), columns)
        if code == MULTIPLY and few:
            for m in range(columns):
                e[m] = _rounding(True, abs(v[m]), p[m] * (abs(y[m]) + q[m]), abs(x[m]) * q[m], eta, c)
        elif code == MULTIPLY:
            unit = c[0]
            for m in range(columns):
                e[m] = abs(v[m]) * unit + abs(x[m]) * q[m] + p[m] * (abs(y[m]) + q[m]) + eta
        elif code <= SUBTRACT:
            for m in range(columns):
                e[m] = _rounding(few, abs(v[m]), p[m], q[m], 0.0, c)
        elif code == SCALE:
            size, added = abs(factor), eta if abs(factor) < 1.0 else 0.0
            for m in range(columns):
                e[m] = p[m] * size + added
        elif code == DIVIDE:
            for m in range(columns):
                size, spread = abs(v[m]), p[m] / abs(y[m])
                if has_q:
                    least = x87.size_less(two + 16 * m * step_b, q[m])
                    if floor > 0.0:
                        least = max(least, floor)
                    bad |= np.int64(not (least > 0.0 and q[m] < np.inf))
                    share = q[m] / least
                    if floor > 0.0:
                        share = max(min(q[m], abs(y[m]) - least) / least, q[m] / (abs(y[m]) + q[m]))
                    spread = size * share + p[m] / least
                e[m] = _rounding(few, size, spread, 0.0, eta, c) + size * root
        else:
            for m in range(columns):
                spread = 0.0
                if has_p:
                    least = x87.less(one + 16 * m * step_a, p[m])
                    bad |= np.int64(not (floor >= 0.0 or least > 0.0))
                    spread, other = np.sqrt(p[m]), p[m] / (v[m] + np.sqrt(max(least, floor, 0.0)))
                    spread = other if other < spread else spread
                e[m] = _rounding(few, v[m], spread, 0.0, eta, c)
        for m in range(columns):
            peak = max(peak, bits_of(e[m]) & _MAGNITUDE)
    return np.nan if bad else number_of(peak)


@compiled
def _wide_sum(to: int, first: int, n: int, parts: int) -> None:
    """The sum of wide numbers as ``leaf_sums`` adds them, into an address; parts: that of 8 more."""
    done = n - n % 8
    if done:
        for lane in range(8):
            x87.chain(parts + 16 * lane, first + 16 * lane, n // 8, 128)
        for apart in (1, 2, 4):
            for lane in range(0, 8, 2 * apart):
                x87.add(parts + 16 * lane, parts + 16 * lane, parts + 16 * (lane + apart))
        for i in range(done, n):
            x87.add(parts, parts, first + 16 * i)
    else:
        x87.chain(parts, first, n, 16)
    x87.widen(parts + 16, SUM_STARTS)
    x87.add(to, parts + 16, parts)


@compiled
def _alike(x: Any, first: int, apart: int, n: int, total: float, roundoff: float) -> int:
    """Of the pairs of terms that ``seem_alike`` compares, how many are alike."""
    step = max(1, n // 32) * apart
    pairs = min((n + step // apart - 1) // (step // apart) // 2, 16)
    near = number_of(bits_of(total) & _EXPONENT) * roundoff
    found = 0
    for k in range(pairs):
        i = first + 2 * k * step
        found += abs(abs(x[i]) - abs(x[i + step])) <= near
    return found


@compiled
def sums(a: Any, data: Any, rows: int, columns: int, by_row: bool, factor: float, roundoff: float, look: bool) -> float:
    """Write the sums along rows (of ``plans.MOST_COLUMNS`` at most) or along columns, with their bounds; no |sum| +
    bound is more than what comes back.

    factor: what Σ|terms| is multiplied by; look: whether terms are compared in pairs. NaN comes back where some of
    these are alike.
    """
    n, found = rows * columns, rows if by_row else columns
    at, to, parts = a.ctypes.data, data.ctypes.data, np.empty(16)
    bounded = len(a) > 3 * n
    sizes, bounds = pointer(at + 16 * n), pointer(at + (24 * n if bounded else 16 * n))
    totals, spreads = np.empty(found), np.empty(found)
    if by_row:
        for row in range(rows):
            first = row * columns
            _wide_sum(to + 16 * row, at + 16 * first, columns, parts.ctypes.data)
            of_bounds = at + 8 * ((3 if bounded else 2) * n + first)
            _, size, bound = leaf_sums(pointer(at + 8 * (2 * n + first)), pointer(of_bounds), columns)
            totals[row], spreads[row] = SUM_STARTS + size, SUM_STARTS + bound
    else:
        totals[:], spreads[:] = SUM_STARTS, SUM_STARTS
        x87.widen(parts.ctypes.data, SUM_STARTS)
        for column in range(columns):
            x87.chain(to + 16 * column, at + 16 * column, rows, 16 * columns)
            x87.add(to + 16 * column, parts.ctypes.data, to + 16 * column)
        for row in range(rows):
            for column in range(columns):
                totals[column] += abs(sizes[row * columns + column])
                spreads[column] += bounds[row * columns + column]
    peak, near = np.int64(0), 0
    for k in range(found):
        if look:
            first, apart, count = (k * columns, 1, columns) if by_row else (k, columns, rows)
            near += _alike(sizes, first, apart, count, totals[k], roundoff)
        e = totals[k] * factor
        if bounded:
            e += spreads[k] * (1.0 + factor)
        data[2 * found + k], data[3 * found + k] = x87.narrow(to + 16 * k), e
        peak = max(peak, bits_of(totals[k] + e) & _MAGNITUDE)
    return np.nan if near > 1 else number_of(peak)


@compiled
def reunite(y: Any, x: Any, origin: Any, error: Any, data: Any, plan: Any, of_error: Any, factor: float) -> float:
    """Write y with ε·(x - origin) for each ε up to the error (``running_parts.reunited``); the largest of these.

    plan: of x and origin, as of ``combine``; of_error: of y and the error; factor: what is rounded of ε·x and ε·origin.
    """
    rows, columns, size_x, size_o = plan[0], plan[1], plan[2], plan[5]
    n, peak, to = rows * columns, np.int64(0), data.ctypes.data
    has_p, has_q = len(x) > 3 * size_x, len(origin) > 3 * size_o
    has_y = len(y) > 3 * n
    at_x, at_o = x.ctypes.data, origin.ctypes.data
    for k in range(n):
        row, column = k // columns, k % columns
        i, j = row * plan[3] + column * plan[4], row * plan[6] + column * plan[7]
        place, column = k // of_error[1], k % of_error[1]
        e = error[place * of_error[6] + column * of_error[7]]
        p, q = x[3 * size_x + i] if has_p else 0.0, origin[3 * size_o + j] if has_q else 0.0
        size = abs(x87.subtract(to + 16 * k, at_x + 16 * i, at_o + 16 * j))
        farther = (abs(x[2 * size_x + i]) + p) + (abs(origin[2 * size_o + j]) + q)
        more = e * (size + p + q + factor * farther)
        data[3 * n + k] = (y[3 * n + k] if has_y else 0.0) + more
        peak = max(peak, bits_of(more) & _MAGNITUDE)
    data[: 3 * n] = y[: 3 * n]
    return number_of(peak)


@compiled
def worst(got: Any, a: Any, normal: float, ulp: float) -> tuple[float, float]:
    """The largest |got - value| over the bound, and in ulps: of the smallest ``normal``, and as a share of a power of
    two."""
    n, at = len(got), a.ctypes.data
    ratio, ulps = np.int64(0), np.int64(0)
    for i in range(n):
        error = abs(x87.minus(got[i], at + 16 * i))
        one = max(number_of(bits_of(a[2 * n + i]) & _EXPONENT), normal) * ulp
        ratio = max(ratio, bits_of(error / a[3 * n + i]) & _MAGNITUDE)
        ulps = max(ulps, bits_of(error / one) & _MAGNITUDE)
    return number_of(ratio), number_of(ulps)
