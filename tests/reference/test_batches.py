"""Derivatives that are evaluated together are those that are evaluated one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradcheck.arithmetic import Bounded, RoundingModel, rounding_model
from gradcheck.arithmetic.batched import Batched
from gradcheck.cases.case import Case, parse_case
from gradcheck.cases.inputs import arguments_of, batch_of, cotangent_of, direction_of
from gradcheck.reference import batches, derivatives, together
from gradcheck.reference.registry import reference_named

LINES = (
    "nn.functional.silu(x=ordinary(2, 3)) seed=1 dtype=float32",
    "nn.functional.softmax(x=ties(2, 3), dim=1) seed=1 dtype=float16",
    "nn.functional.layer_norm(x=ordinary(2, 4), weight=ordinary(4), normalized_shape=(4,)) seed=1 dtype=float32",
    "nn.functional.max_pool1d(x=ordinary(1, 1, 6), kernel_size=2) seed=1 dtype=float32",
    "nn.functional.cosine_similarity(x=ordinary(2, 3), x2=wide(2, 3), dim=1) seed=1 dtype=float64",
    "nn.functional.silu(x=ordinary(2, 0)) seed=1 dtype=float32",
    "nn.functional.silu(x=ordinary()) seed=1 dtype=float32",
    "nn.functional.mse_loss(x=ordinary(3), target=ordinary(3), reduction='sum') seed=1 dtype=float32 cotangent=ones",
    "nn.functional.mse_loss(x=ordinary(3), target=ordinary(3), reduction='sum') seed=1 dtype=float32",
    # Which of them moves decides what is known apart, and where a tie is open.
    "nn.functional.l1_loss(x=ties(3), target=ties(3), weight=positive(3), reduction='mean') seed=1 dtype=float32",
    "nn.functional.bilinear(x=ordinary(2), input2=wide(3), weight=ordinary(1, 2, 3), bias=None) seed=1 dtype=float16",
    (
        "nn.functional.triplet_margin_loss(x=ordinary(2, 3), positive=ties(2, 3), negative=ordinary(2, 3), "
        "margin=1.0, p=2.0, eps=1e-06, swap=True, reduction='none') seed=1 dtype=float32"
    ),
    # A number alone, which a batch may have no rule for: its columns one by one.
    (
        "nn.functional.triplet_margin_with_distance_loss(x=integers(2), positive=ordinary(2), negative=ordinary(2), "
        "distance_function='cosine', margin=1.0, swap=False, reduction='sum') seed=1 dtype=float64"
    ),
)


def rows(case: Case) -> list[batches.Row]:
    def row(one: Case) -> batches.Row:
        def cotangent(output: str, shape: tuple[int, ...]) -> np.ndarray:
            return cotangent_of(one, shape, None, output)

        return arguments_of(one), cotangent, lambda name, shape: direction_of(one, name, shape)

    return [row(one) for one in batch_of(case)]


def evaluated(line: str) -> dict[str, dict[str, Bounded]]:
    case = parse_case(line)
    operation, model, arguments = reference_named(case.operation), rounding_model(case.dtype), arguments_of(case)

    def direction(name: str, shape: tuple[int, ...]) -> np.ndarray:
        return direction_of(case, name, shape)

    def cotangent(output: str, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        return cotangent_of(case, shape, dtype, output)

    return {
        "tangents": derivatives.bounded_tangents(operation, arguments, direction, model),
        "hvps": derivatives.bounded_hvps(operation, arguments, cotangent, direction, model),
        "second tangents": derivatives.bounded_second_tangents(operation, arguments, direction, model),
        "rows": batches.rows_of(operation, rows(case), model, forward=False),
        "tangents of rows": batches.rows_of(operation, rows(case), model, forward=True),
        "jacobians": batches.bounded_jacobians(operation, arguments, model),
        "columns": batches.bounded_columns(operation, arguments, model),
    }


def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "UNITS", 1)
    monkeypatch.setattr(together, "UNITS", 1)
    monkeypatch.setattr(batches, "ROW_ELEMENTS", -1)


@pytest.mark.parametrize("line", LINES)
def test_together_or_one_by_one(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = evaluated(line)
    one_by_one(monkeypatch)
    for oracle, outputs in evaluated(line).items():
        assert at_once[oracle].keys() == outputs.keys()
        for name, alone in outputs.items():
            same = at_once[oracle][name]
            assert np.array_equal(same.value, alone.value, equal_nan=True), (oracle, name)
            # A bound is rounded up as a whole; the order of its terms may differ in the last bit.
            assert np.array_equal(same.full_bound().astype(np.float32), alone.full_bound().astype(np.float32)), name


def test_a_wrong_batch_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = evaluated(LINES[1])
    monkeypatch.setitem(Batched.functions, np.sum, lambda a, axis, keepdims: Batched(a.content * 0.0))
    found = evaluated(LINES[1])["columns"]["jacobian[x]"].value
    assert not np.array_equal(found, right["columns"]["jacobian[x]"].value)


def test_arrays_move_together_where_a_formula_allows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise nothing is gained, and nothing but time tells."""
    lengths: list[int] = []
    contents = together.contents

    def counted(numbers: dict[str, Any], length: int, model: RoundingModel) -> dict[str, Bounded]:
        lengths.append(length)
        return contents(numbers, length, model)

    monkeypatch.setattr(together, "contents", counted)
    evaluated(LINES[4])
    assert lengths == [2, 2, 4]  # both vectors: tangents, products, second derivatives
