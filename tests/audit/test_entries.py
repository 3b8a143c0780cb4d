"""The audit of step rules, schedules and what goes around them: a sample is killed, and a blind judge is found out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gradcheck.arithmetic import balls
from gradcheck.audit.entries.killing import entry_fate
from gradcheck.audit.entries.mutants import EntryMutant, entry_mutants
from gradcheck.audit.entries.trials import EntryTrial, EntryTrials, _within_rounding, distance
from gradcheck.audit.entries.worker import audit_entry, bench_of
from gradcheck.audit.findings import Fate, OperationAudit, Plan
from gradcheck.cases.case import parse_case
from gradcheck.cases.corpus import fixed_cases
from gradcheck.reference.registry import Entry, entries, entry_named
from gradcheck.subject.facts import use_one_thread
from gradcheck.verdict.ledger import load_ledger

PLAN = Plan(("float64", "bfloat16"), cases=40, seed=0, sample=6, seeds=1)
SAMPLED = (
    "optim.SGD",
    "optim.lr_scheduler.StepLR",
    "nn.utils.clip_grads_with_norm_",
    "optim.swa_utils.AveragedModel",
    "amp.GradScaler",
)
AUDITED = [name for name, entry in entries().items() if entry.kind not in ("operation", "integer")]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    use_one_thread()


def fates(name: str, cases: int = 24, operator: str = "", before: str = "", after: str = "") -> Iterator[Fate]:
    """Fates, in float64, of the mutants with these words."""
    entry: Any = entry_named(name)
    bench = bench_of(entry)
    corpora = {"float64": EntryTrials(bench, entry, "float64", cases, 0)}
    for mutant in entry_mutants(entry, bench):
        if operator in mutant.operator and before in mutant.before and after in mutant.after:
            yield entry_fate(mutant, corpora)


@pytest.fixture(scope="module", params=SAMPLED)
def audited(request: pytest.FixtureRequest) -> OperationAudit:
    return audit_entry(entry_named(request.param), PLAN)


def test_a_sample_is_killed(audited: OperationAudit) -> None:
    assert not [fate.diff for fate in audited.of("survived")]
    assert audited.of("killed")


def test_tampered_observations_are_noticed(audited: OperationAudit) -> None:
    assert not [catch for catch in audited.tamper_survivors if catch.struck]
    assert sum(catch.cases > 0 for catch in audited.catches) > 10


def test_what_never_struck_is_told_from_what_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one case, what hangs on sizes and layouts has nowhere to strike; a larger corpus is asked whether it would."""
    from gradcheck.audit.entries.catching import entry_catches

    entry: Any = entry_named("optim.SGD")
    trials = EntryTrials(bench_of(entry), entry, "float64", 1, 0)
    trials._trials = trials._trials[:1]
    idle = [catch for catch in entry_catches(trials) if catch.never_struck]
    assert idle
    assert any(catch.within_reach for catch in idle)
    assert not any(catch.survived for catch in idle)
    monkeypatch.setattr(EntryTrials, "further", lambda self: iter(()))
    assert not any(catch.within_reach for catch in entry_catches(trials) if catch.never_struck)


def test_no_error_is_too_large_to_be_reported(audited: OperationAudit) -> None:
    assert audited.sensitivities
    assert all(line.roundoffs < np.inf for line in audited.sensitivities)


@pytest.mark.parametrize("name", AUDITED)
def test_everything_that_is_judged_has_mutants(name: str) -> None:
    entry = entry_named(name)
    found = [mutant for mutant, _ in zip(entry_mutants(entry, bench_of(entry)), range(20), strict=False)]
    assert len(found) >= 5
    assert all(mutant.entry is not entry for mutant in found)


#: What the issue names, as changes of the rules' text: optimizer, before, after
NAMED = [
    ("optim.Adam", "denominator = stored(stored(root / correction) + eps)", "- eps"),
    ("optim.Adam", "if decoupled_weight_decay:", "if False:"),
    ("optim.Adam", "grad = -grad if maximize else grad", "grad = grad if maximize else grad"),
    ("optim.SGD", "buffer = stored(state.momentum_buffer * momentum)", "1.0 + dampening"),
    ("optim.lr_scheduler.ExponentialLR", "return {'lr': lr * gamma ** t}", "gamma * gamma"),
]


@pytest.mark.parametrize(("name", "before", "after"), NAMED[:4])
def test_a_mutant_of_a_rule_is_killed(name: str, before: str, after: str) -> None:
    found = list(fates(name, cases=40, before=before, after=after))
    assert found
    for fate in found:
        assert fate.kind == "killed"
        assert fate.kills["float64"].case.startswith(name)


@pytest.mark.parametrize(("every", "dtypes"), [(False, ["float64"]), (True, ["float64", "float32"])], ids=str)
def test_the_first_dtype_that_kills_a_rule_is_enough(every: bool, dtypes: list[str]) -> None:
    entry: Any = entry_named("optim.SGD")
    bench = bench_of(entry)
    corpora = {dtype: EntryTrials(bench, entry, dtype, 1, 0) for dtype in ("float64", "float32")}
    wrong = next(m for m in entry_mutants(entry, bench) if m.operator == "sign" and "param" in m.before)
    assert list(entry_fate(wrong, corpora, every).kills) == dtypes


def test_a_wrong_route_is_shown_by_the_certificate() -> None:
    """A route that is another schedule widens nothing, so PyTorch alone cannot show it."""
    found = list(fates("optim.lr_scheduler.ExponentialLR", cases=8, before="return lr * gamma if t > 0 else lr"))
    ways = {kill.how for fate in found for kill in fate.kills.values()}
    assert {fate.kind for fate in found} <= {"killed", "equivalent", "bound only"}
    assert any("two schedules" in how for how in ways)


def test_a_formula_that_decides_nothing_does_not_survive() -> None:
    """A line search that looks at one point finds every decision hanging on rounding, and is judged nowhere."""
    words = {"operator": "dropped", "before": "start + step * direction", "after": "objective(start)"}
    (fate,) = fates("optim.LBFGS", cases=40, **words)
    assert (fate.kind, fate.kills["float64"].how) == ("killed", "by contract")


ONE_MORE = "optim.lr_scheduler.OneCycleLR(max_lr=0.1, total_steps=10, steps=10) seed=0 dtype=float64 mode=step"


def test_a_formula_that_follows_a_known_deviation_is_shown() -> None:
    """It would make the ledger stale, where PyTorch cannot look wrong by it."""
    entry = entry_named("optim.lr_scheduler.OneCycleLR")
    bench = bench_of(entry)
    wrong = [m.entry for m in entry_mutants(entry, bench) if m.after.endswith("number(1.0, max_lr) * t")]
    trial = EntryTrial(bench, entry, parse_case(ONE_MORE), load_ledger())
    assert [trial.shown(one, thorough=True) for one in wrong] == [
        "lr agrees, where the ledger knows that PyTorch deviates"
    ]
    assert not trial.shown(entry, thorough=True)


@pytest.mark.parametrize(
    ("name", "after"),
    [("Adam", "np.sign(float(weight)) < 0.5:"), ("Adam", "< 0.5000076"), ("ASGD", "float(mu) == 1.00001")],
)
def test_two_formulas_that_special_gradients_alone_tell_apart(name: str, after: str) -> None:
    entry = entry_named(f"optim.{name}")
    bench = bench_of(entry)
    wrong = [m.entry for m in entry_mutants(entry, bench) if after in m.after]
    cases = [case for case in fixed_cases(entry, "float64", 0, "loop") if case.specs["grad0"].kind == "special"]
    assert len(wrong) == 1
    assert any(EntryTrial(bench, entry, case, load_ledger()).shown(wrong[0], thorough=True) for case in cases)


def test_equal_values_are_recognised() -> None:
    """``stored`` changes no value; a mutant that puts operands the other way round is no fault."""
    entry: Any = entry_named("optim.SGD")
    bench = bench_of(entry)
    corpora = {"float64": EntryTrials(bench, entry, "float64", 8, 0)}

    def commuted(param: Any, grad: Any, state: Any, t: Any, **options: Any) -> Any:
        after, kept = entry.function(param, grad, state, t, **options)
        return 1.0 * after, kept

    commuted.__signature__ = __import__("inspect").signature(entry.function)  # type: ignore[attr-defined]
    same = EntryMutant(replace(entry, function=commuted), "operator", "sgd", 1, "a", "1.0 * a")
    assert entry_fate(same, corpora).kind in ("equivalent", "bound only")


def test_a_quotient_that_rounds_alike_changes_bounds_only() -> None:
    """Of whole numbers, before it enters the arithmetic: the same number in float64, and another one exactly."""
    words = {"operator": "dropped", "before": "* since / length", "after": "cosine(since / length)"}
    (fate,) = fates("optim.lr_scheduler.CosineAnnealingWarmRestarts", cases=8, **words)
    assert fate.kind == "bound only"
    assert "same values in float64" in fate.reason


@pytest.mark.parametrize(("bounds", "hidden"), [({"lr": 0.5}, True), ({"lr": 0.125}, False), ({}, False)], ids=str)
def test_only_rounding_hides_a_difference(bounds: dict[str, float], hidden: bool) -> None:
    own, other = ({"lr": balls(np.array([value])).array} for value in (1.0, 1.25))
    assert _within_rounding(own, other, {name: np.array(bound) for name, bound in bounds.items()}) is hidden
    assert _within_rounding(own, own, {})


def test_a_fault_on_another_device_is_not_called_equivalent() -> None:
    """Capturable steps run on CUDA alone; nothing here can show what is wrong with them."""
    found = list(fates("optim.Adamax", cases=8, before="stored(exp_inf) * (-correction / lr)", operator="sign"))
    assert [fate.kind for fate in found] == ["elsewhere"] * len(found)
    assert found


def test_a_blind_judge_leaves_survivors(monkeypatch: pytest.MonkeyPatch) -> None:
    from gradcheck.audit.entries.steps import StepBench

    sighted = StepBench.judge

    def blind(self: Any, entry: Entry, *more: Any) -> Any:
        return [replace(verdict, status="agrees", witness=None) for verdict in sighted(self, entry, *more)]

    monkeypatch.setattr(StepBench, "judge", blind)
    done = audit_entry(entry_named("optim.SGD"), replace(PLAN, dtypes=("float64",), cases=8))
    assert len(done.of("survived")) >= 3
    assert len([catch for catch in done.tamper_survivors if catch.struck]) > 5


def test_distances_of_outputs() -> None:
    own = {"param": np.array([1.0, np.nan, np.inf])}
    assert distance(own, {"param": np.array([1.0, np.nan, np.inf])}) == 0.0
    assert distance(own, {"param": np.array([0.75, np.nan, np.inf])}) == 0.25
    assert distance(own, {"param": np.array([1.0, 0.0, np.inf])}) == np.inf
    assert distance(own, {"other": np.array([1.0])}) == np.inf
