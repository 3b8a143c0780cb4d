"""``gradcheck audit``: how strong the suite is."""

from __future__ import annotations

import math
import os
import sys
import time
from typing import TYPE_CHECKING

import click

from gradcheck.cli.files import writable, write_json

if TYPE_CHECKING:
    from rich.console import Console

    from gradcheck.audit.findings import AuditReport, Row

__all__ = ["audit"]


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--cases", type=click.IntRange(min=0), default=60, show_default=True, help="As of gradcheck verify.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="As of gradcheck verify.")
@click.option("--jobs", type=click.IntRange(min=1), default=None, help="Worker processes (default: one per core).")
@click.option(
    "--mode",
    "modes",
    multiple=True,
    metavar="MODE",
    help="In these modes, each audited by itself: as of gradcheck verify (default: backward).",
)
@click.option("--every-dtype", is_flag=True, help="Try each mutant in all dtypes, not only until it is killed in one.")
@click.option("--seeds", type=click.IntRange(min=1), metavar="N", help="Runs that the sensitivity is taken from.")
@click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Only N mutants of each operation.")
@click.option("--json", "json_file", metavar="FILE", help="Write everything to FILE.")
def audit(
    names: tuple[str, ...],
    cases: int,
    seed: int,
    jobs: int | None,
    modes: tuple[str, ...],
    every_dtype: bool,
    seeds: int | None,
    sample: int | None,
    json_file: str | None,
) -> None:
    """Plant faults in what is called NAME (all by default) and count what gradcheck verify catches.

    NAME is an operation, an optimizer, a scheduler, a clipping function, an average or the scaler.

    Faults are mutated formulas (a reference with one change has to make the true PyTorch look wrong) and tampered
    outputs of PyTorch; the sensitivity is the smallest relative error reported with every seed, or with 95 % of 20 or
    more, in roundoffs of the dtype. Exit status 0: nothing survived; 1: something did; 2: wrong usage; 130:
    interrupted, with the figures of what was done by then.
    """
    from gradcheck.audit.findings import AuditReport, OperationAudit
    from gradcheck.audit.report import audit as plant
    from gradcheck.cases.modes import chosen_modes
    from gradcheck.cli.tables import progress_bar
    from gradcheck.errors import UsageError, choices
    from gradcheck.reference.registry import select

    target = writable("--json", json_file)
    chosen_in = chosen_modes(modes)
    chosen = [entry for entry in select(names) if entry.kind != "integer"]
    done: dict[str, list[OperationAudit]] = {}
    start, interrupted = time.perf_counter(), False
    try:
        with progress_bar() as bar:
            task = bar.add_task("auditing", total=len(chosen))

            def told(name: str, audits: list[OperationAudit]) -> None:
                done[name] = audits
                bar.update(task, advance=1, description=name)

            report = plant(
                chosen,
                cases=cases,
                seed=seed,
                jobs=jobs or os.cpu_count() or 1,
                sample=sample,
                seeds=seeds,
                modes=chosen_in,
                every_dtype=every_dtype,
                progress=told,
            )
    except KeyboardInterrupt:
        interrupted = True
        finished = [part for entry in chosen for part in done.get(entry.name, ())]
        report = AuditReport(finished, cases, seed, sample, time.perf_counter() - start)
        click.echo(f"gradcheck: audit interrupted; {len(done)} of {len(chosen)} audits were done.", err=True)
    if not report.operations and not interrupted:
        raise UsageError(f"nothing to audit: PyTorch has none of these operations in {choices(chosen_in)}.")
    _print(report)
    if target is not None:
        write_json(target, report.as_json())
    sys.exit(130 if interrupted else report.status)


def _print(report: AuditReport) -> None:
    from rich.console import Console

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 150)
    _print_table(console, report)
    for operation, fate in report.fates("survived"):
        words = f"survived: {operation}, {fate.diff}"
        console.print(words, style="red", markup=False, soft_wrap=True)
    for done in report.operations:
        for catch in done.tamper_survivors:
            words = f"survived: {done.label} {catch.dtype} {catch.output}: {catch.tamper}"
            console.print(f"{words} (struck in {catch.struck} cases)", style="red", markup=False, soft_wrap=True)
        for catch in done.never_struck:
            words = f"never struck: {done.label} {catch.dtype} {catch.output}: {catch.tamper}"
            more = " (it would in more cases)" if catch.within_reach else " (no case has what it needs)"
            style = "red" if catch.within_reach else "yellow"
            console.print(words + more, style=style, markup=False, soft_wrap=True)
    counts = {kind: len(report.fates(kind)) for kind in ("killed", "survived", "equivalent", "bound only", "elsewhere")}
    tampers = [catch for done in report.operations for catch in done.catches if catch.struck]
    idle = sum(len(done.never_struck) for done in report.operations)
    console.print(
        f"{counts['killed']} mutants killed, {counts['survived']} survived ({report.share:.2%} killed), "
        f"{counts['equivalent']} equivalent, {counts['bound only']} change bounds only, "
        f"{counts['elsewhere']} strike on other devices only; "
        f"{sum(catch.cases > 0 for catch in tampers)} of {len(tampers)} tampered outputs caught, {idle} never struck; "
        f"{report.seconds:.0f} s",
        soft_wrap=True,
    )


def _print_table(console: Console, report: AuditReport) -> None:
    from rich.table import Table

    table = Table("operation", "mode", "dtype", box=None, pad_edge=False)
    for column in ("mutants", "killed", "cases until: median", "worst", "tampers", "caught", "sensitivity u", "√n·u"):
        table.add_column(column, justify="right")
    for row in report.rows():
        table.add_row(*_cells(row))
    table.caption = (
        "mutants: of the formula, equivalent ones not counted, nor those killed in a dtype above unless --every-dtype; "
        "killed: in this dtype; sensitivity: smallest relative "
        "error that is reported, in roundoffs, and for sums of n terms in √n roundoffs"
    )
    console.print(table)


def _cells(row: Row) -> tuple[str, ...]:
    def figure(value: float | None) -> str:
        return "-" if value is None or math.isnan(value) else f"{value:.3g}"

    counts = (str(row.counted), str(row.killed), figure(row.median_until), str(row.worst_until))
    return (
        row.operation,
        row.mode,
        row.dtype,
        *counts,
        str(row.tampers),
        str(row.caught),
        figure(row.roundoffs),
        figure(row.per_root),
    )
