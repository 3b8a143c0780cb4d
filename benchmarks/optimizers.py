"""What of torch.optim is judged, how fast, and how near to the bound: option × implementation, per class and dtype.

    python benchmarks/optimizers.py [--cases 40] [--seed 0] [--class Adam ...]

First table: in how many judged cases of each implementation an option had another value than its default. Second: steps
judged per second, and worst error/bound of what agrees (coarse ones counted beside), per class, implementation
and dtype.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

import click

from gradcheck.cases.case import Case
from gradcheck.cases.draw import SeededDraw
from gradcheck.formats import FORMATS
from gradcheck.reference.optim.lbfgs import ClosureRule
from gradcheck.reference.optim.rule import StepRule
from gradcheck.reference.registry import entries
from gradcheck.verdict.sentence import sentence
from gradcheck.verdict.steps import judge_history
from gradcheck.verdict.verdict import Verdict

SKIPPED = ("capturable", "compile:eager")
"""Modes that need CUDA, or seconds per case."""


@dataclass
class Cell:
    """What one class showed in one implementation and dtype."""

    seconds: float = 0.0
    steps: int = 0
    worst: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter)
    options: Counter[str] = field(default_factory=Counter)
    deviating: list[Verdict] = field(default_factory=list)

    def add(self, case: Case, rule: StepRule | ClosureRule) -> None:
        start = time.perf_counter()
        verdicts = judge_history(case)
        self.seconds += time.perf_counter() - start
        self.statuses.update(verdict.status for verdict in verdicts)
        agreeing = [verdict.error_over_bound for verdict in verdicts if verdict.status == "agrees"]
        self.worst = max([self.worst, *agreeing])
        self.deviating += [verdict for verdict in verdicts if verdict.status in ("deviates", "raises")]
        if verdicts[0].status == "unsupported":
            return
        given = dict(case.arguments)
        params = sum(name.startswith("param") for name in given)
        self.steps += params * int(given.get("steps", given.get("calls", 1)))
        defaults = rule.hyperparameters
        self.options.update(name for name, value in given.items() if name in defaults and value != defaults[name])


def run(rule: StepRule | ClosureRule, mode: str, dtype: str, cases: int, seed: int) -> Cell:
    cell = Cell()
    for index in range(cases):
        arguments = tuple(rule.inputs(SeededDraw(rule.name, seed, index)).items())
        cell.add(Case(rule.name, arguments, index, dtype=dtype, mode=mode), rule)
    return cell


def table(title: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    print(f"| {' | '.join(title)} |\n|{'---|' * len(title)}")
    print("\n".join(f"| {' | '.join(row)} |" for row in rows), end="\n\n")


@click.command(help=__doc__)
@click.option("--cases", default=40, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--class", "classes", multiple=True, help="as in torch.optim; all by default")
def main(cases: int, seed: int, classes: tuple[str, ...]) -> None:
    from gradcheck.subject.facts import use_one_thread

    use_one_thread()
    rules = [entry for entry in entries().values() if isinstance(entry, StepRule | ClosureRule)]
    chosen = [rule for rule in rules if not classes or rule.name.removeprefix("optim.") in classes]
    cells: dict[tuple[str, str, str], Cell] = {}
    for rule in chosen:
        dtypes = FORMATS if isinstance(rule, StepRule) else ("float64",)
        for mode in (mode for mode in rule.modes if mode not in SKIPPED):
            for dtype in dtypes:
                cells[rule.name, mode, dtype] = run(rule, mode, dtype, cases, seed)
    for rule in chosen:
        modes = [mode for mode in rule.modes if mode not in SKIPPED]
        options = [name for name in rule.hyperparameters if name not in ("steps", "calls")]
        counted = {mode: sum((c.options for (n, m, _), c in cells.items() if (n, m) == (rule.name, mode)), Counter())
                   for mode in modes}  # fmt: skip
        table((rule.name, *modes), [(name, *(str(counted[mode][name]) for mode in modes)) for name in options])
    rows = [
        (*key, f"{cell.steps / cell.seconds:.0f}" if cell.seconds else "-", f"{cell.worst:.3g}",
         *(str(cell.statuses[status]) for status in ("agrees", "coarse", "deviates", "raises", "unsupported")))
        for key, cell in cells.items()
    ]  # fmt: skip
    title = ("class", "implementation", "dtype", "steps/s", "worst", "agrees", "coarse", "deviates", "raises")
    table((*title, "unsupported"), rows)
    for key, cell in cells.items():
        if cell.deviating:
            print(f"{' '.join(key)}: {sentence(min(cell.deviating, key=lambda verdict: len(verdict.case)))}")


if __name__ == "__main__":
    main()
