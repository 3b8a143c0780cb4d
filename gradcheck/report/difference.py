"""What changed between two runs, for the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradcheck.report.overview import figure

if TYPE_CHECKING:
    from gradcheck.record.compare import Change, Comparison

__all__ = ["WORDS_FOR_PEOPLE", "difference"]

WORDS_FOR_PEOPLE = {
    "wrong": "right before, wrong now",
    "vanished": "PyTorch has no such kernel any more",
    "less accurate": "worst or typical error/bound grew by more than the factor",
    "mended": "wrong before, right now",
    "more accurate": "worst or typical error/bound shrank by more than the factor",
    "appeared": "PyTorch had no such kernel before",
    "rounding": "bits changed, accuracy did not",
    "identical": "all bits are the same",
}


def difference(found: Comparison) -> dict[str, Any]:
    """``lead`` and ``warnings`` in words, ``counts`` by word, and ``rows``: the places that are not identical."""
    counts = {word: found.counts.get(word, 0) for word in WORDS_FOR_PEOPLE}
    return {
        "lead": _lead(found),
        "warnings": [warning[0].upper() + warning[1:] + "." for warning in found.warnings],
        "facts": [[name, str(was), str(now)] for name, (was, now) in found.differences.items()],
        "across": [[axis, was, now] for axis, (was, now) in found.across.items()],
        "counts": counts,
        "words": WORDS_FOR_PEOPLE,
        "rows": [_row(change) for change in _ordered(found)],
    }


def _ordered(found: Comparison) -> list[Change]:
    """What regressed first, as the words stand; places that are identical are counted alone."""
    words = list(WORDS_FOR_PEOPLE)
    changed = [change for change in found.changes if change.word != "identical"]
    return sorted(changed, key=lambda change: words.index(change.word))


def _lead(found: Comparison) -> str:
    places = len(found.changes)
    regressed = len(found.regressed)
    alone = {side: sum(cases.values()) for side, cases in found.alone.items()}
    words = (
        f"torch {found.before.torch} (run {found.before.number}) → torch {found.after.torch} (run {found.after.number})"
    )
    words += (
        f": {places:,} places compared, {regressed:,} regressed. Less or more accurate means by more than a factor "
    )
    words += f"of {found.factor:g}."
    if any(alone.values()):
        words += f" Not compared: {alone['before']:,} cases of the first run alone, {alone['after']:,} of the second."
    return words


def _row(change: Change) -> dict[str, Any]:
    return {
        **change.place,
        "word": change.word,
        "said": change.said,
        "reason": change.reason,
        "before": [figure(change.before.worst), figure(change.before.typical), change.before.wrong],
        "after": [figure(change.after.worst), figure(change.after.typical), change.after.wrong],
        "pairs": change.pairs,
        "changed": change.changed,
        "replay": "gradcheck replay '" + change.case.replace("'", '"') + "'" if change.case else "",
    }
