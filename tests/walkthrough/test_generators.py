"""The generators give what PyTorch draws, and published known answers."""

from __future__ import annotations

import pytest
import torch

from gradcheck.subject.training_seeds import drawn_normals
from gradcheck.walkthrough.generators import Twister, cuda_normal, philox

ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("key", "counter", "words"),
    [
        ((0, 0), (0, 0, 0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES, ONES), (ONES, ONES, ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    ],
)
def test_philox_gives_the_known_answers_of_its_authors(key, counter, words):
    assert philox(key, counter) == words


@pytest.mark.parametrize("seed", [0, 42, 12345])
def test_the_twister_draws_what_torch_draws(seed):
    twister = Twister(seed)
    pair = twister.normal_pair()
    assert [float(torch.tensor(value)) for value in pair] == drawn_normals(seed, 2)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(2):
        torch.randn(1, generator=generator)
    for n in (80, 20, 7):
        assert twister.permutation(n) == torch.randperm(n, generator=generator).tolist()


def test_a_pass_of_the_loader_draws_two_words_before_its_order():
    first, second = Twister(3), Twister(3)
    second.skip(2)
    assert first.loader(10) == second.permutation(10)


@pytest.mark.cuda
def test_cuda_draws_the_same():
    for call, value in enumerate(drawn_normals(42, 2, "cuda")):
        expected, off = cuda_normal(42, call)
        assert abs(value - expected) <= off


def test_calls_on_cuda_are_told_apart():
    assert f"{cuda_normal(42, 0)[0]:.4f} {cuda_normal(42, 1)[0]:.4f}" == "0.1940 0.1391"
