"""What a worker process of ``gradcheck reproduce`` does. Imports inside, so that the parent never imports torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradcheck.verdict.bits import Found

__all__ = ["reproduced"]


def reproduced(place: tuple[str, str], *, drawn: int, seed: int) -> list[Found]:
    """What is found of an operation in a dtype: (name, dtype)."""
    from gradcheck.reference.registry import reference_named
    from gradcheck.subject.facts import use_one_thread
    from gradcheck.verdict.reproducibility import reproducibility

    use_one_thread()
    name, dtype = place
    return reproducibility(reference_named(name), dtype, drawn, seed)
