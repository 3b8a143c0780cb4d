"""What is told of the processor, and what oneDNN may take of it."""

import pytest

from gradcheck import processor

CPUINFO = """processor : 0
model name : Some Processor
flags : avx2 avx512bw avx512_bf16 amx_bf16 avx_ne_convert

processor : 1
"""


@pytest.mark.parametrize("variable", ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"])
@pytest.mark.parametrize(
    ("most", "left"),
    [
        ("", {"avx512bw", "avx512_bf16", "amx_bf16", "avx_ne_convert"}),
        ("avx512_core_bf16", {"avx512bw", "avx512_bf16", "avx_ne_convert"}),
        ("AVX512_CORE", {"avx512bw"}),
        ("AVX2_VNNI_2", {"avx_ne_convert"}),
        ("AVX2", set()),
    ],
)
def test_what_onednn_is_told_not_to_take_is_not_there(monkeypatch, tmp_path, variable, most, left):
    about = tmp_path / "cpuinfo"
    about.write_text(CPUINFO, encoding="utf-8")
    monkeypatch.setattr(processor, "ABOUT", about)
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, most)
    assert processor.processor_flags.__wrapped__() == {"avx2", *left}
    assert processor.processor_name() == "Some Processor"


def test_arm_has_other_words_for_them(monkeypatch, tmp_path):
    about = tmp_path / "cpuinfo"
    about.write_text("processor\t: 0\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd bf16\n", encoding="utf-8")
    monkeypatch.setattr(processor, "ABOUT", about)
    assert processor.processor_flags.__wrapped__() == {"fp", "asimd", "bf16"}


def test_a_system_that_does_not_tell_has_no_instruction_sets(monkeypatch, tmp_path):
    monkeypatch.setattr(processor, "ABOUT", tmp_path / "cpuinfo")
    assert processor.processor_flags.__wrapped__() == frozenset()
    assert isinstance(processor.processor_name(), str)
