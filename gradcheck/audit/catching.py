"""Which tampered subjects the suite notices, and at which case."""

from __future__ import annotations

from gradcheck.audit.findings import Catch
from gradcheck.audit.tamper import TAMPERS, Tamper, tampered
from gradcheck.audit.trials import Trials
from gradcheck.cases.draw import elements
from gradcheck.formats import FORMATS
from gradcheck.verdict.models import model_of

__all__ = ["catches"]


def catches(trials: Trials) -> list[Catch]:
    """Every tamper on every output of the operation, tried until it is noticed.

    In other modes than backward, whose cases are small, faults of large calls alone are not planted; nor is flushing
    where the rounding model allows for it.
    """
    flushed = any(model_of(trial.case).flushed for trial in trials)
    largest = max((elements(trial.case) for trial in trials), default=0)
    outputs = [output for output in trials.outputs if not _is_whole(output, trials)]
    found: list[Catch] = []
    for tamper in TAMPERS:
        if flushed and tamper.flushes:
            continue
        if trials.dtype in tamper.dtypes and (trials.mode == "backward" or tamper.above < largest):
            found += [_tried(tamper, output, trials) for output in outputs]
    return found


def _is_whole(output: str, trials: Trials) -> bool:
    """Whether an output holds whole numbers (indices, counts), which are compared exactly."""
    dtypes = {trial.observed.dtypes.get(output, "") for trial in trials}
    return bool(dtypes - {""}) and not dtypes & set(FORMATS)


def _tried(tamper: Tamper, output: str, trials: Trials) -> Catch:
    struck, status, hidden = 0, "agrees", False
    for number, trial in enumerate(trials, start=1):
        if not trial.ran or output not in trial.observed.outputs:
            hidden = hidden or (tamper.calls_for(trial.case) and trial.known_to_raise)
            continue
        before = trial.before if tamper.stale else trial.observed
        wrong = tampered(tamper.change, trial.observed, output, trial.case, before)
        # Bounds are dear: only those of cases are made in which the fault strikes.
        if wrong is None or output not in trial.verdicts:
            continue
        if not trial.sound(output):
            hidden = True  # behind a fault that PyTorch itself is known to have
            continue
        struck += 1
        reported = trial.reported(output, wrong)
        if reported and reported != "known":
            return Catch(trials.dtype, tamper.name, output, number, struck, reported, tamper.value_bound)
        status = reported or ("coarse" if trial.verdicts[output].status == "coarse" else status)
    status = "known" if hidden and not struck else status
    return Catch(trials.dtype, tamper.name, output, 0, struck, status, tamper.value_bound)
