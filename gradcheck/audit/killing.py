"""Whether the suite notices a mutated formula: judged with it, the true PyTorch has to look wrong."""

from __future__ import annotations

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
        kind, kills, reason = _by_bounds(mutant, trials)
    return Fate(mutant.operator, mutant.function, mutant.line, mutant.before, mutant.after, kind, kills, reason)


def killed_on(mutant: Mutant, trials: Trials) -> Kill | None:
    """The first kill among the trials."""
    for number, trial in enumerate(trials, start=1):
        if trial.ran and (how := _shown_by(mutant, trial)):
            return Kill(number, how, str(trial.case))
    return None


def _shown_by(mutant: Mutant, trial: Trial) -> str:
    try:
        verdicts = trial.judged_with(trial.bounds_by(mutant.reference))
    except ContractError:
        return "by contract"
    except Exception as error:  # a wrong formula may raise anything
        return f"by contract: it raises {type(error).__name__}"
    for verdict in verdicts:
        if trial.is_bad(verdict) and trial.sound(verdict.output):
            return f"{verdict.output} {verdict.status}"
    return ""


def _by_bounds(mutant: Mutant, trials: Mapping[str, Trials]) -> tuple[str, dict[str, Kill], str]:
    """Kind, kills and reason of a mutant that has the true values.

    Only a bound that has become too small for the true PyTorch can give it away: `coarse` for `agrees` does.
    """
    low, high = 1.0, 1.0
    for dtype, corpus in trials.items():
        for number, trial in enumerate(corpus, start=1):
            if not trial.ran or elements(trial.case) > SMALL:
                continue
            bounds = trial.bounds_by(mutant.reference)
            for verdict in trial.judged_with(bounds):
                if verdict.status == "coarse" and trial.verdicts[verdict.output].status == "agrees":
                    kill = Kill(number, f"{verdict.output} coarse", str(trial.case))
                    return "killed", {dtype: kill}, ""
            smallest, largest = bound_ratios(trial.bounds, bounds)
            low, high = min(low, smallest), max(high, largest)
    if low == high:
        return "equivalent", {}, "same values, same bounds"
    return "bound only", {}, f"same values; bounds {low:.3g} to {high:.3g} times the true ones, PyTorch within them"
