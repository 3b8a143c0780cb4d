"""The same histories in PyTorch: tensors on a tape, and the calls that change ``.grad``."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gradcheck.subject.tensors import to_array, to_tensor

__all__ = ["TORCH_OPERATIONS", "Torch"]

TORCH_OPERATIONS: dict[str, Callable[..., torch.Tensor]] = {
    "add": torch.add,
    "multiply": torch.mul,
    "matmul": torch.matmul,
    "tanh": torch.tanh,
    "sum": torch.sum,
    "transpose": lambda a: a.permute(tuple(reversed(range(a.dim())))),
    "detach": torch.Tensor.detach,
}


@dataclass
class Torch:
    """PyTorch's side of a history; a subclass of it plants a fault.

    dtype and device: of all tensors.
    """

    dtype: str
    device: str = "cpu"

    def tensor(self, array: np.ndarray) -> torch.Tensor:
        return to_tensor(array, self.dtype, self.device)

    def leaf(self, array: np.ndarray, needs: bool) -> torch.Tensor:
        return self.tensor(array).requires_grad_(needs)

    def apply(self, name: str, *operands: torch.Tensor, recording: bool = True) -> torch.Tensor:
        with torch.set_grad_enabled(recording):
            return TORCH_OPERATIONS[name](*operands)

    def backward(
        self, root: torch.Tensor, cotangent: np.ndarray, keep: bool, create: bool, inputs: tuple[torch.Tensor, ...]
    ) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Using backward\\(\\) with create_graph=True")  # which is asked for here
            torch.autograd.backward(
                root, self.tensor(cotangent), retain_graph=keep, create_graph=create, inputs=list(inputs) or None
            )

    def gradient(self, root: torch.Tensor, cotangent: np.ndarray, leaf: torch.Tensor, keep: bool) -> np.ndarray | None:
        """``torch.autograd.grad``: None where the root does not depend on the leaf."""
        (found,) = torch.autograd.grad(root, leaf, self.tensor(cotangent), retain_graph=keep, allow_unused=True)
        return None if found is None else to_array(found)

    def zero(self, leaves: list[torch.Tensor], to_none: bool) -> None:
        """``zero_grad`` of an optimizer of these parameters."""
        torch.optim.SGD(leaves, lr=0.0).zero_grad(set_to_none=to_none)

    def zero_in_place(self, leaf: torch.Tensor) -> None:
        """``.grad.zero_()``, where there is one."""
        if leaf.grad is not None:
            leaf.grad.detach().zero_()

    def assign(self, leaf: torch.Tensor, array: np.ndarray | None) -> None:
        leaf.grad = None if array is None else self.tensor(array)

    def hook(self, tensor: torch.Tensor, factor: float) -> None:
        tensor.register_hook(lambda g: g * factor)  # type: ignore[no-untyped-call]

    def retain(self, tensor: torch.Tensor) -> None:
        tensor.retain_grad()

    def require(self, leaf: torch.Tensor, needs: bool) -> None:
        leaf.requires_grad_(needs)

    def scale(self, leaf: torch.Tensor, factor: float) -> None:
        """An in-place write under ``no_grad``."""
        with torch.no_grad():
            leaf.mul_(factor)

    def grad_of(self, tensor: torch.Tensor) -> Any:
        """``.grad`` as an exact array, None where there is none."""
        return None if tensor.grad is None else to_array(tensor.grad)
