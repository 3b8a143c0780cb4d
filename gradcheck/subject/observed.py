"""What PyTorch did on a case: its outputs as it keeps them, and their numbers in float64 for whoever asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from gradcheck.formats import FORMATS

__all__ = ["RAISED", "Numbers", "Observed"]

RAISED = (
    RuntimeError, ValueError, TypeError, IndexError, AttributeError, AssertionError, ZeroDivisionError,
)  # fmt: skip
"""What PyTorch raises on what it does not take; AttributeError for an LSTM's state without its other half,
ZeroDivisionError for options of an optimizer that divide by 0."""


class Numbers(Mapping[str, np.ndarray]):
    """By name the numbers of arrays, in float64 and exact; each made when it is first asked for.

    elements: as of :class:`Observed`; dtypes: by name what they stand for.
    """

    def __init__(self, elements: Mapping[str, np.ndarray], dtypes: Mapping[str, str]) -> None:
        self._elements = elements
        self._dtypes = dtypes
        self._made: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._made:
            elements, form = self._elements[name], FORMATS.get(self._dtypes[name])
            if form is None or elements.dtype.kind == "f":
                self._made[name] = elements.astype(np.float64, copy=False)
            else:
                self._made[name] = form.from_bits(elements)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._elements)

    def __len__(self) -> int:
        return len(self._elements)


@dataclass(frozen=True)
class Observed:
    """What PyTorch did: outputs by name, as they lie in memory, and their dtypes; or why there are none.

    outcome: ``ran``, ``unsupported`` (PyTorch says that it has no such kernel) or ``raises``; words: PyTorch's own;
    elements: C-contiguous arrays of the output's dtype, or of integers that hold its bits; drawn: arrays that PyTorch
    drew itself, by the name of the argument whose place they take; notes: what the mode tells; wrong: sentences on what
    does not hold there, whatever the outputs are (other bits than another way gives).
    """

    outcome: str
    words: str = ""
    elements: dict[str, np.ndarray] = field(default_factory=dict)
    dtypes: dict[str, str] = field(default_factory=dict)
    drawn: dict[str, np.ndarray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()

    @cached_property
    def outputs(self) -> Numbers:
        """The outputs' numbers by name, in float64 and exact."""
        return Numbers(self.elements, self.dtypes)

    def numbers(self, name: str) -> np.ndarray:
        """An output's numbers, exact, in float64 or in float32: whichever is there without a copy."""
        elements = self.elements[name]
        return elements if elements.dtype == np.float32 else self.outputs[name]
