"""What a run of ``gradcheck verify`` does: a selection on the axes, cut into pieces of work for the workers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gradcheck.cases.case import Case
from gradcheck.cases.corpus import corpus, drawn_case
from gradcheck.reference.registry import Reference, reference_named

__all__ = ["LAYOUTS", "Piece", "Selection", "cases_of", "pieces"]

PIECE_CASES = 20

LAYOUTS = ("contiguous", "transposed", "sliced")
"""Names of the layouts that the subject knows (said here too, since the subject imports torch; a test compares)."""


@dataclass(frozen=True)
class Selection:
    """What to verify: operations by full name, places on the axes, and how many cases of each."""

    operations: tuple[str, ...]
    dtypes: tuple[str, ...] = ("float64", "float32", "float16", "bfloat16")
    devices: tuple[str, ...] = ("cpu",)
    layouts: tuple[str, ...] = ("contiguous",)
    modes: tuple[str, ...] = ("backward",)
    cases: int = 60
    seed: int = 0


@dataclass(frozen=True)
class Piece:
    """A slice of the corpus of one operation at one place; small enough to be sent to a worker as it is."""

    operation: str
    dtype: str
    device: str
    layout: str
    mode: str
    cases: int
    seed: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


def pieces(selection: Selection) -> list[Piece]:
    """All pieces of a selection, operation by operation."""
    found = []
    for name in selection.operations:
        operation = reference_named(name)
        for dtype in selection.dtypes:
            total = sum(1 for _ in corpus(operation, dtype, 0, selection.seed)) + selection.cases
            for device in selection.devices:
                for layout in selection.layouts:
                    for mode in selection.modes:
                        whole = Piece(
                            name, dtype, device, layout, mode, selection.cases, selection.seed, start=0, stop=total
                        )
                        found += list(_cut(whole))
    return found


def _cut(whole: Piece) -> Iterator[Piece]:
    for start in range(0, whole.stop, PIECE_CASES):
        yield replace(whole, start=start, stop=min(start + PIECE_CASES, whole.stop))


def cases_of(piece: Piece) -> Iterator[Case]:
    """The cases of a piece, made anew."""
    operation: Reference = reference_named(piece.operation)
    fixed = list(corpus(operation, piece.dtype, 0, piece.seed))
    cases = fixed[piece.start : piece.stop]
    drawn = range(max(piece.start, len(fixed)), piece.stop)
    cases += [drawn_case(operation, piece.dtype, piece.seed, index - len(fixed)) for index in drawn]
    for case in cases:
        # Cases are drawn in several layouts; another than the default is asked for throughout.
        layout = case.layout if piece.layout == LAYOUTS[0] else piece.layout
        yield case.on(device=piece.device, layout=layout, mode=piece.mode)
