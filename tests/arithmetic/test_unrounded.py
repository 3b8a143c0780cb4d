"""``unrounded``: no error where no operation rounds, and only there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradcheck.arithmetic import Bounded, Dual, rounding_model
from gradcheck.arithmetic.functions import unrounded
from gradcheck.arithmetic.running import lift_array
from gradcheck.cases.case import parse_case
from gradcheck.formats import format_named
from gradcheck.verdict.judge import judge_case

DTYPES = ["float64", "float32", "float16", "bfloat16"]
GIVEN = np.array([0.5, -0.75, 0.3, 3.0 + 2.0**-6, 2.0**-20, np.inf])


def place(given: Any) -> Any:
    """3·(x + 1) - 1/2, by way of two others."""
    ahead = given + 1.0
    return unrounded(ahead * 3.0 - 0.5, given, ahead, ahead * 3.0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_short_number_has_no_error_where_all_it_goes_through_are_numbers_of_the_format(dtype: str) -> None:
    """4 + 2^-6 needs 9 bits, one more than bfloat16 has; 0.3 and 2^-20 are no short numbers."""
    given = format_named(dtype).round(GIVEN)
    bound = place(lift_array(given, rounding_model(dtype))).full_bound()
    exact = [True, True, False, dtype != "bfloat16", False, False]
    assert [not b for b in bound[:5]] == exact[:5]


def test_what_was_given_with_an_error_keeps_it() -> None:
    model = rounding_model("float32")
    given = Bounded(np.array([0.5]), np.array([model.unit]), model)
    assert place(given).full_bound().all()


def test_it_is_the_identity_elsewhere() -> None:
    assert place(np.array([0.5]))[0] == 4.0
    dual = place(Dual(np.array([0.5]), np.array([1.0])))
    assert (dual.primal[0], dual.tangent[0]) == (4.0, 3.0)


LINE = (
    "nn.functional.grid_sample(x=ordinary(1, 2, 4, 4), grid=ties(1, 8, 8, 2), mode='nearest', padding_mode='zeros', "
    "align_corners=False) seed=0 dtype={dtype}"
)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_pixel_that_is_not_the_even_one_of_two_is_seen(dtype: str) -> None:
    """What may lie on either side has a bound that holds both pixels; these places are known."""
    import torch

    def upward(x: torch.Tensor, grid: torch.Tensor, **options: Any) -> torch.Tensor:
        return torch.nn.functional.grid_sample(x, grid + 2.0**-6, **options)

    case = parse_case(LINE.format(dtype=dtype))
    assert {v.output: v.status for v in judge_case(case)}["value"] == "agrees"
    assert {v.output: v.status for v in judge_case(case, subject=upward)}["value"] == "deviates"
