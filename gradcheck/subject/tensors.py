"""From exact float64 arrays to tensors of a dtype, device and layout, and back, without a rounding on the way."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch

from gradcheck.cases.layouts import CONTIGUOUS, expanded_axis, misfit
from gradcheck.recent import OfArrays
from gradcheck.subject.seeding import outside_transforms

__all__ = [
    "COPIED",
    "LAYOUTS",
    "array_and_bits",
    "bits_of",
    "elements_of",
    "laid_out",
    "numbers_in",
    "stacked",
    "to_array",
    "to_tensor",
]


def _transposed(tensor: torch.Tensor) -> torch.Tensor:
    dims = tuple(reversed(range(tensor.dim())))
    return tensor.permute(dims).contiguous().permute(dims)


def _sliced(tensor: torch.Tensor) -> torch.Tensor:
    wide = torch.zeros((*tensor.shape[:-1], 2 * tensor.shape[-1]), dtype=tensor.dtype, device=tensor.device)
    wide[..., ::2] = tensor
    return wide[..., ::2]


def _channels_last(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.movedim(1, -1).contiguous().movedim(-1, 1)


def _padded(tensor: torch.Tensor) -> torch.Tensor:
    side = tensor.shape[-1]
    wide = torch.zeros((*tensor.shape[:-1], side + 3), dtype=tensor.dtype, device=tensor.device)
    wide[..., :side] = tensor
    return wide[..., :side]


def _offset(tensor: torch.Tensor) -> torch.Tensor:
    storage = torch.zeros(tensor.numel() + 1, dtype=tensor.dtype, device=tensor.device)
    storage[1:] = tensor.reshape(-1)
    return storage[1:].view(tensor.shape)


def _flipped(tensor: torch.Tensor) -> torch.Tensor:
    dims = tuple(range(tensor.dim()))
    return tensor.flip(dims).flip(dims)


def _expanded(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.narrow(expanded_axis(tuple(tensor.shape)), 0, 1).clone().expand(tensor.shape)


def _overlapping(tensor: torch.Tensor) -> torch.Tensor:
    line = torch.cat([tensor[..., 0, :], tensor[..., 1:, -1]], dim=-1)
    return line.unfold(-1, tensor.shape[-1], 1)


def _neg(tensor: torch.Tensor) -> torch.Tensor:
    return torch._neg_view(tensor.neg())


def _conj(tensor: torch.Tensor) -> torch.Tensor:
    return torch.complex(torch.zeros_like(tensor), tensor.neg()).conj().imag


LAYOUTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "contiguous": lambda tensor: tensor,
    "transposed": _transposed,
    "sliced": _sliced,
    "channels_last": _channels_last,
    "channels_last_3d": _channels_last,
    "padded": _padded,
    "offset": _offset,
    "flipped": _flipped,
    "expanded": _expanded,
    "overlapping": _overlapping,
    "neg": _neg,
    "conj": _conj,
}
"""By layout: the same numbers laid out so, for a tensor that can be. The words: gradcheck/cases/layouts.py."""


def laid_out(tensor: torch.Tensor, layout: str) -> torch.Tensor:
    """The tensor in a layout, or as it is where it cannot have that one. Raises UsageError for one not known."""
    if layout == CONTIGUOUS or misfit(layout, tuple(tensor.shape), dtype_name(tensor)):
        return tensor
    return LAYOUTS[layout](tensor)


def stacked(tensors: list[torch.Tensor], dim: int = 0) -> torch.Tensor:
    """Tensors of one shape and layout along a new dimension; each keeps its strides, its offset and its bits."""
    first = tensors[0]
    if first.numel() == 0 or (first.is_contiguous() and not first.storage_offset() and not first.is_neg()):
        return torch.stack(tensors, dim=dim)
    room = first.untyped_storage().size() // first.element_size()
    lines = torch.stack([tensor.as_strided((room,), (1,), 0) for tensor in tensors])
    lines = _neg(lines) if first.is_neg() else lines
    whole = lines.as_strided((len(tensors), *first.shape), (room, *first.stride()), first.storage_offset())
    return whole.movedim(0, dim)


def to_tensor(array: np.ndarray, dtype: str, device: str, layout: str = "contiguous") -> torch.Tensor:
    """A tensor of the array's numbers; arrays of integers become int64 and booleans stay, whatever the dtype.

    The array is never shared. Where several elements of the layout share a place, they have to be equal.
    """
    kind = array.dtype.kind
    form = getattr(torch, dtype) if kind not in "biu" else torch.bool if kind == "b" else torch.int64
    if device != "cpu" or dtype not in COPIED or kind in "biu":
        return laid_out(torch.tensor(array, dtype=form, device=device), layout)
    # What torch.tensor does, in half the time: in memory of PyTorch's own, aligned as its kernels are used to.
    with outside_transforms():
        tensor = torch.empty(array.shape, dtype=form, device="cpu")
        tensor.numpy()[...] = numbers_in(array, np.dtype(dtype))
    return laid_out(tensor, layout)


COPIED = ("float64", "float32")
"""Dtypes whose tensors on the CPU hold the bits of ``numbers_in``; NaN in float16 may have others."""

_numbers: OfArrays[np.ndarray] = OfArrays(8)


def numbers_in(array: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """The array in another format of NumPy; what nobody can write to is converted once, as long as it is in use."""
    return array if array.dtype == dtype else _numbers.get(array, lambda: array.astype(dtype), dtype)


def to_array(tensor: torch.Tensor) -> np.ndarray:
    """The tensor's numbers in float64, exactly; shape as the tensor's."""
    return array_and_bits(tensor)[0]


def bits_of(tensor: torch.Tensor) -> bytes:
    """The tensor's elements, in row-major order, byte by byte."""
    return _elements(tensor)[1].tobytes()


def elements_of(tensor: torch.Tensor) -> np.ndarray:
    """The tensor's elements as they lie in memory, C-contiguous; dense if sparse, the bits of bfloat16 as int16."""
    elements = _elements(tensor)[1]
    return elements if elements.flags.c_contiguous else elements.copy()


def array_and_bits(tensor: torch.Tensor) -> tuple[np.ndarray, bytes]:
    """The tensor's numbers in float64, exactly, and its elements in row-major order, byte by byte; dense if sparse."""
    here, elements = _elements(tensor)
    numbers = _elements(here.to(torch.float64))[1] if here.dtype is torch.bfloat16 else elements
    return numbers.astype(np.float64, copy=False), elements.tobytes()


def _elements(tensor: torch.Tensor) -> tuple[torch.Tensor, np.ndarray]:
    """The tensor on the CPU, dense and as it is, and its elements; integers of the same bits where NumPy lacks them."""
    here = tensor.detach()
    plain = here.is_cpu and here.layout is torch.strided
    if not plain or here.is_neg() or here.is_conj() or here._is_zerotensor():
        here = here.to_dense()
        if here._is_zerotensor():  # zeros that forward mode has not written down yet
            here = torch.zeros(here.shape, dtype=here.dtype, device=here.device)
        here = here.cpu().resolve_conj().resolve_neg()
    return here, (here.view(torch.int16) if here.dtype is torch.bfloat16 else here).numpy()


def dtype_name(tensor: torch.Tensor) -> str:
    return _name(tensor.dtype)


@cache
def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def torch_value(value: Any) -> Any:
    """A hyperparameter as PyTorch takes it: the name of a dtype becomes the dtype."""
    return getattr(torch, value) if value in ("float64", "float32", "float16", "bfloat16") else value
