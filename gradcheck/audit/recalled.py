"""What a wrong formula computes as the true one does is recalled, and not computed again.

A mutant differs from its formula in one node of the syntax tree: up to there, and beside it, it asks the same functions
of the same numbers. A memory holds the results of one evaluation of the true formula, by the function and by what it
was asked of; a number that goes through another evaluation carries its place in that memory. Where the result of the
wrong node turns out to be, bit for bit, one of the true formula, it is that from there on.

So the bounds are those that the arithmetic's own rules give, or gave.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable
from functools import cache
from types import FunctionType, MemberDescriptorType
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from gradcheck.arithmetic import Ball, Bounded
from gradcheck.arithmetic.deferred import Deferred
from gradcheck.arithmetic.mask import Mask
from gradcheck.arithmetic.packed import Packed
from gradcheck.arithmetic.protocol import ABOUT_SHAPE, Composite
from gradcheck.arithmetic.running_parts import Error
from gradcheck.arithmetic.running_shares import Shares

__all__ = ["Memory", "Recalled", "key_of", "plain", "same_bits"]

KEPT_BYTES = 1 << 16
"""Of a plain array (a mask, places) that takes part by its contents; with a larger one a result is computed."""


class Memory:
    """The results of one evaluation. room: bytes that it may still take, shared by all memories of an audit."""

    def __init__(self, room: list[int]) -> None:
        self._results: dict[Hashable, tuple[Any, Any]] = {}
        self._marks: dict[Hashable, list[tuple[Any, int]]] = {}
        self._places = 0
        self._room = room
        self._open = True

    def close(self) -> None:
        """Note no more: what is asked for from now on comes from wrong formulas."""
        self._open = False

    def given(self, number: Any, key: Hashable | None) -> Any:
        """A number that an evaluation starts from; the key tells which, in every evaluation, if anything does."""
        known = self._results.get(key)
        if known is None and self._open and key is not None:
            return self._noted(key, number)
        return Recalled(self, number, None if known is None else known[1])

    def asked(self, name: Hashable, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
        """``function(*args, **kwargs)`` of plain numbers, recalled if the true formula asked for it as well."""
        key = _key_of_call(name, args, kwargs)
        if key is not None:
            known = self._results.get(key)
            if known is not None:
                return self._again(*known)
        result = function(*self._plainly(args), **plain(kwargs))
        for operand in args:  # of what is given back as it is, none is to be made a second time
            if type(operand) is Recalled and operand.inner is result:
                return operand
        return self._noted(key, result) if self._open else self._recognised(result)

    def _plainly(self, args: Any) -> Any:
        """Operands without places, and functions that a rule calls with them as such of numbers without places."""
        given = {id(operand.inner): operand for operand in args if type(operand) is Recalled}

        def with_places(function: Callable[..., Any]) -> Callable[..., Any]:
            def called(*numbers: Any) -> Any:
                return plain(function(*[given.get(id(n), self._recognised(n)) for n in numbers]))

            return called

        return [with_places(x) if isinstance(x, FunctionType) else plain(x) for x in args]

    def _noted(self, key: Hashable | None, result: Any) -> Any:
        """key: None for what is recognised when it is computed again, and not recalled."""
        places = self._places_of(result)
        if self._room[0] > 0:
            if key is not None:
                self._results[key] = (result, places)
            self._room[0] -= OVERHEAD + _bytes_of(result)
            if isinstance(result, Composite) and (mark := _mark(result)) is not None:
                self._marks.setdefault(mark, []).append((result, places))
        return self._again(result, places)

    def _places_of(self, result: Any) -> Any:
        """A new place for each number of a result; None for what is no number of the arithmetic."""
        if isinstance(result, tuple):
            return tuple(map(self._places_of, result))
        if not isinstance(result, Composite):
            return None
        self._places += 1
        return self._places

    def _again(self, result: Any, places: Any) -> Any:
        """A result as if it had just been made: nobody has it but who asked."""
        if isinstance(result, tuple):
            return tuple(map(self._again, result, places))
        if isinstance(result, Composite):
            return Recalled(self, _twin(result), places)
        return result.copy() if isinstance(result, np.ndarray) else result

    def _recognised(self, result: Any) -> Any:
        """A result that was computed, with the place of that of the true formula which is the same."""
        if isinstance(result, tuple):
            return tuple(map(self._recognised, result))
        if not isinstance(result, Composite):
            return result
        mark = _mark(result)
        for known, place in self._marks.get(mark, ()) if mark is not None else ():
            if same_bits(known, result):
                return Recalled(self, result, place)
        return Recalled(self, result, None)


OVERHEAD = 1 << 9
"""Bytes that a result takes besides its arrays."""


class Recalled(NDArrayOperatorsMixin):
    """inner: a number of the arithmetic, or a mask; place: which number of the true formula it is, if it is one."""

    __slots__ = ("inner", "memory", "place")

    def __init__(self, memory: Memory, inner: Any, place: int | None) -> None:
        self.memory = memory
        self.inner = inner
        self.place = place

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__":
            return self.memory.asked(ufunc, ufunc, inputs, kwargs)
        return self.memory.asked((ufunc, method), getattr(ufunc, method), inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function in ABOUT_SHAPE and len(args) == 1 and not kwargs:
            return ABOUT_SHAPE[function](self.inner)
        return self.memory.asked(function, function, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        """What a composite answers to the functions of ``gradcheck.arithmetic.functions``."""
        if not name.startswith("__gradcheck_"):
            raise AttributeError(f"{type(self.inner).__name__!r} object has no attribute {name!r}")
        getattr(self.inner, name)  # which it may not have
        return lambda *args: self.memory.asked(name, _calling(name), (self, *args), {})

    def __getitem__(self, index: Any) -> Any:
        return self.memory.asked("item", operator.getitem, (self, index), {})

    def reshape(self, *shape: Any) -> Any:
        return self.memory.asked("reshape", _reshape, (self, *shape), {})

    @property
    def T(self) -> Any:
        return self.memory.asked("T", operator.attrgetter("T"), (self,), {})

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.inner.shape
        return shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(self.inner.size)

    def __len__(self) -> int:
        return len(self.inner)

    def __float__(self) -> float:
        return float(self.inner)

    def __bool__(self) -> bool:
        return bool(self.inner)


def _operator(name: str, ufunc: np.ufunc, reversed_: bool) -> Callable[[Recalled, Any], Any]:
    """An operator of Python, without the way through NumPy's dispatch."""
    function = getattr(operator, name)

    def plainly(a: Recalled, b: Any) -> Any:
        return a.memory.asked(ufunc, function, (b, a) if reversed_ else (a, b), {})

    return plainly


for _name, _ufunc in (("add", np.add), ("sub", np.subtract), ("mul", np.multiply), ("truediv", np.true_divide)):
    setattr(Recalled, f"__{_name}__", _operator(_name, _ufunc, False))
    setattr(Recalled, f"__r{_name}__", _operator(_name, _ufunc, True))


def _reshape(number: Any, *shape: Any) -> Any:
    return number.reshape(*shape)


@cache
def _calling(name: str) -> Callable[..., Any]:
    return lambda number, *args: getattr(number, name)(*args)


def plain(x: Any) -> Any:
    """Without places: numbers of the arithmetic alone, in tuples, lists and dictionaries as well."""
    kind = type(x)
    if kind is Recalled:
        return x.inner
    if kind is tuple or kind is list:
        return kind(map(plain, x))
    return {name: plain(part) for name, part in x.items()} if kind is dict else x


def _key_of_call(name: Hashable, args: Any, kwargs: dict[str, Any]) -> Hashable | None:
    """What a call is known by; None where one of the operands is not of the true formula, or of no known kind.

    Whether two operands are one and the same number counts: its square is not negative.
    """
    key: list[Any] = [name]
    for operand in args:
        part = operand.place if type(operand) is Recalled else key_of(operand)
        if part is None:
            return None
        key.append(part)
    for word, operand in kwargs.items():
        part = key_of(operand)
        if part is None:
            return None
        key += [word, part]
    if len(args) == 2 and type(args[0]) is Recalled and type(args[1]) is Recalled:
        key.append(args[0].inner is args[1].inner)
    return tuple(key)


SIMPLE = (int, bool, str, type(None), type(Ellipsis), type)


def key_of(x: Any) -> Any:
    """What an operand is known by, one number of the true formula or plain numbers; None where nothing tells."""
    kind = type(x)
    if kind is Recalled:
        return x.place
    if kind is float:
        return float, x.hex()  # 0 and -0 are two
    if kind in SIMPLE:
        return kind, x
    if kind is slice:
        return _keys("slice", (x.start, x.stop, x.step))
    if kind is tuple or kind is list:
        return _keys(kind, x)
    if kind is np.ndarray and x.nbytes <= KEPT_BYTES and x.dtype.kind != "O":
        return kind, x.dtype.str, x.shape, x.strides, x.tobytes()
    return (kind, x.tobytes()) if isinstance(x, np.generic) else None


def _keys(kind: Any, parts: Any) -> Any:
    keys = [kind, *map(key_of, parts)]
    return None if None in keys else tuple(keys)


SHARED = frozenset({"compared", "packed"})
"""What is not copied: another form of the number, by which two would be taken for one; and what it was compared to."""


@cache
def _slots(kind: Any) -> tuple[str, ...]:
    """Those that hold something: a subclass may have put a property in the place of one."""
    names = dict.fromkeys(name for base in kind.__mro__ for name in getattr(base, "__slots__", ()))
    return tuple(name for name in names if isinstance(getattr(kind, name), MemberDescriptorType) and name not in SHARED)


def _twin(number: Any) -> Any:
    """Another number with the same arrays."""
    kind: Any = type(number)
    twin = object.__new__(kind)
    for name in _slots(kind):
        setattr(twin, name, getattr(number, name))
    return twin


def _bytes_of(result: Any) -> int:
    if isinstance(result, Bounded):
        return 2 * np.asarray(result.value).nbytes + np.asarray(result.bound).nbytes
    if isinstance(result, Ball):
        return result.size * OVERHEAD
    if isinstance(result, tuple):
        return sum(map(_bytes_of, result))
    return int(result.nbytes) if isinstance(result, np.ndarray) else 0


def _mark(number: Any) -> Hashable | None:
    """By what the numbers are looked for that may be the same; None where none is looked for."""
    if isinstance(number, Shares | Error):
        return None  # they know more than their bits tell
    if isinstance(number, Bounded):
        value = np.asarray(number.value)
        return _kind(type(number)), value.shape, _some(value, float), number.top, number.floor, number.bound is None
    if isinstance(number, Ball):
        return Ball, number.shape, _some(number.array, lambda ball: float(ball.mid()))
    if isinstance(number, Mask):
        return Mask, number.shape, number.likely.tobytes(), number.undecided.tobytes()
    return None


def _some(array: np.ndarray, told: Callable[[Any], float]) -> tuple[float, ...]:
    last = array.size - 1
    return tuple(told(array.flat[place]) for place in ({0, last // 2, last} if last >= 0 else ()))


def same_bits(a: Any, b: Any) -> bool:
    """Whether two numbers of one arithmetic are the same in everything that a rule may look at."""
    kind = _kind(type(a))
    if kind is not _kind(type(b)) or a.shape != b.shape:
        return False
    if isinstance(a, Ball):
        pairs = zip(a.array.ravel(), b.array.ravel(), strict=True)
        return all(x is y or (x.mid() == y.mid() and x.rad() == y.rad()) for x, y in pairs)
    return all(_same_part(getattr(a, name), getattr(b, name)) for name in _slots(kind) if name not in DERIVED)


DERIVED = frozenset({"_magnitude"})
"""What follows from the rest of a number."""


def _kind(kind: type) -> Any:
    """A number that is packed, or put off, is one like the others."""
    return Bounded if issubclass(kind, Packed | Deferred) else kind


def _same_part(a: Any, b: Any) -> bool:
    if a is b or a is None or b is None:
        return a is b
    if isinstance(a, Composite):
        return isinstance(b, Composite) and same_bits(a, b)
    return isinstance(a, np.ndarray | np.generic | float | bool) and _same_array(a, b)


def _same_array(a: Any, b: Any) -> bool:
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    # Not their bytes: of a wider float than float64 some mean nothing.
    signs = True if a.dtype.kind != "f" else np.signbit(a) == np.signbit(b)
    return bool((((a == b) & signs) | ((a != a) & (b != b))).all())
