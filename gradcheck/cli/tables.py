"""What verify prints: a progress bar, the table of operations and dtypes, and each deviation in its sentence."""

from __future__ import annotations

import math
import sys
from collections import Counter
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from gradcheck.cases.case import AXES
from gradcheck.run.summary import Row, Summary, worst_of_each
from gradcheck.verdict.sentence import replay_line, sentence

__all__ = ["announce", "print_report", "progress_bar"]

STYLES = {"agrees": "green", "coarse": "yellow", "unsupported": "dim", "absent": "dim", "known": "cyan"}
LISTED = 40


def progress_bar() -> Progress:
    """A live bar on standard error; silent where that is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def announce(bar: Progress, words: str) -> None:
    """One line on standard error where there is no live bar, so that a log shows that the run has begun."""
    if bar.disable:
        print(f"gradcheck: {words}", file=sys.stderr, flush=True)


def print_report(summary: Summary, facts: dict[str, Any], interrupted: bool) -> None:
    """The table, then everything that needs a look, then one line that sums up."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    if summary.rows:
        console.print(_table(summary))
    for verdict in worst_of_each(summary.unknown)[:LISTED]:
        console.print(sentence(verdict), style="red", markup=False, soft_wrap=True)
    _print_known(console, summary)
    _print_coarse(console, summary)
    _print_notes(console, summary)
    _print_end(console, summary, facts, interrupted)


def _table(summary: Summary) -> Table:
    table = Table(box=None, pad_edge=False)
    rows = summary.rows.values()
    axes = [axis for axis in ("mode", "setting") if {getattr(row, axis) for row in rows} != {AXES[axis]}]
    for name in ("operation", "dtype", *axes):
        table.add_column(name)
    for name in ("cases", "forward", "backward", "ulp"):
        table.add_column(name, justify="right")
    table.add_column("status")
    for row in summary.rows.values():
        status = _status(row)
        forward, backward = (_worst(ratios) for ratios in (row.forward, row.backward))
        place = (row.operation, row.dtype, *(getattr(row, axis) for axis in axes))
        cells = (*place, str(len(row.cases)), forward, backward, _figure(row.ulp))
        table.add_row(*cells, f"[{STYLES.get(status.split()[0], 'red')}]{status}[/]")
    table.caption = "forward, backward: worst error/bound (at most 1: as right as the dtype allows); ulp: worst error"
    return table


def _status(row: Row) -> str:
    """The worst status; deviations that the ledger covers are `known` (the next worst status is said as well)."""
    bad = sum(row.statuses[status] for status in ("deviates", "raises", "crashed", "timed out"))
    if bad > row.known or not bad:
        return row.status
    rest = "coarse" if row.statuses["coarse"] else "agrees"
    return f"known deviation, else {rest}"


def _worst(ratios: list[float]) -> str:
    return _figure(max(ratios)) if ratios else "-"


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3g}"


def _print_known(console: Console, summary: Summary) -> None:
    for entry, verdicts in summary.known.items():
        dtypes = ", ".join(sorted({verdict.dtype for verdict in verdicts}))
        console.print(
            f"known: {entry.operation} {', '.join(entry.outputs)} ({dtypes}), {len(verdicts)} verdicts: {entry.reason}",
            style="cyan", markup=False, soft_wrap=True,
        )  # fmt: skip


def _print_coarse(console: Console, summary: Summary) -> None:
    counts = Counter((v.operation, v.dtype, v.output) for v in summary.coarse)
    for verdict in worst_of_each(summary.coarse):
        count = counts[verdict.operation, verdict.dtype, verdict.output]
        console.print(
            f"coarse: {verdict.operation} {verdict.dtype} {verdict.output}, {count} cases, at worst "
            f"{verdict.error_over_bound:.3g} × the bound of one rounding, {verdict.error_over_storage_bound:.3g} × "
            f"that of storage rounding; {replay_line(verdict)}",
            style="yellow", markup=False, soft_wrap=True,
        )  # fmt: skip


def _print_notes(console: Console, summary: Summary) -> None:
    for verdict in worst_of_each(summary.noted):
        note = f"note: {verdict.operation} {verdict.dtype} {verdict.output}: {'; '.join(verdict.notes)}"
        console.print(f"{note}; {replay_line(verdict)}", style="dim", markup=False, soft_wrap=True)


def _print_end(console: Console, summary: Summary, facts: dict[str, Any], interrupted: bool) -> None:
    words = ", ".join(
        f"{name} {facts[name]}" for name in ("torch", "cpu_capability", "numpy", "device") if name in facts
    )
    known = sum(len(verdicts) for verdicts in summary.known.values())
    if summary.left_out:
        console.print(
            f"{summary.left_out} cases are left out: none of their arrays can have the layout that was asked for, or "
            "they are the same as others in it",
            style="dim", markup=False, soft_wrap=True,
        )  # fmt: skip
    console.print(
        f"{'interrupted after ' if interrupted else ''}{summary.cases} cases, {summary.verdicts} verdicts: "
        f"{len(summary.unknown)} deviate beyond the ledger, {known} are known deviations, {len(summary.coarse)} are "
        f"coarse ({words})",
        markup=False, soft_wrap=True,
    )  # fmt: skip
