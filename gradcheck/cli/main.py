"""The command group ``gradcheck`` and its smaller commands."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from gradcheck import __version__
from gradcheck.cli.audit import audit
from gradcheck.cli.certify import certify
from gradcheck.cli.coverage import coverage
from gradcheck.cli.diff import diff
from gradcheck.cli.kinks import kinks
from gradcheck.cli.ledger import ledger
from gradcheck.cli.records import merge, runs
from gradcheck.cli.report import report
from gradcheck.cli.reproduce import reproduce
from gradcheck.cli.show import show
from gradcheck.cli.verify import verify
from gradcheck.cli.walkthrough import walkthrough
from gradcheck.errors import GradcheckError

__all__ = ["main"]


class _Group(click.Group):
    """Prints an error that gradcheck raises on purpose as its sentence, with status 2."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except GradcheckError as error:
            click.echo(f"gradcheck: {error}", err=True)
            sys.exit(2)
        except KeyboardInterrupt:
            click.echo("gradcheck: interrupted before anything was done.", err=True)
            sys.exit(130)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gradcheck")
def main() -> None:
    """An independent numerical oracle for PyTorch.

    Short NumPy formulas bring their own tolerance; PyTorch's values and gradients are judged by error / bound.
    """


@main.command("list")
@click.argument("names", nargs=-1, metavar="[NAME]...")
def list_operations(names: tuple[str, ...]) -> None:
    """List the operations that have a reference, with the first line of each. Does not import torch.

    NAME is PyTorch's dotted name or its last part; * is allowed.
    """
    from rich.console import Console
    from rich.table import Table

    from gradcheck.reference.registry import select

    table = Table("operation", "reference", box=None, pad_edge=False)
    for entry in select(names):
        table.add_row(entry.name, entry.title)
    Console(highlight=False, markup=False, soft_wrap=not sys.stdout.isatty()).print(table)


@main.command()
@click.argument("case")
@click.option("--ledger", "ledger_file", metavar="FILE", help="Ledger of known deviations (default: the package's).")
def replay(case: str, ledger_file: str | None) -> None:
    """Judge one CASE again: a line as printed by verify, in quotes.

    Exit status 0: it agrees, is coarse, or is known; 1: it deviates.
    """
    from pathlib import Path

    from gradcheck.cases.case import parse_case
    from gradcheck.cases.layouts import layout_fits
    from gradcheck.cases.settings import environment_of
    from gradcheck.verdict.ledger import load_ledger

    parsed = parse_case(case)
    ledger = load_ledger(Path(ledger_file) if ledger_file else None)

    if "torch" not in sys.modules:
        os.environ.update(environment_of(parsed.setting))  # which torch reads when it is imported
    from gradcheck.subject.devices import check_device
    from gradcheck.subject.facts import use_one_thread
    from gradcheck.verdict.kinds import judge
    from gradcheck.verdict.sentence import sentence

    check_device(parsed.device)
    use_one_thread()
    failed = False
    if not layout_fits(parsed):
        click.echo(f"layout {parsed.layout}: none of the arrays can have it; they are contiguous.")
    for verdict in judge(parsed):
        click.echo(sentence(verdict))
        if verdict.status in ("deviates", "raises"):
            entry = ledger.match(verdict)
            failed |= entry is None
            if entry is not None:
                click.echo(f"  known: {entry.reason} ({entry.source})")
    sys.exit(int(failed))


for _command in (
    verify, certify, audit, coverage, reproduce, kinks, report, show, walkthrough, runs, merge, diff, ledger,
):  # fmt: skip
    main.add_command(_command)
