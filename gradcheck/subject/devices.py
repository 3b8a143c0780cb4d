"""The device axis: ``cpu``, ``cuda``, ``cuda:N``, and whatever else PyTorch calls an accelerator (mps, xpu, a backend
of one's own behind PrivateUse1).

PyTorch has a module for each kind of device, ``torch.cuda``, ``torch.mps``, ``torch.xpu``, …; what is asked of it here
is what they have in common.
"""

from __future__ import annotations

from typing import Any

import torch

from gradcheck.errors import UsageError

__all__ = [
    "check_device",
    "generator_state",
    "kind_of",
    "lost",
    "name_and_driver",
    "set_generator_state",
    "synchronize",
]

EXPECTED = (
    "cpu, cuda or cuda:N, or another accelerator of this PyTorch (mps, xpu, …, or one whose package registers itself "
    "at the entry point torch.backends)"
)


def kind_of(device: str | torch.device) -> str:
    """The type of a device: ``cuda`` of ``cuda:1``."""
    return "cpu" if device == "cpu" else torch.device(device).type


def check_device(device: str) -> None:
    """Raise UsageError, with the reason, unless PyTorch can compute on ``device`` here."""
    try:
        parsed = torch.device(device)
    except RuntimeError:
        raise UsageError(f"device {device!r} is not known; expected {EXPECTED}.") from None
    if parsed.type == "cpu":
        if device != "cpu":
            raise UsageError(f"device {device!r}: the CPU is one device and has no number; expected cpu.")
        return
    module = getattr(torch, parsed.type, None)
    if module is None or not hasattr(module, "device_count"):
        raise UsageError(
            f"device {device!r} is not supported: this PyTorch computes nothing there; expected {EXPECTED}."
        )
    if not _is_available(module, parsed.type):
        raise UsageError(f"device {device!r}: {parsed.type} is not available here: {_build(parsed.type)}.")
    count = module.device_count()
    if parsed.index is not None and parsed.index >= count:
        raise UsageError(f"device {device!r}: the number of {parsed.type} devices here is {count}.")
    try:
        torch.ones(2, device=device).sum().item()
    except RuntimeError as error:  # no kernels for this device in the build, or its memory is full
        words = str(error).strip().splitlines()[0]
        raise UsageError(f"device {device!r} is there, but the sum of two ones failed on it: {words}") from None


def _is_available(module: Any, kind: str) -> bool:
    asked = getattr(module, "is_available", None) or getattr(torch.backends, kind).is_available
    return bool(asked())


def _build(kind: str) -> str:
    if kind != "cuda":
        return f"torch {torch.__version__} finds none"
    if torch.version.cuda:
        return f"torch {torch.__version__} is built for CUDA {torch.version.cuda}"
    hip = getattr(torch.version, "hip", None)
    return f"torch {torch.__version__} is " + (f"built for ROCm {hip}" if hip else "a build without CUDA")


def synchronize(device: str) -> None:
    """Wait until all that was asked of the device is done; an error of a kernel surfaces here at the latest."""
    kind = kind_of(device)
    wait = None if kind == "cpu" else getattr(getattr(torch, kind), "synchronize", None)
    if wait is None:
        return
    if kind == "mps":
        wait()
    else:
        wait(device)


def lost(device: str) -> bool:
    """Whether the device answers no more: after some errors (a failed assertion in a CUDA kernel) nothing runs."""
    try:
        synchronize(device)
    except RuntimeError:
        return True
    return False


def generator_state(device: torch.device) -> torch.Tensor | None:
    """The state of the device's default generator, None for the CPU or a kind of device that has none."""
    get = None if device.type == "cpu" else getattr(getattr(torch, device.type), "get_rng_state", None)
    if get is None:
        return None
    state: torch.Tensor = get() if device.type == "mps" else get(device)
    return state


def set_generator_state(device: torch.device, state: torch.Tensor | None) -> None:
    """Undo what was drawn since :func:`generator_state`."""
    if state is None:
        return
    module = getattr(torch, device.type)
    if device.type == "mps":
        module.set_rng_state(state)
    else:
        module.set_rng_state(state, device)


def name_and_driver(device: str) -> dict[str, str]:
    """The name of an accelerator, and the libraries that drive it, as far as PyTorch says; "" for what it does not."""
    kind = kind_of(device)
    module = getattr(torch, kind)
    name = str(module.get_device_name(device)) if hasattr(module, "get_device_name") else ""
    if kind != "cuda":
        return {"name": name, "driver": ""}
    hip = getattr(torch.version, "hip", None)
    platform = f"ROCm {hip}" if hip else f"CUDA {torch.version.cuda}"
    capability = ".".join(map(str, torch.cuda.get_device_capability(device)))
    driver = getattr(torch._C, "_cuda_getDriverVersion", lambda: "unknown")()
    cudnn: Any = torch.backends.cudnn
    about = f"{platform}, cuDNN {cudnn.version()}, driver for {platform.partition(' ')[0]} {driver}"
    return {"name": name, "driver": f"{about}, compute capability {capability}"}
