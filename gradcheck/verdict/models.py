"""How PyTorch rounds on a case: the rounding model of its dtype and device, under its setting and PyTorch's flags."""

from __future__ import annotations

import fnmatch
import math

from gradcheck.arithmetic import RoundingModel, rounding_model
from gradcheck.cases.case import Case
from gradcheck.cases.settings import words_of
from gradcheck.formats import format_named
from gradcheck.subject.matrix_products import products_of
from gradcheck.subject.processor import flushes
from gradcheck.subject.settings import LOWERED

__all__ = ["grades_of", "is_small", "lowered", "model_at", "model_of", "output_dtypes"]


def lowered(case: Case) -> str | None:
    """The dtype that autocast may compute the case in; None where it changes nothing."""
    dtype = words_of(case.setting).get("autocast")
    if dtype is None or case.dtype != "float32":
        return None
    return dtype if any(fnmatch.fnmatchcase(case.operation, name) for name in LOWERED) else None


def grades_of(case: Case) -> tuple[str, ...]:
    """The grades that a case is judged by: two in 16-bit arithmetic, where they differ."""
    return ("agrees", "coarse") if format_named(lowered(case) or case.dtype).bits == 16 else ("agrees",)


WIDE_ELEMENTS = 1 << 13
"""Elements of the largest array up to which the formula for a float64 subject is evaluated in a wider float: that takes
NumPy without vector instructions and BLAS, ten times as long."""


def is_small(case: Case) -> bool:
    """Whether the formula for a float64 subject may be evaluated in a wider float."""
    return max((math.prod(spec.shape) for spec in case.specs.values()), default=1) <= WIDE_ELEMENTS


def model_of(case: Case, grade: str = "agrees", wide: bool = False) -> RoundingModel:
    """The rounding model of a case: for its dtype, or for that of autocast, to which float32 operands are rounded.

    wide: whether values for float64 are carried in a wider float.
    """
    words, low = words_of(case.setting), lowered(case)
    dtype = low or case.dtype
    return rounding_model(
        dtype,
        case.device,
        grade,
        flushed=words.get("denormals") == "flush" or flushes(case.operation, dtype, case.device, words),
        narrows=low is not None,
        wide=wide,
        products=products_of(case.operation, case.device, words),
    )


def model_at(operation: str, dtype: str, device: str) -> RoundingModel:
    """The rounding model of something that is no case: an operation that it is made of, its dtype and device."""
    return rounding_model(dtype, device, products=products_of(operation, device))


def output_dtypes(case: Case, output: str, model: RoundingModel) -> tuple[str, ...]:
    """The dtypes that an output may have: under autocast a value may have either, a gradient that of its argument."""
    if not model.narrows:
        return (model.store.name,)
    return (case.dtype,) if output.startswith("grad[") else (case.dtype, model.store.name)
