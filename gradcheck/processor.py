"""This machine's processor: its name, and the instruction sets that oneDNN may take of it."""

from __future__ import annotations

import os
import platform
import re
from functools import cache
from pathlib import Path

__all__ = ["processor_flags", "processor_name"]

ABOUT = Path("/proc/cpuinfo")

WITHHELD = {
    **dict.fromkeys(("SSE41", "AVX", "AVX2", "AVX2_VNNI"), ("avx512", "amx", "avx_ne_convert")),
    "AVX2_VNNI_2": ("avx512", "amx"),
    **dict.fromkeys(("AVX512_CORE", "AVX512_CORE_VNNI"), ("avx512_bf16", "amx", "avx_ne_convert")),
    **dict.fromkeys(("AVX512_CORE_BF16", "AVX512_CORE_FP16"), ("amx",)),
}
"""By what ONEDNN_MAX_CPU_ISA, or DNNL_MAX_CPU_ISA as it was called first, may say (oneDNN's developer guide, "CPU
Dispatcher Control"): how the names of the instruction sets begin that oneDNN does not take then."""


def _told() -> str:
    """What the system tells of its processors; nothing where it does not (it is Linux that does)."""
    return ABOUT.read_text(encoding="utf-8") if ABOUT.exists() else ""


@cache
def processor_flags() -> frozenset[str]:
    """Instruction sets of this processor that oneDNN may take, as Linux names them; empty where the system does not
    tell."""
    most = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or ""
    found = re.search(r"^(?:flags|Features)\s*:(.*)", _told(), re.MULTILINE)  # the latter on Arm
    withheld = WITHHELD.get(most.upper(), ())
    return frozenset(flag for flag in (found[1].split() if found else ()) if not flag.startswith(withheld))


def processor_name() -> str:
    """The processor's name: libraries choose their kernels by it, beyond its capability."""
    found = re.search(r"^model name\s*:\s*(.+)", _told(), re.MULTILINE)
    return found[1].strip() if found else platform.processor()
