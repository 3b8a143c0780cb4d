"""Instructions for bfloat16 flush subnormal numbers: the bounds allow for it there, and nowhere else."""

import pytest
import torch

from gradcheck.audit.catching import catches
from gradcheck.audit.trials import Trials
from gradcheck.cases.case import parse_case
from gradcheck.reference.registry import reference_named
from gradcheck.subject import processor
from gradcheck.verdict.judge import judge_case
from gradcheck.verdict.models import model_of

CASE = "nn.functional.linear(x=ordinary(2, 3), weight=ordinary(4, 3), bias=None) seed=0 dtype=bfloat16"
TINY = (
    "nn.functional.conv1d(x=ordinary(1, 1, 9), weight=ordinary(1, 1, 2), bias=None, stride=1, padding=0, dilation=1, "
    "groups=1) seed=0 dtype=bfloat16 cotangent=subnormal"
)


@pytest.fixture
def flags(monkeypatch):
    """Lets a test say what the processor has."""
    return lambda *names: monkeypatch.setattr(processor, "processor_flags", lambda: frozenset(names))


@pytest.mark.parametrize("name", processor.BFLOAT16_INSTRUCTIONS)
def test_instructions_for_bfloat16_flush(flags, name):
    flags("avx512f", name)
    assert model_of(parse_case(CASE)).flushed
    flags("avx512f")
    assert not model_of(parse_case(CASE)).flushed


def test_only_what_onednn_computes_in_bfloat16_on_the_cpu_is_flushed(flags):
    flags("avx512_bf16")
    words = {"linear": CASE, "mkldnn off": f"{CASE} setting=mkldnn=off", "float32": CASE.replace("bfloat16", "float32")}
    words["autocast"] = f"{words['float32']} setting=autocast=bfloat16"
    words["relu"] = "nn.functional.relu(x=ordinary(3)) seed=0 dtype=bfloat16"
    words["prelu"] = "nn.functional.prelu(x=ordinary(2, 3), weight=ordinary(3)) seed=0 dtype=bfloat16"
    flushed = {name for name, line in words.items() if model_of(parse_case(line)).flushed}
    assert flushed == {"linear", "autocast"}
    assert not processor.flushes("nn.functional.linear", "bfloat16", "cuda", {})


def test_here_a_gradient_of_subnormal_cotangents_is_within_its_bound():
    """Where the processor has the instructions it is flushed, and elsewhere it is not: both are as they should be."""
    assert {verdict.status for verdict in judge_case(parse_case(TINY))} == {"agrees"}


def test_zeros_for_subnormal_numbers_deviate_unless_the_processor_flushes(flags):
    def flushing(x, weight, bias, **others):
        y = torch.nn.functional.conv1d(x.float(), weight.float(), bias, **others).to(x.dtype)
        return torch.where(y.abs() < 2.0**-126, y * 0.0, y)

    line = TINY.replace("x=ordinary", "x=subnormal").replace("cotangent=subnormal", "cotangent=ones")

    def status():
        verdicts = judge_case(parse_case(line), subject=flushing)
        return next(verdict.status for verdict in verdicts if verdict.output == "value")

    flags("avx512f")
    assert status() == "deviates"
    flags("avx512f", "avx512_bf16")
    assert status() == "agrees"


def test_flushing_is_no_planted_fault_where_the_processor_flushes(flags):
    reference = reference_named("nn.functional.linear")

    def planted():
        return {catch.tamper for catch in catches(Trials(reference, "bfloat16", 2, 0))}

    flags("avx512f", "avx512_bf16")
    assert "subnormals flushed" not in planted()
    flags("avx512f")
    assert "subnormals flushed" in planted()
