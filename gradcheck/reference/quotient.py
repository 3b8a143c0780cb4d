"""A quotient with the derivative that autograd takes of it in reverse mode: for routes of reverse over reverse."""

from __future__ import annotations

from typing import Any

from gradcheck.arithmetic.functions import detached, stored, written_over

__all__ = ["quotient_in_reverse"]


def quotient_in_reverse(a: Any, b: Any) -> Any:
    """a/b, whose derivative is da/b - db·((a/b)/b), each result stored.

    Forward mode has (da - (a/b)·db)/b. In reverse mode (a/b)/b is a tensor of its own (``derivatives.yaml``,
    ``div_tensor_other_grad``), which in float16 underflows long before what it is a factor of.
    """
    value = a / b
    slope = stored(stored(value) / b)
    return written_over(stored(a / detached(b)) - stored(b * detached(slope)), value)
