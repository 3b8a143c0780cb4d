"""``gradcheck show`` as a user meets it."""

import pytest
from click.testing import CliRunner

from gradcheck.cli import main


def call(*arguments):
    return CliRunner().invoke(main, ["show", *arguments])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gellu"], "operation 'gellu' is not known; did you mean nn.functional.gelu"),
        (["*softmax"], "means several: nn.functional.log_softmax or"),
        (["gelu", "--dtype", "float8"], "dtype 'float8' is not known"),
        (["gelu", "--device", "tpu"], "device 'tpu' is not known"),
        (["gelu", "--mode", "sideways"], "mode 'sideways' is not known"),
        (["gelu", "--mode", "forward"], "mode 'forward' has no error curve"),
        (["gelu", "--set", "approximate"], "expected NAME=VALUE"),
        (["gelu", "--set", "alpha=1"], "has no hyperparameter 'alpha'; expected approximate"),
        (["gelu", "--range", "2", "1"], "expected two finite numbers, the smaller one first"),
        (["gelu", "--range", "-inf", "1"], "expected two finite numbers"),
        (["gelu", "--output", "grad[y]"], "output 'grad[y]' is not known; expected value or grad[x]"),
        (["gelu", "--cases", "5"], "--cases cannot be used here: nn.functional.gelu has a curve"),
        (["gelu", "--plot", "/nowhere/x.png"], "expected a file in an existing folder"),
        (["gelu", "--plot", "x.doc"], "expected a name that ends in .png, .svg or .pdf"),
        (["gelu", "--points", "1"], "1 is not in the range"),
        (["softmax", "--set", "dim=1"], "--set cannot be used here: nn.functional.softmax has no curve"),
        (["softmax", "--range", "0", "1"], "--range cannot be used here"),
        (["softmax", "--mode", "sideways"], "mode 'sideways' is not known"),
        (["optim.Muon", "--dtype", "float8"], "dtype 'float8' is not known"),
        ([], "Missing argument 'OPERATION'"),
    ],
)
def test_wrong_use_is_one_sentence_and_status_2(arguments, words):
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert words in result.output
    assert "Traceback" not in result.output


def test_a_curve_in_the_terminal():
    result = call("gelu", "--points", "2048", "--output", "grad[x]")
    assert result.exit_code == 0, result.output
    assert "gelu float32: error / bound of grad[x]" in result.output
    assert "gelu float32: error in ulp of grad[x]" in result.output
    assert "of value" not in result.output
    assert "\x1b[" not in result.output, "colours where there is no terminal"
    assert (
        'replay: gradcheck replay \'nn.functional.gelu(x=sweep(2048, at=(0.0,)), approximate="none")' in result.output
    )


def test_a_hyperparameter_changes_the_curve():
    plain, exact = (call("gelu", "--points", "512", "--set", f"approximate={word}") for word in ("none", "tanh"))
    assert plain.exit_code == exact.exit_code == 0
    assert plain.output != exact.output


def test_cases_stand_in_where_there_is_no_curve():
    result = call("softmax", "--cases", "3")
    assert result.exit_code == 0, result.output
    assert "is not elementwise, so there is no curve over its input" in result.output
    assert "the 3 drawn cases of seed 0" in result.output
    assert "verdicts. The worst: nn.functional.softmax" in result.output


def test_an_optimizer_has_cases_too():
    result = call("optim.SGD", "--cases", "1")
    assert result.exit_code == 0, result.output
    assert "param" in result.output


@pytest.mark.parametrize("name", ["relu", "softmax"])
@pytest.mark.parametrize("ending", ["png", "svg"])
def test_a_figure(tmp_path, name, ending):
    target = tmp_path / f"curve.{ending}"
    extra = ["--points", "512"] if name == "relu" else ["--cases", "1"]
    result = call(name, *extra, "--plot", str(target))
    assert result.exit_code == 0, result.output
    assert target.read_bytes().startswith(b"\x89PNG" if ending == "png" else b"<?xml")
