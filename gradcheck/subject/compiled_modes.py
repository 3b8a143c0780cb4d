"""Backward through ``torch.compile``, one mode per backend."""

from __future__ import annotations

from typing import Any

import torch

from gradcheck.subject.compiling import compiled
from gradcheck.subject.modes import Call, Tensors, mode, reverse

__all__: list[str] = []


def _compiled(call: Call, backend: str, **options: Any) -> Tensors:
    """Backward of the compiled call, with what Dynamo says of it."""
    counters: Any = torch._dynamo.utils.counters
    counters.clear()
    found = reverse(call, compiled(call.function, backend, **options))
    call.notes.extend(f"graph break: {reason.splitlines()[0]}" for reason in counters["graph_break"])
    call.notes.extend(f"not compiled: {reason.splitlines()[0]}" for reason in counters["unimplemented"])
    return found


@mode("compile:eager")
def compile_eager(call: Call) -> Tensors:
    """Traced by Dynamo, run as it is."""
    return _compiled(call, "eager")


@mode("compile:aot_eager")
def compile_aot_eager(call: Call) -> Tensors:
    """Forward and backward traced ahead of time, run by eager kernels."""
    return _compiled(call, "aot_eager")


@mode("compile:inductor")
def compile_inductor(call: Call) -> Tensors:
    """Forward and backward as code that Inductor writes; random numbers come from PyTorch's own generator."""
    return _compiled(call, "inductor", fallback_random=True)
