"""The mutation operators: from one node of a formula's syntax tree to the wrong nodes that may stand in its place.

An operator gets the node and its parent and yields replacements; a replacement may
contain the node itself, which is never changed.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

__all__ = ["OPERATORS", "Operator"]

Operator = Callable[[ast.AST, ast.AST], Iterator[ast.expr]]

MULTIPLICATIVE = (ast.Mult, ast.Div)
AXIS_NAMES = ("axis", "axes", "dim", "batch")
UNARY = ("abs", "erf", "exp", "expit", "expm1", "log", "log1p", "log_expit", "sgn", "sign", "sqrt", "tanh")
RELATIVES = {
    "abs": "sign", "erf": "tanh", "exp": "expm1", "expm1": "exp", "log": "log1p", "log1p": "log", "max": "min",
    "maximum": "minimum", "mean": "sum", "min": "max", "minimum": "maximum", "ones_like": "zeros_like", "sgn": "sign",
    "size": "ndim", "sqrt": "abs", "sum": "mean", "tanh": "exp", "zeros_like": "ones_like",
}  # fmt: skip
"""What a NumPy function may be mistaken for (sum and mean have an operator of their own)."""


def _sign(node: ast.AST, parent: ast.AST) -> Iterator[ast.expr]:
    """-a becomes a; a gradient, and a product or quotient that is no factor of another, changes its sign."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield node.operand
        return
    factor = isinstance(parent, ast.BinOp) and isinstance(parent.op, MULTIPLICATIVE)
    product = isinstance(node, ast.BinOp) and isinstance(node.op, MULTIPLICATIVE) and not factor
    if isinstance(node, ast.expr) and (product or (isinstance(parent, ast.Dict) and node in parent.values)):
        yield ast.UnaryOp(ast.USub(), node)


SWAPPED: dict[type[ast.operator], ast.operator] = {
    ast.Add: ast.Sub(), ast.Sub: ast.Add(), ast.Mult: ast.Div(), ast.Div: ast.Mult(), ast.FloorDiv: ast.Mult(),
    ast.Mod: ast.FloorDiv(), ast.BitAnd: ast.BitOr(), ast.BitOr: ast.BitAnd(),
}  # fmt: skip


def _operator(node: ast.AST, parent: ast.AST) -> Iterator[ast.expr]:
    """+ for -, × for ÷, & for |, and for or, and the other way round."""
    if isinstance(node, ast.BinOp) and type(node.op) in SWAPPED:
        yield ast.BinOp(node.left, SWAPPED[type(node.op)], node.right)
    if isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)


def _constant(node: ast.AST, parent: ast.AST) -> Iterator[ast.expr]:
    """A number one larger or (whole ones) smaller, a float twice as large, and off by 2^-16; the opposite of a bool."""
    if not isinstance(node, ast.Constant) or not isinstance(node.value, int | float):
        return
    value = node.value
    if isinstance(value, bool):
        changed: tuple[float, ...] = (not value,)
    elif isinstance(value, int):
        changed = (value + 1, value - 1)
    else:
        changed = (value + 1.0, 2.0 * value, value * (1.0 + 2.0**-16)) if value else (1.0,)
    yield from (ast.Constant(number) for number in dict.fromkeys(changed))


def _axis(node: ast.AST, parent: ast.AST) -> Iterator[ast.expr]:
    """Another axis, all axes, one axis fewer."""
    named = isinstance(parent, ast.keyword) and parent.arg == "axis"
    if not (named or (isinstance(node, ast.Name) and node.id in AXIS_NAMES and isinstance(parent, ast.Call))):
        return
    if isinstance(node, ast.Tuple):
        for dropped in node.elts:
            yield ast.Tuple([element for element in node.elts if element is not dropped], ast.Load())
    for other in (0, -1, None):
        if not (isinstance(node, ast.Constant) and node.value == other):
            yield ast.Constant(other)


def _dropped(node: ast.AST, parent: ast.AST) -> Iterator[ast.expr]:
    """One operand of a sum, product, conjunction or disjunction alone; a function's argument without the function."""
    if isinstance(node, ast.BinOp) and not isinstance(node.op, ast.Pow):
        yield node.left
        if isinstance(node.op, ast.Sub):
            yield ast.UnaryOp(ast.USub(), node.right)
        elif not isinstance(node.op, ast.Div | ast.FloorDiv | ast.Mod):
            yield node.right
    if isinstance(node, ast.BoolOp):
        yield from node.values
    if isinstance(node, ast.Call) and _called(node) in UNARY:
        yield node.args[0]


def _swapped(node: ast.AST, parent: ast.AST) -> Iterator[ast.expr]:
    """Operands or arguments in the wrong order."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub | ast.Div | ast.FloorDiv | ast.MatMult):
        yield ast.BinOp(node.right, node.op, node.left)
    if isinstance(node, ast.Call) and not any(isinstance(argument, ast.Starred) for argument in node.args):
        # np.where(a, b, c) with its mask moved is no slip that anyone makes: only its branches are swapped.
        start = 1 if _called(node) == "where" else 0
        if len(node.args) > start + 1:
            swapped = [*node.args[:start], node.args[start + 1], node.args[start], *node.args[start + 2 :]]
            yield ast.Call(node.func, swapped, node.keywords)


BOUNDARY: dict[type[ast.cmpop], tuple[ast.cmpop, ...]] = {
    ast.Lt: (ast.LtE(), ast.GtE()), ast.LtE: (ast.Lt(), ast.Gt()), ast.Gt: (ast.GtE(), ast.LtE()),
    ast.GtE: (ast.Gt(), ast.Lt()), ast.Eq: (ast.NotEq(),), ast.NotEq: (ast.Eq(),), ast.Is: (ast.IsNot(),),
    ast.IsNot: (ast.Is(),),
}  # fmt: skip


def _comparison(node: ast.AST, parent: ast.AST) -> Iterator[ast.expr]:
    """≤ for <, and the opposite."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        for other in BOUNDARY.get(type(node.ops[0]), ()):
            yield ast.Compare(node.left, [other], node.comparators)


def _branch(node: ast.AST, parent: ast.AST) -> Iterator[ast.expr]:
    """One branch always taken."""
    if isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse)
    if isinstance(parent, ast.If) and node is parent.test:
        yield from (ast.Constant(True), ast.Constant(False))
    if isinstance(node, ast.Call) and _called(node) == "where":
        yield from node.args[1:3]
    if isinstance(node, ast.Call) and _called(node) in ("maximum", "minimum"):
        yield from node.args[:2]
    if isinstance(node, ast.Call) and _called(node) == "guarded":
        yield node.args[0]


def _keyword(node: ast.AST, parent: ast.AST) -> Iterator[ast.expr]:
    """A call that leaves one of its keywords out."""
    if isinstance(node, ast.Call):
        for dropped in node.keywords:
            yield ast.Call(node.func, node.args, [keyword for keyword in node.keywords if keyword is not dropped])


def _mean(node: ast.AST, parent: ast.AST) -> Iterator[ast.expr]:
    """Mean for sum, and sum for mean."""
    if isinstance(node, ast.Call) and _called(node) in ("sum", "mean"):
        yield _renamed(node, RELATIVES[_called(node)])


def _function(node: ast.AST, parent: ast.AST) -> Iterator[ast.expr]:
    """A function's relative in its place."""
    if isinstance(node, ast.Call) and _called(node) in RELATIVES and _called(node) not in ("sum", "mean"):
        yield _renamed(node, RELATIVES[_called(node)])


def _stored(node: ast.AST, parent: ast.AST) -> Iterator[ast.expr]:
    """The value recomputed where the kernel reads the one that it stored."""
    if isinstance(node, ast.Call) and _called(node) == "stored":
        yield node.args[0]


def _called(node: ast.Call) -> str:
    """The last part of the called name."""
    function = node.func
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )


def _renamed(node: ast.Call, name: str) -> ast.Call:
    return ast.Call(ast.Attribute(ast.Name("np", ast.Load()), name, ast.Load()), node.args, node.keywords)


OPERATORS: dict[str, Operator] = {
    "sign": _sign,
    "operator": _operator,
    "constant": _constant,
    "axis": _axis,
    "dropped": _dropped,
    "swapped": _swapped,
    "comparison": _comparison,
    "branch": _branch,
    "keyword": _keyword,
    "mean": _mean,
    "function": _function,
    "stored": _stored,
}
"""By name. A thirteenth, `ignored` (a parameter replaced by its default), changes a function, not an expression."""
