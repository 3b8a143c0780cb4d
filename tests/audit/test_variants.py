"""Each mutation operator produces what it says, on a line of its own."""

from __future__ import annotations

import ast

import pytest

from gradcheck.audit.operators import OPERATORS
from gradcheck.audit.variants import variants


def lines_after(source: str, operator: str) -> list[str]:
    """The changed lines of all variants that an operator makes of a function with this body."""
    tree = ast.parse(f"def f(x, g, *, eps=1e-5):\n    {source}").body[0]
    assert isinstance(tree, ast.FunctionDef)
    return [variant.after for variant in variants(tree) if variant.operator == operator]


FAULTS = [
    ("sign", "return -x", ["return x"]),
    ("sign", "return g * x * x", ["return -(g * x * x)"]),
    ("sign", "return {'x': g}", ["return {'x': -g}"]),
    ("operator", "return x + g", ["return x - g"]),
    ("operator", "return x / g", ["return x * g"]),
    ("operator", "return x & g", ["return x | g"]),
    ("operator", "return x and g", ["return x or g"]),
    ("constant", "return x[1]", ["return x[2]", "return x[0]"]),
    ("constant", "return x * 0.5", ["return x * 1.5", "return x * 1.0", "return x * 0.5000076293945312"]),
    ("constant", "return f(x, keepdims=True)", ["return f(x, keepdims=False)"]),
    ("axis", "return np.sum(x, axis=1)", ["return np.sum(x, axis=-1)", "return np.sum(x, axis=None)"]),
    ("axis", "return np.take(x, g, axis)", [f"return np.take(x, g, {other})" for other in (0, -1, None)]),
    ("dropped", "return x - g", ["return x", "return -g"]),
    ("dropped", "return x * g", ["return x", "return g"]),
    ("dropped", "return np.exp(x)", ["return x"]),
    ("swapped", "return x / g", ["return g / x"]),
    ("swapped", "return np.where(m, x, g)", ["return np.where(m, g, x)"]),
    ("swapped", "return np.take(x, g)", ["return np.take(g, x)"]),
    ("comparison", "return x < g", ["return x <= g", "return x >= g"]),
    ("comparison", "return x is None", ["return x is not None"]),
    ("branch", "return np.where(m, x, g)", ["return x", "return g"]),
    ("branch", "return x if m else g", ["return x", "return g"]),
    ("branch", "if m: return x", ["if True:", "if False:"]),
    ("branch", "return guarded(x, m)", ["return x"]),
    ("keyword", "return f(x, eps=eps)", ["return f(x)"]),
    ("mean", "return np.sum(x, axis=1)", ["return np.mean(x, axis=1)"]),
    ("function", "return np.log1p(x)", ["return np.log(x)"]),
    ("function", "return np.max(x)", ["return np.min(x)"]),
    ("stored", "return stored(x)", ["return x"]),
    ("ignored", "return x", ["eps = 1e-05"]),
]


@pytest.mark.parametrize(("operator", "source", "after"), FAULTS)
def test_an_operator_makes_these_faults_of_this_line(operator: str, source: str, after: list[str]) -> None:
    assert lines_after(source, operator) == after


def test_every_operator_is_tried_above() -> None:
    assert {operator for operator, _, _ in FAULTS} == {*OPERATORS, "ignored"}


def test_docstrings_annotations_and_defaults_are_left_alone() -> None:
    source = 'def f(x: Any = 1 + 1, *, n: int = 2) -> -1:\n    """Doc."""\n    y: Any = x\n    return y'
    tree = ast.parse(source).body[0]
    assert isinstance(tree, ast.FunctionDef)
    assert {variant.operator for variant in variants(tree)} == {"ignored"}


def test_the_tree_is_whole_again_afterwards() -> None:
    tree = ast.parse("def f(x, *, eps=1.0):\n    return np.where(x < 0, -x, x) / (1.0 + eps)").body[0]
    assert isinstance(tree, ast.FunctionDef)
    before = ast.dump(tree)
    texts = []
    for variant in variants(tree):
        texts.append(ast.unparse(tree))
        assert variant.before != variant.after
    assert ast.dump(tree) == before
    assert len(set(texts)) == len(texts)
    assert ast.unparse(tree) not in texts
