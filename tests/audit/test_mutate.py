"""Mutants are references of their own: wrong where they say, and the true references stay as they are."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from gradcheck.audit.mutate import Mutant, mutants
from gradcheck.reference.evaluate import float64_outputs
from gradcheck.reference.registry import reference_named, references

X = np.array([-3.0, -0.5, 0.0, 0.5, 3.0])


def outputs(reference, **words):
    return float64_outputs(reference, {"x": X, **words}, lambda output, shape: np.ones(shape))


def mutant_of(name: str, before: str, after: str) -> Mutant:
    (found,) = [m for m in mutants(reference_named(name)) if before in m.before and after in m.after]
    return found


def test_a_mutant_computes_what_its_line_says() -> None:
    wrong = mutant_of("nn.functional.relu", "zero = x <= 0", "zero = x > 0")
    assert outputs(wrong.reference)["value"].tolist() == np.minimum(X, 0.0).tolist()


def test_a_function_that_another_calls_is_mutated_for_it_alone() -> None:
    wrong = mutant_of("nn.functional.relu6", "low | high", "low & high")
    assert wrong.function.endswith("rectifier.hardtanh")
    assert outputs(wrong.reference)["grad[x]"].tolist() == [1.0] * 5
    untouched = outputs(reference_named("nn.functional.hardtanh"), min_val=0.0, max_val=6.0)
    assert untouched["grad[x]"].tolist() == outputs(reference_named("nn.functional.relu6"))["grad[x]"].tolist()


def test_a_function_of_another_module_is_mutated_too() -> None:
    places = {m.function.rpartition(".")[2] for m in mutants(reference_named("nn.functional.cross_entropy"))}
    assert {"cross_entropy", "nll_loss", "log_softmax", "_at_least_1d", "_mixed"} <= places


def test_an_ignored_parameter_has_its_default() -> None:
    wrong = mutant_of("nn.functional.hardshrink", "lambd = lambd", "lambd = 0.5")
    own = reference_named("nn.functional.hardshrink")
    given, default = outputs(wrong.reference, lambd=np.float64(4.0)), outputs(own, lambd=np.float64(0.5))
    assert given["value"].tolist() == default["value"].tolist()
    assert outputs(own, lambd=np.float64(4.0))["value"].tolist() != default["value"].tolist()


def test_making_mutants_leaves_the_references_alone() -> None:
    before = outputs(reference_named("nn.functional.silu"))
    first = [(m.operator, m.before, m.after) for m in mutants(reference_named("nn.functional.silu"))]
    again = [(m.operator, m.before, m.after) for m in mutants(reference_named("nn.functional.silu"))]
    assert first == again
    after = outputs(reference_named("nn.functional.silu"))
    assert all(np.array_equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("name", references())
def test_every_reference_has_mutants_with_its_own_signature(name: str) -> None:
    reference = reference_named(name)
    found = list(islice(mutants(reference), 40))
    assert len(found) >= 4  # sigmoid is two calls
    for mutant in found:
        assert mutant.reference.arrays == reference.arrays
        assert mutant.reference.hyperparameters == reference.hyperparameters
        assert mutant.reference.function is not reference.function
