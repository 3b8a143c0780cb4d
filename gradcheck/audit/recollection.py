"""One formula and wrong ones, evaluated with one memory (see ``recalled``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.audit.recalled import Memory, key_of, plain
from gradcheck.reference.evaluate import Cotangent, Lifts, evaluate_all
from gradcheck.reference.registry import Reference

__all__ = ["Recollection"]


class Recollection:
    """One formula and wrong ones, evaluated on the same numbers in the same arithmetic.

    lifts: of arrays, numbers and cotangents, as of ``evaluate_all``; lift_output: makes what a formula returns numbers
    of the arithmetic; own: the outputs of the formula itself.
    """

    def __init__(
        self,
        reference: Reference,
        arguments: dict[str, Any],
        cotangent: Cotangent,
        lifts: Lifts,
        lift_output: Callable[[Any], Any],
        room: list[int],
    ) -> None:
        self._arguments, self._cotangent = arguments, cotangent
        self._lift_output = lift_output
        self._lifts = lifts
        self._memory = Memory(room)
        self._places = self._evaluated(reference)
        self._memory.close()
        self.own = {name: lift_output(plain(output)) for name, output in self._places.items()}

    def outputs(self, wrong: Reference) -> dict[str, Any]:
        """Of a wrong formula; the very objects of ``own`` where they are the same."""
        found = self._evaluated(wrong)
        return {
            name: self.own[name]
            if name in self.own and _same(self._places[name], output)
            else self._lift_output(plain(output))
            for name, output in found.items()
        }

    def _evaluated(self, reference: Reference) -> dict[str, Any]:
        lift_array, lift_number, lift_cotangent = self._lifts
        given = self._memory.given

        def of_output(array: np.ndarray, output: Any) -> Any:
            lifted = lift_cotangent(array, plain(output))
            return given(lifted, key_of(("cotangent", array, id(getattr(lifted, "model", None)))))

        return evaluate_all(
            reference,
            self._arguments,
            self._cotangent,
            lambda array: given(lift_array(array), key_of(("array", array))),
            lambda number: given(lift_number(number), key_of(("number", float(number)))),
            of_output,
        )


def _same(own: Any, found: Any) -> bool:
    key = key_of(found)
    return key is not None and key == key_of(own)
