"""Every way in which one place of a function's syntax tree can be wrong."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import NamedTuple

from gradcheck.audit.operators import OPERATORS

__all__ = ["Variant", "variants"]


class Variant(NamedTuple):
    """What is wrong: the operator, and the statement before and after, in one line.

    lines: those of the statement; none of an ignored parameter, which is in no statement of the function.
    """

    operator: str
    line: int
    before: str
    after: str
    lines: range


def variants(tree: ast.FunctionDef) -> Iterator[Variant]:
    """All of them, no two with the same text. While one is yielded, the tree itself is the wrong one."""
    seen = {ast.unparse(tree)}
    for change in _changes(tree):
        line, before = change.statement.lineno, _line(change.statement)
        change.make()
        try:
            text = ast.unparse(tree)
            if text not in seen:
                seen.add(text)
                lines = (
                    range(0) if change.operator == "ignored" else range(line, (change.statement.end_lineno or line) + 1)
                )
                yield Variant(change.operator, line, before, _line(change.statement), lines)
        finally:
            change.undo()


class _Change(NamedTuple):
    """An operator, the statement that it changes, how to make the change and how to undo it."""

    operator: str
    statement: ast.stmt
    make: Callable[[], None]
    undo: Callable[[], None]


class _Place(NamedTuple):
    """An expression in its statement, its parent, and how to put another in its place."""

    statement: ast.stmt
    parent: ast.AST
    node: ast.expr
    put: Callable[[ast.expr], None]

    def changed_to(self, other: ast.expr, operator: str) -> _Change:
        return _Change(operator, self.statement, lambda: self.put(other), lambda: self.put(self.node))


def _changes(tree: ast.FunctionDef) -> Iterator[_Change]:
    for place in _places(tree, tree, ("body",)):
        for name, operator in OPERATORS.items():
            for other in operator(place.node, place.parent):
                yield place.changed_to(other, name)
    yield from _ignored_parameters(tree)


def _places(statement: ast.stmt, parent: ast.AST, fields: tuple[str, ...]) -> Iterator[_Place]:
    """Every expression below some fields of a node; docstrings, annotations and defaults are none."""
    for field in fields:
        value = getattr(parent, field)
        for index, node in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(node, ast.expr) and not _is_docstring(parent, node):
                yield _Place(statement, parent, node, _putter(parent, field, index))
            if isinstance(node, ast.AST):
                inside = node if isinstance(node, ast.stmt) else statement
                yield from _places(inside, node, _fields(node))


def _fields(node: ast.AST) -> tuple[str, ...]:
    if isinstance(node, ast.FunctionDef):
        return ("body",)
    return ("value",) if isinstance(node, ast.AnnAssign) else node._fields


def _putter(parent: ast.AST, field: str, index: int) -> Callable[[ast.expr], None]:
    def put(node: ast.expr) -> None:
        ast.fix_missing_locations(ast.copy_location(node, parent))
        value = getattr(parent, field)
        if isinstance(value, list):
            value[index] = node
        else:
            setattr(parent, field, node)

    return put


def _is_docstring(parent: ast.AST, node: ast.expr) -> bool:
    return isinstance(parent, ast.Expr) and isinstance(node, ast.Constant)


def _ignored_parameters(tree: ast.FunctionDef) -> Iterator[_Change]:
    """A parameter that is ignored: its default takes its place at the head of the function."""
    positional = tree.args.args[len(tree.args.args) - len(tree.args.defaults) :]
    parameters = zip([*positional, *tree.args.kwonlyargs], [*tree.args.defaults, *tree.args.kw_defaults], strict=True)
    for parameter, default in parameters:
        if default is not None:
            yield _ignored(tree, parameter.arg, default)


def _ignored(tree: ast.FunctionDef, parameter: str, default: ast.expr) -> _Change:
    given = ast.Name(parameter, ast.Load())
    assignment = ast.Assign([ast.Name(parameter, ast.Store())], given)
    for node in (assignment, default):
        ast.fix_missing_locations(ast.copy_location(node, tree.body[0]))

    def make() -> None:
        assignment.value = default
        tree.body.insert(0, assignment)

    def undo() -> None:
        assignment.value = given
        tree.body.remove(assignment)

    return _Change("ignored", assignment, make, undo)


def _line(statement: ast.stmt) -> str:
    """The statement in one line; of a compound one its head."""
    return ast.unparse(statement).strip().splitlines()[0]
