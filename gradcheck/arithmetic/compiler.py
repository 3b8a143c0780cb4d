"""What compiled code is made with: numba's compiler, and what its code may call in the compiler's own instructions.

Needs numba (``pip install gradcheck[fast]``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numba.core
import numba.core.cgutils
import numba.extending

__all__ = ["bits_of", "build", "compiled", "intrinsic", "number_of", "pointer", "taken_as", "types", "widest_vectors"]

types: Any = numba.core.types
build: Any = numba.core.cgutils

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """The function compiled on its first call, and kept in a file beside its own, or in the user's cache folder."""
    try:
        return cast("F", numba.njit(cache=True, error_model="numpy")(function))
    except RuntimeError:  # there is no folder that could be written to
        return cast("F", numba.njit(error_model="numpy")(function))


def intrinsic(function: Callable[..., Any]) -> Any:
    """What compiled code may call, written in instructions of the compiler."""
    return numba.extending.intrinsic(function)


def taken_as(result: Any, operand: Any, instruction: str, meaning: str = "") -> Any:
    """What takes the bits of one type for another, by an instruction of the compiler that computes nothing."""

    def taken(context: Any, operand_type: Any) -> Any:
        def made(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return getattr(builder, instruction)(arguments[0], context.get_value_type(signature.return_type))

        return result(operand), made

    taken.__doc__ = meaning
    return intrinsic(taken)


pointer = taken_as(types.CPointer(types.float64), types.int64, "inttoptr", "The pointer to the float64 at an address.")
bits_of = taken_as(types.int64, types.float64, "bitcast", "The bits of a float64.")
number_of = taken_as(types.float64, types.int64, "bitcast", "The float64 of these bits.")


@intrinsic
def widest_vectors(context: Any) -> Any:
    """Have the loops of the function that calls this take vectors of 512 bits where the processor has them.

    The compiler prefers 256 bits, lest the processor slow down for a few wide ones; these loops do little else, and
    what they wait for is the nearest cache.
    """

    def made(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # llvmlite knows no such attribute, and refuses what it does not know.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), made
