"""A reference evaluated in blocks of rows says what it says of the whole."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gradcheck.arithmetic import Bounded, rounding_model
from gradcheck.arithmetic.carrier import OWN_ROUNDOFF
from gradcheck.cases.case import Case, parse_case
from gradcheck.cases.inputs import arguments_of, cotangents_of
from gradcheck.reference import evaluate
from gradcheck.reference.registry import Reference, reference_named

ROWS, BLOCK_ROWS = 23, 5  # the last block has fewer rows
CASES = {
    "silu": "silu(x={kind}(23, 40))",
    "relu": "relu(x={kind}(23, 40))",
    "softmax": "softmax(x={kind}(23, 40), dim=1)",
    "log_softmax": "log_softmax(x={kind}(23, 5, 8), dim=-1)",
    "layer_norm": "layer_norm(x={kind}(23, 40), weight=ordinary(40), bias=ordinary(40), normalized_shape=(40,))",
    "layer_norm, no bias": "layer_norm(x={kind}(23, 5, 8), weight=wide(5, 8), bias=None, normalized_shape=(5, 8))",
}
MODELS = [("float64", "agrees"), ("float32", "agrees"), ("bfloat16", "agrees"), ("bfloat16", "coarse")]

Outputs = dict[str, Bounded]


@pytest.fixture(autouse=True)
def _blocks_as_of_many_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks here are so small that they would have the bounds of few numbers, which look at each of them; and
    there are none so small where compiled loops put rules off."""
    monkeypatch.setattr(evaluate, "kernels", lambda: None)
    monkeypatch.setattr("gradcheck.arithmetic.running_reductions.SAMPLED_ELEMENTS", 0)
    monkeypatch.setattr("gradcheck.arithmetic.ulps.FEW", 0)


def case_of(name: str, kind: str, dtype: str) -> Case:
    return parse_case(f"nn.functional.{CASES[name].format(kind=kind)} seed=5 dtype={dtype} cotangent=wide")


def outputs_of(operation: Reference, case: Case, grade: str, block: int, monkeypatch: pytest.MonkeyPatch) -> Outputs:
    """The outputs, evaluated in blocks of so many elements where the case has more than twice as many."""
    monkeypatch.setattr(evaluate, "BLOCK_ELEMENTS", block)

    return evaluate.bounded_outputs(
        operation, arguments_of(case), cotangents_of(case), rounding_model(case.dtype, "cpu", grade)
    )


def differences(whole: Outputs, blocked: Outputs, rows_of: tuple[str, ...]) -> list[str]:
    """What is not as it should be: rows are the same bit by bit, sums over them up to the order of addition.

    In a sum over the batch the terms of a bound are added in another order: each of the additions of numbers that are
    not negative may differ by a roundoff of float64. Blocks allow for the longest sum that whole blocks make up, and
    for the rounding of the sum of their sums.
    """
    wrong = []
    for name, expected in whole.items():
        got, bound, limit = blocked[name], blocked[name].full_bound(), expected.full_bound()
        if name in rows_of:
            same = got.value.tobytes() == expected.value.tobytes() and bound.tobytes() == limit.tobytes()
            wrong += [] if same else [name]
            continue
        finite = np.isfinite(limit)
        order = 1.0 + 4 * ROWS * OWN_ROUNDOFF
        model = expected.model
        longest = model.sum_factor(BLOCK_ROWS * ROWS) / model.sum_factor(ROWS)
        most = limit * longest * order + 2 * ROWS * OWN_ROUNDOFF * np.abs(expected.value) * ROWS
        if not (np.isfinite(bound) == finite).all() or (bound * order < limit)[finite].any():
            wrong.append(f"{name}: too small a bound")
        if (bound > most)[finite].any():
            wrong.append(f"{name}: too large a bound")
        if (np.abs(got.value - expected.value) > limit)[finite].any():
            wrong.append(f"{name}: another value")
    return wrong


@pytest.mark.parametrize("kind", ["ordinary", "special", "huge"])
@pytest.mark.parametrize(("dtype", "grade"), MODELS)
@pytest.mark.parametrize("name", CASES)
def test_blocks_of_rows_have_the_values_and_bounds_of_the_whole(
    name: str, dtype: str, grade: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = case_of(name, kind, dtype)
    operation = reference_named(case.operation)
    whole = outputs_of(operation, case, grade, 1 << 20, monkeypatch)
    blocked = outputs_of(operation, case, grade, BLOCK_ROWS * 40, monkeypatch)
    with np.errstate(all="ignore"):
        assert differences(whole, blocked, ("value", "grad[x]")) == []


def test_a_sum_over_the_batch_that_knows_only_its_block_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    case = case_of("layer_norm", "ordinary", "float32")
    operation = reference_named(case.operation)
    whole = outputs_of(operation, case, "agrees", 1 << 20, monkeypatch)
    monkeypatch.setattr(
        "gradcheck.reference.nn.functional.normalization.sum_over_batch", lambda x, axis: np.sum(x, axis=axis)
    )
    blocked = outputs_of(operation, case, "agrees", BLOCK_ROWS * 40, monkeypatch)
    seen = differences(whole, blocked, ("value", "grad[x]"))
    assert seen == ["grad[weight]: too small a bound", "grad[bias]: too small a bound"]


def test_rows_that_depend_on_one_another_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    case = parse_case("nn.functional.softmax(x=ordinary(23, 40), dim=0) seed=5 dtype=float32")
    operation = dataclasses.replace(reference_named(case.operation), rows=lambda arguments: ("x",))
    whole = outputs_of(operation, case, "agrees", 1 << 20, monkeypatch)
    blocked = outputs_of(operation, case, "agrees", BLOCK_ROWS * 40, monkeypatch)
    assert differences(whole, blocked, ("value", "grad[x]")) == ["value", "grad[x]"]


def test_a_sum_that_overflows_only_as_a_whole_accepts_the_infinity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block's sum is a number of float16; the whole sum is not, and neither need be the sums on its way."""
    case = parse_case(
        "nn.functional.layer_norm(x=ordinary(23, 40), weight=ordinary(40), bias=ordinary(40), normalized_shape=(40,))"
        " seed=5 dtype=float16"
    )
    operation, arguments = reference_named(case.operation), arguments_of(case)
    model = rounding_model("float16", "cpu", "coarse")
    monkeypatch.setattr(evaluate, "BLOCK_ELEMENTS", BLOCK_ROWS * 40)
    cotangent = np.full((23, 40), 12000.0)
    cotangent[BLOCK_ROWS : 2 * BLOCK_ROWS] *= -1.0
    blocked = evaluate.bounded_outputs(operation, arguments, lambda output, shape: cotangent, model)
    assert np.isinf(blocked["grad[bias]"].full_bound()).all()
