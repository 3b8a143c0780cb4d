"""The decorator ``@clipping``: what a clipping function does to a list of gradients, as an entry of the table."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gradcheck.arithmetic import Bounded, RoundingModel
from gradcheck.arithmetic.running import lift, lift_array
from gradcheck.reference.registry import enter

__all__ = ["MODES", "Clipping", "bounded_clipping", "clip", "clipping", "gradients_of", "total_of"]

MODES = ("default", "foreach", "loop")
"""``foreach=None``, ``foreach=True`` and ``foreach=False``."""

ENOUGH = 4
"""The largest number of gradients that a case may have."""

WORDS = {"zeroed": ()}
"""What a case says besides the function's options: the numbers of gradients that are all zero."""


@dataclass(frozen=True)
class Clipping:
    """One function of ``torch.nn.utils``; an Entry of the table.

    function: ``function(grads, *, …) -> {"total": …, "grads": […]}``, either may be missing, or
    ``function(grads, total, *, …)`` where the norm is given; inputs: from a Draw to the arguments of a case.
    """

    name: str
    function: Callable[..., dict[str, Any]]
    inputs: Callable[[Any], dict[str, Any]]
    modes: tuple[str, ...] = MODES
    kind: ClassVar[str] = "clipping"
    dtypes: ClassVar[tuple[str, ...]] = ("float64", "float32", "float16", "bfloat16")
    elementwise: ClassVar[bool] = False
    required: ClassVar[tuple[str, ...]] = ()

    @property
    def title(self) -> str:
        """The first line of the formula's docstring."""
        return (self.function.__doc__ or "").strip().partition("\n")[0]

    @property
    def takes_total(self) -> bool:
        """Whether the total norm is given."""
        return "total" in inspect.signature(self.function).parameters

    @property
    def arrays(self) -> tuple[str, ...]:
        """``grad0, grad1, …``; None is a parameter that has no gradient."""
        return (*(f"grad{i}" for i in range(ENOUGH)), *(("total",) if self.takes_total else ()))

    @property
    def options(self) -> dict[str, Any]:
        """The function's own options and PyTorch's defaults; one that must be given has the value 1."""
        parameters = inspect.signature(self.function).parameters.values()
        return {p.name: 1.0 if p.default is p.empty else p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The options, and what every case of clipping says."""
        return {**self.options, **WORDS}


def clipping(
    name: str, *, inputs: Callable[[Any], dict[str, Any]]
) -> Callable[[Callable[..., dict[str, Any]]], Callable[..., dict[str, Any]]]:
    """Enter the decorated function as the entry of ``name``; the function itself is returned unchanged."""

    def register(function: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        enter(Clipping(name, function, inputs))
        return function

    return register


def gradients_of(arguments: dict[str, Any]) -> dict[str, np.ndarray | None]:
    """The gradients of a case by name, in order, those that are to be zero made so; None where there is none."""
    zeroed = {f"grad{i}" for i in arguments.get("zeroed", ())}
    return {
        name: np.zeros(value.shape) if name in zeroed and value is not None else value
        for name, value in arguments.items()
        if name.startswith("grad")
    }


def total_of(arguments: dict[str, Any]) -> np.ndarray:
    """The total norm of a case where it is given: the absolute value of what was drawn."""
    return np.abs(arguments["total"])


def clip(
    entry: Clipping,
    arguments: dict[str, Any],
    lift_array: Callable[[np.ndarray], Any],
    lift_number: Callable[[float], Any],
) -> dict[str, Any]:
    """``{"total": …, "grad[grad0]": …}`` in the arithmetic of the lifted arguments."""
    present = {name: value for name, value in gradients_of(arguments).items() if value is not None}
    given = {name: value for name, value in arguments.items() if name in entry.options}
    options = {
        name: lift_number(value) if isinstance(value, float) and name != "norm_type" else value
        for name, value in {**entry.options, **given}.items()
    }
    arrays: list[Any] = [[lift_array(array) for array in present.values()]]
    if entry.takes_total:
        arrays.append(lift_array(total_of(arguments)))
    outcome = entry.function(*arrays, **options)
    outputs = {"total": outcome["total"]} if "total" in outcome else {}
    return outputs | {f"grad[{name}]": grad for name, grad in zip(present, outcome.get("grads", ()), strict=False)}


def bounded_clipping(entry: Clipping, arguments: dict[str, Any], model: RoundingModel) -> dict[str, Bounded]:
    """The same with running error bounds."""
    with np.errstate(all="ignore"):
        outputs = clip(entry, arguments, lambda array: lift_array(array, model), lambda x: lift(float(x), model))
    return {name: lift(output, model) for name, output in outputs.items()}
