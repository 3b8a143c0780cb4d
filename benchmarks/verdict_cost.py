"""What a verdict costs, beside PyTorch's own forward and backward and beside torch.autograd.gradcheck.

    python benchmarks/verdict_cost.py [--operation layer_norm]… [--dtype float32]… [--rounds 15] [--markdown]

One process, one thread, and the time that the processor worked for it. All that is compared is timed in turn, round by
round, and the least time of each counts: other work on the machine only ever adds. Small sizes get more rounds, as many
as fit into some seconds, since what disturbs a millisecond disturbs all of it. A verdict is that of a prepared
case, whose inputs are drawn: PyTorch's forward and backward on fresh tensors, the reference with its bounds, and the
comparison; ``judging`` is the last two alone, and ``plain`` the reference in plain float64 in the same blocks, what is
left when bounds cost nothing; and ``drawn`` the whole with inputs drawn anew. Large arrays, and those of float64 from
some hundred elements on, are worked in compiled loops where numba is installed (the second line of the output says so);
the latter are loaded at once here, and otherwise after a thousand cases. GRADCHECK_FAST=0 shows what NumPy alone takes.
gradcheck knows float64 only, and runs where it takes a few seconds at most.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import click
import torch
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from gradcheck.arithmetic.deferred import DEFERRED_ELEMENTS, kernels
from gradcheck.arithmetic.packed import SMALLEST, compile_now
from gradcheck.cases.case import Case, parse_case
from gradcheck.cases.inputs import arguments_of, cotangent_of
from gradcheck.reference.evaluate import BLOCK_ELEMENTS, float64_outputs
from gradcheck.reference.registry import Reference, reference_named
from gradcheck.subject.run import Observed, operation_named, run_case
from gradcheck.subject.tensors import to_tensor, torch_value
from gradcheck.verdict.judge import judge_case, judge_observed
from gradcheck.verdict.oracles import forget_evaluations

SIZES = {"4×4": (4, 4), "16×64": (16, 64), "128×256": (128, 256), "512×1024": (512, 1024)}
IMAGES = {"4×4": (1, 1, 4, 4), "16×64": (2, 4, 8, 16), "128×256": (8, 16, 16, 16), "512×1024": (16, 32, 32, 32)}
LINES = {
    "layer_norm": "layer_norm(x=ordinary({0}, {1}), weight=ordinary({1}), bias=ordinary({1}), normalized_shape=({1},))",
    "softmax": "softmax(x=ordinary({0}, {1}), dim=-1)",
    "gelu": "gelu(x=ordinary({0}, {1}))",
    "linear": "linear(x=ordinary({0}, {1}), weight=ordinary({1}, {1}), bias=ordinary({1}))",
    "conv2d": "conv2d(x=ordinary({0}, {1}, {2}, {3}), weight=ordinary({1}, {1}, 3, 3), bias=ordinary({1}), padding=1)",
    "cross_entropy": "cross_entropy(x=ordinary({0}, {1}), target=indices({0}, below={1}))",
}
SLOW_ELEMENTS, FAST_ELEMENTS = 2_000, 40_000
"""Up to so many differentiable numbers gradcheck's slow and fast modes are run."""

LEAST_SECONDS = 4.0
"""So long a row of the table is timed, at the least."""

LONG_SECONDS, ROUNDS_OF_LONG = 0.3, 3
"""What takes so long once is timed in so many rounds only."""

TARGETS = (
    ("layer_norm", "16×64", "float64", "slow", 300.0, "at least"),
    ("layer_norm", "16×64", "float64", "fast", 2.0, "at least"),
    ("layer_norm", "512×1024", "float32", "verdict", 15.0, "at most"),
)
"""Operation, size, dtype and the ratio that is to be reached: gradcheck over a verdict, or a verdict over PyTorch."""

Work = Callable[[], Any]


@dataclass
class Cost:
    """Least seconds by kind of work for one operation at one size in one dtype."""

    operation: str
    size: str
    dtype: str
    seconds: dict[str, float] = field(default_factory=dict)

    def ratio(self, name: str) -> float | None:
        """gradcheck over a verdict for ``slow`` and ``fast``; anything else over PyTorch's forward and backward."""
        if name not in self.seconds:
            return None
        if name in ("slow", "fast"):
            return self.seconds[name] / self.seconds["verdict"]
        return self.seconds[name] / self.seconds["torch"]

    def cells(self) -> list[str]:
        ratios = [self.ratio(name) for name in ("verdict", "judging", "plain", "drawn", "fast", "slow")]
        times = [f"{self.seconds[name] * 1e6:,.0f}" for name in ("torch", "verdict")]
        return [self.operation, self.size, self.dtype, *times, *("" if r is None else f"{r:,.3g}" for r in ratios)]


def works(case: Case) -> dict[str, Work]:
    """What is timed, by name."""
    operation = reference_named(case.operation)
    arguments = arguments_of(case)
    observed = run_case(operation, case, arguments)
    seeds = count(case.seed + 1)

    def judging(seen: Observed) -> None:
        forget_evaluations()  # a case that was judged just now would be compared alone
        judge_observed(operation, case, arguments, seen)

    jobs: dict[str, Work] = {
        "torch": _forward_and_backward(operation, case, arguments, observed.dtypes["value"]),
        "verdict": lambda: judging(run_case(operation, case, arguments)),
        "judging": lambda: judging(observed),
        "plain": _plain(operation, case, arguments, observed.outputs["value"].shape),
        "drawn": lambda: judge_case(case.on(seed=next(seeds))),
    }
    call, leaves = _as_function(operation, case, arguments)
    size = sum(leaf.numel() for leaf in leaves)
    if case.dtype == "float64" and size <= FAST_ELEMENTS:
        jobs["fast"] = lambda: torch.autograd.gradcheck(call, leaves, fast_mode=True)
    if case.dtype == "float64" and size <= SLOW_ELEMENTS:
        jobs["slow"] = lambda: torch.autograd.gradcheck(call, leaves)
    return jobs


def _as_function(operation: Reference, case: Case, arguments: dict[str, Any]) -> tuple[Any, tuple[torch.Tensor, ...]]:
    """PyTorch's operation as a function of its differentiable tensors alone, and those tensors."""
    names = operation.differentiable_in(arguments)
    prepared = {
        name: to_tensor(value, case.dtype, case.device) if hasattr(value, "dtype") else torch_value(value)
        for name, value in arguments.items()
    }
    leaves = tuple(prepared[name].requires_grad_(True) for name in names)
    first = operation.arrays[0]

    def call(*tensors: torch.Tensor) -> torch.Tensor:
        words = {**prepared, **dict(zip(names, tensors, strict=True))}
        return operation_named(operation.name)(words.pop(first), **words)

    return call, leaves


def _plain(operation: Reference, case: Case, arguments: dict[str, Any], shape: tuple[int, ...]) -> Work:
    """The reference in float64, in blocks of rows as large as those that bounds are evaluated in."""
    first = arguments[operation.arrays[0]]
    cut = operation.rows(arguments) if operation.rows else ()
    rows = max(1, BLOCK_ELEMENTS // (first.size // len(first))) if cut else len(first)
    cotangent = cotangent_of(case, shape, case.dtype)

    def work() -> None:
        for start in range(0, len(first), rows):
            part = slice(start, start + rows)
            block = {name: value[part] if name in cut else value for name, value in arguments.items()}
            float64_outputs(operation, block, lambda name, shape, part=part: cotangent[part] if cut else cotangent)

    return work


def _forward_and_backward(operation: Reference, case: Case, arguments: dict[str, Any], dtype: str) -> Work:
    call, leaves = _as_function(operation, case, arguments)
    value = call(*leaves)
    cotangent = to_tensor(cotangent_of(case, tuple(value.shape), dtype), dtype, case.device)

    def work() -> None:
        for leaf in leaves:
            leaf.grad = None
        call(*leaves).backward(cotangent)

    return work


def least_seconds(jobs: dict[str, Work], rounds: int) -> dict[str, float]:
    """Of each job, all of them in turn; a long one in the first rounds alone.

    Each runs three times in a row at the least, so that all of them find the caches as they left them themselves.
    There are more rounds than asked for where they are over within LEAST_SECONDS.
    """
    least = {name: _least(job, 1) for name, job in jobs.items()}
    begun, done = time.process_time(), 0
    while done < rounds or time.process_time() - begun < LEAST_SECONDS:
        for name, job in jobs.items():
            if least[name] < LONG_SECONDS or done < ROUNDS_OF_LONG:
                least[name] = min(least[name], _least(job, max(3, min(20, int(0.01 / least[name])))))
        done += 1
    return least


def _least(job: Work, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.process_time()
        job()
        times.append(time.process_time() - start)
    return min(times)


def table(costs: list[Cost], markdown: bool) -> Table:
    grid = Table(box=box.MARKDOWN if markdown else box.SIMPLE_HEAD)
    names = ("operation", "size", "dtype", "torch µs", "verdict µs")
    ratios = (
        "verdict ÷ torch",
        "judging ÷ torch",
        "plain ÷ torch",
        "drawn ÷ torch",
        "fast ÷ verdict",
        "slow ÷ verdict",
    )
    for name in (*names, *ratios):
        grid.add_column(name, justify="left" if name in names[:3] else "right", no_wrap=True)
    for cost in costs:
        grid.add_row(*cost.cells())
    return grid


def target_lines(costs: list[Cost]) -> list[str]:
    """One sentence for each target whose row was timed."""
    lines = []
    for operation, size, dtype, name, limit, word in TARGETS:
        for cost in costs:
            ratio = cost.ratio(name)
            if (cost.operation, cost.size, cost.dtype) == (operation, size, dtype) and ratio is not None:
                reached = ratio >= limit if word == "at least" else ratio <= limit
                what = "a verdict ÷ torch" if name == "verdict" else f"gradcheck {name} ÷ a verdict"
                verdict = "reached" if reached else "not reached"
                lines.append(f"{operation} {size} {dtype}: {what} = {ratio:.3g}, to be {word} {limit:g}: {verdict}")
    return lines


@click.command(help=__doc__)
@click.option("--operation", "operations", multiple=True, type=click.Choice(list(LINES)))
@click.option("--size", "sizes", multiple=True, type=click.Choice(list(SIZES)))
@click.option("--dtype", "dtypes", multiple=True, default=("float64", "float32"), show_default=True)
@click.option("--rounds", default=15, show_default=True)
@click.option("--markdown", is_flag=True)
def main(
    operations: tuple[str, ...], sizes: tuple[str, ...], dtypes: tuple[str, ...], rounds: int, markdown: bool
) -> None:
    torch.set_num_threads(1)
    small = f", and from {SMALLEST} on in float64" if compile_now() else ""
    rows = [(o, s, d) for o in operations or LINES for d in dtypes for s in sizes or SIZES]
    costs = []
    for operation, size, dtype in track(rows, description="timing", transient=True):
        shape = (IMAGES if operation == "conv2d" else SIZES)[size]
        case = parse_case(f"nn.functional.{LINES[operation].format(*shape)} seed=1 dtype={dtype}")
        costs.append(Cost(operation, size, dtype, least_seconds(works(case), rounds)))
    console = Console(width=160)
    console.print(f"torch {torch.__version__}, one thread, least of {rounds} rounds or more")
    console.print(
        f"arrays of more than {DEFERRED_ELEMENTS:,} elements{small}: {'compiled loops' if kernels() else 'NumPy alone'}"
    )
    console.print(table(costs, markdown))
    for line in target_lines(costs):
        console.print(line, highlight=False)


if __name__ == "__main__":
    main()
