"""The seeded corpus that ``gradcheck verify`` runs: the same cases everywhere, for a seed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.cases.always import always_judged
from gradcheck.cases.case import ArraySpec, Case
from gradcheck.cases.draw import (
    LARGE,
    LAYOUT_CHOICES,
    REAL_KINDS,
    SCALES,
    Draw,
    LargeDraw,
    ModeDraw,
    SeededDraw,
    draw_case,
    large_case,
    plain_case,
)
from gradcheck.cases.modes import oracle_of
from gradcheck.formats import format_named
from gradcheck.reference.optim.lbfgs import SEARCHES, ClosureRule
from gradcheck.reference.optim.options import TENSORS
from gradcheck.reference.optim.rule import StepRule
from gradcheck.reference.registry import Entry, Reference

__all__ = ["corpus", "drawn_case", "fixed_cases"]

_UNDEFINED = ("special", "rare", "unit")
_EXTREME = (*_UNDEFINED, "huge", "edges")

WITHOUT = {
    "jvp": _UNDEFINED,
    "jvp of rows": _UNDEFINED,
    "jacobian": _EXTREME,
    "columns": _EXTREME,
    "hvp": _EXTREME,
    "second tangent": _EXTREME,
}
"""Kinds of values left out where derivatives are multiplied by directions: no formula promises what 0·inf is.

A Jacobian is asked for by unit vectors, whose zeros meet whatever has overflowed on the way.
"""

MOST = {"jacobian": 6, "columns": 6, "hvp": 200, "second tangent": 200, "vjp of rows": 200, "jvp of rows": 200}
"""Elements of an array, by oracle: a Jacobian has the square of them."""

BESIDE = {"transposed": "sliced", "sliced": "transposed"}
"""By layout of the arrays of a plain case in another mode than backward: that of its cotangents and directions."""

EXHAUSTIVE_VARIANTS = 2
"""How many hyperparameter sets of a unary operation are judged at all 65,536 inputs of a 16-bit dtype."""

REPEATED_SIDES = (67, 131)


def corpus(operation: Reference, dtype: str, cases: int, seed: int, mode: str = "backward") -> Iterator[Case]:
    """``cases`` drawn cases, after those that the operation always gets.

    These are: one number throughout, for elementwise operations (the same result wherever it stands), and in 16-bit
    dtypes all 65,536 of them; and values near the kinks, with every option of every hyperparameter; and plain
    cases, in every layout and of a large size; and those of ``always.py`` and ``tight.py``. In other modes than
    backward they are the plain cases, if any.
    """
    yield from (case.on(mode=mode) for case in _fixed(operation, dtype, seed, mode))
    for index in range(cases):
        yield drawn_case(operation, dtype, seed, index, mode)


def fixed_cases(entry: Entry, dtype: str, seed: int, mode: str) -> list[Case]:
    """The cases that come before the drawn ones.

    Of what takes gradients: large ones (of Muon with its first options alone, whose last ones take seconds), and of
    histories some with special gradients, and one with betas in tensors; of a line search those that go all through it.
    """
    if isinstance(entry, Reference):
        return list(_fixed(entry, dtype, seed, mode))
    if isinstance(entry, ClosureRule) and not mode.startswith("compile"):
        made = [
            Case(entry.name, (("param0", ArraySpec("ordinary", (size,))), *words.items()), own)
            for own, size, words in SEARCHES
        ]
        return [case.on(dtype=dtype, mode=mode) for case in made]
    if "grad0" not in entry.arrays or mode.startswith("compile"):
        return []
    large = next(case for scale in SCALES if _elements(case := plain_case(entry, seed, scale)) > LARGE)
    cases, own = [_short(entry, large)], getattr(entry, "options", {})
    if "steps" in dict(large.arguments):  # of a history: once more with the last options, and in every layout
        last = {name: value for name, value in entry.inputs(LargeDraw(1, last=True)).items() if name in own}
        small = _short(entry, plain_case(entry, seed, 1))
        kinds = (small.on(layout="transposed"), small.on(layout="sliced"), *cases[: "ns_steps" not in own])
        cases += [replace(case, arguments=tuple({**dict(case.arguments), **last}.items())) for case in kinds]
        cases += [_flat(cases[0])] if _knows_vectors(entry) else []
        cases += _special(small, own)
        if entry.name in TENSORS["betas"]:
            cases.append(replace(small, arguments=(*small.arguments, ("betas_tensor", "float32"))))
    return [case.on(dtype=dtype, mode=mode) for case in dict.fromkeys(cases)]


def _elements(case: Case) -> int:
    """Of the first parameter, or gradient: what a kernel sees at a time."""
    return math.prod(next(iter(case.specs.values())).shape)


def _short(entry: Entry, case: Case) -> Case:
    """Of a history two steps of the first parameter; what is no history stays."""
    given = dict(case.arguments)
    if "steps" not in given:
        return case
    shape = case.specs["param0"].shape
    words = {"param0": given["param0"], "grad0": replace(given["grad0"], shape=(2, *shape)), "steps": 2}
    others = {name: value for name, value in given.items() if name not in (*entry.arrays, "steps")}
    return replace(case, arguments=tuple({**words, **others}.items()))


def _knows_vectors(entry: Entry) -> bool:
    """Whether an optimizer keeps something else of a vector than of a matrix."""
    if not isinstance(entry, StepRule):
        return False
    kept = [[part is None for part in entry.start(np.zeros(shape), **entry.options)] for shape in ((4,), (2, 2))]
    return kept[0] != kept[1]


def _special(case: Case, options: Mapping[str, Any]) -> list[Case]:
    """The history with special gradients and a parameter of far apart numbers, which stay where a gradient is 0.

    With betas of 1/2 as well: there an average is taken by the other of lerp's two formulas, as an infinity tells. And
    subnormal numbers: a parameter that stays in the first step, and squares of gradients in the second; with ε = 1,
    since a smallest number over a small ε is none.
    """
    given = dict(case.arguments)

    def of_kinds(param: str, grad: str, **more: Any) -> Case:
        kinds = {"param0": replace(given["param0"], kind=param), "grad0": replace(given["grad0"], kind=grad)}
        return replace(case, arguments=tuple({**given, **kinds, **more}.items()))

    other = [of_kinds("wide", "special", betas=(0.5, 0.75))] if "betas" in options else []
    eps = {"eps": 1.0} if isinstance(options.get("eps"), float) else {}
    return [of_kinds("wide", "special"), *other, of_kinds("subnormal", "roots", zeroed=((0, 0),), **eps)]


def _flat(case: Case) -> Case:
    """The history with its first parameter as a vector."""
    given = dict(case.arguments)
    steps, size = given["steps"], math.prod(given["param0"].shape)
    flat = {"param0": replace(given["param0"], shape=(size,)), "grad0": replace(given["grad0"], shape=(steps, size))}
    return replace(case, arguments=tuple({**given, **flat}.items()))


def _fixed(operation: Reference, dtype: str, seed: int, mode: str) -> Iterator[Case]:
    if mode == "backward":
        if operation.elementwise:
            yield from _always(operation, dtype, seed)
        yield from _at_kinks(operation, dtype, seed)
        yield from (case.on(dtype=dtype) for case in dict.fromkeys(_plain(operation, seed)))
        yield from always_judged(operation.name, dtype)
    elif oracle_of(mode) not in ("jacobian", "columns") and not mode.startswith("compile"):
        plain, without = plain_case(operation, seed, 1), WITHOUT.get(oracle_of(mode), ())
        if not any(spec.kind in without for spec in plain.specs.values()):
            for layout in dict.fromkeys(LAYOUT_CHOICES):
                cotangent = f"{plain.cotangent}:{BESIDE[layout]}" if layout in BESIDE else plain.cotangent
                yield plain.on(layout=layout, cotangent=cotangent, dtype=dtype)


def drawn_case(operation: Entry, dtype: str, seed: int, index: int, mode: str = "backward") -> Case:
    """Drawn case number ``index`` of the corpus, without those before it."""
    draw = SeededDraw(operation.name, seed, index)
    if mode != "backward" and isinstance(operation, Reference):
        oracle = oracle_of(mode)
        draw = ModeDraw(operation.name, seed, index, WITHOUT.get(oracle, ()), MOST.get(oracle, 600))
    case = draw_case(operation, draw, seed * 1_000_003 + index).on(dtype=dtype, mode=mode)
    if not _is_second_order(case, operation):
        return case
    # A subnormal cotangent would underflow on its way through second derivatives: in each composition elsewhere.
    return case.on(cotangent=re.sub("^subnormal", "ordinary", case.cotangent))


def _is_second_order(case: Case, operation: Entry) -> bool:
    return isinstance(operation, Reference) and oracle_of(case.mode) in ("hvp", "second tangent")


def _plain(operation: Reference, seed: int) -> Iterator[Case]:
    """Ordinary values with the first options and with the last: in each layout, and large.

    The small ones also with a cotangent of ones, since the terms of a bias' gradient then do not cancel; with one that
    is subnormal, which shows gradients that are flushed to 0; with one that is small but normal throughout, which shows
    those that meet a format of fewer exponents, also on a processor that flushes what is subnormal; and with one that
    is laid out in another way than the result, as a next operation may hand it back.
    """
    for last, cotangent in ((False, "ordinary:transposed"), (True, "ordinary:sliced")):
        small = plain_case(operation, seed, 1, last=last)
        yield replace(small, cotangent="ones")
        yield replace(small, cotangent="subnormal")
        yield replace(small, cotangent="roots")
        yield replace(small, cotangent=cotangent)
        yield from (small.on(layout=layout) for layout in dict.fromkeys(LAYOUT_CHOICES))
        yield large_case(operation, seed, last=last)


def _always(operation: Reference, dtype: str, seed: int) -> Iterator[Case]:
    first = operation.arrays[0]
    for variant in range(EXHAUSTIVE_VARIANTS):
        draw = SeededDraw(operation.name, seed, variant) if variant else Draw()
        drawn = draw_case(operation, draw, seed + variant).on(dtype=dtype)
        rest = [(name, value) for name, value in drawn.arguments if name != first]
        for side in REPEATED_SIDES:
            repeated = ArraySpec("repeated", (side,))
            if not any(name in operation.drawn and value is not None for name, value in rest):
                yield replace(drawn, arguments=((first, repeated), *rest), cotangent="repeated")
        if format_named(dtype).bits == 16:
            every = ArraySpec("every", (256, 256))
            for cotangent in ("ones", "ordinary"):
                beside = [
                    (name, replace(value, shape=every.shape) if name in operation.drawn and value else value)
                    for name, value in rest
                ]
                yield replace(drawn, arguments=((first, every), *beside), cotangent=cotangent)


class _KinkDraw(Draw):
    """The simplest choices but for one, and values near the kinks where an array says that it has some.

    sizes: how many options each choice had; kinked: whether an array named its kinks.
    """

    def __init__(self, place: int = -1, option: int = 0) -> None:
        self._place, self._option = place, option
        self.sizes: list[int] = []
        self.kinked = False

    def integer(self, low: int, high: int) -> int:
        self.sizes.append(high - low + 1)
        return low + (self._option if len(self.sizes) - 1 == self._place else 0)

    def shape(self, dims: tuple[int, int] = (0, 3), least: int = 0, most: int = 600) -> tuple[int, ...]:
        return (REPEATED_SIDES[0],)

    def array(
        self, shape: tuple[int, ...], kinds: Sequence[str] = REAL_KINDS, near: Sequence[float] | None = None
    ) -> ArraySpec:
        if near is None or "near" not in kinds:
            return ArraySpec(kinds[0], shape)
        self.kinked = True
        return super().array(shape, ("near",), near)


def _at_kinks(operation: Reference, dtype: str, seed: int) -> Iterator[Case]:
    """The simplest case near the kinks, and one for each other option of each of its choices."""

    def drawn(draw: _KinkDraw) -> Case:
        return Case(operation.name, tuple(operation.inputs(draw).items()), seed, dtype)

    simplest = _KinkDraw()
    first = drawn(simplest)
    if simplest.kinked:
        yield first
        for place, options in enumerate(simplest.sizes):
            for option in range(1, options):
                yield drawn(_KinkDraw(place, option))
