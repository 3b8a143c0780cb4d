"""Mutated entries: one node wrong in one of the formulas of a step rule, a schedule, a clipping function, …"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import FunctionType
from typing import Any, NamedTuple

from gradcheck.audit.entries.bench import Bench
from gradcheck.audit.mutate import Formula
from gradcheck.audit.variants import variants

__all__ = ["EntryMutant", "entry_mutants"]


class EntryMutant(NamedTuple):
    """A wrong entry, and what is wrong with it, as of Mutant."""

    entry: Any
    operator: str
    function: str
    line: int
    before: str
    after: str


def entry_mutants(entry: Any, bench: Bench) -> Iterator[EntryMutant]:
    """All mutants of an entry, by the operators of the operations' audit."""
    formulas = _formulas(entry, bench)
    formula = Formula(formulas.values(), bench.without)
    for function, tree in formula.trees.items():
        name = f"{function.__module__}.{function.__name__}"
        for variant in variants(tree):
            anew = formula.compiled(function)
            wrong = replace(entry, **{field: anew[own] for field, own in formulas.items() if own in anew})
            yield EntryMutant(wrong, variant.operator, name, variant.line, variant.before, variant.after)


def _formulas(entry: Any, bench: Bench) -> dict[str, Callable[..., Any]]:
    """The functions of the entry that stand at the head of a module; one made by another function is nobody's text."""
    return {field: own for field in bench.fields if _is_written(own := getattr(entry, field))}


def _is_written(function: Any) -> bool:
    return (
        isinstance(function, FunctionType)
        and getattr(sys.modules[function.__module__], function.__name__, None) is function
    )
