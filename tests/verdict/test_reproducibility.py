"""Bits that change are found, and what PyTorch promises is checked."""

import itertools
import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from gradcheck.cases.batches import BATCHED, batched
from gradcheck.cases.draw import plain_case
from gradcheck.cases.inputs import arguments_of
from gradcheck.cli import main
from gradcheck.reference.registry import reference_named, references
from gradcheck.verdict.bits import PROMISED, broken_promises
from gradcheck.verdict.reproducibility import PROPERTIES, reproducibility

TANH = reference_named("nn.functional.tanh")


def outcomes(subject, operation=TANH, dtype="float64"):
    return {one.property: one for one in reproducibility(operation, dtype, drawn=0, subject=subject)}


@pytest.fixture(scope="module")
def of_pytorch():
    return outcomes(None)


def test_every_property_is_looked_at(of_pytorch):
    assert set(of_pytorch) == set(PROPERTIES)
    assert {one.outcome for one in of_pytorch.values()} <= {"same", "differs", "none"}
    assert of_pytorch["batch"].cases > 0
    assert of_pytorch["threads"].cases > 0


def test_pytorch_keeps_its_promise(of_pytorch):
    assert of_pytorch["run to run"].outcome == of_pytorch[PROMISED].outcome == "same"
    assert of_pytorch[PROMISED].cases >= 4
    assert not broken_promises(of_pytorch.values())


class Nudged(torch.autograd.Function):
    """tanh, the last element of which is one ulp larger where it is told so."""

    @staticmethod
    def forward(ctx, x, nudge):
        y = torch.tanh(x)
        ctx.save_for_backward(y)
        if nudge and y.numel():
            y = y.clone()
            y.view(-1)[-1] = torch.nextafter(y.view(-1)[-1], torch.tensor(2.0, dtype=y.dtype))
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * (1 - y * y), None


def nudged_where(condition):
    return lambda x: Nudged.apply(x, condition(x))


def test_bits_that_change_from_run_to_run_are_a_broken_promise():
    count = itertools.count()
    found = outcomes(nudged_where(lambda x: next(count) % 2))
    assert found["run to run"].outcome == found[PROMISED].outcome == "differs"
    assert broken_promises(found.values()) == [found[PROMISED]]
    assert found[PROMISED].outputs == ("value",)
    assert 0.0 < found[PROMISED].share <= 1.0
    assert found[PROMISED].ulp <= 2.0


@pytest.mark.parametrize(
    ("condition", "differing"),
    [
        (lambda x: torch.get_num_threads() == 2, {"threads"}),
        (lambda x: torch.are_deterministic_algorithms_enabled(), {"deterministic or not"}),
        (lambda x: x.is_neg(), {"layout neg", "layout conj"}),
        (lambda x: x.storage_offset() == 1 and not x.is_neg(), {"layout offset"}),
        (lambda x: 0 in x.stride(), {"layout expanded"}),
    ],
)
def test_what_bits_depend_on_is_found(condition, differing):
    found = outcomes(nudged_where(condition))
    assert {name for name, one in found.items() if one.outcome == "differs"} == differing


def test_dependence_on_the_batch_is_found():
    found = outcomes(nudged_where(lambda x: x.dim() > 0 and x.shape[0] == 1))
    assert found["batch"].outcome == "differs"
    assert found["threads"].outcome == "same"


def test_what_has_no_deterministic_kernel_is_told_in_its_words():
    def refusing(x):
        if torch.are_deterministic_algorithms_enabled():
            raise RuntimeError("tanh does not have a deterministic implementation")
        return torch.tanh(x)

    found = outcomes(refusing)["deterministic or not"]
    assert found.outcome == "unsupported"
    assert "does not have a deterministic implementation" in found.words


def test_what_raises_everywhere_has_nothing_to_compare():
    def broken(x):
        raise RuntimeError("no")

    assert {one.outcome for one in outcomes(broken).values()} == {"none"}


@pytest.mark.parametrize("name", BATCHED)
def test_every_batch_of_the_table_is_of_an_operation(name):
    matching = [n for n in references() if np.char.endswith(n, name.replace("*", ""))]
    assert matching or name in ("*_pool1d", "*_pool2d", "*_pool3d", "pixel_*")


def test_rows_that_depend_on_one_another_are_no_batch():
    batch_norm = reference_named("nn.functional.batch_norm")
    assert batched(batch_norm, arguments_of(plain_case(batch_norm, 0, 1))) == ()
    linear = reference_named("nn.functional.linear")
    assert batched(linear, arguments_of(plain_case(linear, 0, 1))) == ("x",)


def test_the_command_prints_a_table_and_writes_json(tmp_path):
    target = tmp_path / "bits.json"
    result = CliRunner().invoke(main, ["reproduce", "relu", "--cases", "0", "--jobs", "1", "--json", str(target)])
    assert result.exit_code == 0, result.output
    assert "nn.functional.relu" in result.output
    found = json.loads(target.read_text())["found"]
    assert {one["property"] for one in found} == set(PROPERTIES)
    assert {one["dtype"] for one in found} == {"float32"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["rellu"], "did you mean nn.functional.relu"), (["relu", "--dtype", "float8"], "dtype 'float8' is not known")],
)
def test_wrong_use_is_a_sentence(arguments, words):
    result = CliRunner().invoke(main, ["reproduce", *arguments])
    assert result.exit_code == 2
    assert words in result.output
