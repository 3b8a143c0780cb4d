"""Poolings that return indices as well, when asked to."""

from __future__ import annotations

import functools
from typing import Any

from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it

from gradcheck.subject.adapters import Operation, adapter

__all__: list[str] = []


def _named_outputs(name: str) -> Operation:
    """The function, with its outputs by name; its signature is the one that PyTorch documents."""
    function, documented = getattr(F, name), getattr(F, f"{name}_with_indices")

    @functools.wraps(documented)
    def call(x: Any, **options: Any) -> Any:
        outcome = function(x, **options)
        return dict(zip(("value", "indices"), outcome, strict=True)) if options.get("return_indices") else outcome

    return call


for _name in (
    "max_pool1d", "max_pool2d", "max_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d",
    "fractional_max_pool2d", "fractional_max_pool3d",
):  # fmt: skip
    adapter(f"nn.functional.{_name}")(_named_outputs(_name))
