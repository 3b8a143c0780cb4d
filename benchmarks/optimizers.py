"""What of torch.optim is judged, how fast, and how near to the bound; as Markdown, for docs/optimizers.md.

    (python benchmarks/optimizers.py --inductor; python benchmarks/schedules.py --markdown) > docs/optimizers.md

    --cases 10   drawn histories of each class, implementation and dtype, the first of gradcheck verify
    --seed 0
    --class Adam …
    --inductor   one history of each class with the kernels of torch.compile as well: minutes more

One process, one thread, two to three minutes. Steps judged per second of processor time, PyTorch's own step included.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import groupby

import click

from gradcheck.cases.case import Case
from gradcheck.cases.corpus import drawn_case
from gradcheck.formats import FORMATS
from gradcheck.reference.optim.lbfgs import ClosureRule
from gradcheck.reference.optim.rule import HISTORY, StepRule
from gradcheck.reference.registry import entries
from gradcheck.run.plan import NEEDS_ACCELERATOR
from gradcheck.verdict.ledger import Ledger, load_ledger
from gradcheck.verdict.sentence import sentence
from gradcheck.verdict.steps import judge_history
from gradcheck.verdict.verdict import Verdict

Rule = StepRule | ClosureRule

COMPILED = 4
"""Histories of an implementation that is compiled, in float32 alone: each is compiled anew, which takes seconds."""


@dataclass
class Cell:
    """What one class showed in one implementation and dtype. worst: error/bound of what agrees."""

    seconds: float = 0.0
    steps: int = 0
    worst: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter)
    options: Counter[str] = field(default_factory=Counter)
    new: list[Verdict] = field(default_factory=list)

    def add(self, case: Case, rule: Rule, ledger: Ledger) -> None:
        start = time.process_time()
        verdicts = judge_history(case)
        spent = time.process_time() - start
        for verdict in verdicts:
            known = verdict.status in ("deviates", "raises") and ledger.match(verdict)
            self.statuses["known" if known else verdict.status] += 1
            if verdict.status == "agrees":
                self.worst = max(self.worst, verdict.error_over_bound)
            elif verdict.status in ("deviates", "raises") and not known:
                self.new.append(verdict)
        if verdicts[0].status == "unsupported":
            return
        given = dict(case.arguments)
        self.seconds += spent
        self.steps += max(1, sum(name.startswith("param") for name in given)) * int(
            given.get("steps") or given["calls"]
        )
        given |= dict(given.get("group1", ()))
        defaults = rule.hyperparameters
        self.options.update(name for name, value in given.items() if name in defaults and value != defaults[name])


Cells = dict[tuple[str, str, str], Cell]
"""By class, implementation and dtype."""


def run(rule: Rule, mode: str, dtype: str, cases: int, seed: int, ledger: Ledger) -> Cell:
    cell = Cell()
    for index in range(cases):
        cell.add(drawn_case(rule, dtype, seed, index, mode).on(layout="contiguous"), rule, ledger)
    return cell


def judged(rules: list[Rule], cases: int, seed: int, ledger: Ledger, inductor: bool) -> Cells:
    cells: Cells = {}
    for rule in rules:
        for mode in (mode for mode in rule.modes if mode not in NEEDS_ACCELERATOR):
            if mode == "compile:inductor" and not inductor:
                continue
            compiled = mode.startswith("compile:")
            for dtype in ("float32",) if compiled else rule.dtypes:
                count = min(cases, COMPILED if mode == "compile:eager" else 1) if compiled else cases
                cells[rule.name, mode, dtype] = run(rule, mode, dtype, count, seed, ledger)
    return cells


def table(title: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    print(f"| {' | '.join(title)} |\n|{'---|' * len(title)}")
    print("\n".join(f"| {' | '.join(row)} |" for row in rows), end="\n\n")


def coverage(rules: list[Rule], cells: Cells) -> None:
    """Option × implementation: in how many histories, over all dtypes, an option was not what it is by default."""
    ran = {mode for _, mode, _ in cells} | set(NEEDS_ACCELERATOR)
    modes = list(dict.fromkeys(mode for rule in rules for mode in rule.modes if mode in ran))
    rows = []
    for rule in rules:
        counted = {
            mode: sum(
                (cell.options for (name, m, _), cell in cells.items() if (name, m) == (rule.name, mode)), Counter()
            )
            for mode in rule.modes
        }
        for option in (name for name in rule.hyperparameters if name not in ("steps", "calls")):
            if option in HISTORY and not any(counted[mode][option] for mode in rule.modes):
                continue  # the class has no such histories
            row = (_times(mode, counted[mode][option] if mode in rule.modes else None) for mode in modes)
            rows.append((rule.name.removeprefix("optim."), option, *row))
    print("## Options and implementations\n")
    print("Histories, over all dtypes, in which an option was not what it is by default; - where the class has no such")
    print("implementation, CUDA where it runs on an accelerator alone (with --device cuda, which fused takes as well).")
    print("What follows the options describes the history.\n")
    table(("class", "option", *modes), rows)


def _times(mode: str, count: int | None) -> str:
    if count is None:
        return "-"
    return "CUDA" if mode in NEEDS_ACCELERATOR else str(count)


def nearness(rules: list[Rule], cells: Cells) -> None:
    """Steps a second, and worst error/bound by dtype."""
    rows = []
    for rule in rules:
        for mode in rule.modes:
            here = {dtype: cell for (name, m, dtype), cell in cells.items() if (name, m) == (rule.name, mode)}
            if not here:
                continue
            steps, seconds = sum(c.steps for c in here.values()), sum(c.seconds for c in here.values())
            statuses: Counter[str] = sum((c.statuses for c in here.values()), Counter())
            worst = (f"{here[d].worst:.3f}" if d in here and here[d].statuses["agrees"] else "-" for d in FORMATS)
            counts = (str(statuses[s] or "") for s in ("agrees", "coarse", "known", "unsupported"))
            new = str(sum(len(c.new) for c in here.values()) or "")
            rate = f"{steps / seconds:.0f}" if seconds else "-"
            rows.append((rule.name.removeprefix("optim."), mode, str(steps), rate, *worst, *counts, new))
    print("## Speed, and worst error/bound of what agrees\n")
    print("steps: of one parameter each; known: deviations that the ledger has; new: those that it has not.\n")
    title = ("class", "implementation", "steps", "steps/s", *FORMATS, "agrees", "coarse", "known", "unsupported", "new")
    table(title, rows)
    steps, seconds = sum(c.steps for c in cells.values()), sum(c.seconds for c in cells.values())
    print(f"{steps} steps judged, {steps / seconds:.0f} a second of processor time.\n")


def deviations(ledger: Ledger) -> None:
    """What the ledger has of optimizers and of what goes around them, with the lines that replay it."""
    print("## Deviations of PyTorch\n")
    words = ("optim.", "amp.", "nn.utils.")
    concerned = [entry for entry in ledger.entries if entry.operation.startswith(words)]
    for reason, same in groupby(sorted(concerned, key=lambda entry: entry.reason), key=lambda entry: entry.reason):
        entries_of = list(same)
        first = entries_of[0]
        names = ", ".join(dict.fromkeys(entry.operation.removeprefix("optim.") for entry in entries_of))
        mode = first.mode if isinstance(first.mode, str) else ", ".join(first.mode)
        where = f"{mode}; {', '.join(first.dtypes)}" if len(first.dtypes) < len(FORMATS) else mode
        print(f"* **{names}** ({where}): {reason} ({first.source.partition('; replay')[0]})")
        print(f"  `{first.replay}`")
    print()


@click.command(help=__doc__)
@click.option("--cases", default=10, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--inductor", is_flag=True, help="with the kernels of torch.compile")
@click.option("--class", "classes", multiple=True, help="as in torch.optim; all by default")
def main(cases: int, seed: int, inductor: bool, classes: tuple[str, ...]) -> None:
    import torch

    from gradcheck.subject.facts import use_one_thread

    use_one_thread()
    ledger = load_ledger()
    known = [entry for entry in entries().values() if isinstance(entry, Rule)]
    rules = [rule for rule in known if not classes or rule.name.removeprefix("optim.") in classes]
    cells = judged(rules, cases, seed, ledger, inductor)
    print("# Optimizers, and what goes around a step\n")
    print("Generated by the commands in benchmarks/optimizers.py:")
    print(f"torch {torch.__version__}, {cases} drawn histories of each class, implementation and dtype, seed {seed}.\n")
    nearness(rules, cells)
    coverage(rules, cells)
    deviations(ledger)
    for key, cell in cells.items():
        if cell.new:
            print(f"New, {' '.join(key)}: {sentence(min(cell.new, key=lambda verdict: len(verdict.case)))}\n")


if __name__ == "__main__":
    main()
