"""Backward through ``torch.compile``, one mode per backend."""

from __future__ import annotations

import torch

from gradcheck.subject.modes import Call, Tensors, mode, reverse

__all__: list[str] = []


def _compiled(call: Call, backend: str) -> Tensors:
    """Backward of the compiled call. Compiled code of other calls is forgotten first: each case stands for itself."""
    torch._dynamo.reset()
    compiled = torch.compile(call.function, backend=backend)
    return reverse(call, compiled)


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
    """Forward and backward as code that Inductor writes."""
    return _compiled(call, "inductor")
