"""Run PyTorch's clipping functions on a case: the norm, the gradients after it, and what else has changed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from gradcheck.cases.case import Case
from gradcheck.cases.layouts import CONTIGUOUS, SHARING
from gradcheck.reference.clipping.clipping import Clipping, gradients_of, total_of
from gradcheck.subject.observed import RAISED
from gradcheck.subject.settings import under_setting
from gradcheck.subject.tensors import array_and_bits, dtype_name, to_tensor

__all__ = ["Clipped", "run_clipping"]

FOREACH = {"default": {}, "foreach": {"foreach": True}, "loop": {"foreach": False}}


@dataclass(frozen=True)
class Clipped:
    """What a clipping function did: outputs by name (exact float64 arrays); altered: sentences on what it must not do.

    outcome: ``ran``, ``raises`` (with PyTorch's words; outputs are the gradients that it left) or ``unsupported``.
    """

    outcome: str
    words: str = ""
    outputs: dict[str, np.ndarray] = field(default_factory=dict)
    altered: tuple[str, ...] = ()


@under_setting
def run_clipping(
    entry: Clipping, case: Case, arguments: dict[str, Any], subject: Callable[..., Any] | None = None
) -> Clipped:
    """Clip the gradients of the case in place; ``subject`` stands in for PyTorch's function (planted faults)."""
    from gradcheck.subject.run import _NO_KERNEL

    word = entry.name.rpartition(".")[2]
    call = subject or getattr(torch.nn.utils, word, None)
    if call is None:
        return Clipped("unsupported", f"torch {torch.__version__} has no {entry.name}")
    parameters = {name: _parameter(grad, case) for name, grad in gradients_of(arguments).items()}
    given = {name: parameter.grad for name, parameter in parameters.items()}
    options = {name: value for name, value in arguments.items() if name in entry.options}
    if "norm_type" in options:
        options["norm_type"] = float(options["norm_type"])
    options |= FOREACH[case.mode]
    if entry.takes_total:
        options["total_norm"] = to_tensor(total_of(arguments), case.dtype, case.device)
    takes_gradients = word == "get_total_norm"
    first = [grad for grad in given.values() if grad is not None] if takes_gradients else list(parameters.values())
    before = {name: None if grad is None else grad.clone() for name, grad in given.items()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            total = call(first, **options)
    except RAISED as error:
        if _NO_KERNEL.search(str(error)):
            return Clipped("unsupported", f"{type(error).__name__}: {str(error).splitlines()[0]}")
        outputs = _gradients(parameters)
        return Clipped("raises", f"{type(error).__name__}: {str(error).splitlines()[0]}", outputs)
    altered = _altered(parameters, given, before, case, keeps=takes_gradients)
    outputs = {} if takes_gradients else _gradients(parameters)
    if isinstance(total, torch.Tensor):
        outputs["total"] = array_and_bits(total)[0]
        if first and any(grad is not None for grad in given.values()) and dtype_name(total) != case.dtype:
            altered.append(f"the total norm has dtype {dtype_name(total)}")
    return Clipped("ran", outputs=outputs, altered=tuple(altered))


def _parameter(grad: np.ndarray | None, case: Case) -> torch.nn.Parameter:
    dtype = getattr(torch, case.dtype)
    layout = CONTIGUOUS if case.layout in SHARING else case.layout  # gradients are written in place
    parameter = torch.nn.Parameter(
        torch.full((1,) if grad is None else grad.shape, 0.5, dtype=dtype, device=case.device)
    )
    parameter.grad = None if grad is None else to_tensor(grad, case.dtype, case.device, layout)
    return parameter


def _gradients(parameters: dict[str, torch.nn.Parameter]) -> dict[str, np.ndarray]:
    present = ((name, parameter.grad) for name, parameter in parameters.items())
    return {f"grad[{name}]": array_and_bits(grad)[0] for name, grad in present if grad is not None}


def _altered(
    parameters: dict[str, torch.nn.Parameter], given: dict[str, Any], before: dict[str, Any], case: Case, keeps: bool
) -> list[str]:
    """Sentences on what has changed besides the numbers in the gradients."""
    found = []
    for name, parameter in parameters.items():
        if parameter.grad is not given[name]:
            found.append(f"{name} is another tensor")
        if parameter.grad is not None and dtype_name(parameter.grad) != case.dtype:
            found.append(f"{name} has dtype {dtype_name(parameter.grad)}")
        if not bool((parameter.detach() == 0.5).all()):
            found.append(f"the parameter of {name} has changed")
        kept = (
            parameter.grad is None or not keeps or torch.equal(parameter.grad.nan_to_num(), before[name].nan_to_num())
        )
        if not kept:
            found.append(f"{name} has changed")
    return found
