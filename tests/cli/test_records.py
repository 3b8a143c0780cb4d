"""``gradcheck runs``, ``merge`` and ``diff`` as a user meets them."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from gradcheck.cli import main
from tests.record.synthetic import deviating, record, verdict, verdicts


def call(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)))


def two_runs(path):
    """An upgrade: gelu is wrong in one case, softmax has other bits, relu is as it was."""
    names = ("nn.functional.gelu", "nn.functional.relu", "nn.functional.softmax")
    before = [verdict(operation=name, number=number) for name in names for number in range(5)]
    after = [replace(v, digest="ff") if "softmax" in v.operation else v for v in before]
    after[3] = deviating(7.0, operation=names[0], number=3, digest="ff")
    record(path, before, facts={"torch": "2.9.1+cpu"})
    record(path, after)


def test_runs_are_listed(tmp_path):
    two_runs(tmp_path / "f.db")
    done = call("runs", tmp_path / "f.db")
    assert done.exit_code == 0
    first, second = done.output.splitlines()[1:3]
    assert "2.9.1+cpu" in first
    assert second.split()[-4:] == ["15", "15", "1", "1"]


def test_records_are_merged(tmp_path):
    two_runs(tmp_path / "a.db")
    record(tmp_path / "b.db")
    target = tmp_path / "all.db"
    assert "3 runs" in call("merge", tmp_path / "a.db", tmp_path / "b.db", "-o", target).output
    assert "0 runs and 0 verdicts are new" in call("merge", tmp_path / "a.db", "-o", target).output


def test_a_regression_is_status_1_with_figures_and_a_replay_line(tmp_path):
    path, target = tmp_path / "f.db", tmp_path / "f.json"
    two_runs(path)
    done = call("diff", f"{path}:1", f"{path}:2", "--json", target)
    assert done.exit_code == 1
    assert "torch: 2.9.1+cpu → 2.13.0+cpu" in done.output
    assert "3 compared: 1 wrong, 1 rounding, 1 identical" in done.output
    assert "gradcheck replay 'nn.functional.gelu(x=ordinary(4, 7)) seed=3 dtype=float32'" in done.output
    (row,) = [line for line in done.output.splitlines() if line.startswith("wrong")]
    assert "7" in row
    assert "0 → 1 (1 in the ledger)" in row
    assert json.loads(target.read_text())["counts"] == {"wrong": 1, "rounding": 1, "identical": 1}


def test_the_other_way_round_it_is_mended(tmp_path):
    two_runs(tmp_path / "f.db")
    done = call("diff", f"{tmp_path / 'f.db'}:2", f"{tmp_path / 'f.db'}:1")
    assert done.exit_code == 0
    assert "1 mended" in done.output


def test_markdown_and_annotations(tmp_path):
    two_runs(tmp_path / "f.db")
    page = call("diff", "--last", tmp_path / "f.db", "--markdown", "-").output
    assert "| **wrong** | `nn.functional.gelu` | `float32` | 0.5 | 7 |" in page
    assert "<details><summary>Bits changed, accuracy did not</summary>" in page
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows}) == 1
    lines = call("diff", "--last", tmp_path / "f.db", "--github").output.splitlines()
    (error,) = [line for line in lines if line.startswith("::error")]
    assert error.startswith("::error title=gradcheck%3A wrong::nn.functional.gelu float32: worst error/bound 0.5 → 7")


def test_all_shows_what_is_quiet(tmp_path):
    two_runs(tmp_path / "f.db")
    assert "nn.functional.relu" not in call("diff", "--last", tmp_path / "f.db").output
    shown = call("diff", "--last", tmp_path / "f.db", "--all").output
    assert any(line.split()[:2] == ["identical", "nn.functional.relu"] for line in shown.splitlines())


def test_cases_of_one_run_are_named(tmp_path):
    record(tmp_path / "a.db", list(verdicts()))
    record(tmp_path / "b.db", list(verdicts(operations=("nn.functional.relu",))))
    done = call("diff", tmp_path / "a.db", tmp_path / "b.db")
    assert "not compared: 60 cases of the first run alone (20 of nn.functional.gelu" in done.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["diff"], "a diff is of two runs, FILE[:RUN] each, or --last FILE; 0 are given"),
        (["diff", "f.db"], "1 are given"),
        (["diff", "f.db", "--last", "f.db"], "leave out the other runs"),
        (["diff", "--last", "one.db"], "record one.db holds 1 runs; a diff needs two"),
        (["diff", "f.db:7", "f.db"], "record f.db: run '7' is not known; expected 1, 2, the first characters"),
        (["diff", "none.db", "f.db"], "record none.db: there is no such file"),
        (["diff", "f.db", "f.db", "--factor", "1"], "1.0 is not in the range x>1.0"),
        (["diff", "f.db", "f.db", "--json", "nowhere/x"], "expected a file in an existing folder"),
        (["merge", "f.db"], "Missing option '-o'"),
        (["merge", "none.db", "-o", "new.db"], "record none.db: there is no such file"),
        (["merge", "f.db", "-o", "nowhere/new.db"], "expected a file in an existing folder"),
        (["runs", "text"], "it is no SQLite file, or a damaged one"),
    ],
)
def test_wrong_use_is_one_sentence_and_status_2(tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    two_runs("f.db")
    record("one.db", [verdict()])
    (tmp_path / "text").write_text("no database\n" * 100, encoding="utf-8")
    result = call(*arguments)
    assert result.exit_code == 2
    assert words in result.output
    assert "Traceback" not in result.output
