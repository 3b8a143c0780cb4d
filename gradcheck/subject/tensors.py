"""From exact float64 arrays to tensors of a dtype, device and layout, and back, without a rounding on the way."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch

from gradcheck.errors import UsageError, choices

__all__ = ["LAYOUTS", "array_and_bits", "bits_of", "to_array", "to_tensor"]


def _transposed(tensor: torch.Tensor) -> torch.Tensor:
    """The same numbers with the order of the dimensions reversed in memory."""
    dims = tuple(reversed(range(tensor.dim())))
    return tensor.permute(dims).contiguous().permute(dims)


def _sliced(tensor: torch.Tensor) -> torch.Tensor:
    """The same numbers as every second element of the last dimension of a larger tensor."""
    if tensor.dim() == 0:
        return tensor
    wide = torch.zeros((*tensor.shape[:-1], 2 * tensor.shape[-1]), dtype=tensor.dtype, device=tensor.device)
    wide[..., ::2] = tensor
    return wide[..., ::2]


def _channels_last(tensor: torch.Tensor) -> torch.Tensor:
    """The same numbers with dimension 1 innermost in memory (torch.channels_last), from three dimensions on."""
    return tensor.movedim(1, -1).contiguous().movedim(-1, 1) if tensor.dim() > 2 else tensor


LAYOUTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "contiguous": lambda tensor: tensor,
    "transposed": _transposed,
    "sliced": _sliced,
    "channels_last": _channels_last,
}


def to_tensor(array: np.ndarray, dtype: str, device: str, layout: str = "contiguous") -> torch.Tensor:
    """A tensor of the array's numbers; arrays of integers become int64 and booleans stay, whatever the dtype.

    The array is never shared.
    """
    if layout not in LAYOUTS:
        raise UsageError(f"layout {layout!r} is not known; expected {choices(LAYOUTS)}.")
    if array.dtype.kind in "biu":
        return torch.tensor(array, dtype=torch.bool if array.dtype.kind == "b" else torch.int64, device=device)
    return LAYOUTS[layout](torch.tensor(array, dtype=getattr(torch, dtype), device=device))


def to_array(tensor: torch.Tensor) -> np.ndarray:
    """The tensor's numbers in float64, exactly; shape as the tensor's."""
    return array_and_bits(tensor)[0]


def bits_of(tensor: torch.Tensor) -> bytes:
    """The tensor's elements, in row-major order, byte by byte."""
    return array_and_bits(tensor)[1]


def array_and_bits(tensor: torch.Tensor) -> tuple[np.ndarray, bytes]:
    """The tensor's numbers in float64, exactly, and its elements in row-major order, byte by byte; dense if sparse."""
    here = tensor.detach().to_dense()
    if here._is_zerotensor():  # zeros that forward mode has not written down yet
        here = torch.zeros(here.shape, dtype=here.dtype, device=here.device)
    here = here.cpu()
    if here.dtype is torch.bfloat16:  # which NumPy does not have
        return here.to(torch.float64).numpy(), here.view(torch.int16).numpy().tobytes()
    native = here.numpy()
    return native.astype(np.float64, copy=False), native.tobytes()


def dtype_name(tensor: torch.Tensor) -> str:
    return _name(tensor.dtype)


@cache
def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def torch_value(value: Any) -> Any:
    """A hyperparameter as PyTorch takes it: the name of a dtype becomes the dtype."""
    return getattr(torch, value) if value in ("float64", "float32", "float16", "bfloat16") else value
