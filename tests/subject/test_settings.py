"""Switches stand as a setting says while a case is judged, and as before afterwards, whatever happened."""

import re

import pytest
import torch

from gradcheck.arithmetic import rounding_model
from gradcheck.cases.case import parse_case
from gradcheck.cases.corpus import drawn_case
from gradcheck.cases.draw import plain_case
from gradcheck.cases.settings import SWITCHES
from gradcheck.errors import UsageError
from gradcheck.reference.registry import entries, entry_named
from gradcheck.subject import run, settings
from gradcheck.subject.facts import facts
from gradcheck.subject.settings import applied, autocast_of, capability_in_force, flushes_denormals, in_force
from gradcheck.verdict import judge as judging
from gradcheck.verdict.judge import judge_case
from gradcheck.verdict.kinds import judge
from gradcheck.verdict.ledger import load_ledger

ONE_PROCESS = [
    f"{switch}={position}"
    for switch in SWITCHES
    for position in SWITCHES[switch] or ("1", "2", "3")
    if switch != "capability"
]


@pytest.fixture(autouse=True)
def _as_before():
    before = in_force()
    yield
    assert in_force() == before


@pytest.mark.parametrize("setting", ["default", *ONE_PROCESS, "denormals=flush,deterministic=on,mkldnn=off,threads=3"])
def test_a_setting_is_taken_back(setting):
    before = in_force()
    with applied(setting):
        pass
    assert in_force() == before


@pytest.mark.parametrize("setting", ONE_PROCESS)
def test_an_exception_inside_takes_it_back_too(setting):
    before = in_force()
    with pytest.raises(ZeroDivisionError), applied(setting):
        raise ZeroDivisionError
    assert in_force() == before


def test_a_setting_inside_another_ends_where_that_stands():
    with applied("denormals=flush,matmul=high,threads=2"):
        with applied("denormals=keep,matmul=medium,threads=3"):
            assert not flushes_denormals()
            assert torch.get_num_threads() == 3
        assert flushes_denormals()
        assert torch.get_num_threads() == 2
        assert torch.get_float32_matmul_precision() == "high"


@pytest.mark.parametrize(
    ("setting", "fact", "value"),
    [
        ("mkldnn=off", "mkldnn", False),
        ("matmul=medium", "float32_matmul_precision", "medium"),
        ("denormals=flush", "denormals", "flush"),
        ("deterministic=on", "deterministic", True),
        ("threads=3", "threads", 3),
    ],
)
def test_the_facts_of_a_run_say_where_the_switches_stand(setting, fact, value):
    assert facts()["precision"][fact] != value
    with applied(setting):
        assert facts()["precision"][fact] == value


def test_autocast_is_around_the_forward_alone():
    with applied("autocast=bfloat16"):
        assert not in_force()["autocast"]
        with autocast_of("autocast=bfloat16", "cpu"):
            assert in_force()["autocast"]


def test_facts_name_the_libraries_that_multiply_matrices():
    assert re.fullmatch(r"\w+, .*numpy [\w-]+ [\w.]+", facts()["blas"])


OTHER = "avx2" if capability_in_force() != "AVX2" else "default"
LINEAR = "nn.functional.linear(x=ordinary(9, 40), weight=ordinary(17, 40), bias=None) seed=1 dtype=float32"


def test_a_capability_that_the_process_does_not_have_is_unsupported():
    (found,) = judge(parse_case(f"{LINEAR} setting=capability={OTHER}"))
    assert found.status == "unsupported"
    assert f"start it with ATEN_CPU_CAPABILITY={OTHER}" in found.words
    with pytest.raises(UsageError, match="not supported in this process"), applied(f"capability={OTHER}"):
        pass
    (found,) = judge_case(parse_case(f"{LINEAR} setting=capability={OTHER}"))
    assert found.status == "unsupported"


def statuses(line, **options):
    return {verdict.output: verdict.status for verdict in judge_case(parse_case(line), **options)}


def seen(setting):
    """What a subject finds in force while it runs under a setting."""
    found = {}

    def spy(x, weight, bias):
        found.update(in_force())
        return torch.nn.functional.linear(x, weight, bias)

    statuses(f"{LINEAR} setting={setting}", subject=spy)
    return found


def test_the_subject_runs_under_the_setting():
    assert seen("mkldnn=off,threads=2") == in_force() | {"mkldnn": False, "threads": 2}
    assert seen("autocast=float16") == in_force() | {"autocast": True}
    assert seen("default") == in_force()


def test_a_subject_that_raises_takes_the_setting_back():
    def broken(x, weight, bias):
        raise RuntimeError("no")

    assert statuses(f"{LINEAR} setting=denormals=flush,threads=2", subject=broken) == {"value": "raises"}


def test_a_subject_that_turns_a_switch_itself_is_undone():
    def leaking(x, weight, bias):
        torch.set_num_threads(4)
        torch.set_flush_denormal(True)
        return torch.nn.functional.linear(x, weight, bias)

    statuses(f"{LINEAR} setting=denormals=keep,threads=2", subject=leaking)


KINDS = {entry.kind: name for name, entry in entries().items()} | {"closure": "optim.LBFGS"}


@pytest.mark.parametrize("name", KINDS.values())
def test_every_kind_of_entry_runs_under_the_setting(name, monkeypatch):
    asked, plain = [], settings.applied

    def recorded(setting):
        asked.append(setting)
        return plain(setting)

    monkeypatch.setattr(settings, "applied", recorded)
    monkeypatch.setattr(run, "applied", recorded)
    entry = entry_named(name)
    judge(drawn_case(entry, entry.dtypes[0], 0, 0, entry.modes[0]).on(setting="threads=2"))
    assert set(asked) == {"threads=2"}


SUBNORMAL = "nn.functional.silu(x=subnormal(64)) seed=3 dtype={} setting=denormals=flush"


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_flushed_numbers_are_within_their_bound(dtype):
    assert set(statuses(SUBNORMAL.format(dtype)).values()) <= {"agrees", "coarse"}


def test_without_the_flushed_bound_they_are_not(monkeypatch):
    monkeypatch.setattr(judging, "model_of", lambda case, grade, wide: rounding_model(case.dtype, case.device, grade))
    assert "deviates" in statuses(SUBNORMAL.format("float32")).values()


def test_what_flushed_operands_leave_undecided_is_said():
    line = (
        "nn.functional.adaptive_max_pool1d(x=subnormal(1, 9), output_size=3, return_indices=True) seed=1 dtype=float32"
    )
    (found,) = judge(parse_case(f"{line} setting=denormals=flush"))
    assert found.status == "unsupported"
    assert "leave undecided" in found.words
    assert {verdict.status for verdict in judge(parse_case(line))} == {"agrees"}


def test_flushing_that_was_not_asked_for_deviates():
    """A setting that leaks out of another case."""
    with applied("denormals=flush"):
        assert "deviates" in statuses(SUBNORMAL.format("float32").partition(" setting")[0]).values()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_autocast_is_judged_by_its_dtype(dtype):
    assert set(statuses(f"{LINEAR} setting=autocast={dtype}").values()) <= {"agrees", "coarse"}


def rounded(dtype):
    """linear, as under autocast to a dtype that nobody asked for."""

    def linear(x, weight, bias):
        return torch.nn.functional.linear(x.to(dtype), weight.to(dtype)).to(x.dtype)

    return linear


def test_low_precision_that_was_not_asked_for_deviates():
    assert statuses(LINEAR, subject=rounded(torch.bfloat16))["value"] == "deviates"
    assert statuses(f"{LINEAR} setting=matmul=highest", subject=rounded(torch.bfloat16))["value"] == "deviates"


def test_factors_rounded_to_bfloat16_are_what_medium_allows():
    found = statuses(f"{LINEAR} setting=matmul=medium", subject=rounded_factors(torch.bfloat16))
    assert set(found.values()) == {"agrees"}
    assert statuses(f"{LINEAR} setting=matmul=high", subject=rounded_factors(torch.bfloat16))["value"] == "deviates"


def rounded_factors(dtype):
    """linear of factors that were rounded first, added up in float32."""

    def linear(x, weight, bias):
        return torch.nn.functional.linear(x.to(dtype).to(x.dtype), weight.to(dtype).to(x.dtype))

    return linear


SOFTMAX = "nn.functional.softmax(x=ordinary(8, 33), dim=1) seed=1 dtype=float32 setting=autocast=bfloat16"


@pytest.mark.parametrize("name", [name for name, entry in entries().items() if entry.kind == "operation"])
def test_autocast_is_within_its_bound_and_changes_no_other_operation(name):
    ledger = load_ledger()
    for dtype in ("float32", "float64"):
        case = plain_case(entry_named(name), 0, 1).on(dtype=dtype, setting="autocast=bfloat16")
        bad = [verdict for verdict in judge(case) if verdict.status in ("deviates", "raises")]
        assert [verdict for verdict in bad if ledger.match(verdict) is None] == []


def test_an_operation_that_autocast_leaves_alone_keeps_its_bound():
    assert statuses(SOFTMAX) == {"value": "agrees", "grad[x]": "agrees"}

    def low(x, dim):
        return torch.nn.functional.softmax(x.bfloat16(), dim).float()

    assert statuses(SOFTMAX, subject=low)["value"] == "deviates"


def test_autocast_leaves_float64_alone():
    line = f"{LINEAR} setting=autocast=bfloat16".replace("float32", "float64")
    assert set(statuses(line).values()) == {"agrees"}
    assert statuses(line, subject=rounded(torch.bfloat16))["value"] == "deviates"


def test_a_gradient_keeps_its_argument_s_dtype_under_autocast():
    def bad(x, weight, bias):
        return torch.nn.functional.linear(x, weight).double()

    assert statuses(f"{LINEAR} setting=autocast=bfloat16", subject=bad)["value"] == "deviates"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f"{LINEAR} setting=autocast=bfloat16".replace("float32", "float16"), "not on float16"),
        ("nn.functional.one_hot(x=indices(3, below=4)) seed=0 dtype=float32 setting=autocast=bfloat16", "'integer'"),
    ],
)
def test_where_autocast_is_not_judged_it_is_said(line, words):
    (found,) = judge(parse_case(line))
    assert found.status == "unsupported"
    assert words in found.words
