"""The inputs that every tool gets: what a test of any tool would take."""

from __future__ import annotations

from typing import Any

from gradcheck.cases.case import Case, parse_case
from gradcheck.cases.draw import Draw, SeededDraw
from gradcheck.reference.registry import Reference

__all__ = ["correct_case", "standard_case"]


def standard_case(name: str, shape: tuple[int, int]) -> Case:
    """A call on standard inputs: bell-shaped numbers, defaults for the rest."""
    more = {
        "softmax": ", dim=-1",
        "log_softmax": ", dim=-1",
        "layer_norm": f", weight=ordinary({shape[1]}), bias=ordinary({shape[1]}), normalized_shape=({shape[1]},)",
        "mse_loss": f", target=ordinary({shape[0]}, {shape[1]})",
    }.get(name, "")
    return parse_case(f"nn.functional.{name}(x=ordinary({shape[0]}, {shape[1]}){more}) seed=1 dtype=float64")


class _Ordinary(SeededDraw):
    """Drawn cases of ordinary numbers only: what a test of any tool would take."""

    def kind(self, kinds: Any) -> str:
        return kinds[0]

    def shape(self, dims: tuple[int, int] = (0, 3), least: int = 0, most: int = 600) -> tuple[int, ...]:
        return Draw.shape(self, dims, max(least, 1), min(most, 60))


def correct_case(reference: Reference, index: int) -> Case:
    arguments = reference.inputs(_Ordinary(reference.name, 0, index))
    return Case(reference.name, tuple(arguments.items()), index)
