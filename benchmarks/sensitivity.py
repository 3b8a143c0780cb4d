"""The smallest relative error that is reported, per operation and dtype, and the share that reaches the target.

    python benchmarks/sensitivity.py [--dtype float64] [--seeds 2] [--cases 60] [--jobs 2] [NAME ...]

Of each output, off at every element or at the largest alone, the worst counts. Where the formula has sums, the figure
is in units of √n roundoffs, n the number of terms of the longest sum. The target is 8 roundoffs element by element and
4·√n for sums. Exit status 1 if an operation misses it.
"""

from __future__ import annotations

import itertools
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

import click
from rich.console import Console

from gradcheck.audit.findings import Sensitivity
from gradcheck.formats import FORMATS
from gradcheck.reference.registry import Reference, reference_named, select


class Task(NamedTuple):
    name: str
    dtype: str
    cases: int
    seeds: int


def measured(task: Task) -> tuple[Task, list[Sensitivity]]:
    """In a worker process, which imports torch."""
    from gradcheck.audit.sensitivity import sensitivities
    from gradcheck.subject.facts import use_one_thread

    use_one_thread()
    return task, sensitivities(reference_named(task.name), task.dtype, task.cases, range(task.seeds))


def figure(found: Sensitivity) -> float:
    """Over the target: at most 1 where it is reached."""
    return found.roundoffs / 8.0 if found.per_root is None else found.per_root / 4.0


def words(found: Sensitivity) -> str:
    size = f"{found.roundoffs:.3g} u" if found.per_root is None else f"{found.per_root:.3g}·√n u"
    return f"{size:>14} at {found.place} of {found.output}"


@click.command(help=__doc__)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--dtype", "dtypes", multiple=True, type=click.Choice(list(FORMATS)), help="All by default.")
@click.option("--seeds", default=2, show_default=True)
@click.option("--cases", default=60, show_default=True)
@click.option("--jobs", default=2, show_default=True)
def main(names: tuple[str, ...], dtypes: tuple[str, ...], seeds: int, cases: int, jobs: int) -> None:
    start, console = time.perf_counter(), Console(highlight=False, soft_wrap=True)
    operations = [entry.name for entry in select(names) if isinstance(entry, Reference)]
    chosen = dtypes or tuple(FORMATS)
    tasks = [Task(name, dtype, cases, seeds) for name, dtype in itertools.product(operations, chosen)]
    reached = dict.fromkeys(chosen, 0)
    counted = dict.fromkeys(chosen, 0)
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for task, found in pool.map(measured, tasks):
            if not found:
                console.print(f"{task.name:44} {task.dtype:9} - no case to measure on")
                continue
            worst = max(found, key=figure)
            counted[task.dtype] += 1
            reached[task.dtype] += worst.reached
            style = None if worst.reached else "red"
            console.print(f"{task.name:44} {task.dtype:9} {words(worst)}", style=style, markup=False)
    for dtype in chosen:
        console.print(f"{dtype}: {reached[dtype]} of {counted[dtype]} operations reach the target")
    console.print(f"{seeds} seeds of {cases} cases, {time.perf_counter() - start:.0f} s")
    sys.exit(int(reached != counted))


if __name__ == "__main__":
    main()
