"""What the modes cost: a case judged in all modes that do not compile, over ``backward`` alone and PyTorch's own time.

    python benchmarks/modes.py [--operation silu]… [--dtype float32] [--cases 4] [--rounds 3]
    python benchmarks/modes.py --ratios [--cases 12]        worst error/bound of ``forward`` and ``double``
    python benchmarks/modes.py --wall [--cases 60]          wall time of ``gradcheck verify --mode eager`` on two cores

One process, one thread, least time of several rounds, but for ``--wall``. ``over``: judging in all modes, without
PyTorch's own time in them, over judging ``backward`` alone (to reach: 3).
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import click
import torch
from rich import box
from rich.console import Console
from rich.table import Table

from gradcheck.cases.case import Case
from gradcheck.cases.corpus import drawn_case
from gradcheck.cases.inputs import arguments_of
from gradcheck.cases.modes import GROUPS
from gradcheck.reference.registry import Reference, references, select
from gradcheck.run.plan import cases_of, drawn_pieces
from gradcheck.subject.run import run_case
from gradcheck.verdict.judge import judge_case
from gradcheck.verdict.ledger import load_ledger

OPERATIONS = ("silu", "softmax", "layer_norm", "linear", "conv2d", "cross_entropy", "max_pool2d", "cosine_similarity")
MOST = 3.0
"""Judging in all modes over judging backward alone: to be reached."""


def seconds(work: Callable[[], object], rounds: int) -> float:
    """The least time of several rounds: other work on the machine only ever adds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def ran(cases: list[Case]) -> None:
    for case in cases:
        run_case(references()[case.operation], case, arguments_of(case))


def judged(cases: list[Case]) -> None:
    for case in cases:
        judge_case(case)


def cost(operation: Reference, dtype: str, cases: int, rounds: int) -> tuple[float, float, float, int]:
    """Seconds of judging backward, of judging in all modes, of PyTorch in these; and how many cases these are."""
    backward = [drawn_case(operation, dtype, 0, index) for index in range(cases)]
    pieces = drawn_pieces(operation, GROUPS["eager"], dtype, cases, 0)
    everything = [case for piece in pieces for case in cases_of(piece)]
    parts = (lambda: judged(backward), lambda: judged(everything), lambda: ran(everything))
    alone, all_modes, own = (seconds(part, rounds) for part in parts)
    return alone, all_modes, own, len(everything)


def costs(names: tuple[str, ...], dtype: str, cases: int, rounds: int) -> None:
    table = Table("operation", "cases", "backward, ms", "all modes, ms", "PyTorch in these, ms", "over", box=box.SIMPLE)
    for entry in select(names or OPERATIONS):
        if isinstance(entry, Reference):
            alone, everything, own, count = cost(entry, dtype, cases, rounds)
            over = (everything - own) / alone
            figures = (f"{1e3 * part:.1f}" for part in (alone, everything, own))
            words = f"{over:.1f}" + ("" if over <= MOST else " (too much)")
            table.add_row(entry.name.rpartition(".")[2], str(count), *figures, words)
    Console(width=120).print(table)


def ratios(names: tuple[str, ...], dtype: str, cases: int) -> None:
    """Worst error/bound in forward mode and of double backward, of what agrees; known deviations are counted."""
    ledger, table = load_ledger(), Table("operation", "forward", "double", "known", box=box.SIMPLE)
    for entry in select(names):
        if not isinstance(entry, Reference):
            continue
        cells, known = [], 0
        for mode, name in (("forward", "tangent"), ("double", "hvp[")):
            drawn = (drawn_case(entry, dtype, 0, index, mode) for index in range(cases))
            verdicts = [v for case in drawn for v in judge_case(case) if v.output.startswith(name)]
            agreeing = [v.error_over_bound for v in verdicts if v.status == "agrees"]
            known += sum(ledger.match(v) is not None for v in verdicts if v.status == "deviates")
            cells.append(f"{max(agreeing):.2g}" if agreeing else "-")
        table.add_row(entry.name, *cells, str(known or ""))
    Console(width=120).print(table)


def wall(names: tuple[str, ...], cases: int) -> None:
    words = [
        sys.executable,
        "-m",
        "gradcheck",
        "verify",
        *names,
        "--mode",
        "eager",
        "--jobs",
        "2",
        "--cases",
        str(cases),
    ]
    start = time.perf_counter()
    status = subprocess.run(words, check=False).returncode
    print(f"{time.perf_counter() - start:.0f} s in two processes, exit status {status} (to reach: 720 s)")


@click.command(help=__doc__)
@click.option("--operation", "names", multiple=True)
@click.option("--dtype", default="float32", show_default=True)
@click.option("--cases", default=4, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--ratios", "show_ratios", is_flag=True)
@click.option("--wall", "show_wall", is_flag=True)
def main(names: tuple[str, ...], dtype: str, cases: int, rounds: int, show_ratios: bool, show_wall: bool) -> None:
    torch.set_num_threads(1)
    if show_wall:
        wall(names, cases)
    elif show_ratios:
        ratios(names, dtype, cases)
    else:
        costs(names, dtype, cases, rounds)


if __name__ == "__main__":
    main()
