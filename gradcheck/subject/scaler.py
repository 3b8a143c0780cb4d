"""Run ``torch.amp.GradScaler`` over a history of gradients, and once more from a state in the middle of it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from gradcheck.cases.case import Case
from gradcheck.reference.clipping.scaler import Scaler, gradients_of_history
from gradcheck.subject.devices import kind_of
from gradcheck.subject.observed import RAISED
from gradcheck.subject.settings import under_setting
from gradcheck.subject.tensors import array_and_bits, to_tensor

__all__ = ["Scaled", "run_scaler"]


@dataclass(frozen=True)
class Scaled:
    """What the scaler did: outputs by name, the same from the resume on, and sentences on what it must not do."""

    outcome: str
    words: str = ""
    outputs: dict[str, np.ndarray] = field(default_factory=dict)
    resumed: dict[str, np.ndarray] = field(default_factory=dict)
    altered: tuple[str, ...] = ()


class _Counting(torch.optim.SGD):
    """An optimizer that only counts its steps."""

    def __init__(self, parameter: torch.nn.Parameter) -> None:
        super().__init__([parameter], lr=0.0)
        self.steps = 0

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        self.steps += 1


@under_setting
def run_scaler(
    entry: Scaler, case: Case, arguments: dict[str, Any], subject: Callable[..., Any] | None = None
) -> Scaled:
    """Scale, unscale, step and update through the history; ``subject`` stands in for the class (planted faults)."""
    factory = subject or getattr(torch.amp, "GradScaler", None)
    if factory is None:
        return Scaled("unsupported", f"torch {torch.__version__} has no {entry.name}")
    options = {name: value for name, value in arguments.items() if name in entry.options}
    grads = gradients_of_history(arguments)
    resume, kind = arguments.get("resume"), kind_of(case.device)
    try:
        first = factory(kind, **options)
        outputs, altered = _through(first, case, grads)
        resumed: dict[str, np.ndarray] = {}
        if resume is not None:
            before, after = factory(kind, **options), factory(kind)
            _through(before, case, grads[:resume])
            after.load_state_dict(pickle.loads(pickle.dumps(before.state_dict())))
            resumed, _ = _through(after, case, grads[resume:])
    except RAISED as error:
        refused = isinstance(error, ValueError) and "FP16" in str(error)
        return Scaled("unsupported" if refused else "raises", f"{type(error).__name__}: {str(error).splitlines()[0]}")
    return Scaled("ran", outputs=outputs, resumed=resumed, altered=tuple(altered))


def _through(scaler: Any, case: Case, grads: np.ndarray) -> tuple[dict[str, np.ndarray], list[str]]:
    """Outputs over all rows of the gradients; scale and tracker also before the first."""
    altered: list[str] = []
    columns: dict[str, list[Any]] = {name: [] for name in ("scale", "tracker", "stepped", "scaled", "unscaled")}
    columns["scale"].append(scaler.get_scale())
    columns["tracker"].append(float(scaler.state_dict()["_growth_tracker"]))
    for row in grads:
        parameter = torch.nn.Parameter(torch.full(row.shape, 0.5, dtype=getattr(torch, case.dtype), device=case.device))
        optimizer = _Counting(parameter)
        losses = to_tensor(row, case.dtype, case.device)
        columns["scaled"].append(array_and_bits(scaler.scale(losses))[0])
        parameter.grad = to_tensor(row, case.dtype, case.device)
        given = parameter.grad
        if case.mode == "unscale":
            scaler.unscale_(optimizer)
            altered += _not_refused("unscale_ a second time", scaler.unscale_, optimizer)
        scaler.step(optimizer)
        altered += _not_refused("step a second time", scaler.step, optimizer)
        scaler.update()
        if parameter.grad is not given or not bool((parameter.detach() == 0.5).all()):
            altered.append("a parameter, or which tensor its gradient is, has changed")
        columns["stepped"].append(float(optimizer.steps))
        columns["unscaled"].append(array_and_bits(parameter.grad)[0])
        columns["scale"].append(scaler.get_scale())
        columns["tracker"].append(float(scaler.state_dict()["_growth_tracker"]))
    return {name: np.array(rows, dtype=np.float64) for name, rows in columns.items()}, altered


def _not_refused(what: str, call: Callable[[Any], Any], optimizer: Any) -> list[str]:
    try:
        call(optimizer)
    except RuntimeError:
        return []
    return [f"{what} before update is not refused"]
