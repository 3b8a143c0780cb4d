"""What becomes of a mutated entry: judged by it, the true PyTorch has to look wrong."""

from __future__ import annotations

from collections.abc import Mapping

from gradcheck.audit.entries.mutants import EntryMutant
from gradcheck.audit.entries.trials import EntryTrial, EntryTrials
from gradcheck.audit.findings import Fate, Kill, by_contract

__all__ = ["entry_fate"]

BOUNDED = 8
"""Trials in each dtype on which a mutant with the true values is judged for its bounds, and its derivatives."""

CERTIFIED = 40
"""Cases that the certificate is asked about."""


def entry_fate(mutant: EntryMutant, corpora: Mapping[str, EntryTrials], every_dtype: bool = False) -> Fate:
    """Killed in some dtype, equivalent, or a survivor; ``corpora`` by dtype, float64 among them.

    every_dtype: a killed mutant is tried in the other dtypes as well.
    """
    only_rounds = mutant.operator == "stored"  # identity in float64, and among balls
    kills: dict[str, Kill] = {}
    if not only_rounds:
        kills = _kills(mutant, corpora, False, every_dtype) or _kills(mutant, corpora, True, every_dtype)
    kind, reason = "killed" if kills else "survived", ""
    if not kills and (certified := _by_certificate(mutant, corpora["float64"])):
        kind, kills = "killed", {"float64": certified}
    elif not kills and (sameness := "exact" if only_rounds else _sameness(mutant, corpora)):
        kind, kills, reason = _with_the_true_values(mutant, corpora, sameness)
    return Fate(mutant.operator, mutant.function, mutant.line, mutant.before, mutant.after, kind, kills, reason)


def _kills(
    mutant: EntryMutant, corpora: Mapping[str, EntryTrials], thorough: bool, every_dtype: bool
) -> dict[str, Kill]:
    kills: dict[str, Kill] = {}
    for dtype, trials in corpora.items():
        if (every_dtype or not kills) and (kill := _killed_on(mutant, trials, thorough)):
            kills[dtype] = kill
    return kills


def _killed_on(mutant: EntryMutant, trials: EntryTrials, thorough: bool) -> Kill | None:
    for number, trial in enumerate(trials, start=1):
        if trial.ran and (how := trial.shown(mutant.entry, thorough=thorough)):
            return Kill(number, how, str(trial.case))
    return None


def _by_certificate(mutant: EntryMutant, trials: EntryTrials) -> Kill | None:
    for number, trial in trials.distinct(CERTIFIED):  # in which mode PyTorch ran makes no difference here
        if how := trial.bench.contradiction(mutant.entry, trial.case):
            return Kill(number, f"by certificate: {how}", str(trial.case))
    return None


def _sameness(mutant: EntryMutant, corpora: Mapping[str, EntryTrials]) -> str:
    """``exact`` or, where it is so in some case alone, ``rounded``; empty where the values are others."""
    found = "exact"
    for trials in corpora.values():
        for trial in trials:
            if trial.small and trial.ran:
                here = trial.sameness(mutant.entry)
                if not here:
                    return ""
                found = here if here == "rounded" else found
    return found


def _with_the_true_values(
    mutant: EntryMutant, corpora: Mapping[str, EntryTrials], sameness: str
) -> tuple[str, dict[str, Kill], str]:
    """Kind, kills and reason. Bounds that have become too small for PyTorch, or derivatives, may still give it away."""
    same = True
    for dtype, trials in corpora.items():
        for number, trial in enumerate(trials.first(BOUNDED), start=1):
            found = _judged(mutant, trial)
            if isinstance(found, str) and found:
                return "killed", {dtype: Kill(number, found, str(trial.case))}, ""
            same = same and bool(found)
    float64 = corpora["float64"].first(BOUNDED)
    if any(trial.differs_elsewhere(mutant.entry) for trial in float64):
        return "elsewhere", {}, "differs in implementations that do not run on the CPU, and nowhere else"
    if sameness == "rounded":
        return (
            "bound only",
            {},
            "same values in float64, and within its rounding the same exactly; PyTorch within its bounds",
        )
    if same:
        return "equivalent", {}, "same values, same bounds"
    return "bound only", {}, "same values; other bounds, PyTorch within them"


def _judged(mutant: EntryMutant, trial: EntryTrial) -> str | bool:
    """How the mutant's bounds are shown to be wrong, in words; or whether they are the true ones."""
    same = True
    try:
        verdicts = trial.judged(mutant.entry)
    except Exception as error:  # a wrong formula may raise anything, in running error alone as well
        return by_contract(error)
    for verdict in verdicts:
        if verdict.output not in trial.verdicts:
            return f"{verdict.output} is new"
        own = trial.verdicts[verdict.output]
        worse = trial.is_bad(verdict) or (verdict.status == "coarse" and own.status == "agrees")
        if worse and trial.sound(verdict.output) and verdict.status != own.status:
            return f"{verdict.output} {verdict.status}"
        ratios = (verdict.error_over_bound, verdict.error_over_storage_bound)
        theirs = (own.error_over_bound, own.error_over_storage_bound)
        same = same and all(a == b or (a != a and b != b) for a, b in zip(ratios, theirs, strict=True))
    return same
