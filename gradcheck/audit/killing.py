"""Whether the suite notices a mutated formula: judged with it, the true PyTorch has to look wrong."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from gradcheck.audit.equivalence import bound_ratios, same_values
from gradcheck.audit.findings import Fate, Kill
from gradcheck.audit.mutate import Mutant
from gradcheck.audit.trials import SMALL, Trial, Trials, elements
from gradcheck.errors import ContractError

__all__ = ["fate_of", "killed_on"]


def fate_of(mutant: Mutant, trials: Mapping[str, Trials]) -> Fate:
    """Killed in some dtype, equivalent, or a survivor; ``trials`` are the corpora by dtype, float64 among them."""
    kills = {dtype: kill for dtype, corpus in trials.items() if (kill := killed_on(mutant, corpus))}
    kind, reason = "killed" if kills else "survived", ""
    if not kills and (mutant.operator == "stored" or same_values(mutant.reference, trials["float64"])):
        kills = {dtype: kill for dtype, corpus in trials.items() if (kill := killed_on(mutant, corpus, coarse=True))}
        kind, reason = ("killed", "") if kills else _harmless(mutant, trials)
    return Fate(mutant.operator, mutant.function, mutant.line, mutant.before, mutant.after, kind, kills, reason)


def _harmless(mutant: Mutant, trials: Mapping[str, Trials]) -> tuple[str, str]:
    ratios = [ratio for corpus in trials.values() if (ratio := bound_ratios(mutant.reference, corpus))]
    if not ratios:
        return "equivalent", "same values, same bounds"
    low, high = min(ratio[0] for ratio in ratios), max(ratio[1] for ratio in ratios)
    return "bound only", f"same values; bounds {low:.3g} to {high:.3g} times the true ones, PyTorch within them"


def killed_on(mutant: Mutant, trials: Trials, *, coarse: bool = False) -> Kill | None:
    """The first kill among the trials.

    With ``coarse``, turning `agrees` into `coarse` is one too: for mutants of the same values, which only a bound that
    has become too small for the true PyTorch can give away. Large cases add nothing to that.
    """
    for number, trial in enumerate(trials, start=1):
        if trial.ran and not (coarse and elements(trial.case) > SMALL) and (how := _shown_by(mutant, trial, coarse)):
            return Kill(number, how, str(trial.case))
    return None


def _shown_by(mutant: Mutant, trial: Trial, coarse: bool) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            verdicts = trial.judged_by(mutant.reference)
    except ContractError:
        return "by contract"
    except Exception as error:  # a wrong formula may raise anything
        return f"by contract: it raises {type(error).__name__}"
    for verdict in verdicts:
        if trial.is_bad(verdict) and trial.sound(verdict.output):
            return f"{verdict.output} {verdict.status}"
        if coarse and verdict.status == "coarse" and trial.verdicts[verdict.output].status == "agrees":
            return f"{verdict.output} coarse"
    return ""
