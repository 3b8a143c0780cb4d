"""The cases that every run judges besides those it draws."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck.cases.always import ALWAYS, always_judged
from gradcheck.cases.case import parse_case
from gradcheck.cases.corpus import fixed_cases
from gradcheck.cases.inputs import arguments_of
from gradcheck.cases.tight import TIGHT
from gradcheck.reference.registry import reference_named


@pytest.mark.parametrize("name", dict.fromkeys([*ALWAYS, *TIGHT]))
def test_each_line_is_a_case_of_the_corpus_that_gives_every_argument(name: str) -> None:
    operation = reference_named(name)
    for case in always_judged(name, "float32"):
        assert case in fixed_cases(operation, "float32", 0, "backward")
        assert parse_case(str(case)) == case
        assert {argument for argument, _ in case.arguments} >= set(operation.hyperparameters)


def test_no_case_stands_twice() -> None:
    for name in dict.fromkeys([*ALWAYS, *TIGHT]):
        cases = list(always_judged(name, "float32"))
        assert len(set(cases)) == len(cases), name


def test_an_operation_without_such_cases_has_none() -> None:
    assert list(always_judged("nn.functional.tanh", "float32")) == []


@pytest.mark.parametrize(
    ("name", "argument", "rows"),
    [("nn.functional.conv_transpose3d", "x", 1), ("nn.MultiheadAttention", "attn_mask", 1)],
)
def test_a_rare_number_is_there_and_alone(name: str, argument: str, rows: int) -> None:
    case = next(case for case in always_judged(name, "float64") if case.specs[argument].kind == "rare")
    strange = ~np.isfinite(arguments_of(case)[argument])
    assert strange.any(axis=tuple(range(1, strange.ndim))).sum() == rows


def test_some_place_lies_where_the_pieces_of_the_cubic_kernel_are_told_apart() -> None:
    of_mode = {dict(case.arguments)["mode"]: case for case in always_judged("nn.functional.grid_sample", "float64")}
    case = of_mode["bicubic"]
    distance = np.abs(2.0 * (arguments_of(case)["grid"] + 1.0)) % 1.0
    assert ((distance > 2.0**-17) & (distance <= 2.0**-16)).any()
