"""The decorator ``@step_rule``: one step of an optimizer as an entry of the table; the operations steps are made of.

A rule is pure NumPy: ``step(param, grad, state, t, *, lr, …) -> (param, state)``. Arrays have one shape but for what
the docstring says; ``state`` is a named tuple of arrays, ``None`` where an entry is not kept; ``t`` is the number of
this step, from 1. Structural options (booleans, names) are Python's own; numbers are scalars of the arithmetic, see
``scalar``. ``route`` is the implementation, where PyTorch's take different ways; ``stored`` marks what the for-loop
writes to a tensor between operations, which a fused kernel keeps in registers. Complex parameters are pairs of reals.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from gradcheck.arithmetic import Bounded
from gradcheck.reference.optim.scalar import Scalar
from gradcheck.reference.registry import enter

__all__ = [
    "COMPILED",
    "ENOUGH",
    "MODES",
    "StepRule",
    "addcdiv",
    "addcmul",
    "lerp",
    "never_negative",
    "nonzero",
    "step_rule",
    "zeros",
]

COMPILED = ("compile:eager", "compile:inductor")
"""The step of the for-loop through ``torch.compile``: traced alone, and with kernels of the compiler's own."""

MODES = ("loop", "foreach", "fused", "differentiable", "capturable", *COMPILED)
"""Implementations of a step: ``foreach=False``, ``foreach=True``, ``fused=True``, … ; capturable runs on CUDA alone."""

ENOUGH = 4
"""The largest number of parameters that a history may have."""

ASKED = frozenset({"route", "rows", "kept", "weight"})
"""Keywords of a rule that are no options. route: the implementation; rows: the mask of a sparse gradient's rows; kept:
what PyTorch stored in this step, entries of one element and ``param``, by name: empty where that is not known; weight:
1 - β1, both as the parameter's dtype holds them, where β1 is a tensor that PyTorch casts to it, else None."""

Start = Callable[..., Any]

HISTORY = {
    "steps": None,
    "group1": (),
    "missing": (),
    "zeroed": (),
    "grad_layout": "as the parameter",
    "lr_tensor": None,
    "betas_tensor": None,
    "weight_decay_tensor": None,
    "complex": False,
    "sparse": False,
}
"""What a case says of a history besides the optimizer's options, with defaults. steps: how many, the leading axis of
the gradients; group1: options, as pairs, of a second group that has the last parameter; missing and zeroed: pairs
(step, parameter) at which the gradient is None, or zero; grad_layout: the layout of gradients in memory; lr_tensor,
betas_tensor, weight_decay_tensor: the dtype of that option as a tensor; complex: the last axis holds pairs of reals;
sparse: gradients are sparse over rows."""


@dataclass(frozen=True)
class StepRule:
    """One optimizer: its step, and how histories of it are drawn; an Entry of the table.

    state: the named tuple that the step takes and returns; start: ``start(param, **options)`` gives it before the first
    step; scalars: entries that are tensors of one element in float32; tensor_steps: modes in which t is such a tensor
    and what follows from it is computed in float32; counts: whether PyTorch keeps t as ``state["step"]``; pairs:
    whether PyTorch views complex parameters as pairs of reals; where not, an infinity in one part makes NaN of the
    other.
    """

    name: str
    function: Callable[..., Any]
    state: Any
    inputs: Callable[[Any], dict[str, Any]]
    modes: tuple[str, ...]
    start: Start
    scalars: tuple[str, ...] = ()
    tensor_steps: tuple[str, ...] = ()
    counts: bool = True
    pairs: bool = True
    kind: ClassVar[str] = "optimizer"
    dtypes: ClassVar[tuple[str, ...]] = ("float64", "float32", "float16", "bfloat16")
    elementwise: ClassVar[bool] = False

    @property
    def title(self) -> str:
        """The first line of the function's docstring: what it computes."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    @property
    def arrays(self) -> tuple[str, ...]:
        """``param0, grad0, param1, …``; a gradient has one more axis in front, the steps."""
        return tuple(f"{word}{i}" for i in range(ENOUGH) for word in ("param", "grad"))

    @property
    def options(self) -> dict[str, Any]:
        """The optimizer's own options and PyTorch's defaults."""
        return {name: default for name, default in _keywords(self.function) if name not in ASKED}

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The options, and what describes the history."""
        return {**self.options, **HISTORY}

    @property
    def required(self) -> tuple[str, ...]:
        return ("param0", "grad0")

    @property
    def takes(self) -> frozenset[str]:
        """Which of ``ASKED`` the function asks for."""
        return frozenset(name for name, _ in _keywords(self.function)) & ASKED


@lru_cache(maxsize=256)
def _keywords(function: Callable[..., Any]) -> tuple[tuple[str, Any], ...]:
    """Keyword-only parameters and their defaults: asked for at every step, so they are read once."""
    parameters = inspect.signature(function).parameters.values()
    return tuple((p.name, p.default) for p in parameters if p.kind is p.KEYWORD_ONLY)


def zeros(state: Any) -> Start:
    """A start with every entry zero, of the parameter's shape."""

    def start(param: np.ndarray, **options: Any) -> Any:
        return state(*(np.zeros(param.shape) for _ in state._fields))

    return start


def step_rule(
    name: str,
    *,
    state: Any,
    inputs: Callable[[Any], dict[str, Any]],
    modes: tuple[str, ...] = ("loop",),
    start: Start | None = None,
    scalars: tuple[str, ...] = (),
    tensor_steps: tuple[str, ...] = (),
    counts: bool = True,
    pairs: bool = True,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter the decorated function as the step rule of ``name``; the function itself is returned unchanged."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        begin = start or zeros(state)
        enter(StepRule(name, function, state, inputs, modes, begin, scalars, tensor_steps, counts, pairs))
        return function

    return register


def nonzero(scalar: Any) -> bool:
    """Whether a hyperparameter is not zero: PyTorch leaves operations out where it is."""
    return float(scalar) != 0.0


def lerp(a: Any, b: Any, weight: Any) -> Any:
    """a + weight·(b - a), for weight < 1/2, b - (b - a)·(1 - weight) else: ``Tensor.lerp``, exact at both ends."""
    if abs(float(weight)) < 0.5:
        return a + weight * (b - a)
    like = weight.as_operand(a) if hasattr(weight, "as_operand") else weight
    return b - (b - a) * (1.0 - like)


def addcmul(a: Any, b: Any, c: Any, value: Any = 1.0) -> Any:
    """a + (value·b)·c, in the order of PyTorch's kernel; where b is c and value >= 0, the product is never negative."""
    product = value * b * c
    return a + (never_negative(product) if b is c and float(value) >= 0.0 else product)


def never_negative(x: Any) -> Any:
    """x, of which it is known that the subject's number is not below 0: with it its root is never NaN."""
    if isinstance(x, Scalar) and isinstance(x.number, Bounded):
        return Scalar(x.number.at_least_zero())
    return x.at_least_zero() if isinstance(x, Bounded) else x


def addcdiv(a: Any, b: Any, c: Any, value: Any = 1.0) -> Any:
    """a + (value·b)/c, in the order of PyTorch's kernel."""
    return a + value * b / c
