"""Mutated formulas: every reference's own syntax tree with one node wrong, compiled in its module's namespace.

What is mutated is the reference's function and every function below ``gradcheck.reference`` that it calls, directly or
not, in its own module or another. Defaults of parameters are not: cases give every argument, and a test of its own
compares the defaults with PyTorch's signature.
"""

from __future__ import annotations

import ast
import copy
import inspect
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

from gradcheck.arithmetic import functions
from gradcheck.audit.reached import PACKAGE, Lines
from gradcheck.audit.variants import variants
from gradcheck.reference.registry import Reference

__all__ = ["Formula", "Mutant", "mutants", "size"]


@dataclass(frozen=True)
class Mutant:
    """A wrong reference, and what is wrong with it: the operator, the place, and the line before and after.

    lines: of the statement that is wrong; none where it stands at the head of the function, and is always run.
    """

    reference: Reference
    operator: str
    function: str
    line: int
    before: str
    after: str
    lines: range = range(0)

    def is_reached(self, lines: Lines) -> bool:
        """Whether the wrong statement is, or may be, among the lines that were run."""
        module = self.function.rpartition(".")[0]
        return not self.lines or any((module, line) in lines for line in self.lines)


def mutants(reference: Reference) -> Iterator[Mutant]:
    """All mutants of a reference, function by function in the order of the call tree, no two with the same text."""
    formula = Formula([reference.function])
    for function, tree in formula.trees.items():
        name = f"{function.__module__}.{function.__name__}"
        for variant in variants(tree):
            wrong = replace(reference, function=formula.compiled(function)[reference.function])
            yield Mutant(wrong, variant.operator, name, variant.line, variant.before, variant.after, variant.lines)


def size(reference: Reference) -> int:
    """Nodes in the trees of a reference: a measure of how many mutants it has."""
    return sum(1 for tree in Formula([reference.function]).trees.values() for _ in ast.walk(tree))


class Formula:
    """Some functions and all that they call below ``gradcheck.reference``, as trees that can be changed.

    without: modules whose functions are no part of the formula.
    """

    def __init__(self, functions_: Iterable[Callable[..., Any]], without: tuple[str, ...] = ()) -> None:
        reached = dict.fromkeys(function for first in functions_ for function in _reached(first))
        self.trees = {function: _tree(function) for function in reached if function.__module__ not in without}
        self._codes = {function: _code(function, tree) for function, tree in self.trees.items()}
        modules = dict.fromkeys(function.__module__ for function in self.trees)
        self._spaces = {name: {**vars(functions), **vars(sys.modules[name])} for name in modules}
        self._names = [
            (module, name, value)
            for module, space in self._spaces.items()
            for name, value in space.items()
            if isinstance(value, FunctionType) and value in self.trees
        ]

    def compiled(self, changed: FunctionType) -> dict[Callable[..., Any], Any]:
        """From each function to itself made anew, one as its tree says now; the functions themselves are left alone.

        All of them are made anew, in modules of their own: whoever calls the changed one calls it there.
        """
        spaces = {name: dict(space) for name, space in self._spaces.items()}
        anew: dict[Callable[..., Any], Any] = {}
        for function, code in self._codes.items():
            space = spaces[function.__module__]
            exec(_code(function, self.trees[function]) if function is changed else code, space)
            anew[function] = space[function.__name__]
        for module, name, function in self._names:
            spaces[module][name] = anew[function]
        return anew


def _code(function: FunctionType, tree: ast.FunctionDef) -> CodeType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a wrong formula may look odd to the compiler
        return compile(ast.Module([tree], []), inspect.getfile(function), "exec", dont_inherit=True)


def _reached(function: Callable[..., Any]) -> list[FunctionType]:
    """The function and all functions of the references' package that it calls, each once."""
    found: dict[FunctionType, None] = {}
    waiting = [function]
    while waiting:
        current = waiting.pop(0)
        if not isinstance(current, FunctionType) or current in found or not current.__module__.startswith(PACKAGE):
            continue
        found[current] = None
        waiting += [current.__globals__[name] for name in _names(current) if name in current.__globals__]
    return list(found)


def _names(function: FunctionType) -> list[str]:
    """Global names that a function reads, in the order of its text."""
    return [node.id for node in ast.walk(_tree(function)) if isinstance(node, ast.Name)]


def _tree(function: FunctionType) -> ast.FunctionDef:
    """The function's tree at its place in the file, without decorators and annotations."""
    tree = copy.deepcopy(_functions(function.__module__)[function.__name__])
    tree.decorator_list = []
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        if isinstance(node, ast.FunctionDef):
            node.returns = None
    return tree


@lru_cache(maxsize=32)
def _functions(module: str) -> dict[str, ast.FunctionDef]:
    """The functions that a module defines, by name."""
    body = ast.parse(inspect.getsource(sys.modules[module])).body
    return {node.name: node for node in body if isinstance(node, ast.FunctionDef)}
