"""Evaluation: the contract of a reference is checked, blocks give what the whole gives, numbers are lifted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gradcheck.arithmetic import Ball, Bounded, balls, rounding_model
from gradcheck.cases.inputs import Bits
from gradcheck.errors import ContractError
from gradcheck.reference import evaluate as module
from gradcheck.reference.evaluate import bounded_outputs, evaluate, float64_outputs, gradient_name
from gradcheck.reference.registry import Reference, reference_named

MODEL = rounding_model("float32")


def ones(output: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.ones(shape)


def broken(function: Callable[..., Any]) -> Reference:
    return replace(reference_named("nn.functional.silu"), name="example", function=function)


def outputs(function: Callable[..., Any]) -> Any:
    return float64_outputs(broken(function), {"x": np.ones((2, 3))}, ones)


CONTRACTS: dict[str, tuple[Callable[..., Any], str]] = {
    "no vjp": (lambda x: x, r"example: the reference has to return \(value, vjp\), got ndarray\."),
    "a vjp that cannot be called": (lambda x: (x, x), r"has to return \(value, vjp\), got tuple\."),
    "no gradient": (lambda x: (x, lambda g: {}), r"example: the vjp returns gradients of \[\], expected \['x'\]\."),
    "another name": (
        lambda x: (x, lambda g: {"input": g}),
        r"example: the vjp returns gradients of \['input'\], expected \['x'\]\.",
    ),
    "one too many": (lambda x: (x, lambda g: {"x": g, "y": g}), r"gradients of \['x', 'y'\], expected \['x'\]\."),
    "another shape": (
        lambda x: (x, lambda g: {"x": g.T}),
        r"example: grad\[x\] has shape \(3, 2\), expected \(2, 3\)\.",
    ),
    "a shape that would broadcast": (
        lambda x: (x, lambda g: {"x": g[:1]}),
        r"example: grad\[x\] has shape \(1, 3\), expected \(2, 3\)\.",
    ),
}


@pytest.mark.parametrize("fault", CONTRACTS)
def test_a_broken_contract_is_a_sentence(fault: str) -> None:
    function, words = CONTRACTS[fault]
    with pytest.raises(ContractError, match=words):
        outputs(function)


def test_a_kept_contract_is_silent() -> None:
    got = outputs(lambda x: (2.0 * x, lambda g: {"x": 2.0 * g}))
    assert {name: output.tolist() for name, output in got.items()} == {
        "value": [[2.0] * 3] * 2,
        "grad[x]": [[2.0] * 3] * 2,
    }
    assert gradient_name("x") == "grad[x]"


def test_arrays_without_gradient_are_not_expected() -> None:
    arguments = {"x": np.zeros((2, 3)), "target": np.array([0, 2]), "weight": np.ones(3)}
    got = float64_outputs(reference_named("nn.functional.cross_entropy"), arguments, ones)
    assert set(got) == {"value", "grad[x]"}


def test_hyperparameters_and_their_defaults_are_lifted() -> None:
    seen: list[Any] = []

    def example(x: Any, *, beta: Any = 0.5, gamma: Any = 0.25, dim: int = 0, mode: str = "a") -> Any:
        seen.extend([beta, gamma, dim, mode])
        return x, lambda g: {"x": g}

    evaluate(broken(example), {"x": np.ones(2), "beta": 0.1}, balls, balls)
    assert isinstance(seen[0], Ball)
    assert isinstance(seen[1], Ball)
    assert seen[2:] == [0, "a"]


def test_a_vjp_may_be_called_twice() -> None:
    """The closure keeps its own intermediates: a second forward does not disturb the first vjp."""
    silu = reference_named("nn.functional.silu")
    first, first_vjp = evaluate(silu, {"x": np.array([1.0])}, np.asarray, float)
    alone = first_vjp({"value": np.ones(1)})["grad[x]"]
    evaluate(silu, {"x": np.array([5.0])}, np.asarray, float)
    assert first_vjp({"value": np.ones(1)})["grad[x]"] == alone
    assert first["value"].shape == (1,)


BLOCKED: dict[str, dict[str, Any]] = {
    "silu": {"x": (40, 7)},
    "softmax": {"x": (40, 7), "dim": 1, "dtype": None},
    "log_softmax": {"x": (40, 7), "dim": -1, "dtype": None},
    "layer_norm": {"x": (40, 7), "weight": (7,), "bias": (7,), "normalized_shape": (7,), "eps": 1e-5},
}


@pytest.mark.parametrize("name", BLOCKED)
def test_blocks_of_rows_give_what_the_whole_gives(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    operation = reference_named(f"nn.functional.{name}")
    bits = Bits("blocks", name)
    arguments = {
        key: bits.bell(int(np.prod(value))).reshape(value) if key in operation.arrays else value
        for key, value in BLOCKED[name].items()
    }
    cotangent = bits.bell(280).reshape(40, 7)
    monkeypatch.setattr("gradcheck.arithmetic.running_reductions.ORDERED_ELEMENTS", 0)  # blocks do not order terms
    whole = bounded_outputs(operation, arguments, lambda output, shape: cotangent, MODEL)
    monkeypatch.setattr(module, "BLOCK_ELEMENTS", 40)
    monkeypatch.setattr(module, "kernels", lambda: None)  # compiled loops have larger blocks
    blocks = bounded_outputs(operation, arguments, lambda output, shape: cotangent, MODEL)
    assert whole.keys() == blocks.keys()
    for output, one in whole.items():
        many = blocks[output]
        assert isinstance(many, Bounded)
        assert many.shape == one.shape
        # Sums over the batch are added up in another order, and differ by float64's own rounding.
        apart = np.abs(many.value - one.value)
        assert np.all(apart <= np.minimum(one.full_bound(), many.full_bound()) * 2.0**-20)
        # Their bound is that of the whole sum, however it is cut.
        assert np.all(many.full_bound() >= one.full_bound() * (1.0 - 2.0**-20))
        assert np.all(many.full_bound() <= one.full_bound() * 1.5)


def test_an_operation_without_rows_is_evaluated_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_ELEMENTS", 2)
    softmax = reference_named("nn.functional.softmax")
    got = bounded_outputs(softmax, {"x": np.zeros((6, 2)), "dim": 0, "dtype": None}, ones, MODEL)
    assert np.all(got["value"].value == 1.0 / 6.0)
