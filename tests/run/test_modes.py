"""The table of operations and modes: no cell is missing, each status can show, and PyTorch's claims are compared."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from gradcheck.cli.coverage import coverage as command
from gradcheck.reference.registry import reference_named, references
from gradcheck.run.modes import MARKS, MODES, Cell, cells, claims, compared_words, markdown, mode_pieces
from gradcheck.run.plan import cases_of
from gradcheck.verdict.ledger import Ledger, load_ledger
from gradcheck.verdict.verdict import Verdict

LINEAR = reference_named("nn.functional.linear")


def verdict(mode: str, status: str, output: str = "value", words: str = "") -> Verdict:
    nan = float("nan")
    places = {"device": "cpu", "layout": "contiguous", "setting": "default", "dtype": "float32"}
    case = f"nn.functional.linear(x=ordinary(2)) seed=0 dtype=float32 mode={mode}"
    return Verdict(
        operation=LINEAR.name, mode=mode, output=output, status=status, error_over_bound=nan,
        error_over_storage_bound=nan, ulp=nan, case=case, digest="", words=words, **places,
    )  # fmt: skip


def status_of(*verdicts: Verdict) -> str:
    return cells([LINEAR], verdicts, load_ledger())[0].status


def test_every_operation_has_a_cell_in_every_mode_whatever_was_judged() -> None:
    entries = list(references().values())
    found = cells(entries, [], Ledger([], "2.13.0"))
    assert {(cell.operation, cell.mode) for cell in found} == {(e.name, mode) for e in entries for mode in MODES}
    assert {cell.status for cell in found} == {"not judged"}


def test_every_cell_is_planned() -> None:
    entries = list(references().values())
    planned = {(piece.operation, mode) for piece in mode_pieces(entries, "float32", 2) for mode in piece.modes}
    assert planned == {(entry.name, mode) for entry in entries for mode in MODES}
    for piece in mode_pieces([LINEAR], "float32", 2):
        assert [case.mode for case in cases_of(piece)] == list(piece.modes) * 2


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [
        ([("agrees", ""), ("coarse", "")], "agrees"),
        ([("agrees", ""), ("unsupported", "no kernel")], "partly"),
        ([("unsupported", "no kernel")], "unsupported"),
        ([("agrees", ""), ("raises", "mat2 must be a matrix, got 1-D tensor")], "known deviation"),
        ([("raises", "mat2 must be a matrix, got 1-D tensor"), ("raises", "something new")], "deviates"),
        ([("deviates", "")], "deviates"),
        ([("crashed", "")], "deviates"),
    ],
)
def test_the_status_of_a_cell(verdicts: list[tuple[str, str]], status: str) -> None:
    assert status_of(*(verdict("backward", word, words=words) for word, words in verdicts)) == status


def test_what_pytorch_claims_is_compared() -> None:
    def seen(forward: str) -> list[Cell]:
        return [Cell(LINEAR.name, "forward", forward, "in its words"), Cell(LINEAR.name, "double", "agrees")]

    assert list(claims(seen("agrees"))) == []
    (claim,) = claims(seen("unsupported"))
    assert (claim.column, claim.claimed, claim.seen, claim.words) == (
        "forward mode", "yes", "unsupported", "in its words",
    )  # fmt: skip
    assert "2 claims" in compared_words(seen("unsupported"))
    assert "; 1 are as it says." in compared_words(seen("unsupported"))
    assert "; 2 are as it says." in markdown(seen("agrees"), "Modes")


def test_the_page_says_every_cell_that_does_not_agree_in_words() -> None:
    found = [Cell(LINEAR.name, mode, "agrees") for mode in MODES[:-1]]
    page = markdown([*found, Cell(LINEAR.name, MODES[-1], "unsupported", "no such kernel")], "Modes")
    assert f"nn.functional.linear in {MODES[-1]}: no such kernel" in page
    assert f"| {MARKS['unsupported']} |" in page


def test_the_command_judges_and_writes_the_table(tmp_path: Any) -> None:
    target, page = tmp_path / "modes.json", tmp_path / "modes.md"
    words = ["--modes", "silu", "--cases", "1", "--jobs", "1", "--json", str(target), "--markdown", str(page)]
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 0, result.output
    found = json.loads(target.read_text(encoding="utf-8"))["cells"]
    assert [cell["mode"] for cell in found] == list(MODES)
    statuses = {cell["mode"]: cell["status"] for cell in found}
    assert set(statuses.values()) == {"agrees", "unsupported"}
    assert (statuses["backward"], statuses["double"], statuses["out"]) == ("agrees", "agrees", "unsupported")
    assert "| nn.functional.silu |" in page.read_text(encoding="utf-8")


def test_names_belong_to_the_table_of_modes() -> None:
    result = CliRunner().invoke(command, ["silu"])
    assert result.exit_code != 0
    assert "belong to --modes" in str(result.exception)
