"""``gradcheck audit`` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gradcheck.audit import report
from gradcheck.cli import main


def call(*arguments: str) -> Any:
    return CliRunner().invoke(main, ["audit", *arguments])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rellu"], "did you mean nn.functional.relu"),
        (["relu", "--mode", "sideways"], "mode 'sideways' is not known; expected backward"),
        (["tanh", "--mode", "inplace", "--sample", "1", "--cases", "1", "--jobs", "1"], "nothing to audit"),
        (["relu", "--seeds", "0"], "0 is not in the range"),
    ],
)
def test_wrong_use_is_one_sentence_and_status_2(arguments: list[str], words: str) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert words in result.output
    assert "Traceback" not in result.output


def test_an_audit_in_modes_names_them(tmp_path: Path) -> None:
    target = tmp_path / "audit.json"
    result = call(
        "softsign", "--mode", "forward", "--mode", "double", "--sample", "3", "--cases", "8", "--jobs", "1",
        "--json", str(target),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "forward" in result.output
    assert {row["mode"] for row in json.loads(target.read_text())["rows"]} == {"forward", "double"}


def test_what_was_done_before_an_interrupt_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, target = report._audited, tmp_path / "audit.json"

    def interrupted(entry: Any, *more: Any) -> Any:
        if entry.name.endswith("relu6"):
            raise KeyboardInterrupt
        return whole(entry, *more)

    monkeypatch.setattr(report, "_audited", interrupted)
    result = call("relu", "relu6", "--sample", "3", "--cases", "4", "--jobs", "1", "--json", str(target))
    assert result.exit_code == 130
    assert "audit interrupted; 1 of 2 audits were done" in result.output
    assert {row["operation"] for row in json.loads(target.read_text())["rows"]} == {"nn.functional.relu"}
