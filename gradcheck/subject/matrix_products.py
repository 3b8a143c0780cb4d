"""PyTorch's flags on how matrices are multiplied, as the rounding model takes them.

PyTorch lets float32 products run on tensor cores in TF32, and sums of float16 and bfloat16 products be reduced in that
dtype. For cuDNN's convolutions TF32 is the default, for matrix products it is not. Reading a flag changes nothing and
raises nothing, whichever of PyTorch's two interfaces (``allow_tf32``, and ``fp32_precision`` since torch 2.9) set it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch

from gradcheck.arithmetic.products import FACTORS, PLAIN, Products
from gradcheck.subject.devices import kind_of

__all__ = ["ELSEWHERE", "family_of", "products_of"]

ELSEWHERE = {
    "nn.functional.grid_sample": "four or eight neighbours, weighted in a kernel of its own",
    "nn.functional.interpolate": "taps along each axis, in a kernel of its own",
    "nn.functional.upsample": "as interpolate",
    "nn.functional.upsample_bilinear": "as interpolate",
}
"""Operations whose references multiply matrices where PyTorch's kernels do not, each with what they do."""

RECURRENT = ("nn.RNN", "nn.GRU", "nn.LSTM")


def family_of(operation: str) -> str:
    """Which flags an operation is under, in PyTorch's words: ``conv``, ``rnn`` or ``matmul``."""
    if operation.startswith(("nn.functional.conv", "nn.Conv")):
        return "conv"
    return "rnn" if operation in RECURRENT else "matmul"


WORDS = {"highest": "ieee", "high": "tf32", "medium": "bf16"}
"""By float32 precision of matrix products, what that lets the CPU do; CUDA takes TF32 for ``medium`` as well."""


def products_of(operation: str, device: str, words: Mapping[str, str] = MappingProxyType({})) -> Products:
    """How PyTorch may multiply matrices in an operation on a device: as its flags are now, and under the switches of a
    setting (``words``: ``matmul`` and ``cudnn`` by position), which are turned while the subject runs."""
    kind = kind_of(device)
    if operation in ELSEWHERE or kind not in ("cpu", "cuda"):
        return PLAIN
    family = family_of(operation)
    if kind == "cpu":
        word = WORDS[words["matmul"]] if "matmul" in words else _word(torch.backends.mkldnn, family)
        return Products(FACTORS.get(word, 0.0))
    cudnn = words["cudnn"] == "on" if "cudnn" in words else torch.backends.cudnn.enabled
    if not cudnn:
        family = "matmul"  # without cuDNN, convolutions and recurrent layers are made of matrix products
    tf32 = words["matmul"] != "highest" if "matmul" in words and family == "matmul" else _tf32_on_cuda(family)
    # Tensor cores may chop a factor, which is off by up to two unit roundoffs then.
    return Products(2.0 * FACTORS["tf32"] if tf32 else 0.0, _reduced(family), chopped=True)


def _word(backend: Any, family: str) -> str:
    """``fp32_precision`` of a family of operations; ``none`` where this PyTorch has no such flag."""
    return str(getattr(getattr(backend, family, None), "fp32_precision", "none"))


def _tf32_on_cuda(family: str) -> bool:
    backend: Any = torch.backends.cuda if family == "matmul" else torch.backends.cudnn
    if hasattr(getattr(backend, family, None), "fp32_precision"):
        return _word(backend, family) == "tf32"
    return bool(torch.backends.cuda.matmul.allow_tf32 if family == "matmul" else torch.backends.cudnn.allow_tf32)


def _reduced(family: str) -> frozenset[str]:
    """The 16-bit dtypes that partial sums may be kept in; cuDNN keeps them in float32."""
    if family != "matmul":
        return frozenset()
    flags = torch.backends.cuda.matmul
    words = {
        "float16": ("allow_fp16_reduced_precision_reduction", "allow_fp16_accumulation"),
        "bfloat16": ("allow_bf16_reduced_precision_reduction",),
    }
    return frozenset(dtype for dtype, names in words.items() if any(_flag(flags, name) for name in names))


def _flag(flags: Any, name: str) -> bool:
    try:
        return bool(getattr(flags, name))
    except AttributeError:  # of a newer PyTorch
        return False
