"""What matters about the PyTorch that is judged: version, kernels, threads, devices."""

from __future__ import annotations

import inspect
import platform
import re
from typing import Any

import numpy as np
import torch

from gradcheck import __version__
from gradcheck.processor import processor_name
from gradcheck.subject.devices import kind_of, name_and_driver
from gradcheck.subject.settings import capability_in_force, in_force

__all__ = ["facts", "torch_version", "use_one_thread"]


def torch_version() -> str:
    """The version of the installed PyTorch, as it says itself."""
    return str(torch.__version__)


def use_one_thread() -> None:
    """Let PyTorch compute in one thread."""
    torch.set_num_threads(1)


def facts(device: str = "cpu") -> dict[str, Any]:
    """Versions and settings of a run, as plain values."""
    return {
        "gradcheck": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_capability": capability_in_force(),
        "blas": _blas(),
        "threads": torch.get_num_threads(),
        "device": device if kind_of(device) == "cpu" else f"{device} ({name_and_driver(device)['name']})",
        "devices": {device: _about(device)},
        "precision": _precision(),
    }


def _blas() -> str:
    """The libraries of matrix products and convolutions that this PyTorch was built with, and NumPy's, as they say."""
    words = torch.__config__.show()
    built = re.search(r"BLAS_INFO=(\w+)", words)
    versions = re.findall(r"Math Kernel Library Version [\w.]+|MKL-DNN v[\w.]+|OpenBLAS [\w.]+", words)
    return ", ".join([built[1] if built else "unknown", *versions, f"numpy {_numpy_blas()}"])


def _numpy_blas() -> str:
    found: Any = np.show_config(mode="dicts") if "mode" in inspect.signature(np.show_config).parameters else {}
    blas = (found or {}).get("Build Dependencies", {}).get("blas", {})
    return " ".join(str(blas[word]) for word in ("name", "version") if blas.get(word)) or "unknown"


def _about(device: str) -> dict[str, str]:
    """Name of a device, and the libraries that drive it."""
    return {"name": processor_name(), "driver": ""} if kind_of(device) == "cpu" else name_and_driver(device)


def _precision() -> dict[str, Any]:
    """The switches of PyTorch that decide how precisely it computes; None where this version lacks one."""
    return in_force() | {
        "cuda.matmul.allow_tf32": _switch(torch.backends.cuda.matmul, "allow_tf32"),
        "cudnn.allow_tf32": _switch(torch.backends.cudnn, "allow_tf32"),
        "cudnn.benchmark": _switch(torch.backends.cudnn, "benchmark"),
        "cuda.matmul.allow_fp16_reduced_precision_reduction": _switch(
            torch.backends.cuda.matmul, "allow_fp16_reduced_precision_reduction"
        ),
    }


def _switch(backend: Any, name: str) -> bool | None:
    try:
        return bool(getattr(backend, name))
    except (AttributeError, AssertionError, RuntimeError):
        return None
