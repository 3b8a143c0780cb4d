"""The last few things that were made, so that who asks for them again soon gets the same ones."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import numpy as np

__all__ = ["OfArrays", "Recent"]

T = TypeVar("T")


class Recent(Generic[T]):
    """By key, the last ``most`` things that were made; the oldest goes first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._things: dict[Hashable, T] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The thing of this key, made now if it is not there. A key of ids needs its objects kept in the thing."""
        if key in self._things:
            return self._things[key]
        thing = self._things[key] = make()
        if len(self._things) > self._most:
            del self._things[next(iter(self._things))]
        return thing

    def clear(self) -> None:
        """Forget all."""
        self._things.clear()


class OfArrays(Generic[T]):
    """What follows from an array, of the last ``most`` arrays that nobody can write to; of others it is made anew."""

    def __init__(self, most: int) -> None:
        self._recent: Recent[tuple[T, np.ndarray]] = Recent(most)

    def get(self, array: np.ndarray, make: Callable[[], T], *words: Hashable) -> T:
        """What follows from the array, and the words, made now if it is not there."""
        if array.flags.writeable:
            return make()
        return self._recent.get((id(array), *words), lambda: (make(), array))[0]
