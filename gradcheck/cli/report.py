"""``gradcheck report``: a recorded run as one HTML page."""

from __future__ import annotations

import sys

import click

from gradcheck.cli.files import writable, write_text

__all__ = ["report"]


@click.command()
@click.argument("record", metavar="FILE[:RUN]")
@click.option("-o", "--output", "output", required=True, metavar="PAGE", help="The page to write, such as report.html.")
@click.option("--curves/--no-curves", default=True, show_default=True, help="Draw error curves anew, by this PyTorch.")
def report(record: str, output: str, curves: bool) -> None:
    """Write a run of the record FILE as one HTML page that needs nothing else.

    RUN is the number of a run, the first characters of its uuid, or `last` (the default).
    """
    from gradcheck.record.read import Record, file_and_run

    target = writable("--output", output)
    path, word = file_and_run(record)
    with Record(path) as opened:
        run = opened.run(word)

        from gradcheck.report.page import page

        text = page(opened, run, with_curves=curves, told=_told)
    if target is not None:
        write_text(target, text)
        click.echo(f"{target}: {len(text.encode()) / 1e6:.1f} MB, run {run.number} of {path} (torch {run.torch})")


def _told(words: str) -> None:
    """Progress on a terminal, in one line."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{words}", err=True, nl=False)
