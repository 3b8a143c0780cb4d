"""``gradcheck walkthrough`` as a user meets it."""

from __future__ import annotations

import sys

import pytest
from click.testing import CliRunner

from gradcheck.cli import main
from gradcheck.walkthrough import drawing, seed_000


def call(*arguments):
    return CliRunner().invoke(main, ["walkthrough", *arguments])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["linear_regresion"], "walkthrough 'linear_regresion' is not known; did you mean linear_regression"),
        (["005"], "walkthrough '005' is not known; did you mean 00"),
        (["xyzzy"], "walkthrough 'xyzzy' is not known; expected linear_regression, "),
        (["000", "--device", "tpu"], "device 'tpu' is not known"),
        (["000", "--plot", "losses.txt"], "--plot 'losses.txt': expected a file that ends in .png, .svg, .pdf"),
        (["000", "--plot", "/nowhere/losses.png"], "expected a file in an existing folder"),
        (["000", "--graph", "graph.gif"], "--graph 'graph.gif': expected a file that ends in .dot, .png"),
    ],
)
def test_wrong_use_is_one_sentence_and_status_2(arguments, words):
    result = call(*arguments)
    assert result.exit_code == 2
    assert words in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("package", "arguments"),
    [("matplotlib", ["--plot", "losses.png"]), ("graphviz", ["--graph", "graph.png"])],
)
def test_a_missing_package_is_said_before_anything_runs(monkeypatch, package, arguments):
    monkeypatch.setitem(sys.modules, package, None)
    result = call("000", *arguments)
    assert result.exit_code == 2
    assert f"{package}, which is not installed; install it with `pip install 'gradcheck[plot]'`" in result.output


def test_a_missing_program_is_said_too(monkeypatch):
    pytest.importorskip("graphviz", reason="graphviz is an optional extra and is not installed here")
    monkeypatch.setattr(drawing.shutil, "which", lambda name: None)
    result = call("000", "--graph", "graph.png")
    assert result.exit_code == 2
    assert "needs graphviz's program dot, which is not there" in result.output


def test_a_walkthrough_by_name_shows_its_tables_and_the_tally():
    result = call("seed_000")
    assert result.exit_code == 0, result.output
    assert "000 without accumulation" in result.output
    assert "printed" in result.output
    assert "by hand" in result.output
    assert result.output.count("0.7001") == 3
    assert "32" in result.output.splitlines()[-1]


def test_a_figure_that_is_not_reproduced_is_named_and_fails(monkeypatch):
    monkeypatch.setattr(seed_000, "RATE", 1.01e-3)
    result = call("000")
    assert result.exit_code == 1
    assert "000: line 84, without accumulation, 1, loss: printed 0.7001, by hand 0.6" in result.output


def test_a_pipeline_by_name_shows_its_rungs():
    result = call("linear_regression")
    assert result.exit_code == 0, result.output
    assert "module and loader" in result.output
    assert "accumulation over 4" in result.output
    assert "0 deviate" in result.output


def test_a_deviating_pipeline_fails(monkeypatch):
    from gradcheck.subject.training import LossAndOptimizer

    monkeypatch.setattr(LossAndOptimizer, "zero", lambda self: None)
    result = call("linear_regression")
    assert result.exit_code == 1
    assert "the gradient was not zeroed" in result.output


def test_the_graph_is_written_as_dot_without_graphviz(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "graphviz", None)
    target = tmp_path / "graph.dot"
    assert call("000", "--graph", str(target)).exit_code == 0
    assert "MeanBackward0" in target.read_text(encoding="utf-8")


def test_the_losses_are_drawn(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is an optional extra and is not installed here")
    target = tmp_path / "losses.svg"
    drawing.draw_losses(target, {"batch descent": [3.0, 2.0, 1.0], "stochastic descent": [3.0, 9.0, 2.0]})
    text = target.read_text(encoding="utf-8")
    assert text.count('id="axes_') == 2
