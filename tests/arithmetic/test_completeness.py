"""Every NumPy and SciPy function that a reference uses has a rule in every arithmetic; a missing one says so."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special

import gradcheck.reference
from gradcheck.arithmetic import Ball, Bounded, Dual, Mask, balls, rounding_model
from gradcheck.arithmetic.machine import Machine
from gradcheck.arithmetic.protocol import ABOUT_SHAPE, STRUCTURAL, Composite
from gradcheck.arithmetic.simulated import Simulated
from gradcheck.cases.inputs import Bits
from gradcheck.errors import MissingRuleError

ROOT = Path(gradcheck.reference.__file__).parent
REPOSITORY = ROOT.parent.parent
FILES = sorted(ROOT.rglob("*.py"))
ARITHMETICS: tuple[type[Composite], ...] = (Bounded, Dual, Ball, Simulated)

OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.true_divide,
    ast.Pow: np.power,
    ast.MatMult: np.matmul,
    ast.USub: np.negative,
    ast.UAdd: np.positive,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}
MASK_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.BitAnd: np.bitwise_and,
    ast.BitOr: np.bitwise_or,
    ast.Invert: np.invert,
}
PLAIN = {
    "atleast_1d": "of places",
    "broadcast_shapes": "of shapes",
    "clip": "of places",
    "empty": "of a shape",
    "eye": "exact zeros and ones",
    "frompyfunc": "of plain numbers",
    "isin": "of class indices",
    "lib": "the namespace of stride tricks",
    "logical_and": "of plain masks",
    "repeat": "of places",
    "searchsorted": "of places",
    "tri": "exact zeros and ones",
    "triu_indices": "of a side",
    "argsort": "of places, which are whole numbers",
    "bincount": "of places",
    "cumsum": "of counts, which are whole numbers",
    "flatnonzero": "of a plain mask",
    "floor": "of where windows start, which are plain numbers",
    "full": "of a shape and a whole number",
    "inf": "a number, exact in every arithmetic",
    "int64": "a type",
    "meshgrid": "of counts",
    "nan": "a number of a declared convention",
    "nonzero": "of a plain mask",
    "unique": "of counts",
    "all": "of comparisons of exact numbers, which are plain bools",
    "any": "of the same",
    "array": "of whole numbers, which are exact in every arithmetic",
    "float32": "a type",
    "isinf": "of plain numbers that a scale was rounded to",
    "isfinite": "of plain arrays: inputs, and values and bounds after the evaluation",
    "zeros": "of a shape; a 0 is exact in every arithmetic",
    "arange": "class numbers, which are integers in every arithmetic",
    "errstate": "not a function of numbers",
    "float64": "a type",
    "asarray": "in evaluate.py, of outputs that left the arithmetic",
    "ndarray": "a type",
    "ones": "of a shape; a 1 is exact in every arithmetic",
    "prod": "of a shape",
}
"""NumPy names that need no rule, with the reason."""


def functions_of(text: str) -> Iterator[str]:
    """Names used from NumPy, as ``np.name``, and from SciPy, imported by name."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            if name.startswith("np.") and "." not in name[3:]:
                yield name[3:]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("scipy"):
            yield from (f"scipy:{alias.name}" for alias in node.names)


@cache
def used() -> dict[str, Any]:
    """Every function that some reference uses, by name."""
    # evaluate.py and registry.py handle references and are none.
    texts = [path.read_text(encoding="utf-8") for path in FILES if path.name not in ("evaluate.py", "registry.py")]
    names = {name for text in texts for name in functions_of(text)} - PLAIN.keys()
    found = {name: getattr(special, name[6:]) if name.startswith("scipy:") else getattr(np, name) for name in names}
    for text in texts:
        for node in ast.walk(ast.parse(text)):
            operator = OPERATORS.get(type(node))
            if operator is not None:
                found[operator.__name__] = operator
    return found


def has_rule(arithmetic: type[Composite], function: Any) -> bool:
    return (
        function in arithmetic.ufuncs
        or function in arithmetic.functions
        or function in STRUCTURAL
        or function in ABOUT_SHAPE
    )


@pytest.mark.parametrize("arithmetic", ARITHMETICS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", sorted(used()))
def test_every_function_of_a_reference_has_a_rule(arithmetic: type[Composite], name: str) -> None:
    assert has_rule(arithmetic, used()[name]), f"{name} has no rule in {arithmetic.rules_file}"


def test_the_search_finds_functions_operators_and_scipy() -> None:
    assert {"exp", "where", "sum", "einsum", "add", "matmul", "less_equal", "scipy:expit"} <= used().keys()
    assert set(functions_of("from scipy.special import j0\ny = np.cosh(x) + np.linalg.norm(x)")) == {
        "scipy:j0",
        "cosh",
        "linalg",
    }


def test_a_function_without_a_rule_would_be_seen() -> None:
    assert not any(has_rule(arithmetic, np.cosh) for arithmetic in ARITHMETICS)


@pytest.mark.parametrize("name", PLAIN)
def test_names_that_need_no_rule_are_still_used(name: str) -> None:
    assert any(name in set(functions_of(path.read_text(encoding="utf-8"))) for path in FILES)


@pytest.mark.parametrize("operator", MASK_OPERATORS.values(), ids=lambda ufunc: ufunc.__name__)
def test_masks_know_their_operators(operator: Callable[..., Any]) -> None:
    assert operator in Mask.ufuncs


@pytest.mark.parametrize("arithmetic", ARITHMETICS, ids=lambda kind: kind.__name__)
def test_all_arithmetics_have_the_same_rules(arithmetic: type[Composite]) -> None:
    """So that a function that works in one works in all."""
    every_ufunc = set().union(*(kind.ufuncs for kind in ARITHMETICS))
    every_function = set().union(*(kind.functions for kind in ARITHMETICS))
    assert every_ufunc - arithmetic.ufuncs.keys() == set()
    assert every_function - arithmetic.functions.keys() == set()


NUMBERS: dict[str, Any] = {
    "Bounded": Bounded(np.array([1.0, 2.0]), None, rounding_model("float32")),
    "Dual": Dual(np.array([1.0, 2.0]), np.array([1.0, 0.0])),
    "Ball": balls([1.0, 2.0]),
    "Simulated": Simulated(np.array([1.0, 2.0]), Machine(rounding_model("float32"), Bits().below)),
    "Mask": Mask(np.array([True, False]), np.array([True, False])),
}
MISSING: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a ufunc": (np.cosh, "cosh"),
    "a function": (np.cumsum, "cumsum"),
    "a method of a ufunc": (np.add.reduce, "add.reduce"),
    "an option": (lambda x: np.add(x, x, dtype=np.float64), "add with dtype"),
}


@pytest.mark.parametrize("arithmetic", NUMBERS)
@pytest.mark.parametrize("what", MISSING)
def test_a_missing_rule_is_named_with_the_file_to_add_it_to(arithmetic: str, what: str) -> None:
    call, name = MISSING[what]
    with pytest.raises(MissingRuleError) as raised:
        call(NUMBERS[arithmetic])
    words = str(raised.value)
    assert (
        f"{name} has no rule in {arithmetic}; add one in " in words or f"{name}" in words.split(" has no rule in ")[0]
    )
    file = words.rpartition("add one in ")[2].removesuffix(".")
    assert (REPOSITORY / file).is_file()


@pytest.mark.parametrize("arithmetic", ["Bounded", "Dual", "Ball", "Simulated"])
@pytest.mark.parametrize("exponent", [3, 0.5, -1.0])
def test_powers_with_any_exponent_stay_in_the_arithmetic(arithmetic: str, exponent: float) -> None:
    assert isinstance(NUMBERS[arithmetic] ** exponent, ARITHMETICS)


@pytest.mark.parametrize("arithmetic", NUMBERS)
def test_a_branch_by_if_is_refused(arithmetic: str) -> None:
    with pytest.raises(MissingRuleError, match=r"choose by np\.where, not by if"):
        bool(NUMBERS[arithmetic])
