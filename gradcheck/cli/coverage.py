"""``gradcheck coverage``: which differentiable names of the installed PyTorch have a reference."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

import click

from gradcheck.cli.files import writable, write_json

if TYPE_CHECKING:
    from gradcheck.run.coverage import Coverage

__all__ = ["coverage"]


@click.command()
@click.option("--json", "json_file", metavar="FILE", help="Write every name with its status to FILE.")
@click.option("--all", "everything", is_flag=True, help="List the names that are covered in full as well.")
def coverage(json_file: str | None, everything: bool) -> None:
    """List what of the installed PyTorch is covered, partly covered (and what is missing) or not, by family."""
    from gradcheck.run.coverage import coverage as cover

    target = writable("--json", json_file)
    found = list(cover())
    _print(found, everything)
    if target is not None:
        write_json(target, [name.as_json() for name in found])


def _print(found: list[Coverage], everything: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    from gradcheck.run.coverage import STATUSES

    console = Console(highlight=False, markup=False, soft_wrap=not sys.stdout.isatty())
    table = Table("family", box=None, pad_edge=False)
    for status in STATUSES:
        table.add_column(status, justify="right")
    families: dict[str, list[Coverage]] = {}
    for name in found:
        families.setdefault(name.family, []).append(name)
    for family, names in families.items():
        counts = Counter(name.status for name in names)
        table.add_row(family, *(str(counts[status]) for status in STATUSES))
    console.print(table)
    for status in STATUSES if everything else STATUSES[1:]:
        for family, names in families.items():
            chosen = [name for name in names if name.status == status]
            if chosen:
                console.print(f"{status}, {family}: {', '.join(map(_words, chosen))}")


def _words(name: Coverage) -> str:
    last = name.name.rpartition(".")[2]
    return f"{last} (without {', '.join(name.missing)})" if name.missing else last
