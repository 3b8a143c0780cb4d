"""The proofs of the bounds find a rule that is too small, wherever it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.lib.mixins import NDArrayOperatorsMixin

from gradcheck.arithmetic import Bounded, RoundingModel, ball_precision, balls, rounding_model
from gradcheck.arithmetic.carrier import HAS_WIDE
from gradcheck.cases.case import Case
from gradcheck.cases.inputs import arguments_of, cotangents_of
from gradcheck.certify.bounds import compare_with_simulation, compare_with_truth, exact_ball, special_values_differ
from gradcheck.certify.draw import any_case, smooth_case
from gradcheck.reference.evaluate import bounded_outputs, evaluate_all
from gradcheck.reference.registry import reference_named


def drawn(name: str, cases: int = 12) -> list[Case]:
    operation = reference_named(name)
    return [draw(operation, 0, i) for i in range(cases // 2) for draw in (smooth_case, any_case)]


def worst_simulated(name: str) -> float:
    return max(max(compare_with_simulation(reference_named(name), case)[0].values()) for case in drawn(name))


def worst_truth(name: str) -> float:
    ratios = [compare_with_truth(reference_named(name), case, 160)[0] for case in drawn(name)]
    return max(ratio for ratio in ratios if ratio is not None)


def scaled(rule: Callable[..., Any], factor: float) -> Callable[..., Any]:
    """A rule whose bound is ``factor`` times as large."""

    def tampered(*operands: Any, **options: Any) -> Any:
        result = rule(*operands, **options)
        return Bounded(result.value, None if result.bound is None else result.bound * factor, result.model)

    return tampered


def without_operand_errors(rule: Callable[..., Any]) -> Callable[..., Any]:
    """A rule that takes its operands for exact."""

    def tampered(*operands: Any, **options: Any) -> Any:
        exact = [Bounded(x.value, None, x.model) if isinstance(x, Bounded) else x for x in operands]
        return rule(*exact, **options)

    return tampered


def plant(monkeypatch: pytest.MonkeyPatch, function: Any, tamper: Callable[[Callable[..., Any]], Any]) -> None:
    """Put a tampered rule in the place of a function's own, for operators (which have a short cut) as well."""
    table = Bounded.ufuncs if isinstance(function, np.ufunc) else Bounded.functions
    monkeypatch.setitem(table, function, tamper(table[function]))
    for name in ("add", "sub", "mul", "truediv"):
        for operator in (f"__{name}__", f"__r{name}__"):
            monkeypatch.setattr(Bounded, operator, getattr(NDArrayOperatorsMixin, operator))


RULES: dict[str, tuple[str, Any, Callable[[Callable[..., Any]], Callable[..., Any]]]] = {
    "half a rounding of a product": ("nn.functional.silu", np.multiply, lambda rule: scaled(rule, 0.5)),
    "half the error of exp": ("nn.functional.elu", np.expm1, lambda rule: scaled(rule, 0.5)),
    "a sum of exact terms only": ("nn.functional.mse_loss", np.sum, without_operand_errors),
    "a quotient that forgets its operands": ("nn.functional.softmax", np.true_divide, without_operand_errors),
    "a sum without rounding": ("nn.functional.nll_loss", np.sum, lambda rule: scaled(rule, 0.0)),
    "an exact square root": ("nn.functional.layer_norm", np.sqrt, lambda rule: scaled(rule, 0.0)),
}


@pytest.mark.parametrize("fault", RULES)
def test_simulated_rounding_leaves_a_bound_that_is_too_small(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, function, tamper = RULES[fault]
    assert worst_simulated(name) <= 1.0
    plant(monkeypatch, function, tamper)
    assert worst_simulated(name) > 1.0


def test_a_storage_rounding_that_is_forgotten_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert worst_simulated("nn.functional.sigmoid") <= 1.0
    monkeypatch.setattr(Bounded, "__gradcheck_stored__", lambda self: self)
    assert worst_simulated("nn.functional.sigmoid") > 1.0


def test_the_sum_factor_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RoundingModel, "sum_factor", lambda self, terms: 0.1 * self.unit)
    assert worst_simulated("nn.functional.linear") > 1.0


@pytest.mark.parametrize(
    ("name", "function"),
    [("nn.functional.elu", np.expm1), ("nn.functional.tanh", np.tanh), ("nn.functional.mish", np.tanh)],
)
def test_the_truth_is_outside_a_bound_that_leaves_float64_out(
    name: str, function: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert worst_truth(name) <= 1.0
    plant(monkeypatch, function, lambda rule: scaled(rule, 0.0))
    assert worst_truth(name) > 1.0


def test_a_bound_that_is_right_is_not_beaten_by_the_truth_by_half() -> None:
    """Half of float64's bound is the subject's: the reference itself uses up no more than the other half."""
    names = ("nn.functional.gelu", "nn.functional.layer_norm", "nn.functional.softmax", "nn.functional.mse_loss")
    assert max(worst_truth(name) for name in names) <= 0.5


def worst_wide_truth(name: str) -> float:
    """Worst error of the values in the wide carrier, from the Arb truth, over their bounds."""
    operation, model, worst = reference_named(name), rounding_model("float64", wide=True), 0.0
    for case in drawn(name):
        outputs = bounded_outputs(operation, arguments_of(case), cotangents_of(case), model)
        with ball_precision(600), np.errstate(all="ignore"):
            truth = evaluate_all(operation, arguments_of(case), cotangents_of(case), balls, balls)
            for key, output in outputs.items():
                for index in np.ndindex(*output.shape):
                    ball, bound = balls(truth[key]).array[index], float(output.full_bound()[index])
                    if ball.is_finite() and 0.0 < bound < np.inf:
                        off = abs(ball - exact_ball(np.asarray(output.value)[index])).abs_upper() / bound
                        worst = max(worst, float(off))
    return worst


NEXT_TO_NOTHING = 2.0**-4
"""Of a bound: the wide erf, the least accurate, takes up a 20th of its own."""


@pytest.mark.skipif(not HAS_WIDE, reason="np.longdouble is no wider than float64 here")
def test_a_wider_reference_uses_up_next_to_nothing_of_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("nn.functional.gelu", "nn.functional.layer_norm", "nn.functional.softmax", "nn.functional.mse_loss")
    assert max(worst_wide_truth(name) for name in names) <= NEXT_TO_NOTHING

    def narrowed(rule: Callable[..., Any]) -> Callable[..., Any]:
        def tampered(*operands: Any) -> Any:
            result = rule(*operands)
            return Bounded(result.value.astype(np.float64), result.bound, result.model)

        return tampered

    plant(monkeypatch, np.exp, narrowed)
    assert worst_wide_truth("nn.functional.softmax") > NEXT_TO_NOTHING


def test_the_sentence_names_the_case_the_output_and_the_excess(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, np.multiply, lambda rule: scaled(rule, 0.25))
    case = smooth_case(reference_named("nn.functional.silu"), 0, 1)
    sentences = compare_with_simulation(reference_named("nn.functional.silu"), case)[1]
    assert sentences
    assert all(
        words.startswith("nn.functional.silu(") and words.endswith("times the bound apart.") for words in sentences
    )


def test_a_special_value_that_is_lost_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that makes numbers of NaN."""
    operation = reference_named("nn.functional.tanhshrink")
    special = [case for i in range(40) if "special" in str(case := any_case(operation, 0, i))]
    assert special
    assert [special_values_differ(operation, case) for case in special] == [""] * len(special)
    rule = Bounded.ufuncs[np.tanh]

    def without_nan(a: Bounded) -> Bounded:
        result = rule(a)
        return Bounded(np.nan_to_num(result.value), result.bound, result.model)

    monkeypatch.setitem(Bounded.ufuncs, np.tanh, without_nan)
    words = [special_values_differ(operation, case) for case in special]
    assert any("is nan in float64, but" in sentence for sentence in words)


def test_a_lost_sign_of_zero_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    operation = reference_named("nn.functional.tanh")
    special = [case for i in range(40) if "special" in str(case := any_case(operation, 0, i))]
    rule = Bounded.ufuncs[np.tanh]

    def unsigned(a: Bounded) -> Bounded:
        result = rule(a)
        return Bounded(result.value + 0.0, result.bound, result.model)

    monkeypatch.setitem(Bounded.ufuncs, np.tanh, unsigned)
    assert any(special_values_differ(operation, case) for case in special)
