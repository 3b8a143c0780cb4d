"""Arrays that move together: each row is what it is where they move one after the other."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradcheck.arithmetic import Bounded, Dual, along, rounding_model
from gradcheck.arithmetic.along import Along
from gradcheck.arithmetic.dual import tangent_of, ties_open
from gradcheck.arithmetic.functions import apart
from gradcheck.arithmetic.running import lift, lift_array
from gradcheck.cases.inputs import Bits
from gradcheck.errors import MissingRuleError
from gradcheck.formats import FORMATS

MODEL = rounding_model("float32")


def numbers(word: str) -> np.ndarray:
    return FORMATS["float32"].round(Bits(word).bell(12)).reshape(3, 4)


X, W, DX, DW = (numbers(word) for word in ("x", "w", "dx", "dw"))
Formula = Callable[[Any, Any], Any]

FORMULAS: dict[str, Formula] = {
    "product": lambda x, w: x * w * x,
    "quotient": lambda x, w: (x * w) / (x * x + w * w) - w,
    "other shapes": lambda x, w: x[0] / w + w[:, :1] * x,
    "sums": lambda x, w: np.sum(np.abs(x) * w, axis=1) / np.sum(w, axis=0)[:3],
    "roots": lambda x, w: np.maximum(np.sqrt(np.sum(x * x, axis=1)), 1e-8) * np.sqrt(np.sum(w * w, axis=1)),
    "functions": lambda x, w: np.exp(np.tanh(x) * w) + np.power(w * w, 1.5),
    "choice": lambda x, w: np.where(x > 0.5, x * x, w * x) + np.where(w > 0.0, 1.0, w),
    "joined": lambda x, w: np.concatenate([x * x, np.flip(w, 1), x * 0.5], axis=0).reshape(-1)[::2],
    "contraction": lambda x, w: np.einsum("ij,kj->ik", x, w) * np.matmul(w, np.transpose(x)),
    "places": lambda x, w: np.take_along_axis(x * w, np.array([[1], [0], [3]]), 1) + np.pad(w, ((0, 0), (1, 0)))[:, :1],
}


def derivative(formula: Formula, moves: list[tuple[str, ...]]) -> Any:
    """The tangent of the tangents, in a row for each move; of one move alone, as it is."""
    model = MODEL.together(len(moves))

    def dual(name: str, array: np.ndarray, direction: np.ndarray) -> Any:
        number: Any = lift_array(array, model)
        for level in range(len(moves[0])):
            rows = tuple(row for row, move in enumerate(moves) if move[level] == name)
            step: Any = lift_array(direction, model)
            if len(moves) > 1:
                step = Along(lift_array(np.stack([direction] * len(rows)), model), rows, len(moves))
            number = Dual(number, step, level) if rows else number
        return number

    found = formula(dual("x", X, DX), dual("w", W, DW))
    for level in reversed(range(len(moves[0]))):
        found = tangent_of(found, level)
    return found


def rows_that_differ(formula: Formula, order: int) -> list[tuple[str, ...]]:
    """The moves whose row is not what it is alone, in value or bound."""
    moves = list(itertools.product("xw", repeat=order))
    at_once = derivative(formula, moves)
    together = at_once.filled(tuple(range(len(moves))))
    differ = []
    for row, move in enumerate(moves):
        alone: Bounded = lift(derivative(formula, [move]), MODEL)
        same = np.array_equal(together.value[row], alone.value)
        if not (same and np.array_equal(np.float32(together.full_bound()[row]), np.float32(alone.full_bound()))):
            differ.append(move)
    return differ


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", FORMULAS)
def test_rows_are_what_they_are_alone(name: str, order: int) -> None:
    assert rows_that_differ(FORMULAS[name], order) == []


@pytest.mark.parametrize(
    "wrong",
    [lambda a, b, both: a + b, lambda a, b, both: along.beside(a, b._of(0.0 * b.content), both)],
    ids=["a rounding too many", "a term too few"],
)
def test_a_wrong_sum_of_terms_is_seen(wrong: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradcheck.arithmetic.dual.beside", wrong)
    assert rows_that_differ(FORMULAS["product"], 1)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x, w: apart(np.sum(w))[0] * x,  # of which one row is to know the error, and the other not
        lambda x, w: np.where(x == X, x, w),  # a tie, which is open in the rows of x alone
        lambda x, w: np.minimum(x, w),
    ],
)
def test_what_differs_between_rows_is_refused(wrong: Formula) -> None:
    with ties_open(), pytest.raises(MissingRuleError):
        derivative(wrong, [("x",), ("w",)])


@pytest.mark.parametrize(
    "wrong",
    [
        np.exp,
        np.abs,
        np.max,
        lambda dx: dx + 1.0,
        lambda dx: 1.0 / dx,
        lambda dx: dx / dx,
        lambda dx: np.where(dx.content.value[0] > 0.0, dx, 1.0),
        lambda dx: np.pad(dx, ((0, 0), (1, 0)), constant_values=1.0),
        np.asarray,
    ],
)
def test_what_is_not_linear_is_refused(wrong: Callable[[Any], Any]) -> None:
    with pytest.raises(MissingRuleError):
        wrong(Along(lift_array(np.stack([DX]), MODEL), (1,), 2))
