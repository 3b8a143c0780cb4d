"""``gradcheck ledger``: the known deviations, and the draft of an entry from a case that shows a new one."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gradcheck.errors import UsageError

__all__ = ["ledger"]


@click.group()
def ledger() -> None:
    """The ledger of known deviations of PyTorch."""


@ledger.command("list")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--ledger", "ledger_file", metavar="FILE", help="Another ledger than the package's.")
def list_entries(names: tuple[str, ...], ledger_file: str | None) -> None:
    """List the entries about the operations called NAME (all by default), with reason and source. No torch needed."""
    import fnmatch

    from gradcheck.cli.usage import about_entry
    from gradcheck.reference.registry import select
    from gradcheck.verdict.ledger import load_ledger

    chosen = [entry.name for entry in select(names)]
    found = [
        entry
        for entry in load_ledger(Path(ledger_file) if ledger_file else None).entries
        if fnmatch.filter(chosen, entry.operation)
    ]
    for entry in found:
        click.echo(f"{about_entry(entry)}; torch {entry.torch}\n  {entry.reason}\n  {entry.source}")
    click.echo(f"{len(found)} known deviations")


@ledger.command()
@click.argument("case")
@click.option("-o", "--output", "target", metavar="FILE", help="Add the draft to FILE (default: print it).")
@click.option("--ledger", "ledger_file", metavar="FILE", help="Another ledger than the package's.")
def add(case: str, target: str | None, ledger_file: str | None) -> None:
    """Judge CASE and write a draft entry for each deviation that the ledger does not know.

    A draft has an empty reason, which the loader refuses: first find out why PyTorch is off, and make sure that the
    reference is right (`gradcheck certify`). Exit status 0: there is a draft, or all is known; 2: nothing deviates.
    """
    from gradcheck.cases.case import parse_case
    from gradcheck.cli.files import writable, write_text
    from gradcheck.verdict.draft import drafts
    from gradcheck.verdict.ledger import load_ledger

    path = writable("--output", target)
    parsed = parse_case(case)
    known = load_ledger(Path(ledger_file) if ledger_file else None)

    from gradcheck.subject.devices import check_device
    from gradcheck.subject.facts import use_one_thread
    from gradcheck.verdict.kinds import judge

    check_device(parsed.device)
    use_one_thread()
    bad = [verdict for verdict in judge(parsed) if verdict.status in ("deviates", "raises")]
    if not bad:
        raise UsageError(f"nothing deviates in the case {case!r}.")
    new = [verdict for verdict in bad if known.match(verdict) is None]
    if not new:
        click.echo("The ledger knows all that deviates in this case.")
        sys.exit(0)
    text = drafts(new, known)
    if path is None:
        click.echo(text)
        return
    before = path.read_text(encoding="utf-8").rstrip() + "\n\n" if path.exists() else ""
    write_text(path, before + text)
    count = text.count("[[deviation]]")
    words = "one draft added; give it its reason" if count == 1 else f"{count} drafts added; give each its reason"
    click.echo(f"{path}: {words}.")
