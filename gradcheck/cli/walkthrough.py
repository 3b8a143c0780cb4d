"""``gradcheck walkthrough``: the ladder of training runs, and the figures of the walkthroughs."""

from __future__ import annotations

import math
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradcheck.cli.files import writable

if TYPE_CHECKING:
    from rich.console import Console

    from gradcheck.walkthrough.figures import Finding, Report
    from gradcheck.walkthrough.pipelines import PipelineRow

__all__ = ["walkthrough"]

STYLES = {"reproduced": "green", "within bound": "yellow", "not given": "dim", "differs": "red"}
LISTED = 20


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--device", default="cpu", show_default=True, metavar="D", help="cpu, cuda, cuda:N, mps, xpu, …")
@click.option("--plot", "plot_file", metavar="FILE", help="Draw the losses of batch and stochastic descent (.png, …).")
@click.option("--graph", "graph_file", metavar="FILE", help="Draw the autograd graph of 001's loss (.dot, .png, …).")
def walkthrough(names: tuple[str, ...], device: str, plot_file: str | None, graph_file: str | None) -> None:
    """Climb the ladder from NumPy by hand to nn.Module and DataLoader, and reproduce the walkthroughs' figures.

    NAME is a model (linear_regression, logistic_regression, two_layer_network) or a walkthrough (000 to 004), whose
    tables are then shown in full; everything is run by default. Exit status 0: every step lies within its bound and
    every figure that the texts determine is reproduced; 1: not.
    """
    from gradcheck.walkthrough.catalogue import chosen

    models, seeds = chosen(names)
    plot, graph = writable("--plot", plot_file), writable("--graph", graph_file)
    _check_pictures(plot, graph)

    from gradcheck.subject.devices import check_device
    from gradcheck.subject.facts import use_one_thread

    check_device(device)
    use_one_thread()
    console = _console()
    passed = _pipelines(console, models, device) if models else True
    reports = _scenarios(console, seeds, device, bool(names))
    _draw(plot, graph, device, reports)
    sys.exit(int(not (passed and all(report.passed for report in reports))))


def _check_pictures(plot: Path | None, graph: Path | None) -> None:
    from gradcheck.walkthrough.drawing import check_graph, check_plot

    if plot is not None:
        check_plot(plot)
    if graph is not None:
        check_graph(graph)


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 140)


def _pipelines(console: Console, models: list[str], device: str) -> bool:
    """The table of the ladder; whether every step agrees."""
    from rich.table import Table

    from gradcheck.walkthrough.pipelines import pipelines

    rows = list(pipelines(models, device))
    table = Table("model", "batching", "dtype", box=None, pad_edge=False)
    for column in ("steps", *rows[0].worst):
        table.add_column(column, justify="right")
    for row in rows:
        ratios = [f"{verdict.error_over_bound:.2g}" for verdict in row.worst.values()]
        style = "red" if row.deviating else ""
        table.add_row(row.model, row.batching, row.dtype, str(row.steps), *ratios, style=style)
    table.caption = "worst error/bound of loss, gradients, parameters and validation loss, each step from its own start"
    console.print(table)
    _deviations(console, rows)
    return not any(row.deviating for row in rows)


def _deviations(console: Console, rows: list[PipelineRow]) -> None:
    deviating = [verdict for row in rows for verdict in row.deviating]
    for verdict in deviating[:LISTED]:
        console.print(verdict.sentence(), style="red", markup=False, soft_wrap=True)
    verdicts, steps = sum(row.verdicts for row in rows), sum(row.steps * len(row.worst) for row in rows)
    console.print(f"{steps} steps, {verdicts} verdicts, {len(deviating)} deviate", markup=False)


def _scenarios(console: Console, seeds: list[str], device: str, in_full: bool) -> list[Report]:
    from gradcheck.walkthrough.catalogue import run_scenario

    reports = []
    for seed in seeds:
        report = run_scenario(seed, device)
        reports.append(report)
        if in_full:
            _print_tables(console, report)
        _print_report(console, report)
    if reports:
        _print_tally(console, reports)
    return reports


def _print_tables(console: Console, report: Report) -> None:
    """As the text has them: each row as printed, by hand and from PyTorch."""
    from rich.table import Table

    by_table: dict[str, dict[tuple[str, int], list[Finding]]] = {}
    for finding in report.findings:
        rows = by_table.setdefault(finding.figure.table, {})
        rows.setdefault((finding.figure.key, finding.figure.line), []).append(finding)
    for name, rows in by_table.items():
        columns = [finding.figure.column for finding in next(iter(rows.values()))]
        table = Table("", "", title=f"{report.seed} {name}", title_justify="left", box=None, pad_edge=False)
        for column in (*columns, "error/bound"):
            table.add_column(column, justify="right")
        table.add_column("")
        for (key, _), findings in rows.items():
            for cells in _sides(key, findings):
                table.add_row(*cells)
        console.print(table)


def _sides(key: str, findings: list[Finding]) -> list[tuple[str, ...]]:
    """The lines of one row: printed, by hand, PyTorch; a side that the text does not have is left out."""
    from rich.markup import escape

    worst = max((f.error_over_bound for f in findings if not math.isnan(f.error_over_bound)), default=math.nan)
    statuses = ", ".join(dict.fromkeys(f"[{STYLES[f.status]}]{f.status}[/]" for f in findings))
    ratio = "" if math.isnan(worst) else f"{worst:.2g}"
    lines = [(key, "printed", *(escape(f.figure.printed) for f in findings), ratio, statuses)]
    for side, texts in (("by hand", [f.by_hand for f in findings]), ("PyTorch", [f.pytorch for f in findings])):
        if any(texts):
            lines.append(("", side, *(escape(text) for text in texts), "", ""))
    return lines


def _print_report(console: Console, report: Report) -> None:
    """What needs a look: figures that differ, why others are not reproduced, claims, notes."""

    def say(words: str, style: str = "") -> None:
        console.print(f"{report.seed}: {words}", style=style, markup=False, soft_wrap=True)

    for finding in report.findings:
        figure = finding.figure
        if finding.status == "differs":
            say(
                f"line {figure.line}, {figure.table}, {figure.key}, {figure.column}: printed {figure.printed}, by hand "
                f"{finding.by_hand or '-'}, PyTorch {finding.pytorch or '-'}, error/bound "
                f"{finding.error_over_bound:.3g}",
                "red",
            )
    reasons = Counter((f.status, f.reason) for f in report.findings if f.status in ("within bound", "not given"))
    for (status, reason), count in reasons.items():
        say(f"{count} figure{'s' if count > 1 else ''} {status}: {reason}", STYLES[status])
    for words, holds in report.claims:
        say(f"{words}: {'holds' if holds else 'does not hold'}", "green" if holds else "red")
    for note in report.notes:
        say(note)


def _print_tally(console: Console, reports: list[Report]) -> None:
    from rich.table import Table

    from gradcheck.walkthrough.figures import STATUSES

    table = Table("walkthrough", "", box=None, pad_edge=False)
    for column in ("printed", *STATUSES, "error/bound"):
        table.add_column(column, justify="right")
    for report in reports:
        counts = [str(report.tally[status]) for status in STATUSES]
        style = "" if report.passed else "red"
        table.add_row(report.seed, report.title, str(len(report.findings)), *counts, _figure(report.worst), style=style)
    total = [sum(report.tally[status] for report in reports) for status in STATUSES]
    table.add_row("all", "", str(sum(total)), *map(str, total), _figure(max(report.worst for report in reports)))
    console.print(table)


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2g}"


def _draw(plot: Path | None, graph: Path | None, device: str, reports: list[Report]) -> None:
    from gradcheck.walkthrough.catalogue import run_scenario
    from gradcheck.walkthrough.drawing import draw_graph, draw_losses

    if plot is not None:
        report = next((r for r in reports if r.seed == "003"), None) or run_scenario("003", device)
        draw_losses(plot, report.curves)
    if graph is not None:
        draw_graph(graph, *_graph_of_the_loss())


def _graph_of_the_loss() -> Any:
    import numpy as np

    from gradcheck.subject.training_seeds import edges_of_graph
    from gradcheck.walkthrough.seed_001 import make_data, predict

    start = {"a": np.array([1.0]), "b": np.array([1.0])}
    return edges_of_graph(predict, start, *make_data().columns())["loss"]
