"""Which bits of PyTorch's results stay the same: run to run, by threads, batch, layout and algorithm.

All of it is information but for one promise: with deterministic algorithms and in one thread, the same call gives the
same bits. Nothing is compared with the reference here, and no bound is asked: bits are the same or they are not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradcheck.cases.batches import batched
from gradcheck.cases.case import Case
from gradcheck.cases.corpus import drawn_case
from gradcheck.cases.draw import LARGE, large_case, plain_case
from gradcheck.cases.inputs import arguments_of, cotangent_words
from gradcheck.cases.layouts import CONTIGUOUS, LAYOUTS, layout_fits
from gradcheck.formats import FORMATS
from gradcheck.reference.evaluate import gradient_name
from gradcheck.reference.registry import Reference
from gradcheck.subject.run import Observed, Operation, run_case, run_rows
from gradcheck.verdict.bits import PROMISED, Found

__all__ = ["PROPERTIES", "reproducibility"]

RUNS = 3


@dataclass(frozen=True)
class Scene:
    """One case and how PyTorch is run on it."""

    operation: Reference
    case: Case
    subject: Operation | None

    def on(self, **axes: Any) -> Scene:
        return replace(self, case=self.case.on(**axes))

    def observed(self, arguments: dict[str, Any] | None = None) -> Observed:
        return run_case(self.operation, self.case, arguments or arguments_of(self.case), self.subject)

    @property
    def large(self) -> bool:
        return any(math.prod(spec.shape) > LARGE for spec in self.case.specs.values())


Pair = tuple[Observed, Observed]


def _run_to_run(scene: Scene) -> Iterator[Pair]:
    first = scene.observed()
    for _ in range(RUNS - 1):
        yield first, scene.observed()


def _deterministic(scene: Scene) -> Iterator[Pair]:
    yield from _run_to_run(scene.on(setting="deterministic=on,threads=1"))


def _by_algorithm(scene: Scene) -> Iterator[Pair]:
    yield scene.observed(), scene.on(setting="deterministic=on,threads=1").observed()


def _by_threads(scene: Scene) -> Iterator[Pair]:
    yield scene.observed(), scene.on(setting="threads=2").observed()


def _by_batch(scene: Scene) -> Iterator[Pair]:
    """The rows of a batch, alone and in halves, and the same rows of the results for the whole batch."""
    operation, arguments = scene.operation, arguments_of(scene.case)
    cut = batched(operation, arguments)
    length = len(arguments[cut[0]]) if cut else 0
    if length < 2:
        return
    whole = scene.observed()
    names = ("value", *(gradient_name(name) for name in cut))
    for start, stop in ((0, 1), (length - 1, length), (0, length // 2)):
        part = run_rows(operation, scene.case, arguments, cut, (start, stop), scene.subject)
        if whole.outcome == part.outcome == "ran":
            yield _some(whole, names, start, stop), _some(part, names, 0, stop - start)


def _some(observed: Observed, names: tuple[str, ...], start: int, stop: int) -> Observed:
    """The rows of those outputs that have rows."""
    rows = {name: array[start:stop] for name, array in observed.elements.items() if name in names and array.ndim}
    return replace(observed, elements=rows)


def _by_layout(layout: str) -> Callable[[Scene], Iterator[Pair]]:
    def pairs(scene: Scene) -> Iterator[Pair]:
        there = scene.on(layout=layout)
        if layout_fits(there.case):
            arguments = arguments_of(there.case)  # the same numbers for both: a layout may need data of its own
            yield scene.on(layout=CONTIGUOUS).observed(arguments), there.observed(arguments)

    return pairs


def _by_cotangent(layout: str) -> Callable[[Scene], Iterator[Pair]]:
    def pairs(scene: Scene) -> Iterator[Pair]:
        kind, _ = cotangent_words(scene.case.cotangent)
        if layout in KEEPING:
            yield scene.on(cotangent=kind).observed(), scene.on(cotangent=f"{kind}:{layout}").observed()

    return pairs


KEEPING = tuple(layout for layout in LAYOUTS if layout not in (CONTIGUOUS, "expanded", "overlapping"))
"""Layouts that hold any numbers: a cotangent in another one is another cotangent."""

PROPERTIES: dict[str, Callable[[Scene], Iterator[Pair]]] = {
    "run to run": _run_to_run,
    PROMISED: _deterministic,
    "deterministic or not": _by_algorithm,
    "threads": _by_threads,
    "batch": _by_batch,
    **{f"layout {layout}": _by_layout(layout) for layout in LAYOUTS if layout != CONTIGUOUS},
    **{f"cotangent {layout}": _by_cotangent(layout) for layout in KEEPING},
}
"""By name: the pairs of runs of which the bits are compared."""


OF_SMALL = ("layout ", "cotangent ")
"""Properties that need no large case: there are many of them."""


def cases_for(operation: Reference, dtype: str, drawn: int, seed: int) -> list[Case]:
    """Plain cases, with the first options and the last, small and large (threads need many elements); drawn ones."""
    small = [plain_case(operation, seed, 1, last=last) for last in (False, True)]
    large = [large_case(operation, seed, last=last).on(cotangent="ordinary") for last in (False, True)]
    some = [drawn_case(operation, dtype, seed, index) for index in range(drawn)]
    place = {"dtype": dtype, "layout": CONTIGUOUS, "setting": "threads=1"}
    return list(dict.fromkeys(case.on(**place) for case in (*small, *large, *some)))


def reproducibility(
    operation: Reference, dtype: str, drawn: int = 2, seed: int = 0, subject: Operation | None = None
) -> list[Found]:
    """What is found of every property of an operation; ``subject`` stands in for PyTorch's own (planted faults)."""
    scenes = [Scene(operation, case, subject) for case in cases_for(operation, dtype, drawn, seed)]
    small = [scene for scene in scenes if not scene.large]
    return [
        _property(name, pairs, small if name.startswith(OF_SMALL) else scenes, dtype)
        for name, pairs in PROPERTIES.items()
    ]


def _property(name: str, pairs: Callable[[Scene], Iterator[Pair]], scenes: list[Scene], dtype: str) -> Found:
    found = Found(scenes[0].operation.name, dtype, name, "none")
    for scene in scenes:
        for a, b in pairs(scene):
            found = _joined(found, a, b, scene.case)
    return found


def _joined(found: Found, a: Observed, b: Observed, case: Case) -> Found:
    """What was found before, and of one more pair of runs."""
    failed = next((one for one in (a, b) if one.outcome != "ran"), None)
    if failed is not None:
        # What PyTorch refuses in both runs has nothing to do with what differs between them.
        if a.outcome == b.outcome or found.outcome in ("raises", "unsupported"):
            return found
        return replace(found, outcome=failed.outcome, words=failed.words, line=str(case))
    apart = {name: _apart(name, a, b) for name in a.elements if not _same_bits(a.elements[name], b.elements.get(name))}
    share = max((share for share, _ in apart.values()), default=0.0)
    before = found.outcome if found.outcome != "none" else "same"
    more = replace(
        found,
        outcome="differs" if apart and before == "same" else before,
        cases=found.cases + 1,
        differing=found.differing + bool(apart),
        outputs=tuple(dict.fromkeys((*found.outputs, *apart))),
        ulp=max([found.ulp, *(ulp for _, ulp in apart.values())]),
    )
    return replace(more, share=share, line=str(case)) if share > found.share else more


def _same_bits(one: np.ndarray, other: np.ndarray | None) -> bool:
    return other is not None and one.dtype == other.dtype and one.tobytes() == other.tobytes()


def _apart(name: str, a: Observed, b: Observed) -> tuple[float, float]:
    """The share of elements that differ, and how far apart they are in ulps of the larger one, at worst."""
    one, other = a.outputs[name], b.outputs.get(name)
    if other is None or one.shape != other.shape:
        return 1.0, np.inf
    with np.errstate(all="ignore"):
        same = (one == other) & (np.signbit(one) == np.signbit(other)) | (np.isnan(one) & np.isnan(other))
        form = FORMATS.get(a.dtypes[name])
        far = np.abs(one - other) / (form.ulp(np.maximum(np.abs(one), np.abs(other))) if form else 1.0)
        far = np.where(same, 0.0, np.where(np.isnan(far), np.inf, far))
    return float(1.0 - same.mean()) if same.size else 0.0, float(far.max(initial=0.0))
