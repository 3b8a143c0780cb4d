"""Data are made so that a layout can hold them; where an array cannot have a layout, it is said why."""

import numpy as np
import pytest

from gradcheck.cases.case import parse_case
from gradcheck.cases.inputs import arguments_of, cotangent_of, cotangent_words
from gradcheck.cases.layouts import LAYOUTS, SHARING, data_for, layout_fits, misfit
from gradcheck.errors import UsageError

GRID = np.arange(12.0).reshape(3, 4)


def test_expanded_data_are_the_same_along_the_first_dimension_of_several_elements():
    assert np.array_equal(data_for("expanded", GRID), np.tile(GRID[0], (3, 1)))
    assert np.array_equal(data_for("expanded", GRID[None]), np.tile(GRID[0], (1, 3, 1)))
    assert np.array_equal(data_for("expanded", GRID[0]), np.zeros(4))


def test_overlapping_data_are_windows_of_a_row():
    found = data_for("overlapping", GRID)
    assert np.array_equal(found, [[0.0, 1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 7.0], [2.0, 3.0, 7.0, 11.0]])


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout not in SHARING])
def test_other_layouts_leave_the_data_alone(layout):
    assert data_for(layout, GRID) is GRID


@pytest.mark.parametrize("layout", SHARING)
def test_whole_numbers_and_what_cannot_be_shared_stay(layout):
    for array in (np.arange(12).reshape(3, 4), np.zeros(()), np.zeros((1, 1)), np.zeros((0, 3))[:, :1]):
        assert data_for(layout, array) is array


@pytest.mark.parametrize(
    ("layout", "shape", "dtype", "words"),
    [
        ("transposed", (3,), "float32", "it has 1 dimensions instead of 2 or more"),
        ("channels_last_3d", (1, 2, 3, 4), "float32", "it has 4 dimensions instead of 5"),
        ("channels_last_3d", (1,) * 6, "float32", "it has 6 dimensions instead of 5"),
        ("expanded", (1, 1), "float32", "no dimension has more than one element"),
        ("expanded", (), "float32", "it has 0 dimensions"),
        ("overlapping", (3, 1), "float32", "its windows would not overlap"),
        ("neg", (3,), "int64", "it is of int64"),
        ("conj", (3,), "bfloat16", "complex numbers of bfloat16 parts do not exist"),
        ("neg", (3,), "bfloat16", ""),
        ("offset", (), "float32", ""),
        ("sliced", (0,), "bool", ""),
    ],
)
def test_a_misfit_is_said_in_words(layout, shape, dtype, words):
    found = misfit(layout, shape, dtype)
    assert words in found
    assert bool(words) == bool(found)


LINE = "nn.functional.linear(x=ordinary(3, 4), weight=ordinary(5, 4), bias=ordinary(5)) seed=1 dtype=float32"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_arrays_of_a_case_are_made_for_its_layout(layout):
    arguments = arguments_of(parse_case(f"{LINE} layout={layout}"))
    for name, array in arguments_of(parse_case(LINE)).items():
        assert np.array_equal(arguments[name], data_for(layout, array))


def test_a_cotangent_has_a_layout_as_well():
    case = parse_case(f"{LINE} cotangent=integers:expanded")
    plain = cotangent_of(case.on(cotangent="integers"), (3, 5))
    assert np.array_equal(cotangent_of(case, (3, 5)), data_for("expanded", plain))
    assert str(parse_case(str(case))) == str(case)
    assert cotangent_words("ones:expanded") == ("ones", "expanded")
    assert cotangent_words("ones") == ("ones", "contiguous")


@pytest.mark.parametrize("cotangent", ["expanded", "ones:diagonal", ":expanded", "ones:expanded:neg"])
def test_a_wrong_cotangent_is_a_sentence(cotangent):
    with pytest.raises(UsageError, match="is not known; expected"):
        cotangent_of(parse_case(LINE).on(cotangent=cotangent), (3,))


def test_whether_a_layout_fits_a_case():
    assert layout_fits(parse_case(LINE))
    assert layout_fits(parse_case(f"{LINE} layout=overlapping"))
    assert not layout_fits(parse_case(f"{LINE} layout=channels_last"))
    relu = "nn.functional.relu(x=ordinary(3)) seed=1 dtype=float32"
    assert not layout_fits(parse_case(f"{relu} layout=transposed"))
    assert layout_fits(parse_case(f"{relu} layout=conj"))
    assert not layout_fits(parse_case(f"{relu} layout=conj").on(dtype="float16"))
