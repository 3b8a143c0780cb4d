"""Schedulers, averages, clipping and scaler: worst error/bound per entry, mode and dtype, and cases a second of
processor time.

    python benchmarks/schedules.py [--cases 40] [--seed 0] [--markdown]

Deviations are counted, and printed with the line that replays them under ``--list``. About half a minute; the second
part of docs/optimizers.md, see benchmarks/optimizers.py.
"""

from __future__ import annotations

import time

import click
from rich.console import Console
from rich.table import Table

from gradcheck.cases.corpus import drawn_case
from gradcheck.formats import FORMATS
from gradcheck.reference.registry import Entry, entries
from gradcheck.subject.facts import use_one_thread
from gradcheck.verdict.kinds import judge
from gradcheck.verdict.sentence import sentence
from gradcheck.verdict.verdict import Verdict

KINDS = ("schedule", "averaging", "clipping", "scaler")
COLUMNS = ("entry", "mode", "cases", *FORMATS, "agrees", "coarse", "deviates or raises", "cases/s")


def judged(entry: Entry, mode: str, cases: int, seed: int) -> tuple[list[Verdict], float]:
    """Verdicts on ``cases`` drawn cases in every dtype of the entry, and the seconds that it took."""
    start = time.process_time()
    found = [
        verdict
        for dtype in entry.dtypes
        for index in range(cases)
        for verdict in judge(drawn_case(entry, dtype, seed, index, mode).on(layout="contiguous"))
    ]
    return found, time.process_time() - start


def row(entry: Entry, mode: str, cases: int, verdicts: list[Verdict], seconds: float) -> tuple[str, ...]:
    """One line of the table; the worst ratios of what agrees, in each dtype."""
    ratios: dict[str, list[float]] = {dtype: [] for dtype in FORMATS}
    for verdict in verdicts:
        if verdict.status == "agrees" and verdict.output != "rest":
            ratios[verdict.dtype].append(verdict.error_over_bound)
    counts = {status: sum(verdict.status == status for verdict in verdicts) for status in ("agrees", "coarse")}
    rest = sum(verdict.status in ("deviates", "raises") for verdict in verdicts)
    n = cases * len(entry.dtypes)
    worst = (f"{max(found):.3f}" if found else "-" for found in ratios.values())
    shown = (str(count or "") for count in (counts["agrees"], counts["coarse"], rest))
    return (entry.name, mode, str(n), *worst, *shown, f"{n / seconds:.0f}")


@click.command()
@click.option("--cases", default=40, show_default=True, help="Drawn cases of each entry, mode and dtype.")
@click.option("--seed", default=0, show_default=True)
@click.option("--markdown", is_flag=True, help="Print the table as Markdown.")
@click.option("--list", "listed", is_flag=True, help="Print every deviation.")
def main(cases: int, seed: int, markdown: bool, listed: bool) -> None:
    """Judge drawn cases of every entry that is neither an operation nor an optimizer."""
    use_one_thread()
    rows = []
    for entry in entries().values():
        for mode in entry.modes if entry.kind in KINDS else ():
            verdicts, seconds = judged(entry, mode, cases, seed)
            rows.append(row(entry, mode, cases, verdicts, seconds))
            for verdict in verdicts if listed else ():
                if verdict.status not in ("agrees", "coarse"):
                    print(sentence(verdict))
    if markdown:
        print("## What goes around a step\n")
        print(
            f"{cases} drawn cases of each entry, mode and dtype; the worst error/bound of what agrees. What deviates or"
        )
        print("raises is in the list above.\n")
        print("\n".join("| " + " | ".join(cells) + " |" for cells in (COLUMNS, ("---",) * len(COLUMNS), *rows)))
        return
    table = Table(*COLUMNS)
    for cells in rows:
        table.add_row(*cells)
    Console(width=200).print(table)


if __name__ == "__main__":
    main()
