"""What recording costs, how large a record is, and what a kill -9 leaves.

    python benchmarks/recording.py [--operation softmax]… [--verdicts 100000] [--kills 5] [--markdown]

``written``: verdicts per second into a new record, in batches as of a run, the verdicts being those of real cases over
and over under other seeds. ``overhead``: the time that a run spends in the recorder, over the time it spends judging,
in one process that does both in turn (a run judges in other processes, so what it loses is less). ``bytes``: of the
record per verdict. ``killed``: one run is started, killed -9 with its workers after a random time and resumed, so many
times; then its verdicts are compared with those of a run that was left alone.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import click

from gradcheck.cases.line import line_on
from gradcheck.record.read import Record
from gradcheck.record.write import Recorder
from gradcheck.reference.registry import select
from gradcheck.run.plan import Selection, pieces
from gradcheck.run.summary import Summary
from gradcheck.run.worker import judge_piece
from gradcheck.subject.facts import facts, use_one_thread
from gradcheck.verdict.ledger import load_ledger
from gradcheck.verdict.verdict import Verdict

MOST_OVERHEAD = 0.03
"""Of the time of judging, that recording may take."""

DEFAULT_OPERATIONS = ("relu", "softmax", "layer_norm", "gelu", "conv2d", "cross_entropy", "optim.Adam")

Figure = tuple[str, str, str]
"""What was measured, the figure, and what is to be reached."""


def judged(operations: tuple[str, ...], folder: Path) -> tuple[list[Verdict], float, float]:
    """Verdicts of the default corpus of the operations, seconds spent judging, and seconds spent recording."""
    names = tuple(entry.name for entry in select(operations))
    summary, found = Summary(load_ledger()), list[Verdict]()
    judging = recording = 0.0
    with Recorder(folder / "judged.db") as recorder:
        recorder.begin(facts(), {"operations": names})
        for piece in pieces(Selection(names)):
            begun = time.perf_counter()
            verdicts = judge_piece(piece)
            done = summary.add(verdicts)
            between = time.perf_counter()
            recorder.add(piece.name, done)
            recording += time.perf_counter() - between
            judging += between - begun
            found += verdicts
        between = time.perf_counter()
        recorder.finish()
        recording += time.perf_counter() - between
    return found, judging, recording


def written(found: list[Verdict], count: int, folder: Path) -> tuple[float, float]:
    """Verdicts per second of writing ``count`` of them, and bytes of the record per verdict."""
    path = folder / "written.db"
    batches = []
    for turn in range(-(-count // len(found))):
        some = [(replace(v, case=_reseeded(v.case, turn)), None) for v in found]
        batches += [(f"{turn} {start}", some[start : start + 60]) for start in range(0, len(some), 60)]
    begun = time.perf_counter()
    with Recorder(path) as recorder:
        recorder.begin(facts(), {})
        for name, batch in batches:
            recorder.add(name, batch)
        recorder.finish()
    seconds = time.perf_counter() - begun
    with Record(path) as record:
        ((rows,),) = record.rows("SELECT count(*) FROM verdicts")
    return sum(len(batch) for _, batch in batches) / seconds, path.stat().st_size / rows


def _reseeded(line: str, turn: int) -> str:
    return line_on(line).replace(" seed=", f" seed={turn}", 1)


def killed(kills: int, folder: Path) -> str:
    """What is left of a run that was killed -9 so often, in words; raises SystemExit where verdicts are amiss."""
    draw, path, whole = random.Random(0), folder / "killed.db", folder / "whole.db"
    command = [sys.executable, "-m", "gradcheck", "verify", "--jobs", "1", "--record"]
    chosen = ["softmax", "layer_norm", "--dtype", "float32", "--dtype", "float64", "--cases", "150"]
    done = 0
    for turn in range(kills):
        what = ["--resume"] if turn else chosen
        before = _count(path)
        with subprocess.Popen([*command, str(path), *what], start_new_session=True, **_QUIET) as process:
            while process.poll() is None and _count(path) <= before:  # it has written something
                time.sleep(0.05)
            time.sleep(draw.random())
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                done += 1
        if _finished(path):
            break
    if not _finished(path):
        subprocess.run([*command, str(path), "--resume"], check=False, **_QUIET)
    subprocess.run([*command, str(whole), *chosen], check=False, **_QUIET)
    if _content(path) != _content(whole) or max(_content(path).values()) > 1:
        raise SystemExit(f"{done} kills: the resumed run has other verdicts than one that was left alone")
    return f"{done} kills, {sum(_content(path).values())} verdicts, none lost, none twice"


_QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def _count(path: Path) -> int:
    if not path.exists():
        return 0
    with Record(path) as record:
        return int(next(record.rows("SELECT count(*) FROM verdicts"))[0])


def _finished(path: Path) -> bool:
    with Record(path) as record:
        return record.run().finished is not None


def _content(path: Path) -> Counter[tuple[str, ...]]:
    with Record(path) as record:
        found = record.verdicts(record.run())
        return Counter((r.verdict.case, r.verdict.output, r.verdict.status) for r in found)


@click.command()
@click.option("--operation", "operations", multiple=True, default=DEFAULT_OPERATIONS, help="What is judged.")
@click.option("--verdicts", default=100_000, show_default=True, help="How many to write.")
@click.option("--kills", default=5, show_default=True, help="How often a run is killed.")
@click.option("--markdown", is_flag=True, help="Print a Markdown table.")
def main(operations: tuple[str, ...], verdicts: int, kills: int, markdown: bool) -> None:
    """Measure and print; status 1 where recording takes more than MOST_OVERHEAD."""
    use_one_thread()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found, judging, recording = judged(operations, folder)
        rate, size = written(found, verdicts, folder)
        share = recording / judging
        figures: list[Figure] = [
            ("verdicts judged in one process, per second", f"{len(found) / judging:.0f}", ""),
            ("verdicts written per second", f"{rate:.0f}", ""),
            ("recording over judging", f"{share:.2%}", f"below {MOST_OVERHEAD:.0%}"),
            ("bytes per verdict", f"{size:.0f}", ""),
        ]
        if kills:
            figures.append(("kill -9 and --resume", killed(kills, folder), "none lost, none twice"))
    for what, figure, target in figures:
        click.echo(f"| {what} | {figure} | {target} |" if markdown else f"{what}: {figure} {target and f'({target})'}")
    sys.exit(int(share > MOST_OVERHEAD))


if __name__ == "__main__":
    main()
