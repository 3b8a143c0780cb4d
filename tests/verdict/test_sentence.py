"""What is printed of a verdict can be understood, and replayed, without reading code."""

import shlex
from dataclasses import replace

import pytest
import torch

from gradcheck.cases.case import parse_case
from gradcheck.verdict.judge import judge_case
from gradcheck.verdict.sentence import replay_line, sentence
from gradcheck.verdict.verdict import STATUSES

LINE = "nn.functional.gelu(x=integers(3, 5), approximate='tanh') seed=1 dtype=bfloat16"


def judged(tamper, line=LINE):
    case = parse_case(line)
    operation = getattr(torch.nn.functional, case.operation.rpartition(".")[2])
    return judge_case(case, subject=lambda x, **words: tamper(operation(x, **words)))[0]


def test_which_element_what_it_got_and_should_be_and_how_many():
    def off(y):
        wrong = y.clone()
        wrong[2, 3] += 2.0
        return wrong

    verdict = judged(off)
    words = sentence(verdict)
    assert words.startswith("nn.functional.gelu in bfloat16 on cpu, backward: value deviates by ")
    assert f"At index (2, 3), x = {verdict.witness.inputs[0][1]:.17g}: got " in words
    assert f"should be {verdict.witness.should_be:.17g} ± {verdict.witness.bound:.3g}" in words
    assert "1 of 15 elements exceed the bound." in words


def test_the_last_line_replays_the_case():
    verdict = judged(lambda y: 3.0 * y)
    last = sentence(verdict).splitlines()[-1]
    assert last == f"  replay: {replay_line(verdict)}"
    command = shlex.split(last.partition(": ")[2])
    assert command[:2] == ["gradcheck", "replay"]
    assert parse_case(command[2]) == parse_case(LINE)


def test_other_layouts_and_notes_are_named():
    verdict = replace(judged(lambda y: y, f"{LINE} layout=sliced"), notes=("two results",))
    assert "on cpu, backward, sliced: value agrees; worst error/bound" in sentence(verdict)
    assert "  note: two results\n" in sentence(verdict)


def test_where_no_error_is_allowed_none_is_counted():
    words = sentence(judged(lambda y: y + 1.0, "nn.functional.relu(x=integers(4)) seed=1 dtype=float32"))
    assert "value deviates where no error is allowed" in words
    assert "inf" not in words


def test_coarse_names_both_bounds():
    verdict = replace(judged(lambda y: 3.0 * y), status="coarse", error_over_bound=3.0, error_over_storage_bound=0.25)
    assert "is coarse: off by 3 × the bound of a kernel that rounds once, 0.25 × that of" in sentence(verdict)


def test_exceptions_are_in_pytorch_s_words():
    def broken(y):
        raise RuntimeError("no luck today")

    assert "value raises: RuntimeError: no luck today\n" in sentence(judged(broken))


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_has_words(status):
    verdict = replace(judged(lambda y: y), status=status, witness=None, words="so it went")
    assert status in sentence(verdict)
    assert "so it went" in sentence(verdict)
