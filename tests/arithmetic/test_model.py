"""The models: which formats a dtype is computed, stored and looked up in, under each grade."""

from __future__ import annotations

import pytest

from gradcheck.arithmetic import rounding_model
from gradcheck.arithmetic.model import GRADES
from gradcheck.errors import UsageError
from gradcheck.formats import FORMATS

#: dtype, grade -> working format, storage format, format of elementary functions
EXPECTED = {
    ("float64", "agrees"): ("float64", "float64", "float64"),
    ("float64", "coarse"): ("float64", "float64", "float64"),
    ("float32", "agrees"): ("float32", "float32", "float32"),
    ("float32", "coarse"): ("float32", "float32", "float32"),
    ("float16", "agrees"): ("float32", "float16", "float32"),
    ("float16", "coarse"): ("float16", "float16", "float32"),
    ("bfloat16", "agrees"): ("float32", "bfloat16", "float32"),
    ("bfloat16", "coarse"): ("bfloat16", "bfloat16", "float32"),
}


def test_the_table_is_complete() -> None:
    assert EXPECTED.keys() == {(dtype, grade) for dtype in FORMATS for grade in GRADES}


@pytest.mark.parametrize(("dtype", "grade"), EXPECTED)
def test_formats_of_a_dtype(dtype: str, grade: str) -> None:
    model = rounding_model(dtype, grade=grade)
    assert (model.work.name, model.store.name, model.library.name) == EXPECTED[dtype, grade]
    assert model.rounds_on_store == (model.work is not model.store)
    assert model.unit > model.work.roundoff
    assert model.largest == model.work.largest
    assert model.eta >= model.work.smallest_subnormal


def test_models_are_made_once() -> None:
    assert rounding_model("float32") is rounding_model("float32")
    assert rounding_model("float32").casting_to("float64") is rounding_model("float64", "cpu", "agrees")
    assert rounding_model("float32").in_blocks(1) is rounding_model("float32")


def test_a_model_in_blocks_casts_to_one_in_as_many() -> None:
    blocked = rounding_model("float16", grade="coarse").in_blocks(7)
    cast = blocked.casting_to("float64")
    assert (cast.blocks, cast.grade, cast.store.name) == (7, "coarse", "float64")


def test_devices_are_known_by_their_type() -> None:
    assert rounding_model("float32", "cuda:1").device == "cuda"


def test_an_unknown_dtype_is_refused() -> None:
    with pytest.raises(UsageError, match="dtype 'int8' is not known"):
        rounding_model("int8")
