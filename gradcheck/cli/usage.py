"""What ``verify`` says of the ledger: entries that were too small, and entries that nothing shows any more."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

from rich.console import Console

from gradcheck.verdict.sentence import replay_line

if TYPE_CHECKING:
    from gradcheck.run.summary import Summary
    from gradcheck.verdict.ledger import Entry

__all__ = ["about_entry", "print_usage"]


def print_usage(summary: Summary, stale: list[Entry], whole: bool) -> None:
    """One line for each entry that was exceeded, or that neither the run nor its replay line shows.

    whole: of the default size; a smaller run may have missed what an entry without replay line is about.
    """
    from gradcheck.run.usage import exceeded

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    for entry, verdict in exceeded(summary).items():
        words = f"size exceeded: {about_entry(entry)}: the ledger knows {entry.size:.3g} × the bound, this is "
        words += f"{verdict.error_over_bound:.3g} ×; {replay_line(verdict)}"
        console.print(words, style="red", markup=False, soft_wrap=True)
    for entry in stale:
        if entry.replay:
            words = f"stale: {about_entry(entry)}: neither this run nor its replay line shows it with torch "
            words += f"{summary.ledger.version}; end its version range"
        elif whole:
            words = f"stale: {about_entry(entry)}: this run does not show it with torch {summary.ledger.version}; "
            words += "look at it, and end its version range"
        else:
            words = f"not seen in this run: {about_entry(entry)} (it has no replay line)"
        console.print(words, style="yellow", markup=False, soft_wrap=True)


def about_entry(entry: Entry) -> str:
    """What an entry is about, in a few words."""
    elements = entry.element if isinstance(entry.element, tuple) else (entry.element,)
    modes = entry.mode if isinstance(entry.mode, tuple) else (entry.mode,)
    size = "" if math.isinf(entry.size) else f", up to {entry.size:.3g} × the bound"
    place = f"{entry.operation} {', '.join(entry.outputs)} in {', '.join(entry.dtypes)} on {entry.device}"
    return f"{place}, {', '.join(modes)}: {', '.join(elements)}{size}"
