"""Worst and median error/bound per operation and dtype, false alarms, and the ledger's entries with their sizes.

    python benchmarks/error_over_bound.py [--cases 30] [--seed 0] [--jobs 2] [--markdown] [NAME ...]

Everything that can be judged is covered: operations, layers, optimizers, schedules and the rest. A false alarm is a
deviation that the ledger does not know; each is printed with the line that replays it. The size of an entry is the
largest error/bound that it covers; where it has none the error depends on the numbers, or is none of size.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from statistics import median

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from gradcheck.reference.registry import select
from gradcheck.run.plan import Selection, pieces
from gradcheck.run.summary import Row, Summary, worst_of_each
from gradcheck.run.workers import Workers
from gradcheck.verdict.ledger import Entry, load_ledger
from gradcheck.verdict.sentence import sentence

COLUMNS = (
    "operation",
    "dtype",
    "cases",
    "forward worst",
    "median",
    "backward worst",
    "median",
    "agrees",
    "coarse",
    "known",
)


def cells(row: Row) -> tuple[str, ...]:
    """One line of the table. Ratios above 1 are coarse or known deviations; both are counted beside them."""
    figures = [
        f"{pick(ratios):.3g}" if ratios else "-" for ratios in (row.forward, row.backward) for pick in (max, median)
    ]
    counts = (row.statuses["agrees"], row.statuses["coarse"], row.known)
    return (row.operation, row.dtype, str(len(row.cases)), *figures, *map(str, counts))


def of_the_ledger(entries: tuple[Entry, ...]) -> list[str]:
    """How many entries there are, by kind of element; and those that have a size, the largest first."""
    kinds = Counter(
        kind for entry in entries for kind in ((entry.element,) if isinstance(entry.element, str) else entry.element)
    )
    sized = sorted((entry for entry in entries if entry.size < math.inf), key=lambda entry: -entry.size)
    counts = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())
    lines = [f"{len(entries)} ledger entries, {len(sized)} with a size; by kind of element: {counts}"]
    return lines + [
        f"{entry.size:10.3g} × the bound: {entry.operation}, {', '.join(entry.outputs)} in {', '.join(entry.dtypes)}"
        for entry in sized
    ]


@click.command(help=__doc__)
@click.argument("names", nargs=-1)
@click.option("--cases", default=30, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--jobs", default=os.cpu_count() or 1, show_default=True)
@click.option("--markdown", is_flag=True)
def main(names: tuple[str, ...], cases: int, seed: int, jobs: int, markdown: bool) -> None:
    selection = Selection(tuple(entry.name for entry in select(names)), cases=cases, seed=seed)
    ledger = load_ledger()
    summary = Summary(ledger)
    with Workers(jobs) as workers:
        facts = workers.facts("cpu")
        plan = pieces(selection)
        for _, verdicts in track(workers.verdicts(plan), total=len(plan), description="judging", transient=True):
            summary.add(verdicts)
    console = Console(width=160)
    rows = [cells(row) for row in summary.rows.values()]
    if markdown:
        print(f"| {' | '.join(COLUMNS)} |\n|---|---|{'---:|' * (len(COLUMNS) - 2)}")
        print("\n".join(f"| {' | '.join(row)} |" for row in rows))
    else:
        table = Table(*COLUMNS, box=None)
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for verdict in worst_of_each(summary.unknown):
        console.print(sentence(verdict), markup=False, soft_wrap=True)
    print("\n".join(of_the_ledger(ledger.entries)))
    known = sum(len(verdicts) for verdicts in summary.known.values())
    print(
        f"{summary.cases} cases, {summary.verdicts} verdicts: {len(summary.unknown)} false alarms, "
        f"{known} known deviations, {len(summary.coarse)} coarse; torch {facts['torch']}, "
        f"{facts['cpu_capability']}, seed {seed}"
    )


if __name__ == "__main__":
    main()
