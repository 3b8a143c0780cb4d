"""PyTorch's generators at a given state, for operations that draw: what they drew is drawn once more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

__all__ = ["outside_transforms", "plain_of", "seeded"]


def outside_transforms() -> AbstractContextManager[Any]:
    """Within this context ``torch.func`` transforms nothing: new tensors are plain, whatever surrounds the call."""
    disable: Any = getattr(torch._C, "_DisableFuncTorch", nullcontext)
    context: AbstractContextManager[Any] = disable()
    return context


def plain_of(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor that ``torch.func`` has wrapped, batches and all; any other as it is."""
    functorch: Any = torch._C._functorch
    while functorch.is_gradtrackingtensor(tensor) or functorch.is_batchedtensor(tensor):
        tensor = functorch.get_unwrapped(tensor)
    return tensor


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """PyTorch's generators at a seed; as they were, afterwards."""
    devices = [device] if device.type == "cuda" else []
    with outside_transforms():
        states = torch.get_rng_state(), [torch.cuda.get_rng_state(place) for place in devices]
        torch.manual_seed(seed)
    try:
        yield
    finally:
        with outside_transforms():
            torch.set_rng_state(states[0])
            for place, state in zip(devices, states[1], strict=True):
                torch.cuda.set_rng_state(state, place)
