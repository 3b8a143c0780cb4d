"""Random histories agree with PyTorch; planted faults do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from gradcheck.subject.accumulation import Torch
from gradcheck.verdict.accumulation import Disagreement, History
from tests.accumulation.machine import Accumulation

HISTORIES = settings(max_examples=settings.default.max_examples * 3, stateful_step_count=25, deadline=None)


def test_random_histories_agree_with_pytorch() -> None:
    run_state_machine_as_test(Accumulation, settings=HISTORIES)


class _SkipsOne(Torch):
    """zero_grad that leaves out the last parameter, if there are several."""

    def zero(self, leaves: list[torch.Tensor], to_none: bool) -> None:
        super().zero(leaves[: max(1, len(leaves) - 1)], to_none)


class _FiresTwice(Torch):
    """A hook that fires twice."""

    def hook(self, tensor: torch.Tensor, factor: float) -> None:
        tensor.register_hook(lambda g: g * factor * factor)


class _Overwrites(Torch):
    """backward that sets .grad where it has to add."""

    def backward(self, root: torch.Tensor, cotangent: np.ndarray, keep: bool, create: bool, inputs: Any) -> None:
        for leaf in _leaves_of(root.grad_fn):
            leaf.grad = None
        super().backward(root, cotangent, keep, create, inputs)


class _Accumulates(Torch):
    """autograd.grad that writes into .grad."""

    def gradient(self, root: torch.Tensor, cotangent: np.ndarray, leaf: torch.Tensor, keep: bool) -> Any:
        found = super().gradient(root, cotangent, leaf, keep)
        if found is not None:
            self.assign(leaf, found)
        return found


class _KeepsGraphs(Torch):
    """backward that never frees the graph."""

    def backward(self, root: torch.Tensor, cotangent: np.ndarray, keep: bool, create: bool, inputs: Any) -> None:
        super().backward(root, cotangent, True, create, inputs)


class _IgnoresInputs(Torch):
    """backward(inputs=…) that reaches all leaves."""

    def backward(self, root: torch.Tensor, cotangent: np.ndarray, keep: bool, create: bool, inputs: Any) -> None:
        super().backward(root, cotangent, keep, create, ())


class _NoVersion(Torch):
    """An in-place write that the version counter does not see."""

    def scale(self, leaf: torch.Tensor, factor: float) -> None:
        leaf.data.mul_(factor)


def _leaves_of(node: Any) -> list[torch.Tensor]:
    if node is None:
        return []
    if hasattr(node, "variable"):
        return [node.variable]
    return [leaf for below, _ in node.next_functions for leaf in _leaves_of(below)]


PASSES = ("backward(", "grad(")


@pytest.mark.parametrize(
    ("fault", "words", "calls"),
    [
        (_SkipsOne, ".grad is", ("zero_grad(",)),
        (_FiresTwice, "× the bound", PASSES),
        (_Overwrites, "× the bound", ("backward(",)),
        (_Accumulates, ".grad is", ("grad(",)),
        (_KeepsGraphs, "should contain 'second time'", PASSES),
        (_IgnoresInputs, ".grad is", ("backward(",)),
        (_NoVersion, "modified by an inplace operation", PASSES),
    ],
)
def test_a_planted_fault_is_caught_and_named(fault: type[Torch], words: str, calls: tuple[str, ...]) -> None:
    """The message says what is wrong, and its last line is the call that did it."""
    machine = type("Faulty", (Accumulation,), {"subject": fault, "dtypes": ("float64",)})
    many = settings(
        HISTORIES,
        max_examples=3000,
        derandomize=True,
        database=None,
        report_multiple_bugs=False,
        phases=[Phase.generate],
    )
    with pytest.raises(Disagreement) as caught:
        run_state_machine_as_test(machine, settings=many)
    assert words in str(caught.value)
    assert "after:" in str(caught.value)
    assert str(caught.value).splitlines()[-1].startswith(calls)


def test_a_gradient_stolen_where_it_must_be_copied_is_caught() -> None:
    """The cotangent that the caller passed must not become ``.grad``: the next backward would change it."""

    class Steals(Torch):
        def backward(self, root: torch.Tensor, cotangent: np.ndarray, keep: bool, create: bool, inputs: Any) -> None:
            super().backward(root, cotangent, keep, create, inputs)
            for leaf in _leaves_of(root.grad_fn):
                self.stolen = leaf.grad = getattr(self, "stolen", leaf.grad)

    history = History(Steals("float64"))
    a, b = history.leaf(np.ones(3)), history.leaf(np.full(3, 2.0))
    history.backward(history.apply("multiply", a, a))
    with pytest.raises(Disagreement, match=r"\.grad is"):
        history.backward(history.apply("multiply", b, b))
