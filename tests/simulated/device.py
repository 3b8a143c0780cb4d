"""Tensors of a simulated accelerator, which computes with the kernels of the CPU behind PyTorch's PrivateUse1.

They are not CPU tensors: ``.device.type`` is ``simulated``, ``.numpy()`` raises, and so does an operation that meets a
CPU tensor beside them, unless CUDA would take it too: a transfer, an index, or a tensor of no dimension where the
operation takes a number. The device has a generator of its own, so that to seed the CPU alone is not enough.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils._pytree import tree_iter, tree_map

__all__ = ["FACTORIES", "GENERATOR", "NAME", "SimulatedTensor"]

NAME = "simulated"

GENERATOR = torch.Generator()
"""The device's own."""

MOVES = frozenset({"copy_", "_to_copy"})
"""Operations that move data between devices."""

INDEXED = frozenset({"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"})
"""Operations that take indices from the CPU, as on CUDA; what ``index_put`` writes may be a number."""

NUMBERS = frozenset(
    {
        "add", "add_", "sub", "sub_", "rsub", "mul", "mul_", "div", "div_", "pow", "pow_", "remainder", "fmod", "where",
        "eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "bitwise_and", "bitwise_or", "bitwise_xor",
        "maximum", "minimum", "fmax", "fmin", "copysign", "atan2", "hypot", "xlogy", "lerp", "lerp_",
        "addcmul", "addcmul_", "addcdiv", "addcdiv_", "masked_fill", "masked_fill_", "fill_", "fill",
        "_foreach_mul", "_foreach_mul_", "_foreach_div", "_foreach_div_", "_foreach_add", "_foreach_add_",
        "_fused_adam_", "_fused_adamw_", "_fused_sgd_", "_fused_adagrad_",
    }
)  # fmt: skip
"""Operations that take a CPU tensor of no dimension for a number, as their CUDA kernels do."""


class SimulatedTensor(torch.Tensor):
    """A tensor of the device; ``held`` is the CPU tensor that has its elements."""

    held: torch.Tensor

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> SimulatedTensor:  # noqa: PYI034 - typing.Self is not in Python 3.10
        with torch.inference_mode(held.is_inference()):  # a view of a normal tensor is normal in inference mode too
            made: Any = torch.Tensor._make_wrapper_subclass(
                cls,
                held.size(),
                strides=held.stride(),
                storage_offset=held.storage_offset(),
                dtype=held.dtype,
                layout=held.layout,
                device=torch.device(NAME, 0),
            )
        torch._C._set_conj(made, held.is_conj())
        torch._C._set_neg(made, held.is_neg())
        made.held = held
        return made

    def __repr__(self) -> str:  # type: ignore[override]
        return f"SimulatedTensor({self.held!r})"

    def requires_grad_(self, requires_grad: bool = True) -> SimulatedTensor:
        """Not refused under ``torch.func``: ``nn.Parameter`` calls it for a subclass alone."""
        self.requires_grad = requires_grad
        return self

    def numpy(self, *, force: bool = False) -> Any:
        """Refused in CUDA's words: PyTorch's own for a subclass ("not supported") would pass for a missing kernel."""
        if force:
            return self.detach().cpu().numpy()
        raise TypeError(f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() first.")

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        check_devices(func, args, kwargs)
        asked = kwargs.get("device")
        if asked is not None and torch.device(asked).type != NAME:  # a transfer to the CPU, or a new tensor there
            return func(*tree_map(_held, args), **tree_map(_held, kwargs))
        if asked is not None:
            kwargs["device"] = torch.device("cpu")
        found = _drawing(func)(*tree_map(_held, args), **tree_map(_held, kwargs))
        if _name(func) == "copy_" and not isinstance(args[0], SimulatedTensor):
            return args[0]
        return return_and_correct_aliasing(func, args, kwargs, tree_map(_wrapped, found))


def _held(value: Any) -> Any:
    return value.held if isinstance(value, SimulatedTensor) else value


def _wrapped(value: Any) -> Any:
    return SimulatedTensor(value) if isinstance(value, torch.Tensor) else value


def _name(func: Any) -> str:
    return str(func.overloadpacket.__name__)


def _drawing(func: Any) -> Callable[..., Any]:
    """The operation, which draws from the device's generator if it draws."""
    if torch.Tag.nondeterministic_seeded not in func.tags:
        return func

    def call(*args: Any, **kwargs: Any) -> Any:
        of_cpu = torch.default_generator.get_state()
        torch.default_generator.set_state(GENERATOR.get_state())
        try:
            return func(*args, **kwargs)
        finally:
            GENERATOR.set_state(torch.default_generator.get_state())
            torch.default_generator.set_state(of_cpu)

    return call


def check_devices(func: Any, args: Any, kwargs: Any) -> None:
    """Raise RuntimeError, as CUDA does, where a CPU tensor stands beside tensors of the device."""
    name = _name(func)
    if name in MOVES:
        return
    tensors = [part for part in tree_iter((args, kwargs)) if isinstance(part, torch.Tensor)]
    strangers = [part for part in tensors if not isinstance(part, SimulatedTensor)]
    if name in INDEXED:
        strangers = [part for part in strangers if not any(part is index for index in args[1]) and part.dim()]
    if name in NUMBERS:
        strangers = [part for part in strangers if part.dim()]
    if strangers:
        raise RuntimeError(
            "Expected all tensors to be on the same device, but found at least two devices, "
            f"{NAME}:0 and {strangers[0].device}! (in {func})"
        )


def _on_cpu(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in ("device", "layout", "pin_memory")}


def _empty(size: Any, **options: Any) -> SimulatedTensor:
    return SimulatedTensor(torch.empty(size, **_on_cpu(options)))


def _empty_strided(size: Any, stride: Any, **options: Any) -> SimulatedTensor:
    return SimulatedTensor(torch.empty_strided(size, stride, **_on_cpu(options)))


def _copy_from(source: Any, target: Any, non_blocking: bool = False) -> Any:
    """Below ``__torch_dispatch__``: there ``torch.tensor`` moves what it has made of Python's numbers."""
    _held(target).copy_(_held(source))
    return target


def _zeros(size: Any, **options: Any) -> SimulatedTensor:
    """The zeros of forward mode, written down here."""
    return SimulatedTensor(torch.zeros(size, **_on_cpu(options)))


FACTORIES = {
    "empty.memory_format": _empty,
    "empty_strided": _empty_strided,
    "_efficientzerotensor": _zeros,
    "_copy_from": _copy_from,
}
"""Kernels of the dispatch key: what makes the first tensor of the device, which no argument brings along."""
