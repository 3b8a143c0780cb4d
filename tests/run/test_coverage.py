"""Coverage of the installed PyTorch: all of nn.functional in full, and a gap is seen."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from gradcheck.cli.coverage import coverage as command
from gradcheck.reference.registry import Reference, reference_named
from gradcheck.run import coverage as module

FUNCTIONAL = [found for found in module.coverage() if found.family == "nn.functional"]


def test_every_function_of_nn_functional_is_covered_in_full() -> None:
    listed = [line.split("\t")[0] for line in module.TABLE.read_text(encoding="utf-8").splitlines()[1:]]
    names = {name for name in listed if name.startswith("nn.functional.")}
    assert len(names) == 99
    covered = {found.name for found in FUNCTIONAL if found.status in ("full", "absent")}
    assert names - covered == set()


def test_layers_that_are_more_than_one_function_are_covered() -> None:
    layers = {
        "nn.RNN", "nn.LSTM", "nn.GRU", "nn.RNNCell", "nn.LSTMCell", "nn.GRUCell", "nn.MultiheadAttention",
        "nn.TransformerEncoderLayer", "nn.TransformerDecoderLayer",
    }  # fmt: skip
    assert {found.name for found in module.coverage() if found.family == "nn" and found.status == "full"} >= layers


def test_a_missing_parameter_and_a_missing_reference_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def poorer(x: object, *, dim: int) -> object:
        return x, dim

    softmax = replace(reference_named("nn.functional.softmax"), function=poorer)
    table: dict[str, Reference] = {"nn.functional.softmax": softmax}
    monkeypatch.setattr(module, "entries", lambda: table)
    found = {name.name: name for name in module.coverage()}
    assert found["nn.functional.softmin"].status == "none"
    # softmax is listed below torch, so that its functional form is an entry of its own here
    assert found["nn.functional.softmax"].status in ("full", "partly")
    gelu = replace(reference_named("nn.functional.gelu"), function=lambda x: (x, None))
    monkeypatch.setattr(module, "entries", lambda: {"nn.functional.gelu": gelu})
    partly = next(name for name in module.coverage() if name.name == "nn.functional.gelu")
    assert (partly.status, partly.missing) == ("partly", ("approximate",))


def test_the_command_prints_families_and_writes_json(tmp_path: object) -> None:
    target = f"{tmp_path}/coverage.json"
    result = CliRunner().invoke(command, ["--json", target])
    assert result.exit_code == 0, result.output
    assert "nn.functional" in result.output
    with open(target, encoding="utf-8") as file:
        names = {entry["name"]: entry["status"] for entry in json.load(file)}
    assert names["nn.functional.gelu"] == "full"
