"""Compiled modes judge what PyTorch compiles now, not what another process left on disk."""

import os
import shutil
import subprocess
import sys

import pytest
import torch

from gradcheck.processor import processor_flags
from gradcheck.subject.compiling import compiled

BOTH = """
import torch
x = torch.linspace(-1.0, 1.0, 64)
should_be = torch.nn.functional.elu(x)
print(torch.allclose(torch.compile(torch.nn.functional.elu)(x), should_be))
from gradcheck.subject.compiling import compiled
print(torch.allclose(compiled(torch.nn.functional.elu, "inductor")(x), should_be))
"""


def _answers(capability, folder):
    """Whether torch.compile and ``compiled`` are right in a process with these vectors and this cache."""
    words = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(folder), "ATEN_CPU_CAPABILITY": capability}
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", BOTH], env=words, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


@pytest.mark.slow
@pytest.mark.skipif("avx512bw" not in processor_flags(), reason="the processor has no AVX-512 to change from")
@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="there is no C++ compiler")
@pytest.mark.skipif(not torch.__version__.startswith("2.13.0"), reason="seen with torch 2.13.0, which it pins")
def test_code_for_other_vectors_is_not_taken_from_the_cache(tmp_path):
    """Inductor's cache of graphs hands an AVX2 process the code that an AVX-512 process left: half of the result is
    never written. It is what PyTorch does, and what ``compiled`` does not see."""
    assert _answers("avx512", tmp_path) == ["True", "True"]
    assert _answers("avx2", tmp_path) == ["False", "True"]


def test_no_option_of_inductor_reaches_another_backend():
    x = torch.tensor([-1.0, 2.0])
    assert compiled(torch.nn.functional.elu, "eager")(x).equal(torch.nn.functional.elu(x))
