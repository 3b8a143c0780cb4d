"""What a run of ``gradcheck verify`` does: a selection on the axes, cut into pieces of work for the workers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from gradcheck.cases.case import Case, parse_case
from gradcheck.cases.corpus import drawn_case, fixed_cases
from gradcheck.cases.inputs import cotangent_words
from gradcheck.cases.layouts import CONTIGUOUS, layout_fits
from gradcheck.cases.modes import GROUPS, ORACLES, chosen_modes, oracle_of
from gradcheck.cases.settings import DEFAULT, environment_of
from gradcheck.reference.registry import Entry, Reference, entry_named

__all__ = [
    "Environment",
    "Piece",
    "Selection",
    "by_environment",
    "cases_of",
    "corpus_size",
    "drawn_pieces",
    "known_modes",
    "modes_of",
    "pieces",
]

PIECE_CASES = 20

HISTORY = 4
"""A case of an optimizer is a history of many steps, each of them judged: it counts as so many cases."""

SHARE, FEW = 10, 6
"""An operation in another mode than backward gets that share of the drawn cases, and so many at least: there are many
modes, they call the same kernels, and what is theirs alone shows in few cases."""

COMPILED = 3
"""Drawn cases of a mode that compiles: each is compiled anew, which takes seconds."""


NEEDS_ACCELERATOR = ("capturable",)
"""Modes that PyTorch refuses on the CPU: planned elsewhere, or where they are asked for by name."""


@dataclass(frozen=True)
class Selection:
    """What to verify: operations by full name, places on the axes, and how many cases of each.

    cotangents: ``ones:expanded``, ``ones`` or ``:expanded``, what is left out being as drawn, for operations;
    settings: precision settings, one after the other; modes: words for modes or groups of them; without any, those
    that each entry has by default.
    """

    operations: tuple[str, ...]
    dtypes: tuple[str, ...] = ("float64", "float32", "float16", "bfloat16")
    devices: tuple[str, ...] = ("cpu",)
    layouts: tuple[str, ...] = ("contiguous",)
    modes: tuple[str, ...] = ()
    cotangents: tuple[str, ...] = ("",)
    settings: tuple[str, ...] = (DEFAULT,)
    cases: int = 60
    seed: int = 0


@dataclass(frozen=True)
class Piece:
    """A slice of the corpus of one operation at one place; small enough to be sent to a worker as it is.

    modes: in each of which every case is judged, before the next case: they share what the reference says of it;
    lines: of its cases, where they are given and not drawn.
    """

    operation: str
    dtype: str
    device: str
    layout: str
    modes: tuple[str, ...]
    cases: int
    seed: int
    start: int
    stop: int
    setting: str = DEFAULT
    cotangent: str = ""
    lines: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What tells it from all other pieces of a run."""
        if self.lines:
            return f"{len(self.lines)} cases from {self.lines[0]}"
        modes = ",".join(self.modes)
        place = f"{self.operation} {self.dtype} {self.device} {self.layout} {modes} {self.setting} {self.cotangent}"
        return f"{place} seed={self.seed} {self.start}:{self.stop} of {self.cases}"

    def __len__(self) -> int:
        return (self.stop - self.start) * len(self.modes)


def pieces(selection: Selection) -> list[Piece]:
    """All pieces of a selection, operation by operation."""
    found = []
    for name in selection.operations:
        entry = entry_named(name)
        for dtype, family in itertools.product(selection.dtypes, _families(entry, modes_of(entry, selection.modes))):
            if dtype not in entry.dtypes:
                continue
            total = corpus_size(entry, dtype, family[0], selection.cases, selection.seed)
            cotangents = selection.cotangents if isinstance(entry, Reference) else ("",)
            places = itertools.product(selection.devices, selection.layouts, selection.settings, cotangents)
            for device, layout, setting, cotangent in places:
                if device == "cpu" and not selection.modes and set(family) <= set(NEEDS_ACCELERATOR):
                    continue
                whole = Piece(
                    name, dtype, device, layout, family, selection.cases, selection.seed, 0, total, setting, cotangent
                )
                found += list(_cut(whole))
    return found


def drawn_pieces(entry: Reference, modes: tuple[str, ...], dtype: str, cases: int, seed: int) -> list[Piece]:
    """Pieces of so many drawn cases of an operation in each mode, without the cases that it always gets."""
    found = []
    for family in _families(entry, modes):
        fixed = len(fixed_cases(entry, dtype, seed, family[0]))
        found.append(Piece(entry.name, dtype, "cpu", CONTIGUOUS, family, cases, seed, fixed, fixed + cases))
    return found


Environment = tuple[tuple[str, str], ...]
"""Environment variables: names and values."""


def by_environment(plan: Iterable[Piece]) -> list[tuple[Environment, list[Piece]]]:
    """The pieces in groups that can share processes, each with the environment that these have to start with."""
    groups: dict[Environment, list[Piece]] = {}
    for piece in plan:
        groups.setdefault(tuple(environment_of(piece.setting).items()), []).append(piece)
    return list(groups.items())


def _families(entry: Entry, modes: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The modes of an operation that have the same cases, and ask the same of the reference; any other by itself."""
    families: dict[str, list[str]] = {}
    for mode in modes:
        alone = mode == "backward" or mode.startswith("compile:") or not isinstance(entry, Reference)
        oracle = mode if alone else oracle_of(mode)
        families.setdefault("vjp" if oracle == "value" else oracle, []).append(mode)
    return [tuple(family) for family in families.values()]


def corpus_size(entry: Entry, dtype: str, mode: str, cases: int, seed: int) -> int:
    """How many cases of an entry there are in a mode, where so many are asked for: the fixed ones and the drawn."""
    return len(fixed_cases(entry, dtype, seed, mode)) + _drawn(entry, mode, cases)


def _drawn(entry: Entry, mode: str, cases: int) -> int:
    """How many cases are drawn of an entry in a mode, where so many are asked for."""
    if entry.kind == "optimizer":
        cases = math.ceil(cases / HISTORY)
    elif isinstance(entry, Reference) and mode != "backward":
        cases = min(cases, max(FEW, math.ceil(cases / SHARE)))
    return min(COMPILED, cases) if mode.startswith("compile:") else cases


def modes_of(entry: Entry, words: tuple[str, ...]) -> tuple[str, ...]:
    """The modes of an entry that the words stand for; for none its own, but for those that compile.

    Words that are modes of other kinds of entries alone stand for nothing here.
    """
    if isinstance(entry, Reference) and words:
        meant = [word for word in words if word in ORACLES or word in GROUPS]
        return chosen_modes(meant) if meant else ()
    if "all" in words:
        return entry.modes
    asked = {mode for word in words for mode in GROUPS.get(word, (word,))}
    whole = not words or "eager" in words
    return tuple(mode for mode in entry.modes if mode in asked or (whole and not mode.startswith("compile:")))


def known_modes(entries: Iterable[Entry]) -> tuple[str, ...]:
    """Every word for a mode that one of the entries has."""
    found = dict.fromkeys(GROUPS)
    for entry in entries:
        found |= dict.fromkeys(ORACLES if isinstance(entry, Reference) else entry.modes)
    return tuple(found)


def _cut(whole: Piece) -> Iterator[Piece]:
    step = max(1, PIECE_CASES // len(whole.modes))
    for start in range(0, whole.stop, step):
        yield replace(whole, start=start, stop=min(start + step, whole.stop))


def cases_of(piece: Piece) -> Iterator[Case]:
    """The cases of a piece, made anew; without those that cannot have the layout that is asked for."""
    if piece.lines:
        yield from map(parse_case, piece.lines)
        return
    entry, mode = entry_named(piece.operation), piece.modes[0]
    fixed = fixed_cases(entry, piece.dtype, piece.seed, mode)
    cases = fixed[piece.start : piece.stop]
    drawn = range(max(piece.start, len(fixed)), piece.stop)
    cases += [drawn_case(entry, piece.dtype, piece.seed, index - len(fixed), mode) for index in drawn]
    placed = [_placed(case, piece) for case in cases]
    if piece.layout != CONTIGUOUS:
        placed = list({str(case): case for case in placed if layout_fits(case)}.values())
    for case in placed:
        yield from (case.on(mode=mode) for mode in piece.modes)


def _placed(case: Case, piece: Piece) -> Case:
    """The case at the place of the piece. Cases are drawn in several layouts; another one is asked for throughout."""
    layout = case.layout if piece.layout == CONTIGUOUS else piece.layout
    kind, _, laid_out = piece.cotangent.partition(":")
    if laid_out:
        cotangent = f"{kind or cotangent_words(case.cotangent)[0]}:{laid_out}"
    else:
        cotangent = kind or case.cotangent
    return case.on(device=piece.device, layout=layout, setting=piece.setting, cotangent=cotangent)
