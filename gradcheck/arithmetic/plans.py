"""How operands are packed for compiled rules of small arrays, and how their shapes meet: as rows and columns."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from gradcheck.arithmetic.carrier import WIDE

__all__ = ["MOST_COLUMNS", "NARROWEST", "PLANS", "PLANS_OF_SUMS", "Plan", "PlanOfSum", "joined"]

Shape = tuple[int, ...]


class Plan(NamedTuple):
    """The shape and size of a result, and where the operands' elements are: rows and columns of the result, and of
    each operand its size and by how many elements its rows and columns are apart, 0 where all are the same one."""

    shape: Shape
    size: int
    table: np.ndarray


class PlanOfSum(NamedTuple):
    """The shape and size of sums, of how many terms each is, rows and columns of the terms, and along which it is."""

    shape: Shape
    size: int
    terms: int
    rows: int
    columns: int
    by_row: bool


MOST_COLUMNS = 128
"""Of so many numbers beside one another NumPy adds every eighth, and then the eight sums; more it halves first."""

NARROWEST = 16
"""Columns from which on sums over rows are compiled: of fewer, NumPy may add in another order."""

MOST = 1 << 12
"""So many plans are kept."""


class _Plans(dict[tuple[Shape, Shape], Plan | None]):
    """By the shapes of two operands: how they meet; None where they do not, or not as rows and columns."""

    def __missing__(self, shapes: tuple[Shape, Shape]) -> Plan | None:
        if len(self) >= MOST:
            self.clear()
        plan = self[shapes] = _planned(shapes)
        return plan


PLANS = _Plans()


def _planned(shapes: tuple[Shape, Shape]) -> Plan | None:
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        return None
    padded = [(1,) * (len(shape) - len(part)) + part for part in shapes]
    size = math.prod(shape)
    for split in range(len(shape) + 1) if size else ():
        rows, columns = shape[:split], shape[split:]
        steps = []
        for part in padded:
            lead, last = part[:split], part[split:]
            length, lines = math.prod(last), math.prod(lead)
            if (length != 1 and last != columns) or (lines != 1 and lead != rows):
                break
            steps += [length * lines, 0 if lines == 1 else length, 0 if length == 1 else 1]
        else:
            return Plan(shape, size, np.array([math.prod(rows), math.prod(columns), *steps]))
    return None


class _PlansOfSums(dict[tuple[Shape, Any, bool], PlanOfSum | None]):
    """By shape, axes and keepdims: sums along the last axis, or along all others; None for what NumPy may add in
    another order."""

    def __missing__(self, sum_of: tuple[Shape, Any, bool]) -> PlanOfSum | None:
        if len(self) >= MOST:
            self.clear()
        plan = self[sum_of] = _planned_sum(*sum_of)
        return plan


PLANS_OF_SUMS = _PlansOfSums()


def _planned_sum(shape: Shape, axis: Any, keepdims: bool) -> PlanOfSum | None:
    dims = len(shape)
    given = range(dims) if axis is None else (axis,) if isinstance(axis, int) else axis
    axes = tuple(a % dims for a in given)
    if not axes or math.prod(shape) == 0:
        return None
    rows, columns, by_row = math.prod(shape[:-1]), shape[-1], axes == (dims - 1,)
    if columns > MOST_COLUMNS if by_row else axes != tuple(range(dims - 1)) or columns < NARROWEST:
        return None
    reduced = tuple(1 if a in axes else side for a, side in enumerate(shape) if keepdims or a not in axes)
    return PlanOfSum(reduced, math.prod(reduced), columns if by_row else rows, rows, columns, by_row)


def joined(value: Any, bound: Any, shape: tuple[int, ...], size: int) -> np.ndarray:
    """Value and bound, which broadcast to the shape, in one array (``wide_kernels``)."""
    data = np.empty((3 if bound is None else 4) * size)
    data[: 2 * size].view(WIDE).reshape(shape)[...] = value
    data[2 * size : 3 * size].reshape(shape)[...] = value
    if bound is not None:
        data[3 * size :].reshape(shape)[...] = bound
    return data
