"""Turning PyTorch's switches to a setting of a case, and back again whatever happened in between."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, TypeVar

import torch

from gradcheck.cases.case import Case
from gradcheck.cases.settings import DEFAULT, words_of
from gradcheck.errors import UsageError

__all__ = [
    "LOWERED",
    "applied",
    "autocast_of",
    "capability_in_force",
    "flushes_denormals",
    "in_force",
    "unavailable",
    "under_setting",
]


def flushes_denormals() -> bool:
    """Whether this thread flushes subnormal numbers to zero: PyTorch can set it and not tell it, so it is tried."""
    return not bool(torch.tensor(2.0**-1074, dtype=torch.float64, device="cpu").mul(1.0).item())


@contextmanager
def _turned(setter: Callable[[Any], Any], new: Any, old: Any) -> Iterator[None]:
    setter(new)
    try:
        yield
    finally:
        setter(old)


def _threads(value: str) -> AbstractContextManager[None]:
    return _turned(torch.set_num_threads, int(value), torch.get_num_threads())


def _denormals(value: str) -> AbstractContextManager[None]:
    return _turned(torch.set_flush_denormal, value == "flush", flushes_denormals())


def _mkldnn(value: str) -> AbstractContextManager[None]:
    return _turned(_enable_mkldnn, value == "on", _mkldnn_enabled())


def _enable_mkldnn(on: bool) -> None:
    torch._C._set_mkldnn_enabled(on)  # the public flags() sets four switches where one was asked for


def _has_mkldnn() -> bool:
    backend: Any = torch.backends.mkldnn
    return bool(backend.is_available())


def _mkldnn_enabled() -> bool:
    return bool(torch._C._get_mkldnn_enabled())


def _set_cudnn(on: bool) -> None:
    torch.backends.cudnn.enabled = on


def _set_benchmark(on: bool) -> None:
    torch.backends.cudnn.benchmark = on


def _deterministic(value: str) -> AbstractContextManager[None]:
    old = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    return _turned(_set_deterministic, (value == "on", False), old)


def _set_deterministic(on_and_warn_only: tuple[bool, bool]) -> None:
    on, warn_only = on_and_warn_only
    torch.use_deterministic_algorithms(on, warn_only=warn_only)


def _matmul(value: str) -> AbstractContextManager[None]:
    return _turned(_set_matmul, value, (torch.get_float32_matmul_precision(), _product_formats()))


def _set_matmul(precision: str | tuple[str, dict[tuple[str, str], str]]) -> None:
    """Set the precision; a pair says besides what the finer switches stood at, which the coarse one moves."""
    if isinstance(precision, str):
        torch.set_float32_matmul_precision(precision)
        return
    torch.set_float32_matmul_precision(precision[0])
    for (backend, operation), value in precision[1].items():
        torch._C._set_fp32_precision_setter(backend, operation, value)


def _matmul_in_force() -> str:
    """The coarse switch; ``mixed`` where the finer ones were moved, when PyTorch refuses to say."""
    try:
        return str(torch.get_float32_matmul_precision())
    except RuntimeError:
        return "mixed"


def _product_formats() -> dict[tuple[str, str], str]:
    """The formats of float32 products by backend and kind of operation; newer versions of PyTorch alone have them."""
    if not hasattr(torch._C, "_get_fp32_precision_getter"):
        return {}
    places = (("mkldnn", "matmul"), ("cuda", "matmul"))
    return {place: str(torch._C._get_fp32_precision_getter(*place)) for place in places}


def _as_it_is(value: str) -> AbstractContextManager[None]:
    return nullcontext()


_TURNERS: dict[str, Callable[[str], AbstractContextManager[None]]] = {
    "autocast": _as_it_is,  # stands around the forward alone: see autocast_of
    "benchmark": lambda value: _turned(_set_benchmark, value == "on", torch.backends.cudnn.benchmark),
    "capability": _as_it_is,  # was decided when torch was imported: see unavailable
    "cudnn": lambda value: _turned(_set_cudnn, value == "on", torch.backends.cudnn.enabled),
    "denormals": _denormals,
    "deterministic": _deterministic,
    "matmul": _matmul,
    "mkldnn": _mkldnn,
    "threads": _threads,
}


def applied(setting: str) -> AbstractContextManager[None]:
    """PyTorch's switches as the setting says, and as they were before afterwards, whatever happened.

    Raises UsageError for a setting that this process cannot have, when it is entered.
    """
    return nullcontext() if setting == DEFAULT else _applied(setting)


@contextmanager
def _applied(setting: str) -> Iterator[None]:
    words = words_of(setting)
    if reason := unavailable(setting):
        raise UsageError(f"setting {setting!r}: {reason}.")
    with ExitStack() as stack:
        for name, value in words.items():
            stack.enter_context(_TURNERS[name](value))
        yield


F = TypeVar("F", bound=Callable[..., Any])


def under_setting(run: F) -> F:
    """``run`` under the setting of its case: the first argument that is a Case, or has one as ``case``."""

    @functools.wraps(run)
    def wrapped(*args: Any, **options: Any) -> Any:
        case = next(case for case in (getattr(arg, "case", arg) for arg in args) if isinstance(case, Case))
        with applied(case.setting):
            return run(*args, **options)

    return wrapped  # type: ignore[return-value]


LOWERED = (
    "nn.functional.conv*", "nn.Conv*", "nn.functional.linear", "nn.functional.linear_cross_entropy",
    "nn.functional.prelu", "nn.functional.bilinear", "nn.functional.affine_grid",
    "nn.functional.scaled_dot_product_attention", "nn.functional.multi_head_attention_forward", "nn.MultiheadAttention",
    "nn.Transformer*", "nn.RNN*", "nn.LSTM*", "nn.GRU*",
)  # fmt: skip
"""Operations that ``torch.autocast`` computes in its dtype on the CPU, wholly or in part: those of the documentation's
list "CPU Ops that can autocast to bfloat16" (convolutions, products of matrices, linear, prelu, attention), and what is
made of them (bilinear and affine_grid call ``bmm``). Every other one has to compute as without autocast."""


def autocast_of(setting: str, device: str) -> AbstractContextManager[Any]:
    """``torch.autocast`` as the setting says: for the forward alone, as its documentation asks."""
    dtype = words_of(setting).get("autocast")
    if dtype is None:
        return nullcontext()
    kind = device.partition(":")[0]
    return torch.autocast(device_type=kind, dtype=getattr(torch, dtype), cache_enabled=False)


def unavailable(setting: str) -> str:
    """Why this process cannot have the setting; empty where it can."""
    if setting == DEFAULT:
        return ""
    words = words_of(setting)
    capability = words.get("capability")
    if capability is not None and capability.upper() != capability_in_force():
        return (
            f"not supported in this process: torch computes with {capability_in_force()}; "
            f"start it with ATEN_CPU_CAPABILITY={capability}"
        )
    if words.get("mkldnn") == "on" and not _has_mkldnn():
        return "not supported: this torch is built without oneDNN"
    if words.get("denormals") == "flush" and not _can_flush():
        return "not supported: this processor cannot flush subnormal numbers"
    return ""


def _can_flush() -> bool:
    with _denormals("flush"):
        return flushes_denormals()


def capability_in_force() -> str:
    """The instruction set of PyTorch's own kernels: DEFAULT, AVX2, AVX512, …"""
    found = re.search(r"CPU capability usage: ([\w ]+)", torch.__config__.show())  # torch.backends.cpu is not in 2.0
    return found[1].strip() if found else "unknown"


def _autocast_in_force() -> bool:
    try:
        return torch.is_autocast_enabled("cpu")
    except TypeError:  # before torch 2.4, which counts the device type among the arguments
        return bool(torch.is_autocast_cpu_enabled())


def in_force() -> dict[str, Any]:
    """Where the switches stand now, as plain values: part of the facts of a run."""
    return {
        "autocast": _autocast_in_force(),
        "denormals": "flush" if flushes_denormals() else "keep",
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "deterministic_warn_only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "cudnn": bool(torch.backends.cudnn.enabled),
        "float32_matmul_precision": _matmul_in_force(),
        "interop_threads": torch.get_num_interop_threads(),
        "mkldnn": _has_mkldnn() and _mkldnn_enabled(),
        "threads": torch.get_num_threads(),
    } | {f"{backend}_{operation}_format": value for (backend, operation), value in _product_formats().items()}
