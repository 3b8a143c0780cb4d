"""A history of calls, made on both sides and compared: after each of them every ``.grad`` lies within its bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.arithmetic import stored
from gradcheck.reference.accumulation import engine
from gradcheck.reference.accumulation.tape import Node, apply, constant
from gradcheck.subject.accumulation import Torch
from gradcheck.verdict.compare import error_ratios
from gradcheck.verdict.models import model_at

__all__ = ["Disagreement", "History", "Pair"]


class Disagreement(AssertionError):  # noqa: N818 - a finding, not an error of this code
    """PyTorch's ``.grad``, or the error it should have raised, is not what the model says."""


@dataclass(eq=False)
class Pair:
    """One array on both sides, and what it is called in a sentence."""

    name: str
    node: Node
    tensor: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return self.node.value.shape


@dataclass
class History:
    """Both sides of a history. Every method makes one call on each; ``calls`` says which were made.

    Raises Disagreement, with the calls so far, as soon as the sides differ. worst: largest error/bound met.
    """

    subject: Torch
    pairs: list[Pair] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    worst: float = 0.0

    def __post_init__(self) -> None:
        self.model = model_at("matmul", self.subject.dtype, self.subject.device)

    def leaf(self, array: np.ndarray, needs: bool = True) -> Pair:
        array = self.model.store.round(np.asarray(array, dtype=np.float64))
        return self._new(f"leaf{array.shape}", constant(array, self.model, needs), self.subject.leaf(array, needs))

    def apply(self, name: str, *operands: Pair, recording: bool = True) -> Pair:
        self.calls.append(f"{name}({', '.join(pair.name for pair in operands)}{'' if recording else ', no_grad'})")
        node = apply(name, *(pair.node for pair in operands), recording=recording)
        tensor = self.subject.apply(name, *(pair.tensor for pair in operands), recording=recording)
        pair = self._new(self.calls[-1], node, tensor)
        if tensor.requires_grad != node.needs:
            raise self._disagreement(f"{pair.name} has requires_grad={tensor.requires_grad}, should be {node.needs}")
        return pair

    def backward(
        self,
        root: Pair,
        cotangent: np.ndarray | None = None,
        keep: bool = False,
        create: bool = False,
        inputs: tuple[Pair, ...] = (),
    ) -> None:
        """``backward`` on both sides. Where the model raises, PyTorch has to raise in the same words; all ``.grad``
        are set to None then, since how far the pass came is not promised.
        """
        words = f"keep={keep}, create={create}, inputs={[pair.name for pair in inputs]}"
        self.calls.append(f"backward({root.name}, {words})")
        g = self._cotangent(root, cotangent)
        self._both(
            lambda: engine.backward(root.node, g, keep or create, tuple(pair.node for pair in inputs)),
            lambda: self.subject.backward(root.tensor, g, keep or create, create, tuple(p.tensor for p in inputs)),
        )
        self.compare()

    def gradient(self, root: Pair, leaf: Pair, cotangent: np.ndarray | None = None, keep: bool = True) -> None:
        """``torch.autograd.grad``, which leaves every ``.grad`` as it was."""
        self.calls.append(f"grad({root.name}, {leaf.name}, keep={keep})")
        g = self._cotangent(root, cotangent)
        found: dict[str, Any] = {}
        self._both(
            lambda: found.update(model=engine.gradients(root.node, g, keep, (leaf.node,)).get(leaf.node)),
            lambda: found.update(torch=self.subject.gradient(root.tensor, g, leaf.tensor, keep)),
        )
        if len(found) == 2:
            self._check(f"grad of {leaf.name}", found["torch"], found["model"])
        self.compare()

    def zero(self, leaves: list[Pair], to_none: bool) -> None:
        self.calls.append(f"zero_grad({[leaf.name for leaf in leaves]}, set_to_none={to_none})")
        for leaf in leaves:
            engine.zero(leaf.node, to_none)
        self.subject.zero([leaf.tensor for leaf in leaves], to_none)
        self.compare()

    def zero_in_place(self, leaf: Pair) -> None:
        self.calls.append(f"{leaf.name}.grad.zero_()")
        engine.zero(leaf.node, to_none=False)
        self.subject.zero_in_place(leaf.tensor)
        self.compare()

    def assign(self, leaf: Pair, array: np.ndarray | None) -> None:
        """Assign ``.grad``."""
        self.calls.append(f"{leaf.name}.grad = {'None' if array is None else 'an array'}")
        if array is not None:
            array = self.model.store.round(array)
        leaf.node.grad = None if array is None else constant(array, self.model).value
        self.subject.assign(leaf.tensor, array)
        self.compare()

    def hook(self, pair: Pair, factor: float) -> None:
        """A tensor hook that multiplies the gradient by a factor."""
        self.calls.append(f"{pair.name}.register_hook(g * {factor})")
        pair.node.hooks.append(factor)
        self.subject.hook(pair.tensor, factor)

    def retain(self, pair: Pair) -> None:
        self.calls.append(f"{pair.name}.retain_grad()")
        pair.node.retains = True
        self.subject.retain(pair.tensor)

    def require(self, leaf: Pair, needs: bool) -> None:
        self.calls.append(f"{leaf.name}.requires_grad_({needs})")
        leaf.node.needs = needs
        self.subject.require(leaf.tensor, needs)

    def scale(self, leaf: Pair, factor: float) -> None:
        """An in-place write to a leaf under ``no_grad``."""
        self.calls.append(f"{leaf.name}.mul_({factor})")
        engine.overwrite(leaf.node, stored(leaf.node.value * factor))
        self.subject.scale(leaf.tensor, factor)

    def compare(self) -> None:
        """Every ``.grad`` against the model's."""
        for pair in self.pairs:
            if pair.node.leaf or pair.node.retains:
                self._check(f"{pair.name}.grad", self.subject.grad_of(pair.tensor), pair.node.grad)

    def _new(self, name: str, node: Node, tensor: Any) -> Pair:
        pair = Pair(f"#{len(self.pairs)}" if self.pairs else "#0", node, tensor)
        self.calls.append(f"{pair.name} = {name}")
        self.pairs.append(pair)
        return pair

    def _cotangent(self, root: Pair, cotangent: np.ndarray | None) -> np.ndarray:
        return np.ones(root.shape) if cotangent is None else self.model.store.round(cotangent)

    def _both(self, ours: Callable[[], Any], theirs: Callable[[], Any]) -> None:
        expected = ""
        try:
            ours()
        except engine.Raises as error:
            expected = str(error)
        try:
            theirs()
        except RuntimeError as error:
            if not expected or expected not in str(error):
                words = f"raises {str(error).splitlines()[0]!r}, should {expected or 'not raise'!r}"
                raise self._disagreement(words) from None
        else:
            if expected:
                raise self._disagreement(f"does not raise; its message should contain {expected!r}")
        if expected:
            for pair in self.pairs:
                if pair.node.leaf or pair.node.retains:
                    pair.node.grad = None
                    self.subject.assign(pair.tensor, None)

    def _check(self, name: str, got: Any, model: Any) -> None:
        if (got is None) != (model is None):
            is_none, other = ("None", "an array") if got is None else ("an array", "None")
            raise self._disagreement(f"{name} is {is_none}, should be {other}")
        if got is None:
            return
        if got.shape != model.shape:
            raise self._disagreement(f"{name} has shape {got.shape}, should be {model.shape}")
        with np.errstate(all="ignore"):
            ratio = float(error_ratios(got, model).max(initial=0.0))
        if ratio > 1.0:
            value = np.asarray(model.value)
            raise self._disagreement(f"{name} is {got.tolist()}, should be {value.tolist()}: {ratio:.3g} × the bound")
        self.worst = max(self.worst, ratio)

    def _disagreement(self, words: str) -> Disagreement:
        return Disagreement("\n".join([f"in {self.subject.dtype}: {words}, after:", *self.calls]))
