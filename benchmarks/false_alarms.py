"""How often the suite calls a correct PyTorch wrong: verdicts on the untampered PyTorch, outside the ledger.

    python benchmarks/false_alarms.py [--verdicts 1000000] [--jobs 2] [--seed 1] [NAME ...]

Runs the corpora of growing seeds over all operations and dtypes until so many verdicts are given, and prints how many
of them deviate (or raise) beyond the ledger of known deviations, each with its replay line as soon as it is seen. Exit
status 1 if any does. Ctrl-C ends the run and prints what was seen.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from gradcheck.cases.corpus import corpus
from gradcheck.formats import FORMATS
from gradcheck.reference.registry import Reference, reference_named, select
from gradcheck.run.parallel import start_worker

CASES = 60

Task = tuple[str, str, int]
"""Operation, dtype and seed."""


def judge_corpus(task: Task) -> tuple[Counter[str], list[str]]:
    """Statuses counted, and the deviations beyond the ledger in words."""
    from gradcheck.subject.facts import use_one_thread
    from gradcheck.verdict.judge import judge_case
    from gradcheck.verdict.ledger import load_ledger
    from gradcheck.verdict.sentence import sentence

    use_one_thread()
    name, dtype, seed = task
    ledger, statuses, alarms = load_ledger(), Counter[str](), []
    for case in corpus(reference_named(name), dtype, CASES, seed):
        for verdict in judge_case(case):
            bad = verdict.status in ("deviates", "raises")
            known = bad and ledger.match(verdict) is not None
            statuses["known" if known else verdict.status] += 1
            if bad and not known:
                alarms.append(sentence(verdict))
    return statuses, alarms


def tasks(names: tuple[str, ...], seed: int) -> Iterator[Task]:
    """All operations and dtypes, seed after seed."""
    operations = [entry.name for entry in select(names) if isinstance(entry, Reference)]
    for current in itertools.count(seed):
        for name, dtype in itertools.product(operations, FORMATS):
            yield name, dtype, current


def results(waiting: Iterator[Task], jobs: int) -> Iterator[tuple[Counter[str], list[str]]]:
    """Results in the order in which they come, a few tasks ahead of the one who asks."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, start_worker) as pool:
        running: set[Future[Any]] = {pool.submit(judge_corpus, next(waiting)) for _ in range(2 * jobs)}
        try:
            while True:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    running.add(pool.submit(judge_corpus, next(waiting)))
                    yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="operations (all by default)")
    parser.add_argument("--verdicts", type=int, default=1_000_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1, help="first seed; gradcheck verify runs seed 0")
    options = parser.parse_args()
    console, start = Console(highlight=False), time.perf_counter()
    statuses, alarms = Counter[str](), []
    columns = (TextColumn("verdicts"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar, suppress(KeyboardInterrupt):
        line = bar.add_task("", total=options.verdicts)
        for counted, found in results(tasks(tuple(options.names), options.seed), options.jobs):
            statuses += counted
            alarms += found
            for alarm in found:  # at once: a run that is stopped has said what it saw
                console.print(alarm, style="red", markup=False, soft_wrap=True)
            bar.update(line, completed=min(statuses.total(), options.verdicts))
            if statuses.total() >= options.verdicts:
                break
    rest = ", ".join(f"{count:,} {status}" for status, count in statuses.most_common())
    console.print(
        f"{len(alarms)} false alarms in {statuses.total():,} verdicts ({rest}) in {time.perf_counter() - start:.0f} s"
    )
    return int(bool(alarms))


if __name__ == "__main__":
    sys.exit(main())
