"""What the modes cost: judging in all that do not compile, against 3 × ``backward`` alone and PyTorch's own time.

    python benchmarks/modes.py [--operation silu]… [--dtype float32] [--cases 4] [--rounds 3]
    python benchmarks/modes.py --all [--cases 2]            every operation
    python benchmarks/modes.py --ratios [--cases 12]        worst error/bound of ``forward`` and ``double``
    python benchmarks/modes.py --rules [--all] [--cases 2]  how many rules of running error each oracle takes
    python benchmarks/modes.py --wall [--cases 60]          wall time of ``gradcheck verify --mode eager`` on two cores

One process, one thread, processor time, least of several rounds, but for ``--wall``; ``--rules`` counts, and times
nothing. ``over``: judging in all modes, without PyTorch's own time in them, over judging ``backward`` alone (to reach:
3); that is the whole of it, the drawing of inputs and PyTorch's run included. ``over judging``: over the judging of
``backward`` without these two, the strict reading. PyTorch's own time is that of ``run_case``: tensors are made in it,
and memory is compared. Each family of modes has drawn cases of its own. At the end: median and worst; in which oracle
the time goes; and an estimate of ``gradcheck verify --mode eager`` in four dtypes on two cores: what a drawn case took
in each family of modes, times the cases that a run has there (the few large ones take longer).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType

import click
import torch
from rich import box
from rich.console import Console
from rich.table import Table

from gradcheck.arithmetic import running
from gradcheck.cases.case import Case
from gradcheck.cases.corpus import drawn_case
from gradcheck.cases.inputs import arguments_of
from gradcheck.cases.modes import GROUPS, oracle_of
from gradcheck.reference.registry import Reference, references, select
from gradcheck.run.plan import Piece, cases_of, corpus_size, drawn_pieces
from gradcheck.subject.run import run_case
from gradcheck.verdict.judge import judge_case
from gradcheck.verdict.ledger import load_ledger
from gradcheck.verdict.oracles import forget_evaluations

OPERATIONS = ("silu", "softmax", "layer_norm", "linear", "conv2d", "cross_entropy", "max_pool2d", "cosine_similarity")
MOST = 3.0
"""Judging in all modes over judging backward alone: to be reached."""

RUN_CASES, CORES = 60, 2
"""Drawn cases of each operation in a run of ``verify``, by default; and the cores that the estimate is for."""


@dataclass
class Cost:
    """Seconds of judging some drawn cases of an operation: in backward alone, in all modes, and PyTorch's own of each.

    by_oracle: of judging without PyTorch's; run: of a whole run of this dtype, by what these cases took.
    """

    alone: float
    alone_own: float
    everything: float = 0.0
    own: float = 0.0
    cases: int = 0
    run: float = 0.0
    by_oracle: dict[str, float] = field(default_factory=dict)

    @property
    def over(self) -> float:
        return (self.everything - self.own) / self.alone

    @property
    def over_judging(self) -> float:
        return (self.everything - self.own) / (self.alone - self.alone_own)


def seconds(work: Callable[[], object], rounds: int) -> float:
    """The least processor time of several rounds: other work on the machine only ever adds."""
    times = []
    for _ in range(rounds):
        forget_evaluations()  # what the round before has evaluated
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def ran(cases: list[Case]) -> None:
    for case in cases:
        run_case(references()[case.operation], case, arguments_of(case))


def judged(cases: list[Case]) -> None:
    for case in cases:
        judge_case(case)


def family_of(piece: Piece) -> str:
    """What a family of modes is called: by its oracle, but for ``backward``."""
    return "backward" if piece.modes == ("backward",) else oracle_of(piece.modes[0])


def cost(operation: Reference, dtype: str, cases: int, rounds: int) -> Cost:
    """What so many drawn cases cost in each family of modes."""
    backward = [drawn_case(operation, dtype, 0, index) for index in range(cases)]
    found = Cost(seconds(lambda: judged(backward), rounds), seconds(lambda: ran(backward), rounds))
    for piece in drawn_pieces(operation, GROUPS["eager"], dtype, cases, 0):
        part = list(cases_of(piece))
        everything, own = seconds(lambda part=part: judged(part), rounds), seconds(lambda part=part: ran(part), rounds)
        found.everything, found.own, found.cases = (
            found.everything + everything,
            found.own + own,
            found.cases + len(part),
        )
        found.by_oracle[family_of(piece)] = everything - own
        found.run += everything / cases * corpus_size(operation, dtype, piece.modes[0], RUN_CASES, 0)
    return found


def costs(names: tuple[str, ...], dtype: str, cases: int, rounds: int) -> None:
    words = (
        "operation",
        "cases",
        "backward, ms",
        "all modes, ms",
        "PyTorch in these, ms",
        "3·backward + PyTorch",
        "over",
        "over judging",
    )
    table = Table(*words, box=box.SIMPLE)
    found: dict[str, Cost] = {}
    for entry in select(names):
        if not isinstance(entry, Reference):
            continue
        one = found[entry.name] = cost(entry, dtype, cases, rounds)
        parts = (one.alone, one.everything, one.own, MOST * one.alone + one.own)
        mark = "" if one.over <= MOST else " (too much)"
        table.add_row(
            entry.name.rpartition(".")[2],
            str(one.cases),
            *(f"{1e3 * part:.1f}" for part in parts),
            f"{one.over:.1f}{mark}",
            f"{one.over_judging:.1f}",
        )
    Console(width=140).print(table)
    summarise(found)


def summarise(found: dict[str, Cost]) -> None:
    """Median and worst, where the time goes, and what that makes of a whole run."""
    over = {name: one.over for name, one in found.items()}
    worst = max(over, key=lambda name: over[name])
    within = sum(value <= MOST for value in over.values())
    print(f"over: median {statistics.median(over.values()):.1f}, worst {over[worst]:.1f} ({worst}); ", end="")
    print(f"{within} of {len(over)} within {MOST:.0f} × backward and PyTorch's own time")
    strict = statistics.median(one.over_judging for one in found.values())
    print(f"over the judging of backward, without inputs and PyTorch: median {strict:.1f}")
    total = sum(one.everything for one in found.values())
    shares = {"PyTorch": sum(one.own for one in found.values())}
    for one in found.values():
        for oracle, part in one.by_oracle.items():
            shares[oracle] = shares.get(oracle, 0.0) + part
    print("share of the time: " + ", ".join(f"{name} {100 * part / total:.0f}%" for name, part in shares.items()))
    run = 4 * sum(one.run for one in found.values()) / CORES
    print(f"verify --mode eager of these {len(found)} operations, estimated: {run:.0f} s on {CORES} cores, four dtypes")


ARITHMETIC = os.path.splitext(running.__file__)[0]
"""How the paths begin of the files that hold the rules of running error."""

NO_RULES = ("__init__", "full_bound", "lift", "lift_array", "ndim", "shape", "size")
"""What a formula asks of a number besides, which computes nothing."""


def rules_in(cases: list[Case]) -> int:
    """How many rules of running error the judging of cases takes, those that a rule asks for itself not counted."""
    count = 0

    def entered(frame: FrameType, event: str, _: object) -> None:
        nonlocal count
        if event == "call" and frame.f_code.co_filename.startswith(ARITHMETIC) and frame.f_back is not None:
            outside = not frame.f_back.f_code.co_filename.startswith(ARITHMETIC)
            count += outside and frame.f_code.co_name not in NO_RULES

    forget_evaluations()
    sys.setprofile(entered)
    try:
        judged(cases)
    finally:
        sys.setprofile(None)
    return count


def rules(names: tuple[str, ...], dtype: str, cases: int) -> None:
    """Rules of running error in each family of modes over those in ``backward``: what they would cost, were all rules
    as long. A family judges as many drawn cases of its own, and shares one evaluation of each."""
    os.environ["GRADCHECK_FAST"] = "0"  # compiled rules are in other files
    found: dict[str, dict[str, float]] = {}
    for entry in select(names):
        if not isinstance(entry, Reference):
            continue
        counts = {
            family_of(piece): rules_in(list(cases_of(piece)))
            for piece in drawn_pieces(entry, GROUPS["eager"], dtype, cases, 0)
        }
        if counts["backward"]:  # what only moves elements takes none
            found[entry.name] = {oracle: count / counts["backward"] for oracle, count in counts.items()}
    oracles = list(dict.fromkeys(oracle for parts in found.values() for oracle in parts))
    table = Table("operation", *oracles, "all", box=box.SIMPLE)
    for name, parts in found.items() if names else ():
        cells = (f"{parts[oracle]:.1f}" if oracle in parts else "" for oracle in oracles)
        table.add_row(name.rpartition(".")[2], *cells, f"{sum(parts.values()):.1f}")
    medians = (statistics.median(parts.get(oracle, 0.0) for parts in found.values()) for oracle in oracles)
    whole = statistics.median(sum(parts.values()) for parts in found.values())
    table.add_row(f"median of {len(found)}", *(f"{part:.1f}" for part in medians), f"{whole:.1f}")
    Console(width=160).print(table)


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
@click.option("--all", "everything", is_flag=True, help="Every operation, instead of a few.")
@click.option("--ratios", "show_ratios", is_flag=True)
@click.option("--rules", "show_rules", is_flag=True)
@click.option("--wall", "show_wall", is_flag=True)
def main(
    names: tuple[str, ...],
    dtype: str,
    cases: int,
    rounds: int,
    everything: bool,
    show_ratios: bool,
    show_rules: bool,
    show_wall: bool,
) -> None:
    torch.set_num_threads(1)
    chosen = names or (() if everything else OPERATIONS)
    if show_wall:
        wall(names, cases)
    elif show_ratios:
        ratios(names, dtype, cases)
    elif show_rules:
        rules(chosen, dtype, cases)
    else:
        costs(chosen, dtype, cases, rounds)


if __name__ == "__main__":
    main()
