"""What every convolution is made of: a stencil slid over an image, its adjoint, and the gradient of its weights."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

__all__ = ["Stencil", "cut", "each"]

Sides = tuple[int, ...]


def each(value: Any, dims: int) -> Sides:
    """A number per dimension from one for all, or from as many."""
    return (value,) * dims if isinstance(value, int) else tuple(value)


def cut(array: Any, last: Iterable[Any]) -> Any:
    """The array indexed along its last dimensions."""
    index = (..., *last)
    return array[index]


@dataclass(frozen=True)
class Stencil:
    """Where a kernel reads: kernel, steps (stride) and holes (dilation) per dimension; groups of channels.

    Images are (N, C, *sides) and padded already; weights are (O, C/groups, *kernel), as PyTorch has them. What the
    kernel yields is (N, O, *counts).
    """

    kernel: Sides
    steps: Sides
    holes: Sides
    groups: int

    @property
    def extents(self) -> Sides:
        """How far the last tap of the kernel is from the first."""
        return tuple(hole * (side - 1) for hole, side in zip(self.holes, self.kernel, strict=True))

    def counts(self, sides: Sequence[int]) -> Sides:
        """How many places the kernel has in an image."""
        places = zip(sides, self.extents, self.steps, strict=True)
        return tuple((side - extent - 1) // step + 1 for side, extent, step in places)

    def correlate(self, image: Any, weight: Any, bias: Any, counts: Sides) -> Any:
        """Σ over channels and taps at each of the first ``counts`` places; (N, O, *counts).

        The bias is one more term of the sum, since kernels start to accumulate from it.
        """
        terms = self._terms(image, counts)
        filters = weight.reshape(self.groups, np.shape(weight)[0] // self.groups, np.shape(terms)[2])
        return _contracted(terms, filters, bias).reshape(np.shape(image)[0], np.shape(weight)[0], *counts)

    def weight_gradient(self, image: Any, g: Any) -> Any:
        """Σ over images and places of what each tap read times g; (O, C/groups, *kernel)."""
        terms = self._terms(image, np.shape(g)[2:])
        return np.einsum("ngtp,ngop->got", terms, self._by_group(g)).reshape(self._weight_shape(image, g))

    def weight_gradient_within(self, image: Any, g: Any, inside: np.ndarray) -> Any:
        """The same where the mask ``inside``, of an image's sides, holds; what a tap reads elsewhere is no term."""
        counts = np.shape(g)[2:]
        reads = self.windows(inside[None, None], counts)[0, 0]
        kept = np.concatenate([reads] * (np.shape(image)[1] // self.groups))
        cotangents = np.where(kept, self._by_group(g)[:, :, :, None, :], 0.0)
        gradient = np.einsum("ngtp,ngotp->got", self._terms(image, counts), cotangents)
        return gradient.reshape(self._weight_shape(image, g))

    def _by_group(self, g: Any) -> Any:
        """(N, O, *counts) as (N, groups, O/groups, places)."""
        n, filters, *counts = np.shape(g)
        return g.reshape(n, self.groups, filters // self.groups, prod(counts))

    def _weight_shape(self, image: Any, g: Any) -> Sides:
        return (np.shape(g)[1], np.shape(image)[1] // self.groups, *self.kernel)

    def transpose(self, g: Any, weight: Any, bias: Any, sides: Sides) -> Any:
        """The adjoint of ``correlate``: at each pixel, Σ over the places and taps that read it; (N, C, *sides).

        Pixels of one remainder modulo the stride are read by the same taps, so each remainder is a correlation of g
        without a stride, and only its own taps are terms of its sum. The bias is one more term, of every pixel.
        """
        rows = [-(-side // step) for side, step in zip(sides, self.steps, strict=True)]
        phases = [
            self._phase(g, weight, bias, remainders, rows) for remainders in itertools.product(*map(range, self.steps))
        ]
        dims, channels = len(sides), np.shape(weight)[1] * self.groups
        apart = np.stack(phases).reshape(*self.steps, np.shape(g)[0], channels, *rows)
        woven = [axis for i in range(dims) for axis in (dims + 2 + i, i)]
        whole = [row * step for row, step in zip(rows, self.steps, strict=True)]
        image = np.transpose(apart, (dims, dims + 1, *woven)).reshape(np.shape(g)[0], channels, *whole)
        return cut(image, (slice(side) for side in sides))

    def windows(self, image: Any, counts: Sides) -> Any:
        """What each tap reads at each place, (N, C, taps, places)."""
        reads = [
            tuple(
                slice(tap * hole, tap * hole + (count - 1) * step + 1, step)
                for tap, hole, step, count in zip(taps, self.holes, self.steps, counts, strict=True)
            )
            for taps in itertools.product(*map(range, self.kernel))
        ]
        stacked = np.stack([cut(image, read) for read in reads], axis=2)
        return stacked.reshape(*np.shape(stacked)[:3], prod(counts))

    def _terms(self, image: Any, counts: Sides) -> Any:
        """The same by group: (N, groups, C/groups·taps, places)."""
        n, channels = np.shape(image)[:2]
        return self.windows(image, counts).reshape(n, self.groups, channels // self.groups * prod(self.kernel), -1)

    def _phase(self, g: Any, weight: Any, bias: Any, remainders: Sides, rows: Sequence[int]) -> Any:
        """The pixels with these remainders modulo the stride, (N, groups, C/groups, places)."""
        n, counts = np.shape(g)[0], np.shape(g)[2:]
        inner, outer = np.shape(weight)[1], np.shape(weight)[0] // self.groups
        per_dimension = zip(self.kernel, self.holes, self.steps, remainders, strict=True)
        taps = [
            [tap for tap in range(side) if (remainder - tap * hole) % step == 0]
            for side, hole, step, remainder in per_dimension
        ]
        if not all(taps):
            biases = np.zeros((self.groups, inner, 1)) if bias is None else bias.reshape(self.groups, inner, 1)
            return np.broadcast_to(biases, (n, self.groups, inner, prod(rows)))
        # Pixel q·step + remainder is read by tap k at place q + (remainder - k·hole)/step, which is q or before.
        before = [extent // step for extent, step in zip(self.extents, self.steps, strict=True)]
        margins = [(ahead, row - count) for ahead, row, count in zip(before, rows, counts, strict=True)]
        wide = np.pad(g, ((0, 0), (0, 0), *margins))
        ahead_of = zip(before, remainders, self.holes, self.steps, taps, strict=True)
        firsts = [
            [ahead + (remainder - tap * hole) // step for tap in some]
            for ahead, remainder, hole, step, some in ahead_of
        ]
        reads = [
            tuple(slice(first, first + row) for first, row in zip(some, rows, strict=True))
            for some in itertools.product(*firsts)
        ]
        terms = np.stack([cut(wide, read) for read in reads], axis=2)
        terms = terms.reshape(n, self.groups, outer * len(reads), prod(rows))
        chosen = np.stack([cut(weight, some) for some in itertools.product(*taps)], axis=1)
        filters = np.moveaxis(chosen.reshape(self.groups, outer * len(reads), inner), 1, 2)
        return _contracted(terms, filters, bias)


def _contracted(terms: Any, filters: Any, bias: Any) -> Any:
    """Σ over t of terms (N, groups, t, places) times filters (groups, o, t), plus a bias per group and o."""
    if bias is None:
        return np.einsum("ngtp,got->ngop", terms, filters)
    n, groups, _, places = np.shape(terms)
    biased = np.concatenate([filters, bias.reshape(*np.shape(filters)[:2], 1)], axis=2)
    return np.einsum("ngtp,got->ngop", np.concatenate([terms, np.ones((n, groups, 1, places))], axis=2), biased)
