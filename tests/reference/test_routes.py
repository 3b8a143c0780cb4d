"""Routes and nodes: the same mathematics another way, proved as the formulas are; and a wrong one is seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gradcheck.arithmetic import Dual, ball_precision, balls, expanded_nodes, tangent_of
from gradcheck.arithmetic.functions import node, written_over
from gradcheck.cases.case import parse_case
from gradcheck.cases.modes import ORACLES
from gradcheck.certify import certify
from gradcheck.reference.evaluate import evaluate
from gradcheck.reference.registry import Reference, reference_named, references
from gradcheck.verdict.judge import judge_case


def numbers(value: Any) -> Any:
    """The balls of an output, one after the other."""
    return balls(value).array.ravel()


ROUTES = [
    (operation, route) for operation in references().values() for route in dict.fromkeys(operation.routes.values())
]


def test_routes_are_of_modes_or_oracles() -> None:
    for operation in references().values():
        assert set(operation.routes) <= {*ORACLES, *ORACLES.values()}, operation.name


@pytest.mark.parametrize(("operation", "route"), ROUTES, ids=lambda part: getattr(part, "name", ""))
def test_a_route_is_proved_as_the_formula_is(operation: Reference, route: Any) -> None:
    """Its vjp is the derivative of its own forward, and its value and bound hold."""
    routed = replace(operation, function=route, routes={})
    summary = certify(routed, cases=6)
    assert not summary.failures, summary.failures


@pytest.mark.parametrize(("operation", "route"), ROUTES, ids=lambda part: getattr(part, "name", ""))
def test_a_route_has_the_value_of_the_formula(operation: Reference, route: Any) -> None:
    from gradcheck.cases.corpus import drawn_case
    from gradcheck.cases.inputs import arguments_of

    for index in range(4):
        arguments = arguments_of(drawn_case(operation, "float64", 0, index, "double"))
        with ball_precision(200), np.errstate(all="ignore"):
            plain, _ = evaluate(operation, arguments, balls, balls)
            routed, _ = evaluate(replace(operation, function=route), arguments, balls, balls)
            for name, value in plain.items():
                pairs = zip(numbers(value), numbers(routed[name]), strict=True)
                assert all(a.overlaps(b) for a, b in pairs if a.is_finite() and b.is_finite())


LOGITS = "nn.functional.binary_cross_entropy_with_logits"
NODES = [
    "nn.functional.normalize(x=ordinary(3, 5), p=3.0, dim=1, eps=1e-12) seed=1 dtype=float64",
    "nn.functional.normalize(x=ordinary(3, 5), p=1.5, dim=1, eps=1e-12) seed=2 dtype=float64",
    "nn.functional.normalize(x=ordinary(3, 5), p=0.5, dim=1, eps=1e-12) seed=3 dtype=float64",
    "nn.functional.softplus(x=ordinary(33), beta=1.7, threshold=2.0) seed=4 dtype=float64",
    "nn.functional.silu(x=ordinary(9)) seed=5 dtype=float64",
    "nn.functional.hardsigmoid(x=wide(33)) seed=6 dtype=float64",
    "nn.functional.hardswish(x=wide(33)) seed=7 dtype=float64",
    f"{LOGITS}(x=ordinary(9), target=inner(9)) seed=8 dtype=float64 mode=forward",
    f"{LOGITS}(x=ordinary(9), target=inner(9), weight=inner(9), pos_weight=inner(9)) seed=9 dtype=float64 mode=forward",
]


@pytest.mark.parametrize("line", NODES)
def test_the_formula_of_a_node_is_the_derivative_of_its_function(line: str) -> None:
    from gradcheck.cases.inputs import arguments_of

    case = parse_case(line)
    operation, arguments = reference_named(case.operation), arguments_of(case)
    operation = replace(operation, function=operation.routes.get(case.mode, operation.function))
    for moved in operation.differentiable_in(arguments):

        def tangent(moved: str = moved) -> Any:
            values, _ = evaluate(operation, arguments, moving(arguments[moved]), balls)
            return numbers(tangent_of(values["value"]))

        same_with_nodes_and_without(tangent)


def moving(moved: Any) -> Any:
    """Lifts arrays to balls, the one that moves to a dual number whose direction is itself."""
    return lambda array: Dual(balls(array), balls(array)) if array is moved else balls(array)


def same_with_nodes_and_without(evaluated: Any) -> None:
    with ball_precision(200):
        by_node = evaluated()
        with expanded_nodes():
            by_itself = evaluated()
    assert all(a.overlaps(b) for a, b in zip(by_node, by_itself, strict=True))
    assert any(not a.is_zero() for a in by_node)


TWICE = [
    "nn.functional.hardswish(x=wide(33)) seed=1 dtype=float64",
    "nn.functional.binary_cross_entropy(x=inner(9), target=inner(9), reduction='mean') seed=2 dtype=float64",
]


@pytest.mark.parametrize("line", TWICE)
def test_the_formula_of_a_node_in_a_gradient_is_the_derivative_of_its_function(line: str) -> None:
    from gradcheck.cases.inputs import arguments_of

    case = parse_case(line)
    operation, arguments = reference_named(case.operation), arguments_of(case)
    operation = replace(operation, function=operation.routes.get(case.mode, operation.function))
    for moved in operation.differentiable_in(arguments):

        def products(moved: str = moved) -> Any:
            values, pullback = evaluate(operation, arguments, moving(arguments[moved]), balls)
            cotangent = balls(np.full(np.shape(values["value"]), 1.5))
            gradients = pullback({"value": cotangent}).values()
            return np.concatenate([numbers(tangent_of(gradient)) for gradient in gradients])

        same_with_nodes_and_without(products)


def test_dual_numbers_take_the_formula_of_a_node_and_leave_it_where_told() -> None:
    def wrong(x: Any) -> Any:
        return node(np.sin, lambda y, x, dx: 7.0 * dx, x)

    x = Dual(np.array([0.5]), np.array([1.0]))
    assert float(tangent_of(wrong(x))[0]) == 7.0
    with expanded_nodes():
        assert float(tangent_of(wrong(x))[0]) == np.cos(0.5)
    assert float(wrong(np.array([0.5]))[0]) == np.sin(0.5)


def test_what_is_written_over_keeps_the_derivative_of_what_was_there() -> None:
    x = Dual(np.array([0.5]), np.array([3.0]))
    over = written_over(x, x * x)
    assert (float(over.primal[0]), float(over.tangent[0])) == (0.25, 3.0)
    assert float(written_over(np.array([0.5]), np.array([0.25]))[0]) == 0.25


LOGSIGMOID = "nn.functional.logsigmoid(x=ordinary(25)) seed=0 dtype=float64 mode=double"


def test_a_wrong_route_is_seen_in_its_modes_alone() -> None:
    logsigmoid = reference_named("nn.functional.logsigmoid")

    def halved(x: Any) -> Any:
        value, vjp = logsigmoid.routes["hvp"](x)
        return value, lambda g: {"x": 0.5 * vjp(g)["x"]}

    for mode, status in (("double", "deviates"), ("backward", "agrees")):
        case = parse_case(LOGSIGMOID).on(mode=mode)
        function = halved if mode == "double" else logsigmoid.function
        found = {verdict.status for verdict in judge_case(case, operation=replace(logsigmoid, function=function))}
        assert found == {status}


def test_a_formula_that_stands_in_for_its_own_takes_no_route() -> None:
    """A planted fault in the formula is judged in every mode, routed or not."""
    logsigmoid = reference_named("nn.functional.logsigmoid")

    def faulty(x: Any) -> Any:
        value, vjp = logsigmoid.function(x)
        return value, lambda g: {"x": 0.5 * vjp(g)["x"]}

    (verdict,) = judge_case(parse_case(LOGSIGMOID), operation=replace(logsigmoid, function=faulty))
    assert verdict.status == "deviates"


def test_modes_of_one_oracle_share_an_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    from gradcheck.verdict import oracles

    calls: list[str] = []
    plain = oracles._ORACLES["hvp"]
    monkeypatch.setitem(oracles._ORACLES, "hvp", lambda *args: (calls.append("hvp"), plain(*args))[1])
    case = parse_case("nn.functional.tanh(x=ordinary(4)) seed=12345 dtype=float64")
    for mode in ("double", "func.double", "forward-over-reverse", "reverse-over-forward"):
        assert {verdict.status for verdict in judge_case(case.on(mode=mode))} == {"agrees"}
    assert len(calls) == 1
    judge_case(case.on(mode="double", seed=12346))
    assert len(calls) == 2
