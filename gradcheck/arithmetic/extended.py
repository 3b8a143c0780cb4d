"""What compiled loops take of the x87: operations on NumPy's longdouble, from memory to memory. Needs numba.

On x86 NumPy computes longdouble by the x87's instructions, which round to 64 bits of significand. numba does not know
the type; so the operations are written in instructions of its compiler, which does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from gradcheck.arithmetic.compiler import build, intrinsic, types

__all__ = [
    "add", "chain", "divide", "less", "minus", "multiply", "narrow", "scale",
    "size_less", "sqrt", "subtract", "widen",
]  # fmt: skip


class _Extended(ir.Type):  # type: ignore[misc]  # llvmlite says nothing of its types
    """The x87's format of 80 bits, for which llvmlite has no name."""

    intrinsic_name = "f80"

    def _to_string(self) -> str:
        return "x86_fp80"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Extended)

    def __hash__(self) -> int:
        return hash(_Extended)


EXTENDED: Any = _Extended()
DOUBLE = ir.DoubleType()


def _at(builder: Any, address: Any) -> Any:
    """The wide number at an address."""
    return builder.load(builder.inttoptr(address, EXTENDED.as_pointer()), align=8)


def _put(builder: Any, address: Any, number: Any) -> Any:
    """The wide number, once it was put at an address, as a float64."""
    builder.store(number, builder.inttoptr(address, EXTENDED.as_pointer()), align=8)
    return builder.fptrunc(number, DOUBLE)


def _size(builder: Any, number: Any) -> Any:
    return builder.call(builder.module.declare_intrinsic("llvm.fabs", [EXTENDED]), [number])


def _root(builder: Any, number: Any) -> Any:
    return builder.call(builder.module.declare_intrinsic("llvm.sqrt", [EXTENDED]), [number])


def _wide_operation(operands: str, meaning: str, compute: Callable[..., Any]) -> Any:
    """What compiled code may call: ``compute`` of a builder and addresses (a) or float64 numbers (x); gives float64."""
    kinds = tuple(types.int64 if letter == "a" else types.float64 for letter in operands)

    def made(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return compute(builder, *arguments)

    def one(context: Any, a: Any) -> Any:
        return types.float64(*kinds), made

    def two(context: Any, a: Any, b: Any) -> Any:
        return types.float64(*kinds), made

    def three(context: Any, a: Any, b: Any, c: Any) -> Any:
        return types.float64(*kinds), made

    def four(context: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
        return types.float64(*kinds), made

    operation = (one, two, three, four)[len(operands) - 1]
    operation.__doc__ = meaning
    return intrinsic(operation)


def _wide(b: Any, number: Any) -> Any:
    return b.fpext(number, EXTENDED)


def _correct(instruction: str, meaning: str) -> Any:
    """An operation on the numbers at two addresses, whose result is put at the first."""

    def compute(b: Any, to: Any, one: Any, two: Any) -> Any:
        return _put(b, to, getattr(b, instruction)(_at(b, one), _at(b, two)))

    return _wide_operation("aaa", f"Put {meaning} of wide numbers at the first address; it, in float64.", compute)


add = _correct("fadd", "the sum")
subtract = _correct("fsub", "the difference")
multiply = _correct("fmul", "the product")
divide = _correct("fdiv", "the quotient")
sqrt = _wide_operation(
    "aa", "Put the root of a wide number at the first address; it, in float64.",
    lambda b, to, one: _put(b, to, _root(b, _at(b, one))),
)  # fmt: skip
scale = _wide_operation(
    "aax", "Put the product of a wide number and a float64 at the first address; it, in float64.",
    lambda b, to, one, x: _put(b, to, b.fmul(_at(b, one), _wide(b, x))),
)  # fmt: skip
widen = _wide_operation(
    "ax", "Put a float64 at an address as a wide number.", lambda b, to, x: _put(b, to, _wide(b, x))
)
narrow = _wide_operation("a", "A wide number in float64.", lambda b, one: b.fptrunc(_at(b, one), DOUBLE))
less = _wide_operation(
    "ax", "A wide number less a float64, in float64.",
    lambda b, one, x: b.fptrunc(b.fsub(_at(b, one), _wide(b, x)), DOUBLE),
)  # fmt: skip
size_less = _wide_operation(
    "ax", "The size of a wide number less a float64, in float64.",
    lambda b, one, x: b.fptrunc(b.fsub(_size(b, _at(b, one)), _wide(b, x)), DOUBLE),
)  # fmt: skip
minus = _wide_operation(
    "xa", "A float64 less a wide number, in float64.",
    lambda b, x, one: b.fptrunc(b.fsub(_wide(b, x), _at(b, one)), DOUBLE),
)  # fmt: skip


def _chained(b: Any, to: Any, first: Any, count: Any, apart: Any) -> Any:
    total = build.alloca_once_value(b, _at(b, first))
    with build.for_range(b, count, start=ir.Constant(count.type, 1)) as loop:
        term = _at(b, b.add(first, b.mul(loop.index, apart)))
        b.store(b.fadd(b.load(total), term), total)
    return _put(b, to, b.load(total))


chain = _wide_operation(
    "aaaa",
    "Put at the first address the sum, one after the other, of the number at the second and those behind it, count > 0 "
    "in all, so many bytes apart.",
    _chained,
)
