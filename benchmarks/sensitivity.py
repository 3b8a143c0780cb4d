"""The smallest relative error that is reported, per operation and dtype, and the share that reaches the target.

    python benchmarks/sensitivity.py [--dtype float64] [--seeds 2] [--cases 60] [--jobs 2] [--missed] [NAME ...]

One row for each operation, one column for each dtype. Of each output, off at every element or at the largest alone, the
worst counts. Without a star the figure is in roundoffs, and the target is 8. With a star it is in units of √n roundoffs
and the target is 4, n being the length of the reduction that the output comes through: that of one sum with as many
additions, one after another, as the longest chain of sums that leads to the output has. So it is n for a mean, 2n - 1
for the gradient of softmax, whose terms carry a sum of n exponentials each, and 2n - 1 for batch_norm's weight gradient
over n elements, whose terms carry the mean of as many; of attention, recurrent layers and transformer layers, several
sums in a row, it is the sum of the lengths of those that the output comes through one after another, and not of those
beside them (gradcheck/audit/lengths.py). What misses the target is told below, output by output. Exit status 1 if an
operation misses it.
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


def measured(task: Task) -> tuple[Task, list[Sensitivity], float]:
    """In a worker process, which imports torch: the sensitivities, and the seconds that they took."""
    from gradcheck.audit.sensitivity import sensitivities
    from gradcheck.subject.facts import use_one_thread

    use_one_thread()
    start = time.process_time()
    found = sensitivities(reference_named(task.name), task.dtype, task.cases, range(task.seeds))
    return task, found, time.process_time() - start


def over_target(found: Sensitivity) -> float:
    """At most 1 where the target is reached."""
    return found.roundoffs / 8.0 if found.per_root is None else found.per_root / 4.0


def words(found: Sensitivity | None) -> str:
    if found is None:
        return "-"
    return f"{found.roundoffs:.3g} " if found.per_root is None else f"{found.per_root:.3g}*"


def row(name: str, worst: list[Sensitivity | None]) -> str:
    """A line of the table; what misses the target is red."""
    cells = []
    for found in worst:
        cell = f"{words(found):>10}"
        cells.append(cell if found is None or found.reached else f"[red]{cell}[/red]")
    return f"{name:44}{''.join(cells)}"


@click.command(help=__doc__)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--dtype", "dtypes", multiple=True, type=click.Choice(list(FORMATS)), help="All by default.")
@click.option("--seeds", default=2, show_default=True)
@click.option("--cases", default=60, show_default=True)
@click.option("--jobs", default=2, show_default=True)
@click.option("--missed", is_flag=True, help="Print only the rows with a figure that misses the target.")
def main(names: tuple[str, ...], dtypes: tuple[str, ...], seeds: int, cases: int, jobs: int, missed: bool) -> None:
    start, console = time.perf_counter(), Console(highlight=False, soft_wrap=True)
    operations = [entry.name for entry in select(names) if isinstance(entry, Reference)]
    chosen = dtypes or tuple(FORMATS)
    tasks = [Task(name, dtype, cases, seeds) for name, dtype in itertools.product(operations, chosen)]
    table: dict[str, list[Sensitivity | None]] = {name: [] for name in operations}
    misses, costs = [], dict.fromkeys(operations, 0.0)
    console.print(f"{'':44}{''.join(f'{dtype:>10}' for dtype in chosen)}")
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for task, found, seconds in pool.map(measured, tasks):
            worst = max(found, key=over_target, default=None)
            table[task.name].append(worst)
            costs[task.name] += seconds
            misses += [(task, line) for line in found if not line.reached]
            full = len(table[task.name]) == len(chosen)
            if full and not (missed and all(line is None or line.reached for line in table[task.name])):
                console.print(row(task.name, table[task.name]))
    for task, line in misses:
        console.print(
            f"{task.name} in {task.dtype}: {words(line).strip()} at {line.place} of {line.output}", markup=False
        )
    for column, dtype in enumerate(chosen):
        counted = [line for line in (worst[column] for worst in table.values()) if line is not None]
        reached = sum(line.reached for line in counted)
        console.print(
            f"{dtype}: {reached} of {len(counted)} operations reach the target ({share(reached, len(counted))})"
        )
    slowest = sorted(costs, key=costs.__getitem__, reverse=True)[:5]
    console.print("slowest: " + ", ".join(f"{name} {costs[name]:.0f} s" for name in slowest))
    total = f"{sum(costs.values()):.0f} s of processor time, {time.perf_counter() - start:.0f} s in all"
    console.print(f"{seeds} seeds of {cases} cases; {total}")
    sys.exit(int(bool(misses)))


def share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "none measured"


if __name__ == "__main__":
    main()
