"""The random numbers that a seed determines, made in NumPy: PyTorch's generators, as far as the walkthroughs use them.

CPU: Mersenne twister MT19937 (Matsumoto & Nishimura 1998), normal numbers by Box & Muller (1958) in pairs, permutations
by exchange (Durstenfeld 1964). CUDA: Philox4x32-10 (Salmon et al. 2011), and one pair of Box & Muller for each call.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

__all__ = ["CUDA_NORMAL_ERROR", "Twister", "cuda_normal", "philox"]

CUDA_NORMAL_ERROR = 2.0**-21.41
"""Largest absolute error of the sine between -π and π in the CUDA kernel (CUDA C++ Programming Guide, table of
intrinsic functions: ``__sinf(x)``)."""

WORD = 0xFFFFFFFF


class Twister:
    """The CPU generator after ``torch.manual_seed(seed)``."""

    def __init__(self, seed: int) -> None:
        self._words = self._stream(seed)

    @staticmethod
    def _stream(seed: int) -> Iterator[int]:
        """The 32-bit words: the stream of NumPy's legacy generator, which is frozen, seeded alike."""
        state = np.random.RandomState(seed)
        while True:
            yield from state.randint(0, 1 << 32, size=4096, dtype=np.uint32).tolist()

    def skip(self, words: int) -> None:
        """Draw words and drop them."""
        for _ in range(words):
            next(self._words)

    def unit(self) -> float:
        """A multiple of 2^-53 in [0, 1): the lower 53 bits of two words, the higher one drawn first."""
        high, low = next(self._words), next(self._words)
        return float(((high << 32 | low) & ((1 << 53) - 1)) * 2.0**-53)

    def normal_pair(self) -> tuple[float, float]:
        """What two calls of ``torch.randn(1)`` return: one pair of Box & Muller, the sine kept for the second call."""
        angle, uniform = 2.0 * math.pi * self.unit(), self.unit()
        radius = math.sqrt(-2.0 * math.log1p(-uniform))
        return radius * math.cos(angle), radius * math.sin(angle)

    def permutation(self, n: int) -> list[int]:
        """``torch.randperm(n)`` for small n: one word for each exchange."""
        order = list(range(n))
        for i in range(n - 1):
            j = i + next(self._words) % (n - i)
            order[i], order[j] = order[j], order[i]
        return order

    def loader(self, n: int) -> list[int]:
        """The order of one pass of a shuffling ``DataLoader`` of PyTorch 1.3: a base seed of two words goes before."""
        self.skip(2)
        return self.permutation(n)


def philox(key: tuple[int, int], counter: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """The four words of Philox4x32-10."""
    (k0, k1), (c0, c1, c2, c3) = key, counter
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & WORD, (p0 >> 32) ^ c3 ^ k1, p0 & WORD
        k0, k1 = (k0 + 0x9E3779B9) & WORD, (k1 + 0xBB67AE85) & WORD
    return c0, c1, c2, c3


def cuda_normal(seed: int, call: int) -> tuple[float, float]:
    """The number of call 0, 1, … of ``torch.randn(1, device="cuda")`` after a seed below 2^32; how far it may be off.

    Each call moves the counter on by one and uses the sine of its first pair.
    """
    first, second, _, _ = philox((seed, 0), (call, 0, 0, 0))
    uniform, turn = (first + 0.5) * 2.0**-32, (second + 0.5) * 2.0**-32
    radius = math.sqrt(-2.0 * math.log(uniform))
    return radius * math.sin(2.0 * math.pi * turn), radius * CUDA_NORMAL_ERROR
