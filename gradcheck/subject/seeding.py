"""PyTorch's generators at a given state, for operations that draw: what they drew is drawn once more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from gradcheck.subject.devices import generator_state, set_generator_state

__all__ = ["outside_transforms", "plain_of", "seeded"]


def outside_transforms() -> AbstractContextManager[Any]:
    """Within this context ``torch.func`` transforms nothing: new tensors are plain, whatever surrounds the call."""
    guard: Any = _DISABLED()
    return guard if hasattr(guard, "__enter__") else _until_deleted(guard)


_DISABLED: Any = getattr(torch._C, "_DisableFuncTorch", nullcontext)


@contextmanager
def _until_deleted(guard: Any) -> Iterator[None]:
    """A guard of torch 2.0, which holds from when it is made until it is deleted."""
    try:
        yield
    finally:
        del guard


def plain_of(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor that ``torch.func`` has wrapped, batches and all; any other as it is."""
    functorch: Any = torch._C._functorch
    while functorch.is_gradtrackingtensor(tensor) or functorch.is_batchedtensor(tensor):
        tensor = functorch.get_unwrapped(tensor)
    return tensor


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """The generators of the CPU and of the device at a seed; as they were, afterwards."""
    with outside_transforms():
        of_cpu, of_device = torch.get_rng_state(), generator_state(device)
        torch.manual_seed(seed)
    try:
        yield
    finally:
        with outside_transforms():
            torch.set_rng_state(of_cpu)
            set_generator_state(device, of_device)
