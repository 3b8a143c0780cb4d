"""Three-valued masks: what is decided holds however the undecided is decided, and what is undecided really is."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradcheck.arithmetic import Bounded, Mask, ball_precision, balls, guarded, rounding_model
from gradcheck.arithmetic.mask import decide
from gradcheck.errors import MissingRuleError

MODEL = rounding_model("float32")
#: name -> (likely, undecided)
VALUES = {"true": (True, False), "false": (False, False), "true?": (True, True), "false?": (False, True)}


def mask(*names: str) -> Mask:
    return Mask(np.array([VALUES[name][0] for name in names]), np.array([VALUES[name][1] for name in names]))


def outcomes(name: str) -> set[bool]:
    """What a value may turn out to be."""
    likely, undecided = VALUES[name]
    return {True, False} if undecided else {likely}


OPERATORS: dict[str, tuple[Callable[..., Any], Callable[..., bool]]] = {
    "and": (lambda a, b: a & b, lambda a, b: a and b),
    "or": (lambda a, b: a | b, lambda a, b: a or b),
}


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("first", VALUES)
@pytest.mark.parametrize("second", VALUES)
def test_a_combination_may_be_what_some_decision_makes_it(operator: str, first: str, second: str) -> None:
    combine, plainly = OPERATORS[operator]
    combined = combine(mask(first), mask(second))
    likely, undecided = (combined.likely, combined.undecided) if isinstance(combined, Mask) else (combined, [False])
    possible = {plainly(a, b) for a, b in itertools.product(outcomes(first), outcomes(second))}
    assert bool(likely[0]) is plainly(VALUES[first][0], VALUES[second][0])
    assert bool(undecided[0]) is (len(possible) > 1)


def test_the_truth_table_of_kleene_in_plain_numbers() -> None:
    unknown = mask("true?", "true?", "false?")
    known = np.array([True, False, True])
    both = unknown & known
    assert both.likely.tolist() == [True, False, False]
    assert both.undecided.tolist() == [True, False, True]
    either = known | unknown
    assert isinstance(either, Mask)
    assert either.undecided.tolist() == [False, True, False]


@pytest.mark.parametrize("name", VALUES)
def test_not(name: str) -> None:
    turned = ~mask(name)
    assert turned.likely[0] == (not VALUES[name][0])
    assert turned.undecided[0] == VALUES[name][1]


def test_a_decided_mask_is_a_plain_array() -> None:
    assert isinstance(decide(np.array([True]), np.array([False])), np.ndarray)
    assert isinstance(decide(np.array([True]), np.array([True])), Mask)
    assert isinstance(mask("true?") & np.array([False]), np.ndarray)


def test_a_mask_moves_as_an_array_does() -> None:
    table = mask("true", "false?", "true?", "false").reshape(2, 2)
    assert table.shape == (2, 2)
    assert table.T[1, 0].undecided == VALUES["false?"][1]
    assert np.expand_dims(table, 0).shape == (1, 2, 2)


def test_where_takes_the_hull_where_undecided() -> None:
    chosen = np.where(mask("true", "false", "true?", "false?"), Bounded(np.array(3.0), None, MODEL), -1.0)
    assert chosen.value.tolist() == [3.0, -1.0, 3.0, -1.0]
    bound = chosen.full_bound()
    assert bound[:2].tolist() == [0.0, 0.0]
    assert np.all(bound[2:] >= 4.0)
    assert np.all(bound[2:] < 4.001)


def test_where_has_no_hull_to_take_where_both_branches_are_one_number() -> None:
    with np.errstate(invalid="ignore"):
        same = np.where(mask("true?"), Bounded(np.array([np.inf]), None, MODEL), np.inf)
        unknown = np.where(mask("true?"), Bounded(np.array([np.inf]), None, MODEL), 1.0)
        strange = np.where(mask("true?"), Bounded(np.array([1.0]), None, MODEL), np.nan)
    assert same.full_bound().tolist() == [0.0]
    assert unknown.full_bound().tolist() == [np.inf]
    assert strange.full_bound().tolist() == [np.inf]


def test_where_of_balls_is_their_union() -> None:
    with ball_precision(100):
        hull = np.where(mask("true", "true?"), balls([1.0, 1.0]), balls([2.0, 2.0])).array
        assert hull[0] == 1
        assert hull[1].contains(1)
        assert hull[1].contains(2)


def test_guarded_keeps_the_argument_wherever_a_branch_may_be_taken() -> None:
    x = Bounded(np.array([1.0, 2.0, 3.0, 4.0]), None, MODEL)
    kept = guarded(x, mask("true", "false", "true?", "false?"), 7.0)
    assert kept.value.tolist() == [1.0, 7.0, 3.0, 4.0]
    assert guarded(np.array([1.0, 2.0]), np.array([True, False])).tolist() == [1.0, 0.0]


def test_arithmetic_with_a_mask_is_refused() -> None:
    for operation in (np.add, np.subtract, np.multiply, np.true_divide):
        with pytest.raises(MissingRuleError, match="arithmetic with a mask"):
            operation(mask("true?"), 2.0)
    for number in (Bounded(np.array([1.0]), None, MODEL), balls([1.0])):
        with pytest.raises(MissingRuleError, match="arithmetic with a mask"):
            mask("true?") * number


def test_where_between_two_plain_numbers_is_refused() -> None:
    with pytest.raises(MissingRuleError, match="make one of them a number of the arithmetic"):
        np.where(mask("true?"), 1.0, 2.0)
