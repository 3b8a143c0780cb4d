"""What a run says of the ledger: which entries nothing shows any more, and which are too small."""

from dataclasses import replace

import pytest
from packaging.specifiers import SpecifierSet

from gradcheck.run.summary import Summary
from gradcheck.run.usage import exceeded, shows, unseen
from gradcheck.verdict.ledger import Ledger
from tests.record.synthetic import KNOWN, deviating, verdict

GELU = {"operation": KNOWN.operation, "dtype": "float32"}


def used(found, *known):
    summary = Summary(Ledger(known or (KNOWN,), "2.13.0"))
    summary.add(found)
    return summary


def test_an_entry_that_covers_something_is_seen():
    assert unseen(used([deviating(**GELU)])) == []


def test_an_entry_that_could_have_and_did_not_is_unseen():
    assert unseen(used([verdict(**GELU)])) == [KNOWN]


def test_one_that_covers_the_second_excess_of_a_verdict_is_seen():
    second = replace(KNOWN, element="nan")
    bad = deviating(**GELU)
    bad = replace(bad, witness=replace(bad.witness, excess=(("ordinary", 4.0), ("nan", 5.0))))
    assert unseen(used([bad], KNOWN, second)) == []


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        (KNOWN, verdict(operation="nn.functional.relu")),
        (KNOWN, verdict(**{**GELU, "dtype": "float64"})),
        (KNOWN, verdict(**GELU, device="cuda:0")),
        (KNOWN, verdict(**GELU, mode="double")),
        (KNOWN, verdict(**GELU, status="unsupported")),
        (KNOWN, verdict(**GELU, status="absent")),
        (replace(KNOWN, dtypes=("float32", "float16")), verdict(**GELU)),
        (replace(KNOWN, mode=("backward", "forward")), verdict(**GELU)),
        (replace(KNOWN, operation="nn.functional.*"), verdict(**GELU)),
        (replace(KNOWN, torch=SpecifierSet("<2.13")), verdict(**GELU)),
        (replace(KNOWN, cpu="no_such_instructions"), verdict(**GELU)),
        (replace(KNOWN, setting="mkldnn=off"), verdict(**GELU)),
    ],
)
def test_an_entry_of_which_not_all_was_judged_is_not_unseen(entry, found):
    assert unseen(used([found], entry)) == []


def test_an_entry_that_is_too_small_is_named_with_the_worst():
    summary = used([deviating(6.0, **GELU), deviating(60.0, number=1, **GELU), deviating(7.0, number=2, **GELU)])
    assert {entry: found.error_over_bound for entry, found in exceeded(summary).items()} == {KNOWN: 60.0}
    assert exceeded(used([deviating(5.0, **GELU)])) == {}
    assert exceeded(used([deviating(60.0, operation="nn.functional.relu")])) == {}


def test_an_entry_is_shown_by_what_it_is_about_alone():
    ledger = Ledger([KNOWN], "2.13.0")
    assert shows(ledger, KNOWN, [verdict(**GELU), deviating(3.0, **GELU)])
    assert not shows(ledger, KNOWN, [verdict(**GELU)])
    assert not shows(ledger, KNOWN, [deviating(3.0, operation="nn.functional.relu")])
    assert not shows(ledger, replace(KNOWN, element="nan"), [deviating(3.0, **GELU)])
