"""``gradcheck reproduce``: which bits stay the same."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from gradcheck.cli.files import writable, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradcheck.verdict.bits import Found

__all__ = ["reproduce"]

WORDS = {"same": "same", "none": "-", "raises": "raises", "unsupported": "unsupported"}
OWN = ("run to run", "deterministic run to run", "deterministic or not", "threads", "batch")


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--dtype", "dtypes", multiple=True, metavar="D", help="Repeatable (default float32).")
@click.option(
    "--cases", type=click.IntRange(min=0), default=2, show_default=True, help="Drawn cases beside four plain ones."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the drawn cases.")
@click.option("--jobs", type=click.IntRange(min=1), default=None, help="Worker processes (default: one per core).")
@click.option("--json", "json_file", metavar="FILE", help="Write everything that was found to FILE.")
def reproduce(
    names: tuple[str, ...], dtypes: tuple[str, ...], cases: int, seed: int, jobs: int | None, json_file: str | None
) -> None:
    """Compare the bits of PyTorch's results, of the operations called NAME (all by default).

    Run to run; with 1 and 2 threads; of rows alone and in a larger batch; with deterministic algorithms or without; in
    every layout of inputs and cotangents. This is information. Exit status 1: the same call, in one thread and with
    deterministic algorithms, gave other bits, which PyTorch promises not to happen.
    """
    from gradcheck.cli.tables import progress_bar
    from gradcheck.formats import format_named
    from gradcheck.reference.registry import Reference, select
    from gradcheck.run.parallel import in_processes
    from gradcheck.run.reproducing import reproduced

    target = writable("--json", json_file)
    dtypes = tuple(dict.fromkeys(dtypes)) or ("float32",)
    for dtype in dtypes:
        format_named(dtype)
    chosen = [(entry.name, dtype) for entry in select(names) if isinstance(entry, Reference) for dtype in dtypes]
    found: list[Found] = []
    interrupted = False
    try:
        with progress_bar() as bar:
            task = bar.add_task("importing torch", total=len(chosen))
            for some in in_processes(partial(reproduced, drawn=cases, seed=seed), chosen, jobs or os.cpu_count() or 1):
                found += some
                bar.update(task, advance=1, description=some[0].operation)
    except KeyboardInterrupt:
        interrupted = True
    broken = _print(found)
    if target is not None:
        write_json(target, {"found": [one.as_json() for one in found]})
    sys.exit(130 if interrupted else int(broken))


def _print(found: Sequence[Found]) -> bool:
    """The table, one line for each broken promise, and whether there are such."""
    from rich.console import Console
    from rich.table import Table

    from gradcheck.verdict.bits import broken_promises

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    table = Table(box=None, pad_edge=False)
    for name in ("operation", "dtype", *OWN, "layouts that change bits", "cotangents that do"):
        table.add_column(name)
    rows: dict[tuple[str, str], list[Found]] = {}
    for one in found:
        rows.setdefault((one.operation, one.dtype), []).append(one)
    for place, some in rows.items():
        by_name = {one.property: one for one in some}
        cells = [_cell(by_name[name]) for name in OWN]
        table.add_row(*place, *cells, _changing(some, "layout "), _changing(some, "cotangent "))
    table.caption = "share of the elements whose bits differ, of the output and case where most do"
    if rows:
        console.print(table)
    broken = broken_promises(found)
    for one in broken:
        console.print(
            f"{one.operation} in {one.dtype}: other bits from run to run with deterministic algorithms, in "
            f"{', '.join(one.outputs)}: gradcheck replay '{one.line}'",
            style="red", markup=False, soft_wrap=True,
        )  # fmt: skip
    for one in found:
        if one.outcome in ("raises", "unsupported"):
            console.print(f"{one.operation} in {one.dtype}, {one.property}: {one.words}", style="dim", soft_wrap=True)
    return bool(broken)


def _cell(one: Found) -> str:
    return WORDS.get(one.outcome) or f"{one.share:.2g}, {one.ulp:.2g} ulp"


def _changing(some: Sequence[Found], kind: str) -> str:
    changing = [one for one in some if one.property.startswith(kind) and one.outcome == "differs"]
    return ", ".join(one.property.removeprefix(kind) for one in changing) or "none"
