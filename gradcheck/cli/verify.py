"""``gradcheck verify``: the main job."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from gradcheck.cli.files import writable, write_json
from gradcheck.cli.work import Options, Work, work_of

if TYPE_CHECKING:
    from gradcheck.run.summary import Summary
    from gradcheck.run.workers import Workers
    from gradcheck.verdict.ledger import Entry
    from gradcheck.verdict.verdict import Verdict

__all__ = ["verify"]

DEFAULT_CASES = 60


@click.command()
@click.pass_context
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--dtype", "dtypes", multiple=True, metavar="D", help="float64, float32, float16 or bfloat16 (repeatable)."
)
@click.option(
    "--device", "devices", multiple=True, metavar="D", help="cpu, cuda, cuda:N, mps, xpu, … (repeatable; default cpu)."
)
@click.option("--mode", "modes", multiple=True, metavar="M", help="A mode or a group of them (repeatable).")
@click.option("--layout", "layouts", multiple=True, metavar="L", help="transposed, expanded, neg, … (repeatable).")
@click.option(
    "--cotangent",
    "cotangents",
    multiple=True,
    metavar="C",
    help="Values and layout of the cotangents: ones:expanded, ones or :expanded (repeatable).",
)
@click.option(
    "--setting",
    "settings",
    multiple=True,
    metavar="S",
    help="mkldnn=off, threads=2, …, several with commas between them (repeatable: one after the other).",
)
@click.option(
    "--cases",
    type=click.IntRange(min=0),
    default=DEFAULT_CASES,
    show_default=True,
    help="Drawn cases per operation and dtype; of an optimizer a quarter, in modes but backward a tenth.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the drawn cases.")
@click.option("--jobs", type=click.IntRange(min=1), default=None, help="Worker processes (default: one per core).")
@click.option("--json", "json_file", metavar="FILE", help="Write every verdict to FILE.")
@click.option("--ledger", "ledger_file", metavar="FILE", help="Ledger of known deviations (default: the package's).")
@click.option("--record", "record_file", metavar="FILE", help="Add the run to an SQLite record, verdict by verdict.")
@click.option("--resume", is_flag=True, help="Go on with the last unfinished run of the record.")
@click.option("--cases-from", metavar="FILE[:RUN]", help="Judge the cases of a recorded run (default: its last).")
@click.option("--strict", is_flag=True, help="Coarse results fail as well.")
def verify(
    context: click.Context,
    names: tuple[str, ...],
    dtypes: tuple[str, ...],
    devices: tuple[str, ...],
    modes: tuple[str, ...],
    layouts: tuple[str, ...],
    cotangents: tuple[str, ...],
    settings: tuple[str, ...],
    cases: int,
    seed: int,
    jobs: int | None,
    json_file: str | None,
    ledger_file: str | None,
    record_file: str | None,
    resume: bool,
    cases_from: str | None,
    strict: bool,
) -> None:
    """Judge the installed PyTorch: values and gradients of the operations called NAME (all by default).

    NAME is PyTorch's dotted name or its last part; * is allowed. Of the cases of a recorded run (--cases-from), NAME,
    --dtype, --mode and --layout choose some, and --device and --setting move them. Exit status 0: nothing deviates
    beyond the ledger; 1: something does; 2: wrong usage; 130: interrupted.
    """
    from gradcheck.cases.settings import normal_setting
    from gradcheck.run.summary import Summary
    from gradcheck.verdict.ledger import load_ledger

    target = writable("--json", json_file)
    summary = Summary(load_ledger(Path(ledger_file) if ledger_file else None))
    places = {"dtypes": dtypes, "devices": devices, "layouts": layouts, "modes": modes}
    places["cotangents"] = cotangents
    places["settings"] = tuple(normal_setting(setting) for setting in settings)
    work = work_of(Options(names, places, cases, seed, record_file, resume, cases_from, _given(context)))
    collected: list[Verdict] | None = [] if target else None
    facts, interrupted, stale = _run(work, jobs or os.cpu_count() or 1, summary, collected)

    from gradcheck.cli.tables import print_report
    from gradcheck.cli.usage import print_usage

    print_report(summary, facts, interrupted)
    print_usage(summary, stale, whole=not (work.lines or work.resumed or cases < DEFAULT_CASES))
    if interrupted and record_file:
        click.echo(f"gradcheck: to go on: gradcheck verify --record {record_file} --resume", err=True)
    if target is not None:
        write_json(target, {"run": facts, "verdicts": [verdict.as_json() for verdict in collected or []]})
    sys.exit(130 if interrupted else summary.exit_status(strict))


def _given(context: click.Context) -> frozenset[str]:
    """The options that choose what is judged, and that the user gave."""
    chosen = {"names": "NAME", "dtypes": "dtype", "devices": "device", "modes": "mode", "layouts": "layout"}
    chosen |= {"settings": "setting", "cotangents": "cotangent"}
    chosen |= {name: name for name in ("cases", "seed", "cases_from")}
    return frozenset(
        word for name, word in chosen.items() if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    )


def _run(
    work: Work, jobs: int, summary: Summary, collected: list[Verdict] | None
) -> tuple[dict[str, Any], bool, list[Entry]]:
    """Do the work under a progress bar; the facts of the run, whether Ctrl-C ended it, and stale ledger entries."""
    from gradcheck.cli.tables import announce, progress_bar
    from gradcheck.run.workers import Workers

    facts: dict[str, Any] = {}
    with ExitStack() as stack:
        recorder = stack.enter_context(work.recorder) if work.recorder else None
        try:
            workers, bar = stack.enter_context(Workers(jobs)), stack.enter_context(progress_bar())
            task = bar.add_task("importing torch", total=work.cases)
            facts = _facts(workers, work)
            work.begin(facts)
            work.before(summary, collected)
            announce(bar, f"{work.cases} cases in {jobs} processes, torch {facts.get('torch')}")
            for piece, verdicts in workers.verdicts(work.pieces):
                judged = summary.add(verdicts)
                summary.left_out += len(piece) - len({verdict.case for verdict in verdicts})
                if recorder is not None:
                    recorder.add(piece.name, judged)
                if collected is not None:
                    collected.extend(verdicts)
                bar.update(task, advance=len(piece), description=f"{piece.operation} {piece.dtype}")
            if recorder is not None:
                recorder.finish()
            stale = _stale(workers, summary)
        except KeyboardInterrupt:
            return facts, True, []
    return facts, False, stale


def _stale(workers: Workers, summary: Summary) -> list[Entry]:
    """Entries of the ledger that no case of the run showed, though it could have, and that no replay line shows."""
    from gradcheck.run.listed import listed_pieces
    from gradcheck.run.usage import shows, unseen

    found = unseen(summary)
    lines = [entry.replay for entry in found if entry.replay]
    verdicts = [verdict for _, some in workers.verdicts(listed_pieces(dict.fromkeys(lines))) for verdict in some]
    return [entry for entry in found if not shows(summary.ledger, entry, verdicts)]


def _facts(workers: Workers, work: Work) -> dict[str, Any]:
    """The facts of a run on all its devices; both capabilities where processes are started with several."""
    from gradcheck.run.plan import by_environment

    found = [
        workers.facts(device, environment)
        for environment in [environment for environment, _ in by_environment(work.pieces)] or [()]
        for device in work.devices
    ]
    if not found:
        return {}
    devices = {name: about for facts in found for name, about in facts["devices"].items()}
    capabilities = ", ".join(dict.fromkeys(facts["cpu_capability"] for facts in found))
    return found[-1] | {"devices": devices, "cpu_capability": capabilities}
