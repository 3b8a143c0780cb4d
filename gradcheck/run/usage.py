"""How a run used the ledger: entries that nothing showed any more, and those whose size was exceeded."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable

from gradcheck.reference.registry import entries
from gradcheck.run.summary import Summary
from gradcheck.verdict.ledger import Entry, Ledger
from gradcheck.verdict.verdict import Verdict

__all__ = ["exceeded", "shows", "unseen"]

Place = tuple[str, str, str, str, str]
"""Operation, dtype, device, mode and setting of verdicts."""


def unseen(summary: Summary) -> list[Entry]:
    """Entries that could have covered a verdict of the run and covered none.

    Those whose operations, dtypes, device, modes and setting were all judged, for this version of PyTorch and on a
    processor that has the instructions they are about.
    """
    candidates = [
        entry
        for entry in summary.ledger.here
        if entry not in summary.used and entry.torch.contains(summary.ledger.version, prereleases=True)
    ]
    return [entry for entry in candidates if _covered(entry, summary.places)]


def _covered(entry: Entry, places: set[Place]) -> bool:
    """Whether every operation, dtype and mode of an entry was judged on its device, under a setting it concerns."""
    modes = entry.mode if isinstance(entry.mode, tuple) else (entry.mode,)
    judged = {
        (operation, dtype, mode)
        for operation, dtype, device, mode, setting in places
        if device.partition(":")[0] == entry.device and entry.in_setting(setting)
    }
    table = entries()
    return all(
        (operation, dtype, mode) in judged
        for operation in table
        if fnmatch.fnmatchcase(operation, entry.operation)
        for dtype in entry.dtypes
        for mode in modes
        if dtype in table[operation].dtypes
    )


def shows(ledger: Ledger, entry: Entry, verdicts: Iterable[Verdict]) -> bool:
    """Whether one of the verdicts is what the entry is about."""
    return any(
        entry.concerns(verdict, ledger.version) and entry.is_of(element)
        for verdict in verdicts
        if verdict.status in ("deviates", "raises")
        for element, _ in ledger.excess(verdict)
    )


def exceeded(summary: Summary) -> dict[Entry, Verdict]:
    """Entries of the right kind that are too small for a verdict beyond the ledger, with the worst such verdict."""
    found: dict[Entry, Verdict] = {}
    for verdict in summary.unknown:
        entry = summary.ledger.exceeded(verdict) if verdict.status == "deviates" else None
        if entry is not None and (entry not in found or verdict.error_over_bound > found[entry].error_over_bound):
            found[entry] = verdict
    return found
