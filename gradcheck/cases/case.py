"""A case: the recipe of one check, printed as one line and parsed back from it. It never holds arrays.

The line reads like the call: ``nn.functional.softplus(x=ordinary(4, 7), beta=1.5) seed=3 dtype=float32``.
Axes that have their default are left out of the line, dtype and seed are always there.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

from gradcheck.cases.settings import DEFAULT, normal_setting
from gradcheck.errors import UsageError, choices
from gradcheck.formats import format_named
from gradcheck.reference.registry import entry_named

__all__ = ["AXES", "ArraySpec", "Case", "parse_case"]

AXES = {"device": "cpu", "mode": "backward", "layout": "contiguous", "setting": DEFAULT, "cotangent": "ordinary"}
"""The axes a case lies on besides operation, seed and dtype, with their defaults."""


@dataclass(frozen=True)
class ArraySpec:
    """How one array is made: kind of values, shape, and the kind's options (``at`` of near, ``below`` of indices)."""

    kind: str
    shape: tuple[int, ...]
    options: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        words = [str(side) for side in self.shape] + [f"{name}={value!r}" for name, value in self.options]
        return f"{self.kind}({', '.join(words)})"


@dataclass(frozen=True)
class Case:
    """One check: operation, arguments (array specs and hyperparameters), seed, and a place on every axis."""

    operation: str
    arguments: tuple[tuple[str, Any], ...]
    seed: int
    dtype: str = "float64"
    device: str = field(default=AXES["device"])
    mode: str = field(default=AXES["mode"])
    layout: str = field(default=AXES["layout"])
    setting: str = field(default=AXES["setting"])
    cotangent: str = field(default=AXES["cotangent"])

    def __str__(self) -> str:
        return self._line

    @cached_property
    def _line(self) -> str:
        axes = [f"{name}={getattr(self, name)}" for name, default in AXES.items() if getattr(self, name) != default]
        return " ".join([self.call, f"seed={self.seed}", f"dtype={self.dtype}", *axes])

    @cached_property
    def call(self) -> str:
        """The line up to its closing parenthesis. Cases of one call are equal where this is: 0.0 and -0.0 differ."""
        words = ", ".join(
            f"{name}={value if isinstance(value, ArraySpec) else repr(value)}" for name, value in self.arguments
        )
        return f"{self.operation}({words})"

    @cached_property
    def specs(self) -> dict[str, ArraySpec]:
        return {name: value for name, value in self.arguments if isinstance(value, ArraySpec)}

    def on(self, **axes: Any) -> Case:
        """The same recipe elsewhere on the axes."""
        there = replace(self, **axes)
        if not axes.keys() & {"operation", "arguments"}:
            there.__dict__["call"] = self.call
        return there


_LINE = re.compile(r"(?P<call>.*\))(?P<axes>(?:\s+\w+=\S+)*)\s*", re.DOTALL)


def parse_case(line: str) -> Case:
    """The case that ``line`` (as printed by a case) stands for.

    Raises UsageError, naming the part that is wrong: the line's form, the operation, an argument, a kind, an axis.
    """
    match = _LINE.fullmatch(line.strip())
    if match is None:
        raise _malformed(line, "it has no closing parenthesis followed by seed=… dtype=…")
    try:
        call = ast.parse(match["call"], mode="eval").body
    except SyntaxError as error:
        raise _malformed(line, f"the call does not parse ({error.msg})") from None
    if not isinstance(call, ast.Call) or call.args:
        raise _malformed(line, "it is not a call with named arguments")
    operation = entry_named(ast.unparse(call.func))
    arguments = tuple((word.arg or "**", _argument(line, word)) for word in call.keywords)
    known = (*operation.arrays, *operation.hyperparameters)
    for name, value in arguments:
        if name not in known:
            raise _malformed(line, f"{operation.name} has no argument {name!r}; expected {choices(known)}")
        if isinstance(value, ArraySpec) and name not in operation.arrays:
            raise _malformed(line, f"{name} is a hyperparameter and {value} an array")
        # A number in place of an array beside the first (gaussian_nll_loss takes its variance so) is lifted as one.
        number = isinstance(value, float) and name in operation.arrays[1:]
        if not isinstance(value, ArraySpec) and value is not None and name in operation.arrays and not number:
            raise _malformed(line, f"{name} is an array and {value!r} is none; expected one such as ordinary(4, 7)")
    given = dict(arguments)
    for name in operation.required:
        if name not in given or (given[name] is None and name == operation.arrays[0]):
            raise _malformed(line, f"{operation.name} needs {name}=…")
    return Case(operation.name, arguments, **_axes(line, match["axes"]))


def _argument(line: str, word: ast.keyword) -> Any:
    from gradcheck.cases.inputs import KINDS

    node = word.value
    try:
        if not isinstance(node, ast.Call):
            return float(ast.unparse(node)) if ast.unparse(node) in ("inf", "-inf", "nan") else ast.literal_eval(node)
        kind = ast.unparse(node.func)
        shape = tuple(ast.literal_eval(side) for side in node.args)
        options = tuple((str(option.arg), ast.literal_eval(option.value)) for option in node.keywords)
    except ValueError:
        raise _malformed(line, f"{word.arg}={ast.unparse(node)} is neither a literal nor an array") from None
    if kind not in KINDS:
        raise _malformed(line, f"kind of values {kind!r} is not known; expected {choices(KINDS)}")
    if not all(isinstance(side, int) and side >= 0 for side in shape):
        raise _malformed(line, f"{word.arg}={ast.unparse(node)} has a side that is no whole number >= 0")
    return ArraySpec(kind, shape, options)


def _axes(line: str, text: str) -> dict[str, Any]:
    known = ("seed", "dtype", *AXES)
    axes: dict[str, Any] = dict(word.split("=", 1) for word in text.split())
    for name in axes:
        if name not in {f.name for f in fields(Case)} or name not in known:
            raise _malformed(line, f"axis {name!r} is not known; expected {choices(known)}")
    for name in ("seed", "dtype"):
        if name not in axes:
            raise _malformed(line, f"{name}=… is missing")
    if not re.fullmatch(r"\d+", axes["seed"]):
        raise _malformed(line, f"seed={axes['seed']} is no whole number >= 0")
    axes["seed"] = int(axes["seed"])
    axes["setting"] = normal_setting(axes.get("setting", DEFAULT))
    format_named(axes["dtype"])
    return axes


def _malformed(line: str, reason: str) -> UsageError:
    return UsageError(f"case line {line!r}: {reason}.")
