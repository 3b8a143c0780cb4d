"""The words of a comparison: what each means, that nothing changes in itself, and that swapping swaps."""

import json
import math
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcheck.record.compare import REGRESSED, changes_of, compare
from gradcheck.record.pairs import Finding, Pair
from gradcheck.record.read import PLACE, Record
from tests.record.synthetic import deviating, record, verdict, verdicts

SWAPPED = {
    "wrong": "mended", "vanished": "appeared", "less accurate": "more accurate", "rounding": "rounding",
    "identical": "identical",
}  # fmt: skip
SWAPPED |= {after: before for before, after in SWAPPED.items()}


def compared(folder, before, after, facts=({}, {}), factor=2.0):
    """The comparison of two runs of verdicts."""
    for name, found, about in zip(("a.db", "b.db"), (before, after), facts, strict=True):
        (folder / name).unlink(missing_ok=True)
        record(folder / name, found, facts=about)
    with Record(folder / "a.db") as first, Record(folder / "b.db") as second:
        return compare(first, first.run(), second, second.run(), factor)


def bits(found, **fields):
    return replace(found, digest="ff", **fields)


def numbered(count=10, **fields):
    return [verdict(number=number, **fields) for number in range(count)]


RAISES = {"status": "raises", "error_over_bound": math.nan, "digest": ""}
UNSUPPORTED = {**RAISES, "status": "unsupported"}
ABSENT = {**RAISES, "status": "absent"}
CHANGES = {
    "identical": numbered(),
    "rounding": [bits(v) for v in numbered()],
    "rounding within the factor": [bits(v, error_over_bound=0.9) for v in numbered()],
    "wrong": [*numbered(9), deviating(number=9, digest="ff")],
    "wrong: raises": [*numbered(9), verdict(number=9, **RAISES)],
    "wrong: crashed": [*numbered(9), verdict(number=9, **{**RAISES, "status": "crashed"})],
    "vanished": [*numbered(9), verdict(number=9, **UNSUPPORTED)],
    "vanished: absent": [verdict(number=number, **ABSENT) for number in range(10)],
    "less accurate: worst": [*numbered(9), verdict(number=9, digest="ff", error_over_bound=1.01, status="coarse")],
    "less accurate: worst and typical": [bits(v, error_over_bound=1.01) for v in numbered()],
    "more accurate: typical": [bits(v, error_over_bound=0.24) for v in numbered(9)] + numbered(10)[9:],
    "more accurate: worst and typical": [bits(v, error_over_bound=0.0) for v in numbered()],
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_word(tmp_path, name):
    word, _, reason = name.partition(": ")
    (change,) = compared(tmp_path, numbered(), CHANGES[name]).changes
    assert change.word == word.removesuffix(" within the factor")
    if "accurate" in word:
        assert change.reason == reason
    assert change.regressed == (change.word in REGRESSED)
    assert (change.case != "") == (word != "identical")
    (back,) = compared(tmp_path, CHANGES[name], numbered()).changes
    assert back.word == SWAPPED[change.word]


def test_the_factor_decides_on_accuracy(tmp_path):
    after = [bits(v, error_over_bound=0.9) for v in numbered()]
    (change,) = compared(tmp_path, numbered(), after, factor=1.7).changes
    assert change.word == "less accurate"


def test_accuracy_that_moves_while_bits_do_not_is_the_reference_s(tmp_path):
    found = compared(tmp_path, numbered(), numbered(error_over_bound=0.01), ({}, {"gradcheck": "0.2.0"}))
    assert [change.word for change in found.changes] == ["identical"]
    assert found.warnings == ["gradcheck differs (0.1.0 → 0.2.0): references may"]


def test_what_was_wrong_and_is_more_so_is_less_accurate(tmp_path):
    (change,) = compared(tmp_path, [deviating(3.0)], [deviating(9.0, digest="ff")]).changes
    assert (change.word, change.before.wrong, change.after.wrong) == ("less accurate", 1, 1)
    assert change.after.worst == 9.0


def test_what_was_refused_and_is_now_wrong_is_wrong(tmp_path):
    (change,) = compared(tmp_path, [verdict(**UNSUPPORTED)], [deviating()]).changes
    assert change.word == "wrong"
    (change,) = compared(tmp_path, [verdict(**RAISES)], [verdict(**ABSENT)]).changes
    assert change.word == "mended"


def test_where_some_is_mended_and_some_is_wrong_it_is_wrong_in_either_order(tmp_path):
    one = [deviating(number=0), verdict(number=1)]
    other = [verdict(number=0), deviating(number=1)]
    for before, after in ((one, other), (other, one)):
        (change,) = compared(tmp_path, before, after).changes
        assert change.words == ("wrong", "mended")


def test_an_exception_stands_for_all_outputs(tmp_path):
    before = [verdict(output=output) for output in ("grad[x]", "state", "value")]
    (change,) = compared(tmp_path, before, [verdict(output="param", **RAISES)]).changes
    assert (change.word, change.pairs) == ("wrong", 3)
    (change,) = compared(tmp_path, [verdict(output="value", **RAISES)], [verdict(output="param", **RAISES)]).changes
    assert (change.word, change.pairs) == ("identical", 1)


def test_the_shown_case_is_the_worst(tmp_path):
    after = [*numbered(8), deviating(2.0, number=8), deviating(30.0, number=9)]
    (change,) = compared(tmp_path, numbered(), after).changes
    assert "seed=9 " in change.case


def test_cases_of_one_run_are_counted_and_named(tmp_path):
    before = [*numbered(5), *numbered(3, operation="nn.functional.gelu")]
    found = compared(tmp_path, before, numbered(9))
    assert [change.pairs for change in found.changes] == [5]
    assert found.alone == {"before": Counter({"nn.functional.gelu": 3}), "after": Counter({"nn.functional.relu": 4})}


def test_nothing_in_common_is_said(tmp_path):
    found = compared(tmp_path, numbered(), numbered(operation="nn.functional.gelu"))
    assert found.warnings == ["the runs have no case in common"]
    assert not found.changes


@pytest.mark.parametrize(("axis", "word"), [("setting", "mkldnn=off"), ("device", "cuda:0")])
def test_runs_that_lie_elsewhere_on_an_axis_throughout_are_compared_across_it(tmp_path, axis, word):
    default = getattr(verdict(), axis)
    found = compared(tmp_path, numbered(), [bits(v) for v in numbered(**{axis: word})])
    assert found.across == {axis: (default, word)}
    (change,) = found.changes
    assert (change.word, change.pairs, change.place[axis]) == ("rounding", 10, f"{default} → {word}")
    assert f"{axis}={word}" in change.case


def test_several_settings_are_compared_each_with_itself(tmp_path):
    both = [*numbered(), *numbered(setting="tf32")]
    found = compared(tmp_path, both, [*numbered(), *(bits(v) for v in numbered(setting="tf32"))])
    assert not found.across
    assert {change.place["setting"]: change.word for change in found.changes} == {
        "default": "identical",
        "tf32": "rounding",
    }


def test_hardware_is_said_first(tmp_path):
    facts = ({}, {"cpu_capability": "DEFAULT", "devices": {"cpu": {"name": "other", "driver": ""}}, "torch": "2.0.1"})
    found = compared(tmp_path, numbered(), numbered(), facts)
    assert [words.split(" differs")[0] for words in found.warnings] == ["the CPU capability", "the device"]
    assert found.differences["torch"] == ("2.13.0+cpu", "2.0.1")


def test_two_runs_of_one_file(tmp_path):
    record(tmp_path / "f.db", numbered())
    record(tmp_path / "f.db", [bits(v) for v in numbered()])
    with Record(tmp_path / "f.db") as found:
        done = compare(found, found.run("1"), found, found.run("2"))
    assert done.counts == {"rounding": 1}


def test_a_planted_regression_is_found_and_named(tmp_path):
    """Among a thousand verdicts with other bits and accuracies that move both ways within the factor, one is wrong."""
    before = list(verdicts(seed=1, cases=30))
    after = [bits(v, error_over_bound=v.error_over_bound * (1.5 if i % 2 else 0.7)) for i, v in enumerate(before)]
    place = next(i for i, v in enumerate(before) if v.operation == "nn.functional.softmax" and v.status == "agrees")
    after[place] = replace(after[place], status="deviates", error_over_bound=1.2)
    found = compared(tmp_path, before, after)
    assert [(c.word, c.place["operation"], c.place["dtype"]) for c in found.regressed] == [
        ("wrong", before[place].operation, before[place].dtype)
    ]
    assert found.regressed[0].case == before[place].case


def test_json_is_plain(tmp_path):
    found = compared(tmp_path, numbered(), [bits(v, error_over_bound=math.inf, status="deviates") for v in numbered()])
    content = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert content["counts"] == {"wrong": 1}
    assert content["changes"][0]["after"]["worst"] == "inf"


SEEN = st.tuples(
    st.sampled_from(["agrees", "coarse", "deviates"]),
    st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0, 3.0, math.inf]),
    st.sampled_from("ab"),
)
UNSEEN = st.tuples(st.sampled_from(["raises", "crashed", "unsupported", "absent"]), st.none(), st.just(""))
FINDINGS = (SEEN | UNSEEN).map(lambda fields: Finding("case", "value", *fields, known=False))
FOUND = st.lists(
    st.builds(
        Pair, place=st.sampled_from("ab").map(lambda word: (word,) * len(PLACE)), output=st.just("value"),
        before=FINDINGS, after=FINDINGS,
    ),
    max_size=8,
)  # fmt: skip


@given(found=st.lists(FINDINGS))
def test_nothing_changes_in_itself(found):
    pairs = [Pair(("a",) * len(PLACE), "value", one, one) for one in found]
    assert {change.words for change in changes_of(pairs)} <= {("identical",)}


@given(found=FOUND, factor=st.floats(1.01, 100.0))
def test_swapped_runs_swap_words(found, factor):
    forth = changes_of(found, factor)
    back = changes_of([replace(pair, before=pair.after, after=pair.before) for pair in found], factor)
    for change, other in zip(forth, back, strict=True):
        assert {SWAPPED[word] for word in change.words} == set(other.words)
        assert (change.before, change.after, change.changed) == (other.after, other.before, other.changed)


@given(found=FOUND)
def test_nothing_regressed_is_lost_among_what_did_not(found):
    """A place with a pair that is wrong now says so first, whatever else happened there."""
    for change in changes_of(found):
        pairs = [pair for pair in found if pair.place == tuple(change.place.values())]
        broken = any(p.before.status not in WRONG and p.after.status in WRONG for p in pairs)
        assert (change.word == "wrong") == broken
        assert change.regressed == bool(set(change.words) & set(REGRESSED))


WRONG = ("deviates", "raises", "crashed", "timed out")
