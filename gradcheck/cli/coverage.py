"""``gradcheck coverage``: which differentiable names of the installed PyTorch have a reference, and in which modes."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gradcheck.cli.files import writable, write_json, write_text
from gradcheck.errors import UsageError

if TYPE_CHECKING:
    from gradcheck.run.coverage import Coverage
    from gradcheck.run.modes import Cell
    from gradcheck.verdict.verdict import Verdict

__all__ = ["coverage"]


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--json", "json_file", metavar="FILE", help="Write every name, or every cell, with its status to FILE.")
@click.option("--all", "everything", is_flag=True, help="List the names that are covered in full as well.")
@click.option("--modes", is_flag=True, help="Judge small cases of every operation in every mode, and show the table.")
@click.option("--markdown", "page", metavar="FILE", help="With --modes: write the table with all words to FILE.")
@click.option("--dtype", default="float32", show_default=True, help="With --modes: the dtype that is judged.")
@click.option("--cases", type=click.IntRange(min=1), default=2, show_default=True, help="With --modes: of each cell.")
@click.option("--jobs", type=click.IntRange(min=1), default=None, help="With --modes: worker processes.")
def coverage(
    names: tuple[str, ...],
    json_file: str | None,
    everything: bool,
    modes: bool,
    page: str | None,
    dtype: str,
    cases: int,
    jobs: int | None,
) -> None:
    """List what of the installed PyTorch is covered, partly covered (and what is missing) or not, by family.

    With --modes: which operation (those called NAME, all by default) works in which mode, by a few small cases each,
    and where PyTorch's own table says something else.
    """
    target, target_page = writable("--json", json_file), writable("--markdown", page)
    if not modes and (names or page):
        raise UsageError("NAME and --markdown belong to --modes, the table of operations and modes.")
    if modes:
        _modes(names, dtype, cases, jobs or os.cpu_count() or 1, target, target_page)
        return
    from gradcheck.run.coverage import coverage as cover

    found = list(cover())
    _print(found, everything)
    if target is not None:
        write_json(target, [name.as_json() for name in found])


def _modes(names: tuple[str, ...], dtype: str, cases: int, jobs: int, target: Path | None, page: Path | None) -> None:
    from gradcheck.cli.tables import announce, progress_bar
    from gradcheck.formats import format_named
    from gradcheck.reference.registry import select
    from gradcheck.run.modes import cells, claims, markdown, mode_pieces
    from gradcheck.run.workers import Workers
    from gradcheck.verdict.ledger import load_ledger

    format_named(dtype)
    entries = select(names)
    plan = mode_pieces(entries, dtype, cases)
    verdicts: list[Verdict] = []
    with Workers(jobs) as workers, progress_bar() as bar:
        task = bar.add_task("importing torch", total=sum(len(piece) for piece in plan))
        announce(bar, f"{bar.tasks[task].total:.0f} cases in {jobs} processes")
        for piece, judged in workers.verdicts(plan):
            verdicts += judged
            bar.update(task, advance=len(piece), description=f"{piece.operation} {piece.modes[0]}")
    found = cells(entries, verdicts, load_ledger())
    _print_modes(found)
    if target is not None:
        claimed = [claim.as_json() for claim in claims(found)]
        write_json(target, {"cells": [cell.as_json() for cell in found], "claims": claimed})
    if page is not None:
        title = f"Operations in the modes of PyTorch ({dtype}, {cases} small cases of each cell)"
        write_text(page, markdown(found, title))


WIDTH = 120
"""Columns that the table of modes needs at least."""


def _print_modes(found: list[Cell]) -> None:
    from rich.console import Console
    from rich.table import Table

    from gradcheck.run.modes import MARKS, MODES, claim_words, claims, compared_words

    console = Console(highlight=False, markup=False, soft_wrap=not sys.stdout.isatty())
    console.width = max(console.width, WIDTH)
    for number, mode in enumerate(MODES, start=1):
        console.print(f"{number:2} {mode}")
    console.print(", ".join(f"{mark} {status}" for status, mark in MARKS.items()))
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("operation", *map(str, range(1, len(MODES) + 1))):
        table.add_column(heading, no_wrap=True)
    rows: dict[str, list[str]] = {}
    for cell in found:
        rows.setdefault(cell.operation, []).append(MARKS[cell.status])
    for name, marks in rows.items():
        table.add_row(name.removeprefix("nn.functional."), *marks)
    console.print(table)
    for status in list(MARKS)[1:]:
        count = sum(cell.status == status for cell in found)
        console.print(f"{status}: {count} of {len(found)} cells")
    for cell in found:
        if cell.status in ("deviates", "not judged"):
            console.print(f"{cell.status}: {cell.operation} {cell.mode}: {cell.words}\n  {cell.case}")
    console.print(compared_words(found))
    for claim in claims(found):
        console.print(claim_words(claim))


def _print(found: list[Coverage], everything: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    from gradcheck.run.coverage import STATUSES

    console = Console(highlight=False, markup=False, soft_wrap=not sys.stdout.isatty())
    table = Table("family", box=None, pad_edge=False)
    for status in STATUSES:
        table.add_column(status, justify="right")
    families: dict[str, list[Coverage]] = {}
    for name in found:
        families.setdefault(name.family, []).append(name)
    for family, names in families.items():
        counts = Counter(name.status for name in names)
        table.add_row(family, *(str(counts[status]) for status in STATUSES))
    console.print(table)
    for status in STATUSES if everything else STATUSES[1:]:
        for family, names in families.items():
            chosen = [name for name in names if name.status == status]
            if chosen:
                console.print(f"{status}, {family}: {', '.join(map(_words, chosen))}")


def _words(name: Coverage) -> str:
    last = name.name.rpartition(".")[2]
    return f"{last} (without {', '.join(name.missing)})" if name.missing else last
