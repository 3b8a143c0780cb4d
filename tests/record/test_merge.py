"""Merging: nothing lost, nothing twice, in any order, as often as one likes; a failure leaves the target as it was."""

import shutil

import pytest

from gradcheck.errors import UsageError
from gradcheck.record.files import open_to_write
from gradcheck.record.merge import Merged, merge
from gradcheck.record.read import Record
from gradcheck.record.write import Recorder
from tests.record.synthetic import FACTS, record, verdict, verdicts
from tests.record.test_schema import damaged, foreign, newer, old, text

__all__ = ["old"]


def content(path):
    """Everything a record says, whatever its row numbers are."""
    with Record(path) as found:
        return {
            run.uuid: (
                run.finished, run.facts, run.selection, sorted(found.cases(run)),
                sorted((str(r.verdict), r.verdict.seconds, str(r.entry)) for r in found.verdicts(run)),
            )
            for run in found.runs()
        }  # fmt: skip


@pytest.fixture
def two(tmp_path):
    first, second = tmp_path / "a.db", tmp_path / "b.db"
    record(first, seed=1)
    record(second, seed=2, cases=7)
    record(second, seed=3, dtypes=("float16",))
    return first, second


def test_all_runs_are_there_once(two, tmp_path):
    target = tmp_path / "all.db"
    done = merge(two, target)
    assert content(target) == content(two[0]) | content(two[1])
    assert done == Merged(3, done.verdicts, 3, done.verdicts)
    assert merge(two, target) == Merged(3, done.verdicts, 0, 0)
    assert content(target) == content(two[0]) | content(two[1])


def test_the_order_does_not_matter(two, tmp_path):
    merge(two, tmp_path / "ab.db")
    merge(two[::-1], tmp_path / "ba.db")
    assert content(tmp_path / "ab.db") == content(tmp_path / "ba.db")


def test_into_one_of_them(two):
    expected = content(two[0]) | content(two[1])
    merge(two, two[0])
    assert content(two[0]) == expected


def test_many_at_once(tmp_path):
    paths = [tmp_path / f"{i}.db" for i in range(23)]
    for i, path in enumerate(paths):
        record(path, [verdict(number=i)])
    assert merge(paths, tmp_path / "all.db") == Merged(23, 23, 23, 23)


def test_an_unfinished_run_that_went_on_elsewhere_is_completed(tmp_path):
    cut, whole = tmp_path / "cut.db", tmp_path / "whole.db"
    found = list(verdicts())
    with Recorder(cut) as recorder:
        recorder.begin(FACTS, {})
        recorder.add("first", [(v, None) for v in found[:10]])
    shutil.copy(cut, whole)
    with Recorder(whole) as recorder:
        recorder.resume()
        recorder.add("second", [(v, None) for v in found[10:]])
        recorder.finish()
    for sources, target in (((whole,), cut), ((cut, whole), tmp_path / "new.db")):
        merge(sources, target)
        assert content(target) == content(whole)


def test_an_old_record_is_merged_and_not_changed(old, tmp_path):
    before = old.read_bytes()
    merge([old], tmp_path / "new.db")
    assert content(tmp_path / "new.db") == content(old)
    assert old.read_bytes() == before


@pytest.mark.parametrize("make", [damaged, foreign, newer, text])
def test_what_is_no_record_leaves_the_target_as_it_was(tmp_path, make):
    target, wrong = tmp_path / "all.db", tmp_path / "wrong.db"
    record(target)
    make(wrong)
    before = content(target)
    with pytest.raises(UsageError, match=r"wrong\.db|all\.db"):
        merge([wrong], target)
    assert content(target) == before
    with pytest.raises(UsageError):
        merge([wrong], tmp_path / "new.db")
    assert not (tmp_path / "new.db").exists()


def test_a_full_disk_leaves_the_target_as_it_was(two, monkeypatch):
    before = content(two[0])

    def nearly_full(path):
        connection = open_to_write(path)
        connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0] + 1}")
        return connection

    monkeypatch.setattr("gradcheck.record.merge.open_to_write", nearly_full)
    with pytest.raises(UsageError, match="there is no room left on the disk"):
        merge([two[1]], two[0])
    assert content(two[0]) == before


def test_runs_of_one_case_share_its_line(tmp_path):
    record(tmp_path / "a.db", [verdict()])
    record(tmp_path / "b.db", [verdict(digest="11")])
    merge([tmp_path / "a.db", tmp_path / "b.db"], tmp_path / "c.db")
    with Record(tmp_path / "c.db") as found:
        assert next(found.rows("SELECT count(*) FROM cases")) == (1,)
        assert [next(found.verdicts(run)).verdict.digest for run in found.runs()] == ["00", "11"]
