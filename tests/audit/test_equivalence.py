"""Exact arithmetic tells a fault from another way to write the same formula."""

from __future__ import annotations

import pytest

from gradcheck.audit.equivalence import bound_ratios, same_values
from gradcheck.audit.mutate import Mutant, mutants
from gradcheck.audit.trials import Trials
from gradcheck.reference.registry import reference_named


def find(name: str, before: str, after: str) -> tuple[Mutant, Trials]:
    reference = reference_named(f"nn.functional.{name}")
    mutant = next(m for m in mutants(reference) if before in m.before and after in m.after)
    return mutant, Trials(reference, "float64", 24, 0)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("hardsigmoid", "value = node", "x < -3.0"),  # 0 on both sides
        ("huber_loss", "inside = z <= delta", "inside = z < delta"),  # both branches meet
        ("softmax", "e = np.exp", "rows + fixed(np.max"),  # any shift of a row will do
        ("sigmoid", "saved = stored(y)", "saved = y"),
        (
            "rrelu",
            "value = np.where(negative",
            "value = before_storing(slopes) * x",
        ),  # PyTorch draws 1 where x is positive
        ("softplus", "log1p", "log1p(np.exp(beta * x)) / beta"),  # the guard keeps warnings away, nothing else
    ],
)
def test_these_are_the_same_formula(name: str, before: str, after: str) -> None:
    mutant, trials = find(name, before, after)
    assert same_values(mutant.reference, trials) == "exact"


def test_a_constant_that_is_rounded_in_float64_is_no_fault() -> None:
    """PyTorch, too, has the float64 number nearest to 1/p."""
    mutant, trials = find("lp_pool1d", "number(1.0, like) / p", "return 1.0 / p")
    assert same_values(mutant.reference, trials) == "rounded"


@pytest.mark.parametrize(
    ("name", "after"),
    [
        ("relu", "zero = x < 0"),  # the gradient at 0 alone
        ("hardswish", "low, high = (x <= -3.0, x >= 3.0000457763671875)"),
        ("log_softmax", "shifted = rows"),  # rows with an infinity alone
        ("gelu", "slope, cubic = (np.sqrt(2.0 / pi(x)), number(0.04471568229675293, x))"),
        ("lp_pool1d", "none = empty | (mean == 1.0)"),
        ("silu", "return -(along * s * (1.0 + x * (1.0 - s)))"),
    ],
)
def test_these_are_not(name: str, after: str) -> None:
    reference = reference_named(f"nn.functional.{name}")
    (mutant,) = [m for m in mutants(reference) if m.after == after]
    assert not same_values(mutant.reference, Trials(reference, "float64", 60, 0))


def test_bounds_tell_two_equal_formulas_apart() -> None:
    reference = reference_named("nn.functional.softmax")
    shifted = next(m for m in mutants(reference) if "rows + fixed(np.max" in m.after)
    trial = next(t for t in Trials(reference, "float64", 12, 0) if t.case.specs["x"].kind == "ordinary")
    low, high, changed = bound_ratios(trial.bounds, trial.bounds_by(shifted.reference))
    assert low <= 1.0 < high
    assert changed
    assert bound_ratios(trial.bounds, trial.bounds_by(reference)) == (1.0, 1.0, False)
