"""``gradcheck verify``: the main job."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradcheck.cli.files import writable, write_json
from gradcheck.errors import UsageError, choices

if TYPE_CHECKING:
    from gradcheck.run.plan import Selection
    from gradcheck.run.summary import Summary
    from gradcheck.verdict.verdict import Verdict

__all__ = ["verify"]


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--dtype", "dtypes", multiple=True, metavar="D", help="float64, float32, float16 or bfloat16 (repeatable)."
)
@click.option("--device", "devices", multiple=True, metavar="D", help="cpu, cuda or cuda:N (repeatable; default cpu).")
@click.option("--mode", "modes", multiple=True, metavar="M", help="A mode or a group of them (repeatable).")
@click.option(
    "--layout", "layouts", multiple=True, metavar="L", help="contiguous, transposed, sliced or channels_last."
)
@click.option(
    "--cases",
    type=click.IntRange(min=0),
    default=60,
    show_default=True,
    help="Drawn cases per operation and dtype; a history of an optimizer counts as four.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the drawn cases.")
@click.option("--jobs", type=click.IntRange(min=1), default=None, help="Worker processes (default: one per core).")
@click.option("--json", "json_file", metavar="FILE", help="Write every verdict to FILE.")
@click.option("--ledger", "ledger_file", metavar="FILE", help="Ledger of known deviations (default: the package's).")
@click.option("--strict", is_flag=True, help="Coarse results fail as well.")
def verify(
    names: tuple[str, ...],
    dtypes: tuple[str, ...],
    devices: tuple[str, ...],
    modes: tuple[str, ...],
    layouts: tuple[str, ...],
    cases: int,
    seed: int,
    jobs: int | None,
    json_file: str | None,
    ledger_file: str | None,
    strict: bool,
) -> None:
    """Judge the installed PyTorch: values and gradients of the operations called NAME (all by default).

    NAME is PyTorch's dotted name or its last part; * is allowed. Exit status 0: nothing deviates beyond the ledger;
    1: something does; 2: wrong usage; 130: interrupted.
    """
    from gradcheck.run.summary import Summary
    from gradcheck.verdict.ledger import load_ledger

    target = writable("--json", json_file)
    selection = _selection(
        names, {"dtypes": dtypes, "devices": devices, "layouts": layouts, "modes": modes}, cases, seed
    )
    summary = Summary(load_ledger(Path(ledger_file) if ledger_file else None))
    collected: list[Verdict] | None = [] if target else None
    facts, interrupted = _run(selection, jobs or os.cpu_count() or 1, summary, collected)

    from gradcheck.cli.tables import print_report

    print_report(summary, facts, interrupted)
    if target is not None:
        write_json(target, {"run": facts, "verdicts": [verdict.as_json() for verdict in collected or []]})
    sys.exit(130 if interrupted else summary.exit_status(strict))


def _selection(names: tuple[str, ...], places: dict[str, tuple[str, ...]], cases: int, seed: int) -> Selection:
    from gradcheck.formats import format_named
    from gradcheck.reference.registry import select
    from gradcheck.run.plan import LAYOUTS, Selection, known_modes

    entries = select(names)
    for dtype in places["dtypes"]:
        format_named(dtype)
    for axis, known in (("layout", LAYOUTS), ("mode", known_modes(entries))):
        for word in places[f"{axis}s"]:
            if word not in known:
                raise UsageError(f"{axis} {word!r} is not known; expected {choices(known)}.")
    chosen: dict[str, Any] = {axis: tuple(dict.fromkeys(values)) for axis, values in places.items() if values}
    return Selection(operations=tuple(entry.name for entry in entries), cases=cases, seed=seed, **chosen)


def _run(
    selection: Selection, jobs: int, summary: Summary, collected: list[Verdict] | None
) -> tuple[dict[str, Any], bool]:
    """Judge the selection under a progress bar; the facts of the run, and whether Ctrl-C ended it."""
    from gradcheck.cli.tables import announce, progress_bar
    from gradcheck.run.plan import pieces
    from gradcheck.run.workers import Workers

    facts: dict[str, Any] = {}
    try:
        with Workers(jobs) as workers, progress_bar() as bar:
            plan = pieces(selection)
            task = bar.add_task("importing torch", total=sum(len(piece) for piece in plan))
            for device in selection.devices:
                facts = workers.facts(device)
            announce(bar, f"{bar.tasks[task].total:.0f} cases in {jobs} processes, torch {facts['torch']}")
            for piece, verdicts in workers.verdicts(plan):
                summary.add(verdicts)
                if collected is not None:
                    collected.extend(verdicts)
                bar.update(task, advance=len(piece), description=f"{piece.operation} {piece.dtype}")
    except KeyboardInterrupt:
        return facts, True
    return facts, False
