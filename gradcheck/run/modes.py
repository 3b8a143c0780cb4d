"""Operation by mode: what a few small cases of each show, and where that differs from what PyTorch claims.

PyTorch's own claims are the columns ``forward mode`` and ``double backward`` of its table of operations
(``gradcheck/data/differentiable-operations.tsv``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from gradcheck.cases.modes import GROUPS
from gradcheck.reference.registry import Entry, Reference
from gradcheck.run.coverage import TABLE
from gradcheck.run.plan import Piece, drawn_pieces
from gradcheck.verdict.ledger import Ledger
from gradcheck.verdict.verdict import Verdict

__all__ = [
    "MARKS",
    "MODES",
    "Cell",
    "Claim",
    "cells",
    "claim_words",
    "claims",
    "compared_words",
    "markdown",
    "mode_pieces",
]

MODES = GROUPS["eager"]
"""The modes of the table: all that do not compile."""

LEFT_OUT = "Modes that compile take seconds a case and are not in this table: `gradcheck verify --mode compile`."
"""What the page says of the other modes."""

MARKS = {
    "agrees": "·",
    "known deviation": "D",
    "partly": "p",
    "unsupported": "-",
    "deviates": "!",
    "not judged": "?",
}
"""By status of a cell: its mark. ``partly``: some cases agree, and PyTorch refuses others."""

CLAIMED = {"forward mode": "forward", "double backward": "double"}
"""By column of PyTorch's table: the mode that it is about."""


@dataclass(frozen=True)
class Cell:
    """An operation in a mode. words: PyTorch's, or the ledger's reason; case: the line that shows it."""

    operation: str
    mode: str
    status: str
    words: str = ""
    case: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Claim:
    """What PyTorch says of an operation in its table, where something else was seen."""

    operation: str
    column: str
    claimed: str
    seen: str
    words: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def mode_pieces(entries: Iterable[Entry], dtype: str, cases: int, seed: int = 0) -> list[Piece]:
    """``cases`` small drawn cases of every operation in every mode of the table."""
    operations = [entry for entry in entries if isinstance(entry, Reference)]
    return [piece for entry in operations for piece in drawn_pieces(entry, MODES, dtype, cases, seed)]


def cells(entries: Iterable[Entry], verdicts: Iterable[Verdict], ledger: Ledger) -> list[Cell]:
    """One cell for every operation and mode: none is missing, whatever was judged."""
    found: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in verdicts:
        found.setdefault((verdict.operation, verdict.mode), []).append(verdict)
    names = [entry.name for entry in entries if isinstance(entry, Reference)]
    return [_cell(name, mode, found.get((name, mode), []), ledger) for name in names for mode in MODES]


def _cell(operation: str, mode: str, verdicts: list[Verdict], ledger: Ledger) -> Cell:
    if not verdicts:
        return Cell(operation, mode, "not judged")
    bad = [verdict for verdict in verdicts if verdict.status in ("deviates", "raises", "crashed", "timed out")]
    entries = [ledger.match(verdict) for verdict in bad]
    for verdict, entry in zip(bad, entries, strict=True):
        if entry is None:
            return Cell(operation, mode, "deviates", verdict.words or f"{verdict.output} deviates", verdict.case)
    for verdict, entry in zip(bad, entries, strict=True):
        if entry is not None:
            return Cell(operation, mode, "known deviation", entry.reason, verdict.case)
    refused = [verdict for verdict in verdicts if verdict.status == "unsupported"]
    if not refused:
        return Cell(operation, mode, "agrees")
    status = "unsupported" if len(refused) == len(verdicts) else "partly"
    return Cell(operation, mode, status, refused[0].words, refused[0].case)


def claims(found: Iterable[Cell]) -> Iterator[Claim]:
    """Where PyTorch's own table says something else than was seen."""
    for column, claimed, cell in _compared(found):
        works = cell.status in ("agrees", "known deviation", "partly")
        if claimed.startswith("yes") != works or cell.status == "partly":
            yield Claim(cell.operation, column, claimed, cell.status, cell.words)


def _compared(found: Iterable[Cell]) -> Iterator[tuple[str, str, Cell]]:
    """Each claim of PyTorch's table about an operation that was judged: column, what it says, and the cell."""
    seen = {(cell.operation, cell.mode): cell for cell in found}
    header, *lines = TABLE.read_text(encoding="utf-8").splitlines()
    columns = header.split("\t")
    for line in lines:
        row = dict(zip(columns, line.split("\t"), strict=False))
        for column, mode in CLAIMED.items():
            if (row["name"], mode) in seen:
                yield column, row[column], seen[row["name"], mode]


def markdown(found: list[Cell], title: str) -> str:
    """The table as a page: marks, then every cell that does not simply agree in words, then the claims."""
    lines = [f"# {title}", ""]
    lines += [", ".join(f"{mark} {status}" for status, mark in MARKS.items()) + ".", "", LEFT_OUT]
    lines += ["", *(f"{number}. `{mode}`" for number, mode in enumerate(MODES, start=1)), ""]
    lines += ["| operation | " + " | ".join(str(number) for number, _ in enumerate(MODES, start=1)) + " |"]
    lines += ["|---|" + "---|" * len(MODES)]
    rows: dict[str, list[Cell]] = {}
    for cell in found:
        rows.setdefault(cell.operation, []).append(cell)
    lines += [f"| {name} | " + " | ".join(MARKS[cell.status] for cell in row) + " |" for name, row in rows.items()]
    for status in list(MARKS)[1:]:
        lines += _in_words(status, [cell for cell in found if cell.status == status])
    lines += ["", "## Where PyTorch's own table says something else", "", compared_words(found), ""]
    return "\n".join(lines + [f"- {claim_words(claim)}" for claim in claims(found)])


def compared_words(found: list[Cell]) -> str:
    """How many claims of PyTorch's table were compared, and how many are as it says."""
    total, other = len(list(_compared(found))), len(list(claims(found)))
    words = " and ".join(f"{column} ({mode})" for column, mode in CLAIMED.items())
    return f"Compared: {total} claims on {words}; {total - other} are as it says."


def claim_words(claim: Claim) -> str:
    """One line about a claim."""
    words = f"{claim.operation}: {claim.column} claimed {claim.claimed}, seen {claim.seen}"
    return f"{words} ({claim.words})" if claim.words else words


def _in_words(status: str, found: list[Cell]) -> Iterator[str]:
    """The cells of a status, those of one operation and the same words together."""
    together: dict[tuple[str, str], list[str]] = {}
    for cell in found:
        together.setdefault((cell.operation, cell.words), []).append(cell.mode)
    if together:
        yield from ("", f"## {status.capitalize()}", "")
    yield from (f"- {name} in {', '.join(modes)}: {words}" for (name, words), modes in together.items())
