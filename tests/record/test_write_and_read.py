"""What goes into a record comes out of it; what was committed survives; figures are those of the verdicts."""

import math
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from statistics import median

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gradcheck.errors import UsageError
from gradcheck.record.fields import read_verdict, verdict_row
from gradcheck.record.read import PLACE, Record, file_and_run
from gradcheck.record.write import Recorder
from gradcheck.verdict.verdict import STATUSES, Verdict, Witness
from tests.record.synthetic import FACTS, KNOWN, covering, deviating, record, verdict, verdicts

NUMBERS = st.floats(allow_nan=False)
PAIRS = st.lists(st.tuples(st.text(max_size=5), NUMBERS), max_size=3).map(tuple)
WITNESSES = st.builds(
    Witness,
    index=st.lists(st.integers(0, 9), max_size=3).map(tuple),
    inputs=PAIRS, got=NUMBERS, should_be=NUMBERS, bound=NUMBERS,
    exceeding=st.integers(0, 9), elements=st.integers(0, 9), excess=PAIRS,
)  # fmt: skip
WORDS = st.text(st.characters(codec="utf-8"), max_size=20)
VERDICTS = st.builds(
    Verdict,
    **dict.fromkeys(("operation", "mode", "dtype", "device", "layout", "setting", "output", "case"), WORDS),
    **dict.fromkeys(("error_over_bound", "error_over_storage_bound", "ulp", "seconds"), NUMBERS),
    status=st.sampled_from(STATUSES), digest=WORDS, words=WORDS, witness=st.none() | WITNESSES,
    notes=st.lists(WORDS, max_size=2).map(tuple),
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=VERDICTS)
def test_every_field_comes_back(found):
    with closing(sqlite3.connect(":memory:")) as connection:
        row = connection.execute(f"SELECT {', '.join('?' * 10)}", verdict_row(found)).fetchone()
    case = (found.case, found.operation, found.mode, found.dtype, found.device, found.layout, found.setting)
    back = read_verdict(case, row)
    assert back == found
    assert back.seconds == found.seconds


def test_what_was_not_compared_is_not_a_number(tmp_path):
    record(tmp_path / "f.db", [verdict(error_over_bound=math.nan, ulp=math.nan, status="raises")])
    with Record(tmp_path / "f.db") as found:
        (recorded,) = found.verdicts(found.run())
    assert math.isnan(recorded.verdict.error_over_bound)
    assert math.isnan(recorded.verdict.ulp)


def test_a_run_and_its_facts(tmp_path):
    written = record(tmp_path / "f.db")
    with Record(tmp_path / "f.db") as found:
        run = found.run()
    assert run == written
    assert run.facts == FACTS
    assert run.finished is not None
    assert run.device == "cpu"


def test_verdicts_their_entries_and_restrictions(tmp_path):
    given = list(verdicts(outputs=("grad[x]", "value")))
    record(tmp_path / "f.db", given)
    with Record(tmp_path / "f.db") as found:
        run = found.run()
        assert [r.verdict for r in found.verdicts(run)] == given
        assert [r.verdict for r in found.verdicts(run, dtype="float16")] == [v for v in given if v.dtype == "float16"]
        assert all(r.verdict.output == "value" for r in found.verdicts(run, output="value"))
        covered = [r for r in found.verdicts(run) if r.entry]
        assert covered
        assert all(r.entry["reason"] == KNOWN.reason for r in covered)
        (known,) = found.entries(run)
        assert known.verdicts == len(covered)
        assert found.cases(run) == list(dict.fromkeys(v.case for v in given))
        with pytest.raises(UsageError, match="axis 'colour' is not known"):
            list(found.verdicts(run, colour="red"))


@pytest.mark.parametrize("by", [PLACE, ("operation", "output")])
@pytest.mark.parametrize("cases", [1, 4, 5])
def test_figures_are_those_of_the_verdicts(tmp_path, by, cases):
    given = list(verdicts(cases=cases, outputs=("grad[x]", "value")))
    record(tmp_path / "f.db", given)
    groups = {}
    for v in given:
        groups.setdefault(tuple(getattr(v, name) for name in by), []).append(v)
    with Record(tmp_path / "f.db") as found:
        figures = found.figures(found.run(), by)
    assert [tuple(f.place.values()) for f in figures] == list(groups)
    for f, group in zip(figures, groups.values(), strict=True):
        ratios = [v.error_over_bound for v in group]
        assert (f.verdicts, f.cases) == (len(group), len({v.case for v in group}))
        assert (f.worst, f.median) == (max(ratios), median(ratios))
        assert f.worst_storage == max(v.error_over_storage_bound for v in group)
        assert f.statuses == Counter(v.status for v in group)
        assert f.known == sum(covering(v) is not None for v in group)


def test_a_case_judged_twice_in_a_run_counts_once(tmp_path):
    record(tmp_path / "f.db", [verdict(), deviating()])
    with Record(tmp_path / "f.db") as found:
        (recorded,) = found.verdicts(found.run())
    assert recorded.verdict.status == "deviates"


def test_what_waits_is_written_on_leaving_but_the_run_stays_unfinished(tmp_path):
    def interrupted():
        with Recorder(tmp_path / "f.db") as recorder:
            recorder.begin(FACTS, {})
            recorder.add("piece", [(verdict(), None)])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with Record(tmp_path / "f.db") as found:
        run = found.run()
        assert run.finished is None
        assert len(list(found.verdicts(run))) == 1


def test_only_unfinished_runs_are_resumed(tmp_path):
    record(tmp_path / "f.db")
    with Recorder(tmp_path / "f.db") as recorder, pytest.raises(UsageError, match="holds no unfinished run"):
        recorder.resume()


def test_a_full_disk_is_a_sentence_and_the_old_content_stays(tmp_path):
    path = tmp_path / "f.db"
    run = record(path, cases=2)

    def fill():
        with Recorder(path) as recorder:
            pages = recorder._connection.execute("PRAGMA page_count").fetchone()[0]
            recorder._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
            recorder.begin(FACTS, {})
            recorder.add("piece", [(v, None) for v in verdicts(cases=500, seed=1)])
            recorder.finish()

    with pytest.raises(UsageError, match=r"f\.db: there is no room left on the disk"):
        fill()
    with Record(path) as found:
        assert len(list(found.verdicts(found.run(run.uuid)))) == len(list(verdicts(cases=2)))
        assert not list(found.verdicts(found.run("last")))


def test_a_journal_that_a_killed_writer_left_is_rolled_back(tmp_path):
    path, copy = tmp_path / "f.db", tmp_path / "killed.db"
    record(path, cases=2)
    with Recorder(path) as recorder:
        recorder._connection.execute("PRAGMA cache_size = 2")  # what does not fit goes to the disk before the commit
        recorder._connection.execute("BEGIN IMMEDIATE")
        recorder._connection.execute("DELETE FROM verdicts")
        recorder._connection.execute("UPDATE cases SET line = line || line || line")
        shutil.copy(path, copy)
        shutil.copy(f"{path}-journal", f"{copy}-journal")
        recorder._connection.execute("ROLLBACK")
    assert copy.read_bytes() != path.read_bytes()
    with Record(copy) as found:
        assert len(list(found.verdicts(found.run()))) == len(list(verdicts(cases=2)))


@pytest.mark.parametrize(
    ("word", "expected"), [("a.db", ("a.db", "last")), ("a.db:2", ("a.db", "2")), ("b/a.db:last", ("b/a.db", "last"))]
)
def test_a_file_and_a_run(word, expected):
    path, run = file_and_run(word)
    assert (str(path), run) == expected


def test_runs_are_found_by_number_uuid_and_last(tmp_path):
    path = tmp_path / "f.db"
    first, second = record(path), record(path, seed=1, name="9f1c2a44-0000-4000-8000-000000000000")
    with Record(path) as found:
        assert found.run("1") == first
        assert found.run(second.uuid[:8]) == found.run("9f1c") == second
        assert found.run() == second
        # A number that is not there is not taken for the beginning of a uuid.
        with pytest.raises(UsageError, match=r"run '9' is not known; expected 1, 2, the first characters"):
            found.run("9")


def test_a_thing_that_is_replaced_keeps_its_time():
    assert replace(verdict(seconds=1.0), status="coarse").seconds == 1.0
