"""What is recalled of the true formula is what the wrong one would have computed, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatch
from typing import Any

import numpy as np
import pytest

from gradcheck.arithmetic import Ball, ball_precision, balls, rounding_model
from gradcheck.arithmetic.deferred import Deferred
from gradcheck.arithmetic.functions import apart, stored
from gradcheck.arithmetic.mask import Mask
from gradcheck.arithmetic.packed import Packed
from gradcheck.arithmetic.running import Bounded, lift_array
from gradcheck.arithmetic.running_shares import Shares
from gradcheck.audit import recalled
from gradcheck.audit.equivalence import _exact
from gradcheck.audit.killing import fate_of
from gradcheck.audit.mutate import Mutant, mutants
from gradcheck.audit.recalled import Memory, Recalled, plain, same_bits
from gradcheck.audit.trials import Trial, Trials
from gradcheck.reference.evaluate import evaluate_all
from gradcheck.reference.registry import reference_named, references
from gradcheck.verdict.judge import Bounds, bounds_of

SAMPLED = {"huber_loss": 10, "layer_norm": 20, "lp_pool1d": 60}
"""Operations and every how many of their mutants are compared: kinks, sums, powers of what calls share."""


def compared(name: str, dtype: str, cases: int = 3) -> Iterator[tuple[Trial, Mutant, Bounds, Bounds]]:
    """Bounds with a memory, and without one, of what does not raise."""
    reference = reference_named(f"nn.functional.{name}")
    for trial in Trials(reference, dtype, 20, 0).small[::5][:cases]:
        assert not trial.ran or trial._recollections
        for mutant in list(mutants(reference))[:: SAMPLED[name]]:
            try:
                found = trial.bounds_by(mutant.reference)
                plainly = bounds_of(mutant.reference, trial.case, trial.arguments, trial.observed)
            except Exception:  # a wrong formula may raise anything
                continue
            yield trial, mutant, found, plainly


def differences(found: Bounds, plainly: Bounds) -> list[str]:
    assert found.keys() == plainly.keys()
    return [
        f"{grade} {name}"
        for grade, outputs in plainly.items()
        for name, output in outputs.items()
        if not same_bits(found[grade][name], output)
    ]


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("huber_loss", "float64"), ("huber_loss", "float16"), ("layer_norm", "bfloat16"), ("lp_pool1d", "float64")],
)
def test_bounds_are_those_of_an_evaluation_without_memory(name: str, dtype: str) -> None:
    others = 0
    for trial, mutant, found, plainly in compared(name, dtype):
        assert not differences(found, plainly), (str(trial.case), mutant.after)
        others += found is not trial.bounds
    assert others


def test_a_memory_that_takes_one_number_for_another_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a look at all of it, a result is taken for that of the true formula which looks like it."""
    monkeypatch.setattr(recalled, "_mark", lambda number: np.shape(getattr(number, "value", None)))
    monkeypatch.setattr(recalled, "same_bits", lambda a, b: type(a) is type(b) and a.shape == b.shape)
    assert any(differences(found, plainly) for _, _, found, plainly in compared("layer_norm", "float64"))


def test_exact_values_are_those_of_an_evaluation_without_memory() -> None:
    reference = reference_named("nn.functional.softmax")
    trial = next(t for t in Trials(reference, "float64", 12, 0) if t.case.specs["x"].kind == "ordinary")
    for mutant in list(mutants(reference))[::12]:
        with ball_precision(500):
            try:
                plainly = evaluate_all(mutant.reference, trial.known, trial.cotangent, balls, balls)
            except Exception:
                continue
            found = _exact(mutant.reference, trial, 500)
            assert all(same_bits(Ball(found[name]), balls(plainly[name])) for name in plainly)


def test_what_the_mutant_does_not_touch_is_not_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = reference_named("nn.functional.softmax")
    wrong = next(m for m in mutants(reference) if m.function.endswith("softmax") and m.operator == "stored")
    trial = next(t for t in Trials(reference, "float64", 12, 0) if t.ran)
    assert trial._recollections
    calls: list[Any] = []
    exp = Bounded.ufuncs[np.exp]
    monkeypatch.setitem(Bounded.ufuncs, np.exp, lambda *a: calls.append(a) or exp(*a))
    assert trial.bounds_by(wrong.reference) is trial.bounds  # nothing is rounded to store it in float64
    assert not calls
    assert trial.bounds_by(replace(reference, function=lambda x, **o: reference.function(x + x, **o)))
    assert calls


def given(memory: Memory, numbers: Any, key: str) -> Recalled:
    number: Recalled = memory.given(lift_array(np.asarray(numbers, dtype=np.float64), rounding_model("float32")), key)
    return number


def asked_for(number: Any) -> bool:
    return plain(number) is not number and number.place is not None


def test_what_is_recalled_is_made_anew_for_whoever_asks() -> None:
    """A square is known not to be negative, and a product of two equal numbers is not."""
    memory = Memory([1 << 20])
    x = given(memory, [-1.5, 3.0], "x")
    first, second = x + 1.0, x + 1.0
    assert first.place == second.place
    assert first.inner is not second.inner
    assert (first * first).inner.nonnegative
    assert not (first * second).inner.nonnegative
    assert (first * first).place != (first * second).place


def test_zeros_of_two_signs_are_two_numbers() -> None:
    memory = Memory([1 << 20])
    x = given(memory, [1.5, 3.0], "x")
    assert (x * 0.0).place != (x * -0.0).place
    assert (x * 1.0).place != (x * np.float64(2.0)).place
    assert np.where(np.array([True, False]), x, 0.0).place != np.where(np.array([False, True]), x, 0.0).place


def test_a_result_that_is_the_same_is_recognised_after_the_memory_is_closed() -> None:
    memory = Memory([1 << 20])
    x = given(memory, [1.5, 3.0], "x")
    three = x + x + x
    memory.close()
    again = given(memory, [1.5, 3.0], "x")
    assert (np.where(np.array([True, True]), again, 1.0) + again + again).place == three.place
    assert (np.where(np.array([True, False]), again, 1.0) + again + again).place is None
    assert isinstance(plain([again, (again,)])[1][0], Bounded)


def test_masks_and_pairs_keep_their_places() -> None:
    memory = Memory([1 << 20])
    x = given(memory, [1.0, 3.0], "x")
    third = x / 3.0
    mask = third * 3.0 <= 1.0
    assert isinstance(mask.inner, Mask)
    assert asked_for(np.where(mask, x, third))
    number, factor = apart(third)
    assert asked_for(number)
    assert asked_for(factor)
    assert stored(x) is x  # float32 stores what it computes with
    assert not hasattr(x, "__gradcheck_node__")


def test_no_room_is_no_memory() -> None:
    reference = reference_named("nn.functional.huber_loss")
    trials = Trials(reference, "float64", 12, 0)
    trial = next(trial for trial in trials if trial.ran)
    trial._room[0] = 0
    assert not trial._recollections
    wrong = next(m for m in mutants(reference) if m.operator == "sign")
    assert not differences(
        trial.bounds_by(wrong.reference), bounds_of(wrong.reference, trial.case, trial.arguments, trial.observed)
    )


def test_fates_do_not_hang_on_the_memory() -> None:
    reference = reference_named("nn.functional.hardsigmoid")
    wrong, found = list(mutants(reference))[::5], []
    for room in (0, 1 << 29):
        trials = Trials(reference, "float64", 12, 0)
        for trial in trials:
            trial._room[0] = room
        found.append([fate_of(mutant, {"float64": trials}) for mutant in wrong])
    assert found[0] == found[1]
    assert len(found[0]) > 10


def test_a_memory_that_fails_kills_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no fault of a wrong formula, by whose errors faults are found out."""
    reference = reference_named("nn.functional.hardsigmoid")
    trial = Trials(reference, "float64", 2, 0).small[0]
    monkeypatch.setattr(recalled, "_twin", lambda number: number.nothing)
    assert not trial._recollections
    assert not differences(trial.bounds_by(replace(reference)), trial.bounds)


@pytest.mark.parametrize("family", ["functional.[a-d]", "functional.[e-l]", "functional.[m-z]", "[A-Z]"])
def test_every_operation_can_be_recalled(family: str) -> None:
    """Rules may look at nothing but the numbers that they are given, and functions of them."""
    for reference in references().values():
        if fnmatch(reference.name, f"nn.{family}*"):
            trial = next(trial for trial in Trials(reference, "float32", 4, 0).small if trial.ran)
            assert trial._recollections, reference.name
            assert trial.bounds_by(replace(reference)) is trial.bounds, reference.name


def test_a_function_that_a_rule_calls_has_places_too() -> None:
    class Calls(Bounded):
        def __gradcheck_called__(self, function: Any, other: Any) -> Any:
            return function(self, other)

    memory = Memory([1 << 20])
    x = given(memory, [1.5, 3.0], "x")
    first = memory.given(Calls(x.inner.value, None, x.inner.model, 3.0), "first")
    assert asked_for(first.__gradcheck_called__(lambda a, b: a + b * x, x))
    memory.close()
    assert asked_for(first.__gradcheck_called__(lambda a, b: a + b * x, x))
    assert not asked_for(first.__gradcheck_called__(lambda a, b: a + b * x + 1.0, x))


def test_every_kind_of_number_is_known() -> None:
    """One of a new kind is told from the others by all that it holds, unless it is another form of the same number."""
    assert {Packed, Deferred} < set(Bounded.__subclasses__())
    assert set(Mask.__slots__) == {"likely", "undecided"}
    assert set(Ball.__slots__) == {"array"}
    x = lift_array(np.array([0.25, 0.5]), rounding_model("float32"))
    first, second = (Shares(x, np.float64(0.5), np.array([0.25, of_sum])) for of_sum in (0.25, 0.5))
    assert same_bits(first, Shares(x, np.float64(0.5), np.array([0.25, 0.25])))
    assert not same_bits(first, second)
    assert not same_bits(first, x)


def test_numbers_that_differ_in_one_thing_are_two() -> None:
    def one(**changes: Any) -> Bounded:
        number = Bounded(np.array([1.0, np.nan, -0.0]), np.array([0.5, 0.0, 0.0]), rounding_model("float32"), 2.0)
        for name, value in changes.items():
            setattr(number, name, value)
        return number

    assert same_bits(one(), one())
    zero, bound = np.array([1.0, np.nan, 0.0]), np.array([0.5, 0.25, 0.0])
    for change in ({"value": zero}, {"bound": bound}, {"bound": None}, {"floor": 0.0}, {"top": 3.0}, {"is_root": True}):
        assert not same_bits(one(), one(**change)), change
