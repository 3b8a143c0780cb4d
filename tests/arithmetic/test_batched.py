"""Batches: every array of one goes through a formula as it would alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special

from gradcheck.arithmetic import Bounded, Dual, guarded, rounding_model, stored, sum_over_batch
from gradcheck.arithmetic.batched import Batched
from gradcheck.arithmetic.running import lift_array
from gradcheck.cases.inputs import Bits
from gradcheck.errors import MissingRuleError

MODEL = rounding_model("float16")
ROWS = Bits("batch").bell(3 * 12).reshape(3, 3, 1, 4)
BESIDE = lift_array(Bits("beside").bell(4), MODEL)
PLACES = np.array([[[3], [0], [1]]]).reshape(3, 1, 1)

FORMULAS: dict[str, Callable[[Any], Any]] = {
    "operators": lambda x: 1.0 - x / (2.0 + x * x) + BESIDE * x - (BESIDE - x),
    "ufuncs": lambda x: np.exp(-x) + special.expit(stored(x * 3.0)) - np.maximum(x, 0.5),
    "other dimensions": lambda x: np.sum(x, axis=2) * BESIDE[:1] + x,
    "reductions": lambda x: np.sum(x) + np.mean(x, axis=-1, keepdims=True) + np.max(x, axis=(0, 2), keepdims=True),
    "over the batch": lambda x: sum_over_batch(x, 0, True),
    "choice": lambda x: np.where(x > np.mean(x), guarded(np.exp(x), x > np.mean(x)), x),
    "joined": lambda x: np.concatenate([x, BESIDE.reshape(1, 1, 4), x * x], axis=0),
    "indices": lambda x: x[None, ..., 1:] + x[[2, 0, 1], :, :1] + x[:, 0, np.array([1, 3])][None, :, None, :1],
    "places": lambda x: np.take_along_axis(x, PLACES, 2) + np.take(x, [1, 5, 2]),
    "contraction": lambda x: np.einsum("ijk,k->ij", x, BESIDE) + np.matmul(x, x.reshape(3, 4, 1))[:, 0],
    "derivative": lambda x: Dual(x, BESIDE * np.ones((3, 1, 1))).reshape(12).tangent,
}


@pytest.mark.parametrize("name", FORMULAS)
def test_rows_are_what_they_are_alone(name: str) -> None:
    together = FORMULAS[name](Batched(lift_array(ROWS, MODEL)))
    for place, row in enumerate(ROWS):
        alone = FORMULAS[name](lift_array(row, MODEL))
        assert together.shape == alone.shape
        number = together.content if isinstance(together, Batched) else None
        value, bound = (together.value, together.full_bound()) if number is None else _part(number, place)
        assert np.array_equal(value, alone.value)
        # A bound may be added up in another order, and differ in its last bit.
        assert np.array_equal(np.float32(bound), np.float32(alone.full_bound()))


def _part(number: Bounded, place: int) -> tuple[Any, Any]:
    return number.value[place], number.full_bound()[place]


@pytest.mark.parametrize(("terms", "rows"), [(300, 3), (511, 8)])
def test_a_sum_counts_the_terms_of_one_row(terms: int, rows: int) -> None:
    """Of few terms the worst order is looked for: those of the other rows do not make them many."""
    numbers = Bits("sum").bell(rows * terms).reshape(rows, terms)
    together = np.sum(Batched(lift_array(numbers, MODEL))).content.bound
    assert np.array_equal(np.float32(together), np.float32([np.sum(lift_array(row, MODEL)).bound for row in numbers]))
    assert np.all(together < np.sum(lift_array(numbers, MODEL), axis=1).bound)


@pytest.mark.parametrize(
    "wrong",
    [
        np.asarray,
        float,
        lambda x: x[[0, 1], :, [0, 1]],  # NumPy puts these axes first
        lambda x: x[x > 0.0],
        lambda x: np.take(np.arange(4.0), np.argmax(x)),
        lambda x: np.matmul(x, BESIDE),
        lambda x: np.max(x) * 2.0 if x.shape == () else np.max(x) * x,  # an exact number, by which it may be exact
        lambda x: np.cumsum(x, axis=0),
        lambda x: np.add.reduce(x),
        lambda x: 1 if x > 0.0 else 0,
    ],
)
def test_what_a_batch_cannot_do_is_refused(wrong: Callable[[Any], Any]) -> None:
    with pytest.raises(MissingRuleError):
        wrong(Batched(lift_array(ROWS, MODEL)))
