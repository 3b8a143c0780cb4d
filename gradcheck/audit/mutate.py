"""Mutated formulas: every reference's own syntax tree with one node wrong, compiled in its module's namespace.

What is mutated is the reference's function and every function below ``gradcheck.reference`` that it calls, directly or
not, in its own module or another. Defaults of parameters are not: cases give every argument, and a test of its own
compares the defaults with PyTorch's signature.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import FunctionType
from typing import Any

from gradcheck.arithmetic import functions
from gradcheck.audit.operators import OPERATORS
from gradcheck.reference.registry import Reference

__all__ = ["Mutant", "mutants", "size"]

PACKAGE = "gradcheck.reference"


@dataclass(frozen=True)
class Mutant:
    """A wrong reference, and what is wrong with it: the operator, the place, and the line before and after."""

    reference: Reference
    operator: str
    function: str
    line: int
    before: str
    after: str


def mutants(reference: Reference) -> Iterator[Mutant]:
    """All mutants of a reference, function by function in the order of the call tree, no two with the same text."""
    formula = _Formula(reference)
    for function, tree in formula.trees.items():
        seen = {ast.unparse(tree)}
        for operator, statement, replaced, undo in _changes(tree):
            before, line = _line(statement), statement.lineno
            replaced()
            try:
                text = ast.unparse(tree)
                if text in seen:
                    continue
                seen.add(text)
                after, wrong = _line(statement), formula.compiled()
            finally:
                undo()
            yield Mutant(wrong, operator, f"{function.__module__}.{function.__name__}", line, before, after)


def size(reference: Reference) -> int:
    """Nodes in the trees of a reference: a measure of how many mutants it has."""
    return sum(1 for tree in _Formula(reference).trees.values() for _ in ast.walk(tree))


Change = tuple[str, ast.stmt, Callable[[], None], Callable[[], None]]
"""Operator, the statement it changes, how to change it, how to change it back."""


def _changes(tree: ast.FunctionDef) -> Iterator[Change]:
    for statement, parent, node, put in _places(tree):
        for name, operator in OPERATORS.items():
            for other in operator(node, parent):
                yield name, statement, lambda put=put, other=other: put(other), lambda put=put, node=node: put(node)  # type: ignore[misc]
    yield from _ignored_parameters(tree)


def _places(tree: ast.FunctionDef) -> Iterator[tuple[ast.stmt, ast.AST, ast.expr, Callable[[ast.AST], None]]]:
    """Every expression in the body: the statement it is part of, its parent, itself, and how to put another there."""
    yield from _below(tree, tree, ("body",))


def _below(
    statement: ast.stmt, parent: ast.AST, names: tuple[str, ...]
) -> Iterator[tuple[ast.stmt, ast.AST, ast.expr, Callable[[ast.AST], None]]]:
    for name in names:
        value = getattr(parent, name)
        for index, node in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(node, ast.expr) and not _is_docstring(parent, node):
                yield statement, parent, node, _putter(parent, name, index if isinstance(value, list) else None)
            if isinstance(node, ast.AST):
                inner = ("body",) if isinstance(node, ast.FunctionDef) else tuple(f for f in node._fields if f != "ctx")
                if isinstance(node, ast.AnnAssign):
                    inner = ("value",)
                yield from _below(node if isinstance(node, ast.stmt) else statement, node, inner)


def _putter(parent: ast.AST, name: str, index: int | None) -> Callable[[ast.AST], None]:
    def put(node: ast.AST) -> None:
        ast.fix_missing_locations(ast.copy_location(node, parent))
        if index is None:
            setattr(parent, name, node)
        else:
            getattr(parent, name)[index] = node

    return put


def _is_docstring(parent: ast.AST, node: ast.expr) -> bool:
    return isinstance(parent, ast.Expr) and isinstance(node, ast.Constant)


def _ignored_parameters(tree: ast.FunctionDef) -> Iterator[Change]:
    """A parameter that is ignored: its default takes its place at the head of the function."""
    positional = tree.args.args[len(tree.args.args) - len(tree.args.defaults) :]
    parameters = zip([*positional, *tree.args.kwonlyargs], [*tree.args.defaults, *tree.args.kw_defaults], strict=True)
    for parameter, default in parameters:
        if default is None:
            continue
        given = ast.Name(parameter.arg, ast.Load())
        place = ast.Assign([ast.Name(parameter.arg, ast.Store())], given)
        for node in (place, default):
            ast.fix_missing_locations(ast.copy_location(node, tree.body[0]))

        def put(place: ast.Assign = place, default: ast.expr = default) -> None:
            place.value = default
            tree.body.insert(0, place)

        def undo(place: ast.Assign = place, given: ast.expr = given) -> None:
            place.value = given
            tree.body.remove(place)

        yield "ignored", place, put, undo


def _line(statement: ast.stmt) -> str:
    """The statement in one line; of a compound one its head."""
    return ast.unparse(statement).strip().splitlines()[0]


class _Formula:
    """The functions that make up a reference, as trees that can be changed, and how to compile them anew."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.trees = {function: _tree(function) for function in _reached(reference.function)}

    def compiled(self) -> Reference:
        """The reference as the trees say now; other functions, and other references, are left alone."""
        modules = dict.fromkeys(function.__module__ for function in self.trees)
        spaces = {name: {**vars(functions), **vars(sys.modules[name])} for name in modules}
        anew: dict[FunctionType, Any] = {}
        for function, tree in self.trees.items():
            space = spaces[function.__module__]
            code = compile(ast.Module([tree], []), inspect.getfile(function), "exec", dont_inherit=True)
            exec(code, space)
            anew[function] = space[function.__name__]
        for space in spaces.values():
            space.update(
                {
                    name: anew[value]
                    for name, value in space.items()
                    if isinstance(value, FunctionType) and value in anew
                }
            )
        return replace(self.reference, function=anew[self.reference.function])  # type: ignore[index]


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
    module = ast.parse(inspect.getsource(sys.modules[function.__module__]))
    tree = next(node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == function.__name__)
    tree.decorator_list = []
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        if isinstance(node, ast.FunctionDef):
            node.returns = None
    return tree
