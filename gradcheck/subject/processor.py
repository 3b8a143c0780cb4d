"""What this processor brings to PyTorch's arithmetic: instructions for bfloat16, which flush subnormal numbers.

Source. Intel, *64 and IA-32 Architectures Software Developer's Manual*, vol. 2, VDPBF16PS, VCVTNE2PS2BF16,
VCVTNEPS2BF16 and TDPBF16PS: products and sums are rounded to nearest, subnormal operands are taken for zero and
subnormal results flushed to it, whatever the control register says. AMD's processors have the same instructions. Those
of Arm round to odd besides, which no model here knows. PyTorch leaves the operations named here to oneDNN, which takes
these instructions where there are any.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping

from gradcheck.processor import processor_flags
from gradcheck.subject.devices import kind_of
from gradcheck.subject.settings import LOWERED

__all__ = ["BFLOAT16_INSTRUCTIONS", "BY_ONEDNN", "flushes"]

BFLOAT16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "avx_ne_convert")
"""Instruction sets with products or conversions of bfloat16, as Linux names them."""

BY_ONEDNN = (*(name for name in LOWERED if name != "nn.functional.prelu"), "nn.functional.gelu")
"""Operations whose bfloat16 kernels may be oneDNN's: prelu's are PyTorch's own."""


def flushes(operation: str, dtype: str, device: str, words: Mapping[str, str]) -> bool:
    """Whether an operation may flush subnormal numbers since this processor's instructions for ``dtype`` do.

    dtype: that is computed in; words: the switches of the setting and their positions: ``mkldnn=off`` turns oneDNN off.
    """
    return (
        dtype == "bfloat16"
        and kind_of(device) == "cpu"
        and words.get("mkldnn") != "off"
        and not processor_flags().isdisjoint(BFLOAT16_INSTRUCTIONS)
        and any(fnmatch.fnmatchcase(operation, name) for name in BY_ONEDNN)
    )
