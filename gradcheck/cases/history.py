"""What a case of an optimizer stands for: parameters, their gradients step by step, and the options of their groups."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gradcheck.cases.case import Case
from gradcheck.cases.inputs import Bits, make_array
from gradcheck.cases.layouts import LAYOUTS
from gradcheck.errors import UsageError, choices
from gradcheck.formats import format_named
from gradcheck.reference.optim.options import MATRICES, TENSOR_FORMATS, TENSORS, refusal
from gradcheck.reference.optim.rule import HISTORY, StepRule
from gradcheck.reference.registry import entry_named

__all__ = ["History", "step_rule_named"]


def step_rule_named(name: str) -> StepRule:
    """The step rule called ``name`` in full. Raises UsageError where there is none."""
    entry = entry_named(name)
    if not isinstance(entry, StepRule):
        raise UsageError(f"{name} is no optimizer with a step rule, but of kind {entry.kind!r}.")
    return entry


def _pairs(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in value)


def _held(value: Any, form: str) -> Any:
    """A number, or several, as a tensor of that dtype holds it."""
    if isinstance(value, tuple):
        return tuple(_held(part, form) for part in value)
    return float(format_named(form).round(np.float64(value)))


@dataclass(frozen=True)
class History:
    """A case read as a history of an optimizer. Arrays are float64 holding numbers of the case's dtype."""

    case: Case

    @cached_property
    def rule(self) -> StepRule:
        return step_rule_named(self.case.operation)

    def check(self) -> None:
        """Raises UsageError where the case says what no history can be, or asks for what the optimizer has not."""
        wrong = self._wrong()
        if wrong:
            raise UsageError(f"case {self.case}: {wrong}.")

    def _wrong(self) -> str:
        if self.case.mode not in self.rule.modes:
            return f"{self.rule.name} has no implementation {self.case.mode!r}; expected {choices(self.rule.modes)}"
        if not isinstance(steps := self.of("steps"), int | None) or (steps is not None and steps < 1):
            return f"steps={steps!r}, expected 1 or more"
        if wrong := refusal(self.rule.name, self.rule.options, self.options(0)):
            return wrong
        for i, param in enumerate(self.params if self.rule.name in MATRICES else ()):
            if (2 if self.of("complex") else param.ndim) != 2:
                return f"param{i} has shape {param.shape}: {self.rule.name} takes matrices alone"
        group = self.of("group1")
        if not _pairs(group) or not {name for name, _ in group} <= self.rule.options.keys():
            return f"group1={group!r}, expected pairs of an option of {self.rule.name} and its value"
        if wrong := refusal(self.rule.name, self.rule.options, {**self.options(0), **dict(group)}):
            return f"in group1, {wrong}"
        for word in ("missing", "zeroed"):
            places = self.of(word)
            if not _pairs(places) or not all(
                s in range(self.steps) and i in range(len(self.params)) for s, i in places
            ):
                return f"{word}={places!r}, expected pairs of a step (from 0) and a parameter (from 0) that there are"
        if wrong := self._wrong_tensor():
            return wrong
        if (layout := self.of("grad_layout")) not in (HISTORY["grad_layout"], *LAYOUTS):
            return f"grad_layout={layout!r}, expected {choices(LAYOUTS)}"
        if self.of("complex") and any(param.shape[-1:] != (2,) for param in self.params):
            return "complex numbers are pairs: the last side of every parameter has to be 2"
        return ""

    def _wrong_tensor(self) -> str:
        for option, names in TENSORS.items():
            form = self.of(f"{option}_tensor")
            if form not in (None, *TENSOR_FORMATS):
                return f"{option}_tensor={form!r}, expected None or a dtype: {choices(TENSOR_FORMATS)}"
            if form and option not in self.rule.options:
                return f"{option}_tensor={form!r}, but {self.rule.name} has no {option}"
            if form and names and self.rule.name not in names:
                return f"{option}_tensor={form!r}, expected None: {self.rule.name} takes {option} as numbers alone"
        return ""

    @cached_property
    def _given(self) -> dict[str, Any]:
        return dict(self.case.arguments)

    def of(self, word: str) -> Any:
        """One of the words that describe the history (see ``rule.HISTORY``)."""
        return self._given.get(word, HISTORY[word])

    @cached_property
    def params(self) -> list[np.ndarray]:
        """The parameters before the first step."""
        form, specs = format_named(self.case.dtype), self.case.specs
        names = [name for name in specs if name.startswith("param")]
        for i, name in enumerate(names):
            if name != f"param{i}" or f"grad{i}" not in specs:
                raise UsageError(f"case {self.case}: parameters have to be param0, grad0, param1, grad1, … in order.")
        return [make_array(specs[name], form, self.case.seed, name) for name in names]

    @cached_property
    def _grads(self) -> list[np.ndarray]:
        form, specs = format_named(self.case.dtype), self.case.specs
        grads = []
        for i, param in enumerate(self.params):
            spec = specs[f"grad{i}"]
            if spec.shape != (self.steps, *param.shape):
                expected = (self.steps, *param.shape)
                raise UsageError(f"case {self.case}: grad{i} has shape {spec.shape}, expected {expected}.")
            grads.append(make_array(spec, form, self.case.seed, f"grad{i}"))
        return grads

    @cached_property
    def steps(self) -> int:
        """Number of steps; by default the first side of the gradients."""
        shape = self.case.specs["grad0"].shape
        return int(self.of("steps") or (shape[0] if shape else 0))

    def grad(self, step: int, i: int) -> np.ndarray | None:
        """The gradient of parameter i at step number ``step`` (from 0); None where it has none."""
        if (step, i) in self.of("missing"):
            return None
        grad = self._grads[i][step]
        if (step, i) in self.of("zeroed"):
            grad = np.zeros(grad.shape)
        rows = self.rows(step, i)
        if rows is None:
            return grad
        return np.where(rows.reshape(-1, *(1,) * (grad.ndim - 1)), grad, 0.0)

    def rows(self, step: int, i: int) -> np.ndarray | None:
        """Which rows of a sparse gradient are there; None where gradients are dense. About a third is missing."""
        grad = self._grads[i][step]
        if not self.of("sparse") or not grad.ndim:
            return None
        return Bits("rows", self.case.seed, step, i).below(3, grad.shape[0]) > 0

    def last_group(self, i: int) -> int:
        """The number of the group that parameter i is in."""
        return int(bool(self.of("group1")) and len(self.params) > 1 and i == len(self.params) - 1)

    def options(self, group: int) -> dict[str, Any]:
        """The options of a group, as the case has them: Python's numbers, tuples, booleans, names."""
        known = self.rule.options
        options = {name: value for name, value in self._given.items() if name in known}
        return {**options, **dict(self.of("group1"))} if group else options

    def full_options(self, i: int) -> dict[str, Any]:
        """Every option of parameter i, defaults included; as the tensor holds it where it is one."""
        options = {**self.rule.options, **self.options(self.last_group(i))}
        for name, form in self.tensors(i).items():
            options[name] = _held(options[name], form)
        return options

    def tensors(self, i: int) -> dict[str, str]:
        """The dtypes of those options of parameter i that are tensors, by name; what a group says itself is none."""
        own = dict(self.of("group1")) if self.last_group(i) else {}
        return {name: form for name in TENSORS if (form := self.of(f"{name}_tensor")) and name not in own}
