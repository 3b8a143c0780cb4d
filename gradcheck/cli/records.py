"""``gradcheck runs`` and ``gradcheck merge``: what a record holds, and several made one."""

from __future__ import annotations

import sys

import click

__all__ = ["merge", "runs"]


@click.command()
@click.argument("file")
def runs(file: str) -> None:
    """List the runs of the record FILE: number, uuid, when, under what, how many verdicts, what was wrong."""
    from rich.console import Console
    from rich.table import Table

    from gradcheck.record.read import Record

    table = Table(
        "run", "uuid", "started", "state", "torch", "numpy", "CPU capability", "device", box=None, pad_edge=False
    )
    for column in ("cases", "verdicts", "deviate", "known"):
        table.add_column(column, justify="right")
    with Record(file) as record:
        counts = dict(record.counts())
        for run in record.runs():
            state = "complete" if run.finished else "unfinished"
            cells = (run.started[:16].replace("T", " "), state, run.torch, run.numpy, run.cpu_capability, run.device)
            numbers = counts.get(run.number, (0, 0, 0, 0))
            table.add_row(str(run.number), run.uuid[:8], *cells, *map(str, numbers))
    Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 160).print(table)


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("-o", "--output", "target", required=True, metavar="FILE", help="The record to add them to.")
def merge(files: tuple[str, ...], target: str) -> None:
    """Add the runs of the records FILE... to one record, made if it is not there. Merging again adds nothing."""
    from gradcheck.record.merge import merge as put_together

    done = put_together(files, target)
    click.echo(
        f"{target}: {done.runs} runs, {done.verdicts} verdicts; "
        f"{done.new_runs} runs and {done.new_verdicts} verdicts are new."
    )
