"""``verify --record``: a run that is killed goes on where it was, and the cases of a run are run again."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing

import pytest
from click.testing import CliRunner

from gradcheck.cases.case import parse_case
from gradcheck.cases.line import line_on
from gradcheck.cli import main
from gradcheck.errors import UsageError
from gradcheck.record.read import Record
from gradcheck.run.listed import listed_pieces, moved_cases
from gradcheck.run.plan import cases_of
from tests.record.synthetic import FACTS, record, verdict

GRADCHECK = [sys.executable, "-m", "gradcheck"]
SELECTION = ["silu", "softplus", "--dtype", "float64", "--dtype", "float32", "--cases", "60"]


def verify(*arguments):
    """The command, in this process: its workers share one forkserver, and so one import of torch."""
    return CliRunner().invoke(main, ["verify", "--jobs", "1", *map(str, arguments)])


def recorded(path, word="last"):
    with Record(path) as found:
        return Counter((r.verdict.case, r.verdict.output, r.verdict.status) for r in found.verdicts(found.run(word)))


def unfinished(path):
    """How many verdicts an unfinished run holds by now; 0 where there is none yet."""
    try:
        with Record(path) as found:
            run = found.run()
            return len(list(found.verdicts(run))) if run.finished is None else 0
    except UsageError:
        return 0


def start_and_kill(path, ready):
    """Start a recorded run, and kill -9 it and its workers as soon as it is ready."""
    command = [*GRADCHECK, "verify", "--jobs", "1", *SELECTION, "--record", str(path)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, start_new_session=True, **quiet) as process:
        try:
            while process.poll() is None and not ready():
                time.sleep(0.05)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL


def last_line(done):
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_and_nothing_is_lost_or_counted_twice(tmp_path):
    killed, whole = tmp_path / "killed.db", tmp_path / "whole.db"
    start_and_kill(killed, lambda: unfinished(killed) > 0)
    before = recorded(killed)
    assert before
    resumed = verify("--record", killed, "--resume")
    assert resumed.exit_code == 0, resumed.output
    at_once = verify(*SELECTION, "--record", whole)
    assert sum(before.values()) < sum(recorded(whole).values())
    assert recorded(killed) == recorded(whole)
    assert max(recorded(killed).values()) == 1
    assert last_line(resumed) == last_line(at_once), "the summary is not that of the whole run"
    with Record(killed) as found:
        assert [run.finished is not None for run in found.runs()] == [True]
        assert all(r.verdict.seconds > 0 for r in found.verdicts(found.run()))
    again = verify("--record", killed, "--resume")
    assert again.exit_code == 2
    assert "holds no unfinished run to resume" in again.output


def test_the_cases_of_a_run_are_run_again(tmp_path):
    path, target = tmp_path / "f.db", tmp_path / "f.json"
    verify("relu", "silu", "--cases", "3", "--dtype", "float32", "--dtype", "float64", "--record", path)
    verify("--cases-from", path, "--record", path)
    assert recorded(path, "1") == recorded(path, "2")
    some = verify("relu", "--dtype", "float32", "--cases-from", f"{path}:1", "--json", target)
    assert some.exit_code == 0, some.output
    lines = {verdict["case"] for verdict in json.loads(target.read_text())["verdicts"]}
    assert lines == {case for case, _, _ in recorded(path) if "relu" in case and "float32" in case}


def test_a_run_of_earlier_cases_goes_on_too(tmp_path):
    """Its cases were noted at its beginning: the earlier record may be gone by now."""
    path, earlier = tmp_path / "f.db", tmp_path / "earlier.db"
    lines = [verdict(number=i).case for i in range(40)]
    record(earlier, [verdict(number=i) for i in range(40)])
    verify("--cases-from", earlier, "--record", path)
    expected = recorded(path)
    assert {case for case, _, _ in expected} == set(lines)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE runs SET finished = NULL")
        connection.execute("DELETE FROM done WHERE piece LIKE '%seed=20 %'")
        connection.execute("DELETE FROM verdicts WHERE case_id IN (SELECT case_id FROM planned WHERE place >= 20)")
    earlier.unlink()
    done = verify("--record", path, "--resume")
    assert done.exit_code == 0, done.output
    assert recorded(path) == expected


def test_another_pytorch_does_not_go_on_with_a_run(tmp_path):
    path = tmp_path / "f.db"
    record(path, finished=False, facts={"torch": "2.0.1"})
    done = verify("--record", path, "--resume")
    assert done.exit_code == 2
    assert "run 1 was begun with" in done.output
    assert "torch 2.0.1 instead of" in done.output
    assert f"--cases-from {path}:1" in done.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--resume"], "--resume needs --record FILE"),
        (["--resume", "--record", "none.db"], "--resume: there is no record none.db"),
        (["relu", "--resume", "--record", "f.db"], "goes on with the run's own selection; leave out NAME"),
        (["--cases", "3", "--resume", "--record", "f.db"], "leave out cases"),
        (["--resume", "--record", "f.db"], "holds no unfinished run"),
        (["--cases-from", "none.db"], "record none.db: there is no such file"),
        (["--cases-from", "f.db:9"], "run '9' is not known; expected 1"),
        (["--cases-from", "f.db", "--cases", "3"], "--cases does not go with --cases-from"),
        (["--cases-from", "f.db", "--mode", "double"], "has no cases of what was asked for"),
        (["--cases-from", "text"], "it is no SQLite file"),
        (["--record", "text"], "it is no SQLite file"),
        (["--record", "nowhere/f.db"], "expected a file in an existing folder"),
    ],
)
def test_wrong_use_is_one_sentence_and_status_2(tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    record("f.db")
    (tmp_path / "text").write_text("no database\n" * 100, encoding="utf-8")
    result = CliRunner().invoke(main, ["verify", *arguments])
    assert result.exit_code == 2
    assert words in result.output
    assert "Traceback" not in result.output


LINES = [
    'nn.functional.gelu(x=near(2, at=(0.0,)), approximate="none") seed=4 dtype=float32 device=cuda layout=sliced',
    "nn.functional.softmax(x=ordinary(3), dim=0) seed=0 dtype=float32 mode=double setting=mkldnn=off",
    "nn.functional.softmax(x=ordinary(3), dim=0) seed=0 dtype=float64 cotangent=ones",
]


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize(
    "axes", [{}, {"device": "cuda:1"}, {"device": "cpu", "setting": "default"}, {"layout": "transposed"}]
)
def test_a_line_is_moved_as_its_case_is(line, axes):
    case = parse_case(line)
    assert line_on(str(case), **axes) == str(case.on(**axes))


def test_listed_cases_are_cut_into_pieces_and_come_out_as_they_went_in():
    lines = [verdict(number=i, dtype=dtype).case for dtype in ("float32", "float64") for i in range(30)]
    pieces = listed_pieces(lines)
    assert [len(piece) for piece in pieces] == [20, 10, 20, 10]
    assert [str(case) for piece in pieces for case in cases_of(piece)] == lines
    assert len({piece.name for piece in pieces}) == len(pieces)


def test_listed_cases_are_chosen_and_moved():
    names = ["nn.functional.gelu", "nn.functional.softmax"]
    chosen, unknown = moved_cases(
        [*LINES, "nothing(x=ordinary(1)) seed=0 dtype=float32"], names, {"dtype": ("float32",)},
        {"device": ("cpu", "cuda:1"), "setting": ("default",)},
    )  # fmt: skip
    assert unknown == ["nothing"]
    assert [parse_case(line).device for line in chosen] == ["cpu", "cuda:1"] * 2
    assert {parse_case(line).setting for line in chosen} == {"default"}


def test_facts_are_those_that_a_record_needs():
    from gradcheck.subject.facts import facts

    assert set(facts()) >= set(FACTS)
