"""How a comparison is shown: a table, Markdown, GitHub annotations."""

from __future__ import annotations

import math
import sys
from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from gradcheck.record.compare import Change, Comparison, Side
    from gradcheck.record.run import Run

__all__ = ["github_annotations", "markdown", "print_changes"]

QUIET = ("rounding", "identical")
STYLES = {"wrong": "red", "vanished": "red", "less accurate": "red", "mended": "green", "more accurate": "green"}
FACTS_LISTED = ("torch", "numpy", "python", "blas", "threads", "precision", "platform")


def print_changes(found: Comparison, everything: bool) -> None:
    """What makes the runs hard to compare, the table, a replay line for each row, and the counts."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    for line in [*_head(found), ""]:
        console.print(line, markup=False, soft_wrap=True)
    shown = [change for change in _ordered(found) if everything or change.word not in QUIET]
    if shown:
        console.print(_table(shown))
    for change in shown:
        if change.case:
            console.print(f"{_where(change)}: {_replay(change)}", style="dim", markup=False, soft_wrap=True)
    hidden = sum(change.word in QUIET for change in found.changes) if not everything else 0
    words = "; --all shows those that are identical or mere rounding" if hidden else ""
    console.print(f"{_counted(found)}{words}", markup=False, soft_wrap=True)


def markdown(found: Comparison) -> str:
    """The comparison as a comment on a pull request: what changed for accuracy first, the rest folded away."""
    lines = [f"### gradcheck diff: {_counted(found)}", ""]
    lines += [f"> {line}" for line in _head(found)] + [""]
    loud = [change for change in _ordered(found) if change.word not in QUIET]
    if loud:
        lines += [*_markdown_table(loud), ""]
    rounded = [change for change in _ordered(found) if change.word == "rounding"]
    if rounded:
        lines += ["<details><summary>Bits changed, accuracy did not</summary>", "", *_markdown_table(rounded), ""]
        lines += ["</details>", ""]
    return "\n".join(lines)


def github_annotations(found: Comparison) -> str:
    """An error for each place that regressed, a notice for each other that is neither identical nor mere rounding."""
    lines = []
    for change in _ordered(found):
        if change.word not in QUIET:
            kind = "error" if change.regressed else "notice"
            text = f"{_where(change)}: {_figures(change)}. {_replay(change)}"
            lines.append(f"::{kind} title=gradcheck%3A {change.word}::{_escaped(text)}\n")
    lines.append(f"::notice title=gradcheck diff::{_escaped(_counted(found))}\n")
    return "".join(lines)


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _head(found: Comparison) -> list[str]:
    lines = [f"careful: {warning}." for warning in found.warnings]
    lines += [f"before: {_run(found.before)}", f"after: {_run(found.after)}"]
    lines += [f"{name}: {was} → {now}" for name, (was, now) in found.differences.items() if name in FACTS_LISTED]
    lines += [f"compared across {axis}: {was} → {now}" for axis, (was, now) in found.across.items()]
    for side, words in (("before", "the first run"), ("after", "the second run")):
        if alone := found.alone[side]:
            lines.append(f"not compared: {sum(alone.values())} cases of {words} alone ({_named(alone)})")
    return lines


def _named(alone: Counter[str], most: int = 5) -> str:
    words = [f"{count} of {operation}" for operation, count in alone.most_common(most)]
    return ", ".join([*words, f"and {len(alone) - most} operations more"] if len(alone) > most else words)


def _run(run: Run) -> str:
    words = f"torch {run.torch}, numpy {run.numpy}, {run.cpu_capability}, {run.device}"
    return f"run {run.number} ({run.uuid[:8]}) of {run.started[:16].replace('T', ' ')}, {words}"


def _counted(found: Comparison) -> str:
    counts = ", ".join(f"{count} {word}" for word, count in found.counts.items())
    return f"{len(found.changes)} compared: {counts}" if counts else "nothing was compared"


def _ordered(found: Comparison) -> list[Change]:
    order = list(found.counts)
    return sorted(found.changes, key=lambda change: (order.index(change.word), change.place["operation"]))


def _axes(changes: list[Change]) -> list[str]:
    """The axes worth a column: those with a choice, besides operation and dtype."""
    rest = {"mode": "backward", "device": "cpu", "setting": "default"}
    return ["operation", "dtype"] + [
        axis for axis, default in rest.items() if any(change.place[axis] != default for change in changes)
    ]


COLUMNS = ("worst before", "after", "typical before", "after", "wrong", "bits changed")


def _cells(change: Change) -> list[str]:
    before, after = change.before, change.after
    wrong = f"{before.wrong} → {after.wrong}" if before.wrong or after.wrong else "-"
    known = f" ({after.known} in the ledger)" if after.known else ""
    numbers = [_number(side, name) for name in ("worst", "typical") for side in (before, after)]
    return [*numbers, wrong + known, f"{change.changed} of {change.pairs}"]


def _number(side: Side, name: str) -> str:
    value = getattr(side, name)
    return "-" if math.isnan(value) else f"{value:.3g}"


def _table(changes: list[Change]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    axes = _axes(changes)
    for axis in axes:
        table.add_column(axis)
    for name in COLUMNS:
        table.add_column(name, justify="right")
    for change in changes:
        word = f"[{STYLES.get(change.word, 'dim')}]{change.said}[/]"
        table.add_row(word, *(change.place[axis] for axis in axes), *_cells(change))
    table.caption = "worst, typical: largest and median error/bound; bits changed: of how many outputs"
    return table


def _markdown_table(changes: list[Change]) -> list[str]:
    axes = _axes(changes)
    head = ["", *axes, *COLUMNS, "replay"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for change in changes:
        word = f"**{change.said}**" if change.regressed else change.said
        cells = [word, *(f"`{change.place[axis]}`" for axis in axes), *_cells(change), f"`{_replay(change)}`"]
        lines.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
    return lines


def _where(change: Change) -> str:
    return " ".join(change.place[axis] for axis in _axes([change]))


def _figures(change: Change) -> str:
    before, after = change.before, change.after
    worst, typical = (
        f"{name} error/bound {_number(before, name)} → {_number(after, name)}" for name in ("worst", "typical")
    )
    return f"{worst}, {typical}, {before.wrong} → {after.wrong} of {change.pairs} wrong"


def _replay(change: Change) -> str:
    quoted = change.case.replace("'", '"')
    return f"gradcheck replay '{quoted}'" if quoted else "no case shows it"
