"""Run PyTorch on a case: prepare tensors, call the operation in the case's mode, return named outputs."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from gradcheck.cases.case import Case
from gradcheck.cases.inputs import cotangent_of
from gradcheck.errors import UsageError, choices
from gradcheck.reference.registry import Reference
from gradcheck.subject.adapters import Operation, operation_named
from gradcheck.subject.modes import MODES
from gradcheck.subject.tensors import array_and_bits, dtype_name, to_tensor, torch_value

__all__ = ["Observed", "Operation", "run_case"]

SETTINGS = ("default",)
"""Precision settings that a case can ask for."""

_NO_KERNEL = re.compile(r"not implemented for|not supported|NotImplemented|no kernel|Could not run", re.IGNORECASE)


@dataclass(frozen=True)
class Observed:
    """What PyTorch did: outputs by name (float64 arrays, exact), their dtypes and bits; or why there are none.

    outcome: ``ran``, ``unsupported`` (PyTorch says that it has no such kernel) or ``raises``; words: PyTorch's own;
    drawn: arrays that it drew itself, by the name of the argument whose place they take.
    """

    outcome: str
    words: str = ""
    outputs: dict[str, np.ndarray] = field(default_factory=dict)
    dtypes: dict[str, str] = field(default_factory=dict)
    bits: dict[str, bytes] = field(default_factory=dict)
    drawn: dict[str, np.ndarray] = field(default_factory=dict)


def run_case(operation: Reference, case: Case, arguments: dict[str, Any], subject: Operation | None = None) -> Observed:
    """Run the case; ``subject`` stands in for PyTorch's own operation (planted faults do that).

    Warnings of PyTorch about what was asked for are not errors here; exceptions become an outcome.
    """
    for axis, value, known in (("mode", case.mode, MODES), ("setting", case.setting, SETTINGS)):
        if value not in known:
            raise UsageError(f"{axis} {value!r} is not known; expected {choices(known)}.")
    call = subject or operation_named(operation.name)
    tensors = {name: _prepared(value, case) for name, value in arguments.items()}
    leaves = {name: tensors[name] for name in operation.differentiable_in(arguments)}
    for leaf in leaves.values():
        leaf.requires_grad_(True)
    first = operation.arrays[0]
    words = {name: tensors[name] for name in tensors if name != first}
    drawn: dict[str, np.ndarray] = {}

    def outputs_of_call() -> dict[str, torch.Tensor]:
        outcome = call(tensors[first], **words)
        outputs = outcome if isinstance(outcome, dict) else {"value": outcome}
        drawn.update({name: array_and_bits(outputs.pop(name))[0] for name in operation.drawn if name in outputs})
        return outputs

    def cotangent(output: str, value: torch.Tensor) -> torch.Tensor:
        name = dtype_name(value)
        return to_tensor(cotangent_of(case, tuple(value.shape), name, output), name, case.device)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outputs = MODES[case.mode](outputs_of_call, leaves, operation.aux, cotangent)
    except (RuntimeError, NotImplementedError, ValueError, TypeError, IndexError, AssertionError) as error:
        words_of_torch = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        outcome = "unsupported" if _NO_KERNEL.search(str(error)) else "raises"
        return Observed(outcome, f"{type(error).__name__}: {words_of_torch}")
    read = {name: array_and_bits(tensor) for name, tensor in outputs.items()}
    return Observed(
        "ran",
        outputs={name: array for name, (array, _) in read.items()},
        dtypes={name: dtype_name(tensor) for name, tensor in outputs.items()},
        bits={name: bits for name, (_, bits) in read.items()},
        drawn=drawn,
    )


def _prepared(value: Any, case: Case) -> Any:
    if isinstance(value, np.ndarray):
        return to_tensor(value, case.dtype, case.device, case.layout)
    return torch_value(value)
