"""The tools: each says whether it finds a call wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from against.faults import Call, Tensor
from gradcheck.cases.case import Case
from gradcheck.cases.corpus import corpus
from gradcheck.cases.inputs import arguments_of
from gradcheck.reference.registry import Reference, reference_named
from gradcheck.subject.tensors import to_tensor, torch_value
from gradcheck.verdict.judge import judge_case
from gradcheck.verdict.ledger import load_ledger

__all__ = ["SLOW_LIMIT", "TOOLS", "alarmed", "by_differences", "by_float64", "by_verify"]

LEDGER = load_ledger()


def _tensors(case: Case, dtype: str) -> tuple[Tensor, dict[str, Any]]:
    """The first input, as a leaf, and the other arguments."""
    arguments = arguments_of(case.on(dtype=dtype))
    made = {n: to_tensor(v, dtype, "cpu") if hasattr(v, "dtype") else torch_value(v) for n, v in arguments.items()}
    first = reference_named(case.operation).arrays[0]
    return made.pop(first).requires_grad_(True), made


def by_differences(check: Callable[..., bool], fast: bool, dtype: str = "float64") -> Callable[[Case, Call], bool]:
    def finds_wrong(case: Case, call: Call) -> bool:
        x, words = _tensors(case, dtype)
        try:
            return not check(lambda x: call(x, **words), (x,), fast_mode=fast, raise_exception=False)
        except RuntimeError:  # it does not take the shape, or the operation
            return False

    return finds_wrong


def by_float64(case: Case, call: Call) -> bool:
    """The common practice: gradients in float32 against those of the same call in float64."""
    gradients = []
    for dtype in ("float32", "float64"):
        x, words = _tensors(case, "float32")
        if dtype == "float64":
            x = x.detach().double().requires_grad_(True)
            words = {n: v.double() if isinstance(v, Tensor) and v.is_floating_point() else v for n, v in words.items()}
        value = call(x, **words)
        value.backward(torch.ones_like(value))
        gradients.append(x.grad)
    try:
        torch.testing.assert_close(gradients[0], gradients[1].float())
    except AssertionError:
        return True
    return False


def _ours(case: Case, call: Call) -> bool:
    return any(alarmed(case.on(dtype=dtype), call) for dtype in ("float64", "float32"))


def alarmed(case: Case, call: Call) -> bool:
    """Whether ``gradcheck verify`` would fail."""
    verdicts = judge_case(case, subject=call)
    return any(v.status in ("deviates", "raises") and LEDGER.match(v) is None for v in verdicts)


def by_verify(reference: Reference, call: Call) -> bool:
    """All cases that ``gradcheck verify`` runs."""
    dtypes = ("float64", "float32", "float16", "bfloat16")
    return any(alarmed(case, call) for dtype in dtypes for case in corpus(reference, dtype, 60, 0))


TOOLS: dict[str, Callable[[Case, Call], bool]] = {
    "torch gradcheck slow": by_differences(torch.autograd.gradcheck, fast=False),
    "torch gradcheck fast": by_differences(torch.autograd.gradcheck, fast=True),
    "torch gradgradcheck slow": by_differences(torch.autograd.gradgradcheck, fast=False),
    "torch gradgradcheck fast": by_differences(torch.autograd.gradgradcheck, fast=True),
    "assert_close to float64": by_float64,
    "this gradcheck, same inputs": _ours,
}
SLOW_LIMIT = 25
"""Elements above which gradgradcheck's slow mode is left out: it would take minutes a call."""
