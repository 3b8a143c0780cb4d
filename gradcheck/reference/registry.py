"""The decorator ``@reference`` and the table of everything that can be judged, by PyTorch's dotted name.

Most entries are references of differentiable operations; step rules of optimizers, schedules and what else has a form
of its own are entries as well (see Entry), and share names, cases, corpus and command line.
"""

from __future__ import annotations

import fnmatch
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np

from gradcheck.errors import ContractError, UsageError, nearest

__all__ = [
    "Entry",
    "Kink",
    "Reference",
    "enter",
    "entries",
    "entry_named",
    "reference",
    "reference_named",
    "references",
    "select",
]

Inputs = Callable[[Any], dict[str, Any]]


class Entry(Protocol):
    """What everything in the table has: how cases of it are drawn and read, and in which modes PyTorch has it.

    name: PyTorch's dotted name below ``torch``; arrays, hyperparameters, required: as of Reference; modes: those
    judged by default; dtypes: those it exists in; kind: the word by which the judge is found; title: what it computes.
    """

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def arrays(self) -> tuple[str, ...]: ...
    @property
    def hyperparameters(self) -> dict[str, Any]: ...
    @property
    def required(self) -> tuple[str, ...]: ...
    @property
    def modes(self) -> tuple[str, ...]: ...
    @property
    def dtypes(self) -> tuple[str, ...]: ...
    @property
    def elementwise(self) -> bool: ...
    @property
    def inputs(self) -> Inputs: ...


@dataclass(frozen=True)
class Kink:
    """What holds by convention where there is no derivative: at a kink, a tie, for nothing at all.

    where, what: words for the documentation; at: arguments exactly there, arrays as (nested) lists; gives: outputs by
    name (``value``, ``grad[x]``) for a cotangent of ones. Tests ask both the reference and PyTorch for them.
    """

    where: str
    what: str
    at: Mapping[str, Any]
    gives: Mapping[str, Any]


@dataclass(frozen=True)
class Reference:
    """One operation: its formula and how cases of it are drawn.

    name: PyTorch's dotted name below ``torch``; function: arrays positional, hyperparameters keyword-only, returns
    ``value, vjp``, or a dict of outputs in the value's place; inputs: from a Draw to the arguments of one case;
    constant: arrays without gradient by definition; elementwise: each output element depends on one element of the
    first array alone; rows: from the arguments to the names of the arrays that can be cut into blocks along axis 0
    (empty: evaluate whole); aux: outputs without gradient (indices, running statistics); drawn: arrays that PyTorch
    draws itself (masks), PyTorch's being judged by instead of the case's; kinks: conventions where there is no
    derivative; routes: by mode or oracle (see cases/modes.py), the same mathematics as PyTorch computes it there, where
    it goes another way than in ``backward``.
    """

    name: str
    function: Callable[..., Any]
    inputs: Inputs
    constant: tuple[str, ...] = ()
    elementwise: bool = False
    rows: Callable[[dict[str, Any]], tuple[str, ...]] | None = None
    aux: tuple[str, ...] = ()
    drawn: tuple[str, ...] = ()
    kinks: tuple[Kink, ...] = ()
    routes: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    kind: ClassVar[str] = "operation"
    dtypes: ClassVar[tuple[str, ...]] = ("float64", "float32", "float16", "bfloat16")
    modes: ClassVar[tuple[str, ...]] = ("backward",)

    @property
    def title(self) -> str:
        """The first line of the reference's docstring."""
        return (self.function.__doc__ or "").strip().partition("\n")[0]

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the array parameters, in order."""
        return _parameters(self.function)[0]

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """Keyword-only parameters and their defaults."""
        return dict(_parameters(self.function)[1])

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the parameters that have no default."""
        parameters = inspect.signature(self.function).parameters.values()
        return tuple(p.name for p in parameters if p.default is p.empty)

    @property
    def differentiable(self) -> tuple[str, ...]:
        """Names of the arrays that have a gradient, where they hold floats."""
        return tuple(name for name in self.arrays if name not in self.constant)

    def differentiable_in(self, arguments: dict[str, Any]) -> list[str]:
        """Those of them that are there and hold floats in these arguments (NumPy arrays by name)."""
        present = ((name, arguments.get(name)) for name in self.differentiable)
        return [name for name, array in present if isinstance(array, np.ndarray) and array.dtype.kind == "f"]


@lru_cache(maxsize=4096)
def _parameters(function: Callable[..., Any]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Names of the positional parameters, and the keyword-only ones with their defaults."""
    parameters = inspect.signature(function).parameters.values()
    arrays = tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)
    return arrays, {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


_TABLE: dict[str, Entry] = {}

E = TypeVar("E", bound=Entry)


def enter(entry: E) -> E:
    """Put an entry into the table. Raises ContractError where its name is taken."""
    if entry.name in _TABLE:
        raise ContractError(f"{entry.name} has two references: {_TABLE[entry.name]} and {entry}.")
    _TABLE[entry.name] = entry
    return entry


def reference(
    name: str,
    *,
    inputs: Inputs,
    constant: tuple[str, ...] = (),
    elementwise: bool = False,
    rows: Callable[[dict[str, Any]], tuple[str, ...]] | None = None,
    aux: tuple[str, ...] = (),
    drawn: tuple[str, ...] = (),
    kinks: tuple[Kink, ...] = (),
    routes: Mapping[str, Callable[..., Any]] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter the decorated function as the reference of ``name``; the function itself is returned unchanged.

    Raises ContractError where the name is taken or ``constant`` or ``drawn`` names no parameter.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        entry = Reference(name, function, inputs, constant, elementwise, rows, aux, drawn, kinks, routes or {})
        for array in (*constant, *drawn):
            if array not in entry.arrays:
                raise ContractError(f"{name}: {array!r} is no array parameter; expected {entry.arrays}.")
        enter(entry)
        return function

    return register


@cache
def entries() -> dict[str, Entry]:
    """Everything that can be judged, by name; imports every module below ``gradcheck.reference`` once."""
    package = importlib.import_module("gradcheck.reference")
    for module in pkgutil.walk_packages(package.__path__, "gradcheck.reference."):
        importlib.import_module(module.name)
    return dict(sorted(_TABLE.items()))


@cache
def references() -> dict[str, Reference]:
    """The references of differentiable operations, by name."""
    return {name: entry for name, entry in entries().items() if isinstance(entry, Reference)}


def entry_named(name: str) -> Entry:
    """The entry called ``name`` in full. Raises UsageError with the nearest names."""
    table = entries()
    if name not in table:
        raise UsageError(f"operation {name!r} is not known; {nearest(name, table)}")
    return table[name]


def reference_named(name: str) -> Reference:
    """The reference called ``name`` in full. Raises UsageError with the nearest names."""
    entry = entry_named(name)
    if not isinstance(entry, Reference):
        raise UsageError(f"{name} is no differentiable operation, but of kind {entry.kind!r}.")
    return entry


def select(patterns: Iterable[str]) -> list[Entry]:
    """Entries whose dotted name, or last part of it, matches one of the patterns (``*`` allowed); all for none.

    Raises UsageError for a pattern that matches nothing.
    """
    table = entries()
    patterns = tuple(patterns) or ("*",)
    chosen: dict[str, Entry] = {}
    for pattern in patterns:
        matched = [
            n for n in table if fnmatch.fnmatchcase(n, pattern) or fnmatch.fnmatchcase(n.rpartition(".")[2], pattern)
        ]
        if not matched:
            raise UsageError(f"operation {pattern!r} is not known; {nearest(pattern, table)}")
        chosen.update((n, table[n]) for n in matched)
    return list(chosen.values())
