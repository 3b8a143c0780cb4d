"""``torch.compile`` as every compiled mode calls it: without what was traced before, in this process or another."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch

__all__ = ["compiled"]


def compiled(function: Callable[..., Any], backend: str, **options: Any) -> Callable[..., Any]:
    """The function through ``torch.compile``, for one case: what Dynamo compiled for others is forgotten.

    options: of Inductor. Its cache of graphs on disk, which outlives the process, is not read: what it is looked up by
    does not tell the processor's vectors, and code of AVX-512 read back by an AVX2 process leaves every other vector of
    its result unwritten, silently (torch 2.13.0; ``tests/subject/test_compiling.py`` shows it).
    """
    torch._dynamo.reset()
    if backend == "inductor":
        known: Any = importlib.import_module("torch._inductor")
        if "fx_graph_cache" in known.list_options():  # since torch 2.2
            options["fx_graph_cache"] = False
    return torch.compile(function, backend=backend, options=options or None)
