"""``gradcheck diff``: what changed between two runs, and whether it matters."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from gradcheck.cli.files import writable, write_json, write_text
from gradcheck.errors import UsageError

if TYPE_CHECKING:
    from gradcheck.record.compare import Comparison

__all__ = ["diff"]


@click.command()
@click.argument("runs", nargs=-1, metavar="[FILE[:RUN]]...")
@click.option("--last", "last_file", metavar="FILE", help="Compare the last two runs of FILE.")
@click.option(
    "--factor", type=click.FloatRange(min=1.0, min_open=True), default=2.0, show_default=True,
    help="By how much the worst or typical error/bound has to move to be called less or more accurate.",
)  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="Show what is identical and what is mere rounding as well.")
@click.option("--json", "json_file", metavar="FILE", help="Write the whole comparison to FILE.")
@click.option("--markdown", "markdown_file", metavar="FILE", help="Write it fit for a pull request (- for here).")
@click.option("--github", is_flag=True, help="Print GitHub annotations.")
def diff(
    runs: tuple[str, ...],
    last_file: str | None,
    factor: float,
    everything: bool,
    json_file: str | None,
    markdown_file: str | None,
    github: bool,
) -> None:
    """Say in one word what changed between two recorded runs, for each operation, dtype, mode, device and setting.

    RUN is a number as `gradcheck runs` shows it, the beginning of a uuid, or last (the default). The words: wrong
    (right before, wrong now), vanished (no such kernel any more), less accurate, mended, more accurate, appeared,
    rounding (bits changed, accuracy did not), identical. Exit status 0: nothing regressed; 1: something is wrong,
    vanished or less accurate; 2: wrong usage.
    """
    from gradcheck.cli.changes import github_annotations, markdown, print_changes

    json_target = writable("--json", json_file)
    markdown_target = writable("--markdown", None if markdown_file == "-" else markdown_file)
    found = _compared(runs, last_file, factor)
    if json_target is not None:
        write_json(json_target, found.as_json())
    if markdown_target is not None:
        write_text(markdown_target, markdown(found))
    if markdown_file == "-":
        click.echo(markdown(found))
    if github:
        click.echo(github_annotations(found), nl=False)
    if markdown_file != "-":
        print_changes(found, everything)
    sys.exit(int(bool(found.regressed)))


def _compared(runs: tuple[str, ...], last_file: str | None, factor: float) -> Comparison:
    from gradcheck.record.compare import compare
    from gradcheck.record.read import Record, file_and_run

    with ExitStack() as stack:
        if last_file is not None:
            if runs:
                raise UsageError("--last FILE compares the last two runs of that file; leave out the other runs.")
            record = stack.enter_context(Record(last_file))
            known = record.runs()
            if len(known) < 2:
                raise UsageError(f"record {last_file} holds {len(known)} runs; a diff needs two.")
            return compare(record, known[-2], record, known[-1], factor)
        if len(runs) != 2:
            raise UsageError(f"a diff is of two runs, FILE[:RUN] each, or --last FILE; {len(runs)} are given.")
        before, after = (file_and_run(word) for word in runs)
        first, second = (stack.enter_context(Record(path)) for path, _ in (before, after))
        return compare(first, first.run(before[1]), second, second.run(after[1]), factor)
