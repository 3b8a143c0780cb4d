"""Tampered subjects: what PyTorch computed, changed by numbers, so that one run of it serves every fault.

A tamper gets a scene (one output of one call) and returns the wrong output, or the right one where the fault does not
strike. What it returns is rounded to the output's format: a subject can hold nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from gradcheck.cases.case import Case
from gradcheck.cases.draw import elements
from gradcheck.formats import FORMATS, Format, format_named
from gradcheck.subject.run import Observed

__all__ = ["ROUNDOFFS", "TAMPERS", "Scene", "Tamper", "scaled", "scaled_at_largest", "tampered"]

ROUNDOFFS = 64.0
"""Size of the relative faults of the catalogue, in roundoffs of the dtype."""


@dataclass(frozen=True)
class Scene:
    """One output of one call: its numbers and format, the case, and the same output of the call before."""

    numbers: np.ndarray
    form: Format
    case: Case
    before: np.ndarray

    @property
    def fault(self) -> float:
        return 1.0 + ROUNDOFFS * self.form.roundoff


WRONG = 1.5
"""Of faults that are not small but strike somewhere only: the factor by which they are off."""


@dataclass(frozen=True)
class Tamper:
    """A fault: its name, what it does to a scene, the dtypes in which it exists, whether certain numbers call it up.

    above: it strikes calls with more elements alone; layout: calls with inputs laid out so alone; stale: it needs what
    the call before gave; flushes: it takes subnormal numbers for zero, which is no fault where the processor does.
    """

    name: str
    change: Callable[[Scene], np.ndarray]
    dtypes: tuple[str, ...] = tuple(FORMATS)
    value_bound: bool = False
    above: int = 0
    layout: str = ""
    stale: bool = False
    flushes: bool = False

    def calls_for(self, case: Case) -> bool:
        """Whether the fault asks for a certain kind of call, and this is one."""
        return (
            bool(self.layout or self.above)
            and (not self.layout or case.layout == self.layout)
            and (elements(case) > self.above)
        )


def tampered(
    tamper: Callable[[Scene], np.ndarray], observed: Observed, name: str, case: Case, before: Observed
) -> Observed | None:
    """The observation with one output tampered with; None where that changes nothing."""
    numbers, form = observed.outputs[name], format_named(observed.dtypes[name])
    with np.errstate(all="ignore"):
        changed = form.round(tamper(Scene(numbers, form, case, before.outputs.get(name, numbers))))
    if np.array_equal(changed, numbers, equal_nan=True):
        return None
    return replace(observed, elements={**observed.elements, name: form.to_bits(changed)})


def scaled(factor: float) -> Callable[[Scene], np.ndarray]:
    """Every element times a factor."""
    return lambda scene: scene.numbers * factor


def scaled_at_largest(factor: float) -> Callable[[Scene], np.ndarray]:
    """The largest (finite) element times a factor."""
    return lambda scene: _at(scene, _extreme(scene, np.argmax, 0.0), lambda number: number * factor)


def _at(scene: Scene, index: int | None, change: Callable[[np.ndarray], np.ndarray | float]) -> np.ndarray:
    """One element (by its place in row-major order) changed; nothing where there is none."""
    if index is None or not scene.numbers.size:
        return scene.numbers
    flat = scene.numbers.ravel().copy()
    flat[index] = change(flat[index])
    return flat.reshape(scene.numbers.shape)


def _extreme(scene: Scene, pick: Callable[[np.ndarray], np.intp], stand_in: float) -> int | None:
    """Where the extreme magnitude is among numbers that are neither 0 nor infinite nor NaN."""
    magnitude = np.abs(scene.numbers.ravel())
    counted = (magnitude > 0.0) & (magnitude < np.inf)
    return int(pick(np.where(counted, magnitude, stand_in))) if counted.any() else None


def _one(scene: Scene) -> np.ndarray:
    return _at(scene, scene.case.seed % max(scene.numbers.size, 1), lambda number: number * scene.fault)


def _largest(scene: Scene) -> np.ndarray:
    return scaled_at_largest(scene.fault)(scene)


def _smallest(scene: Scene) -> np.ndarray:
    return _at(scene, _extreme(scene, np.argmin, np.inf), lambda number: number * scene.fault)


def _all(scene: Scene) -> np.ndarray:
    return scene.numbers * scene.fault


def _shifted(scene: Scene) -> np.ndarray:
    largest = _extreme(scene, np.argmax, 0.0)
    return scene.numbers if largest is None else scene.numbers + scene.numbers.ravel()[largest] * (scene.fault - 1.0)


def _exchanged(scene: Scene) -> np.ndarray:
    """The first two neighbours that differ change places."""
    flat = scene.numbers.ravel().copy()
    places = np.flatnonzero(flat[:-1] != flat[1:])
    if places.size:
        first = int(places[0])
        flat[first], flat[first + 1] = flat[first + 1], flat[first]
    return flat.reshape(scene.numbers.shape)


def _stale(scene: Scene) -> np.ndarray:
    return scene.before if scene.before.shape == scene.numbers.shape else scene.numbers


def _through(precision: int) -> Callable[[Scene], np.ndarray]:
    """Rounded to fewer bits of significand, exponent range as it is."""

    def change(scene: Scene) -> np.ndarray:
        narrow = Format("narrow", scene.form.bits, precision, scene.form.maximum_exponent)
        return narrow.round(scene.numbers)

    return change


def _ranged(scene: Scene) -> np.ndarray:
    """float16's exponent range: overflow above 65,504, nothing but 0 below 2^-24."""
    half = FORMATS["float16"]
    small = np.where(np.abs(scene.numbers) < half.smallest_subnormal, 0.0, scene.numbers)
    return np.where(np.abs(small) > half.largest, np.copysign(np.inf, small), small)


def _flushed(scene: Scene) -> np.ndarray:
    return np.where(np.abs(scene.numbers) < scene.form.smallest_normal, 0.0, scene.numbers)


def _tail(width: int) -> Callable[[Scene], np.ndarray]:
    """The last element, where it stands past a multiple of the vector width."""
    return lambda scene: _at(scene, -1, lambda number: number * WRONG) if scene.numbers.size % width else scene.numbers


def _becomes(number: float) -> Callable[[Scene], np.ndarray]:
    return lambda scene: _at(scene, scene.case.seed % max(scene.numbers.size, 1), lambda _: number)


def _on_layout(layout: str) -> Callable[[Scene], np.ndarray]:
    return lambda scene: scene.numbers * WRONG if scene.case.layout == layout else scene.numbers


def _above(power: int) -> Callable[[Scene], np.ndarray]:
    """All elements, in calls with an array of more than 2^power elements."""
    return lambda scene: scene.numbers * WRONG if elements(scene.case) > 1 << power else scene.numbers


TAMPERS = (
    Tamper("one element × (1 + 64u)", _one),
    Tamper("largest × (1 + 64u)", _largest),
    Tamper("smallest × (1 + 64u)", _smallest),
    Tamper("all × (1 + 64u)", _all),
    Tamper("all + 64u · largest", _shifted),
    Tamper("two neighbours exchanged", _exchanged),
    Tamper("stale: of the call before", _stale, stale=True),
    Tamper("through float32", _through(24), ("float64",)),
    Tamper("through TF32", _through(11), ("float32",)),
    Tamper("through bfloat16", _through(8), ("float32", "float16")),
    Tamper("float16's exponent range", _ranged, ("bfloat16",), value_bound=True),
    Tamper("subnormals flushed", _flushed, value_bound=True, flushes=True),
    *(Tamper(f"tail past a multiple of {width}", _tail(width)) for width in (8, 16)),
    Tamper("NaN at one place", _becomes(np.nan)),
    Tamper("inf at one place", _becomes(np.inf)),
    *(Tamper(f"only {layout} inputs", _on_layout(layout), layout=layout) for layout in ("transposed", "sliced")),
    *(Tamper(f"only above 2^{power} elements", _above(power), above=1 << power) for power in (4, 8, 12, 15)),
)
"""The catalogue; a fault that strikes once in a thousand calls is counted by its chance (see report)."""
