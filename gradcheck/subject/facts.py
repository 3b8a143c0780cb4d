"""What matters about the PyTorch that is judged: version, kernels, threads, devices."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
import torch

from gradcheck.errors import UsageError

__all__ = ["check_device", "facts", "use_one_thread"]


def check_device(device: str) -> None:
    """Raise UsageError, with the reason, unless PyTorch can compute on ``device`` here."""
    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise UsageError(f"device {device!r} is not known; expected cpu, cuda or cuda:N.") from None
    if kind == "cpu":
        return
    if kind != "cuda":
        raise UsageError(f"device {device!r} is not supported; expected cpu, cuda or cuda:N.")
    if not torch.cuda.is_available():
        built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "a build without CUDA"
        raise UsageError(f"device {device!r}: cuda is not available here: torch {torch.__version__} is {built}.")
    index = torch.device(device).index
    if index is not None and index >= torch.cuda.device_count():
        raise UsageError(f"device {device!r}: there are {torch.cuda.device_count()} cuda devices here.")


def use_one_thread() -> None:
    """Let PyTorch compute in one thread."""
    torch.set_num_threads(1)


def facts(device: str = "cpu") -> dict[str, Any]:
    """Versions and settings of a run, as plain values."""
    capability = getattr(torch.backends.cpu, "get_cpu_capability", lambda: "unknown")()
    return {
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_capability": capability,
        "threads": torch.get_num_threads(),
        "device": device if device == "cpu" else f"{device} ({torch.cuda.get_device_name(device)})",
    }
