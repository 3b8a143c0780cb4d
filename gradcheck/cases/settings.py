"""Precision settings: the axis ``setting`` of a case, such as ``mkldnn=off`` or ``mkldnn=off,threads=2``.

A setting is made of words, each a switch of PyTorch and its position; ``default`` stands for none. Nothing here imports
torch: ``gradcheck/subject/settings.py`` turns the switches, and turns them back afterwards.
"""

from __future__ import annotations

import re
from functools import cache

from gradcheck.errors import UsageError, choices

__all__ = ["DEFAULT", "SWITCHES", "environment_of", "normal_setting", "words_of"]

DEFAULT = "default"

SWITCHES: dict[str, tuple[str, ...]] = {
    "autocast": ("float16", "bfloat16"),
    "benchmark": ("on", "off"),
    "capability": ("default", "avx2", "avx512"),
    "cudnn": ("on", "off"),
    "denormals": ("flush", "keep"),
    "deterministic": ("on", "off"),
    "matmul": ("highest", "high", "medium"),
    "mkldnn": ("on", "off"),
    "threads": (),
}
"""By switch: its positions (a whole number from 1 on where there are none).

``autocast``: the dtype of ``torch.autocast`` around the forward; ``benchmark``: whether cuDNN tries its kernels and
takes the fastest; ``capability``: ATEN_CPU_CAPABILITY, which PyTorch reads when it is imported; ``cudnn``: cuDNN's
kernels; ``denormals``: ``torch.set_flush_denormal``; ``deterministic``: ``torch.use_deterministic_algorithms``;
``matmul``: ``torch.set_float32_matmul_precision``; ``mkldnn``: oneDNN's kernels; ``threads``:
``torch.set_num_threads``.
"""

_WHOLE = re.compile(r"[1-9]\d{0,3}")


@cache
def _words(setting: str) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for word in [] if setting == DEFAULT else setting.split(","):
        name, equals, value = word.partition("=")
        if name not in SWITCHES or not equals:
            raise UsageError(
                f"setting {setting!r}: {word!r} is not known; expected {DEFAULT}, or words such as mkldnn=off or "
                f"threads=2, with commas between them, of {choices(SWITCHES)}."
            )
        if name in found:
            raise UsageError(f"setting {setting!r}: {name} stands twice.")
        if not SWITCHES[name] and not _WHOLE.fullmatch(value):
            raise UsageError(f"setting {setting!r}: {name}={value}; expected a whole number from 1 to 9999.")
        if SWITCHES[name] and value not in SWITCHES[name]:
            raise UsageError(f"setting {setting!r}: {name}={value}; expected {choices(SWITCHES[name])}.")
        found[name] = value
    return tuple(sorted(found.items()))


def words_of(setting: str) -> dict[str, str]:
    """The positions of the switches that a setting names, by switch.

    Raises UsageError, naming the word that is wrong and what was expected.
    """
    return dict(_words(setting))


def normal_setting(setting: str) -> str:
    """The one way in which a setting is written: words in alphabetical order. Raises UsageError as ``words_of``."""
    return ",".join(f"{name}={value}" for name, value in _words(setting)) or DEFAULT


def environment_of(setting: str) -> dict[str, str]:
    """Environment variables that a process needs before it imports torch, to judge under the setting."""
    words = words_of(setting)
    return {"ATEN_CPU_CAPABILITY": words["capability"]} if "capability" in words else {}
