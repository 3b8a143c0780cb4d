"""``gradcheck report``: a recorded run as one HTML page, and what changed since another."""

from __future__ import annotations

import sys
from contextlib import ExitStack

import click

from gradcheck.cli.files import writable, write_text
from gradcheck.errors import UsageError

__all__ = ["report"]


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="FILE[:RUN] [FILE[:RUN]|:RUN]")
@click.option("-o", "--output", "output", required=True, metavar="PAGE", help="The page to write, such as report.html.")
@click.option("--curves/--no-curves", default=True, show_default=True, help="Draw error curves anew, by this PyTorch.")
@click.option(
    "--factor", type=click.FloatRange(min=1.0, min_open=True), default=2.0, show_default=True,
    help="Of two runs: by how much an error/bound has to move to be called less or more accurate.",
)  # fmt: skip
def report(runs: tuple[str, ...], output: str, curves: bool, factor: float) -> None:
    """Write a run of the record FILE as one HTML page that needs nothing else.

    RUN is the number of a run, the first characters of its uuid, or `last` (the default). Of two runs the page is about
    the second, and says what changed since the first; `:RUN` is another run of the same file.
    """
    from gradcheck.record.read import Record, file_and_run

    target = writable("--output", output)
    if len(runs) > 2:
        raise UsageError(f"a report is about one run, or of two about what changed; {len(runs)} are given.")
    words = [file_and_run(runs[0])]
    for second in runs[1:]:
        words.append((words[0][0], second[1:]) if second.startswith(":") else file_and_run(second))
    with ExitStack() as stack:
        opened = [stack.enter_context(Record(path)) for path, _ in words]
        found = [record.run(word) for record, (_, word) in zip(opened, words, strict=True)]
        comparison = None
        if len(found) == 2:
            from gradcheck.record.compare import compare

            comparison = compare(opened[0], found[0], opened[1], found[1], factor)

        from gradcheck.report.page import page

        text = page(opened[-1], found[-1], comparison, with_curves=curves, told=_told)
    if target is not None:
        write_text(target, text)
        about = f"run {found[-1].number} of {words[-1][0]} (torch {found[-1].torch})"
        since = f", and what changed since run {found[0].number} of {words[0][0]}" if len(found) == 2 else ""
        click.echo(f"{target}: {len(text.encode()) / 1e6:.1f} MB, {about}{since}")


def _told(words: str) -> None:
    """Progress on a terminal, in one line."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{words}", err=True, nl=False)
