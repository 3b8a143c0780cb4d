"""Simulated rounding: every operation is rounded as its machine rounds, and special values pass as they are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import special

from gradcheck.arithmetic import Dual, RoundingModel, as_dtype, as_dtype_of, number, pi, rounding_model, stored
from gradcheck.arithmetic.accuracy import ACCURACY
from gradcheck.arithmetic.machine import WIDE, Machine
from gradcheck.arithmetic.simulated import Simulated, lift
from gradcheck.cases.inputs import Bits
from gradcheck.formats import FORMATS

NAMES = tuple(FORMATS)
INF, NAN = math.inf, math.nan


def machine(dtype: str = "float32", grade: str = "agrees", **options: bool) -> Machine:
    return Machine(rounding_model(dtype, grade=grade), Bits("machine", dtype, grade).below, **options)


def coarse(dtype: str, **options: bool) -> Machine:
    """A machine that computes in the format itself."""
    return machine(dtype, "coarse", **options)


def test_the_same_draw_gives_the_same_numbers() -> None:
    def run() -> np.ndarray:
        return np.sum(Simulated(Bits("same").bell(100), machine()) * 0.1).value

    assert run() == run()


def test_what_overflows_is_infinite() -> None:
    with np.errstate(over="ignore"):
        half = Simulated(np.array([60000.0, -60000.0]), coarse("float16"))
        assert (half + half).value.tolist() == [INF, -INF]
        assert np.exp(half).value.tolist() == [INF, 0.0]


FUNCTIONS: dict[str, Any] = {"erf": special.erf, "power": lambda x: x**0.75}


@pytest.mark.parametrize("name", ACCURACY)
@pytest.mark.parametrize("dtype", NAMES)
def test_elementary_functions_err_as_much_as_is_published(name: str, dtype: str) -> None:
    function = FUNCTIONS.get(name) or getattr(np, name)
    x = np.full(4000, 0.75)
    simulated = function(Simulated(x, machine(dtype)))
    form, ulps = machine(dtype).model.work, ACCURACY[name]["cpu"]
    true = function(x.astype(WIDE)) if name != "erf" else function(x)
    errors = np.abs(simulated.value - true) / form.ulp(true.astype(np.float64))
    own = 2.0 if dtype == "float64" else 0.01  # erf itself is in float64
    assert np.max(errors) <= ulps + own
    assert np.max(errors) > 0.6 * ulps


def test_at_infinity_functions_are_exact() -> None:
    ends = Simulated(np.array([INF, -INF]), machine())
    assert np.tanh(ends).value.tolist() == [1.0, -1.0]
    assert special.erf(ends).value.tolist() == [1.0, -1.0]
    with np.errstate(all="ignore"):
        assert special.expit(ends).value.tolist() == [1.0, 0.0]
        assert special.log_expit(ends).value.tolist() == [0.0, -INF]


def test_sums_round_every_addition() -> None:
    """One by one, halves of an ulp of 256 are lost in bfloat16; by halves they are not."""
    terms = np.array([256.0] + [1.0] * 15)
    one_by_one = np.sum(Simulated(terms, coarse("bfloat16", random=False)))
    by_halves = np.sum(Simulated(terms, coarse("bfloat16", random=False, pairwise=True)))
    assert float(one_by_one) == 256.0
    assert float(by_halves) == 270.0
    assert float(np.sum(Simulated(terms, machine("bfloat16", random=False)))) == 271.0


def test_products_inside_a_sum_are_rounded_unless_fused() -> None:
    a = np.array([[1.0 + 2.0**-7, -1.0]])
    b = np.array([[1.0 + 2.0**-7], [1.0 + 2.0**-6]])
    rounded = Simulated(a, coarse("bfloat16", random=False)) @ b
    fused = Simulated(a, coarse("bfloat16", random=False, fused=True)) @ b
    assert rounded.value.tolist() == [[0.0]]
    assert fused.value.tolist() == [[2.0**-14]]


def test_sums_take_axes_and_nothing() -> None:
    x = Simulated(np.arange(6.0).reshape(2, 3), machine(random=False))
    assert np.sum(x, axis=1).value.tolist() == [3.0, 12.0]
    assert np.sum(x, axis=(0, 1)).value == 15.0
    assert np.sum(x, axis=-2, keepdims=True).value.tolist() == [[3.0, 5.0, 7.0]]
    assert np.mean(x).value == 2.5
    assert np.sum(Simulated(np.zeros((0, 3)), machine()), axis=0).value.tolist() == [0.0] * 3
    assert np.max(x, axis=0).value.tolist() == [3.0, 4.0, 5.0]
    assert np.min(x).value == 0.0


def test_contractions_are_those_of_numpy_where_nothing_is_rounded() -> None:
    a, b = np.arange(24.0).reshape(2, 3, 4), np.arange(20.0).reshape(4, 5)
    exact = machine("float64", random=False)
    assert np.array_equal(np.einsum("ijk,kl->lij", Simulated(a, exact), b).value, np.einsum("ijk,kl->lij", a, b))
    assert np.array_equal((Simulated(a[0], exact) @ b).value, a[0] @ b)


def test_constants_are_rounded_when_a_program_is_written() -> None:
    x = Simulated(np.array([1.0]), machine())
    assert float(number(0.1, x)) == np.float32(0.1)
    assert float(pi(x)) == np.float32(np.pi)
    assert lift(np.array([3, 4]), machine()).value.tolist() == [3.0, 4.0]
    assert lift(x, machine()) is x


def test_storing_and_converting_round_to_the_other_format() -> None:
    x = Simulated(np.array([1.0 + 2.0**-8 + 2.0**-20]), machine("bfloat16", random=False))
    assert stored(x).value.tolist() == [1.0 + 2.0**-7]
    assert stored(Simulated(np.array([0.1]), machine())).value.tolist() == [0.1]
    wide = as_dtype(x, "float32")
    assert wide.machine.model.store.name == "float32"
    assert wide.value.tolist() == x.value.tolist()
    assert as_dtype_of(wide, x).value.tolist() == [1.0 + 2.0**-7]


def test_comparisons_and_choices_are_plain() -> None:
    x = Simulated(np.array([1.0, 2.0, NAN]), machine())
    assert (x < 1.5).tolist() == [True, False, False]
    assert np.isnan(x).tolist() == [False, False, True]
    assert np.where(x < 1.5, x, -1.0).value.tolist() == [1.0, -1.0, -1.0]
    assert np.maximum(x[:2], 1.5).value.tolist() == [1.5, 2.0]
    assert np.sign(-x[:2]).value.tolist() == [-1.0, -1.0]


def test_duals_go_over_it() -> None:
    x = Simulated(np.array([3.0]), machine(random=False))
    square = Dual(x, np.ones_like(x)) ** 2
    assert square.tangent.value.tolist() == [6.0]


def test_a_machine_keeps_its_ways_in_another_dtype() -> None:
    x: Any = Simulated(np.array([1.0]), machine("float16", random=False, pairwise=True, fused=True))
    cast = as_dtype(x, "float64").machine
    assert (cast.random, cast.pairwise, cast.fused) == (False, True, True)
    assert isinstance(cast.model, RoundingModel)
