"""The rest of the simulated accelerator: its module ``torch.simulated``, and how PyTorch is told of it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from gradcheck.arithmetic.accuracy import KERNELS
from tests.simulated.device import FACTORIES, GENERATOR, NAME

__all__ = ["absence", "autoload", "install"]

GUARD = Path(__file__).with_name("guard.cpp")

_KEPT: list[Any] = []
"""What has to live as long as the process."""


class Module:
    """``torch.simulated``: what PyTorch, and gradcheck, ask of a device's module."""

    device_count = staticmethod(lambda: 1)
    current_device = staticmethod(lambda: 0)
    is_available = is_initialized = staticmethod(lambda: True)
    _is_in_bad_fork = staticmethod(lambda: False)
    device = staticmethod(nullcontext)

    @staticmethod
    def get_device_name(device: Any = None) -> str:
        return "the CPU's kernels behind PrivateUse1"

    @staticmethod
    def get_amp_supported_dtype() -> list[torch.dtype]:
        return [torch.float16, torch.bfloat16]

    @staticmethod
    def synchronize(device: Any = None) -> None:
        """Nothing is asynchronous here."""

    @staticmethod
    def manual_seed_all(seed: int) -> None:
        GENERATOR.manual_seed((seed + 1) % 2**63)  # not what the CPU draws

    @staticmethod
    def get_rng_state(device: Any = None) -> torch.Tensor:
        return GENERATOR.get_state()

    @staticmethod
    def set_rng_state(state: torch.Tensor, device: Any = None) -> None:
        GENERATOR.set_state(state)


def absence() -> str:
    """Why there is no simulated accelerator here, in one sentence; empty where there is."""
    if not hasattr(torch._C, "_acc"):
        return f"torch {torch.__version__} does not let Python register a backend (torch >= 2.10 does)"
    return "" if _compiler() else "no C++ compiler for the device guard of the simulated accelerator (CXX, c++, g++)"


def _compiler() -> str | None:
    return shutil.which(os.environ.get("CXX", "c++")) or shutil.which("g++")


def install() -> None:
    """Make ``device="simulated"`` known to PyTorch, once in a process: there is no way back.

    Raises RuntimeError where that is not possible.
    """
    if _KEPT:
        return
    if absence():
        raise RuntimeError(absence())
    torch.ops.load_library(_guard())
    torch.utils.rename_privateuse1_backend(NAME)
    torch.utils.generate_methods_for_privateuse1_backend()
    torch._register_device_module(NAME, Module())
    torch._C._acc.register_python_privateuseone_hook(torch.utils.backend_registration._DummyPrivateUse1Hook())
    library = torch.library.Library("aten", "IMPL")
    for name, kernel in FACTORIES.items():
        library.impl(name, kernel, "PrivateUse1")
    _KEPT.append(library)
    KERNELS[NAME] = "cpu"


def autoload() -> None:
    """What PyTorch >= 2.5 calls at the end of its import where the folder ``autoload`` is on the path, which is how an
    accelerator's package makes itself known in every process; nothing is done where there can be no such device."""
    if not absence():
        install()


def _guard() -> str:
    """The compiled guard, made anew for each version of PyTorch; raises RuntimeError with the compiler's words."""
    source = GUARD.read_bytes()
    mark = hashlib.sha256(source + torch.__version__.encode()).hexdigest()[:16]
    built = Path(tempfile.gettempdir()) / f"gradcheck-simulated-{os.getuid()}" / f"guard-{mark}.so"
    if not built.exists():
        built.parent.mkdir(mode=0o700, exist_ok=True)
        root = Path(torch.__file__).parent
        compiler = _compiler()
        assert compiler is not None
        unfinished = built.with_suffix(f".{os.getpid()}")
        command = [compiler, "-std=c++20", "-shared", "-fPIC", f"-I{root / 'include'}", str(GUARD), f"-L{root / 'lib'}"]
        command += ["-lc10", f"-D_GLIBCXX_USE_CXX11_ABI={int(torch._C._GLIBCXX_USE_CXX11_ABI)}", "-o", str(unfinished)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.strip()[:2000]}")
        unfinished.rename(built)  # at once, for processes that build it at the same time
    return str(built)
