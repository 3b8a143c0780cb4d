"""The ways PyTorch computes a derivative: names, groups, and what each is judged by. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gradcheck.errors import UsageError, choices

__all__ = ["DEFAULT_MODES", "GROUPS", "ORACLES", "chosen_modes", "oracle_of"]

ORACLES = {
    "backward": "vjp",
    "grad": "vjp",
    "func.vjp": "vjp",
    "func.grad": "vjp",
    "inplace": "vjp",
    "out": "value",
    "written-over": "vjp",
    "inference": "value",
    "checkpoint": "vjp",
    "saved-tensor-hooks": "vjp",
    "forward": "jvp",
    "func.jvp": "jvp",
    "func.jacrev": "jacobian",
    "func.jacfwd": "columns",
    "vmap:backward": "vjp of rows",
    "vmap:forward": "jvp of rows",
    "double": "hvp",
    "func.double": "hvp",
    "forward-over-reverse": "hvp",
    "func.forward-over-reverse": "hvp",
    "reverse-over-forward": "hvp",
    "forward-over-forward": "second tangent",
    "compile:eager": "vjp",
    "compile:aot_eager": "vjp",
    "compile:inductor": "vjp",
}
"""By mode: what the reference is asked for.

``vjp``: value and gradients; ``value``: that alone; ``jvp``: value and tangent along a direction; ``jacobian``: all
its rows, by vjps; ``columns``: the same by tangents; ``… of rows``: of a batch of calls, row by row; ``hvp``: the
derivative of the gradients along a direction; ``second tangent``: the second derivative of the value along it.
"""

DEFAULT_MODES = ("backward",)

GROUPS = {
    "vmap": ("vmap:backward", "vmap:forward"),
    "compile": ("compile:eager", "compile:aot_eager", "compile:inductor"),
    "tangents": tuple(name for name, oracle in ORACLES.items() if oracle in ("jvp", "jvp of rows", "columns")),
    "jacobians": tuple(name for name, oracle in ORACLES.items() if oracle in ("jacobian", "columns")),
    "second": tuple(name for name, oracle in ORACLES.items() if oracle in ("hvp", "second tangent")),
    "eager": tuple(name for name in ORACLES if not name.startswith("compile")),
    "all": tuple(ORACLES),
}
"""Names that stand for several modes; ``eager``: all but those that compile."""


def chosen_modes(words: Iterable[str], known: Sequence[str] = tuple(ORACLES)) -> tuple[str, ...]:
    """The modes that the words (modes or groups) stand for, in order, among ``known``; the default for none.

    Raises UsageError for a word that is neither.
    """
    chosen: list[str] = []
    for word in words:
        if word not in GROUPS and word not in known:
            raise UsageError(f"mode {word!r} is not known; expected {choices([*known, *GROUPS])}.")
        chosen += [mode for mode in GROUPS.get(word, (word,)) if mode in known]
    return tuple(dict.fromkeys(chosen)) or DEFAULT_MODES


def oracle_of(mode: str) -> str:
    """What a mode of an operation is judged by. Raises UsageError for a mode that does not exist."""
    if mode not in ORACLES:
        raise UsageError(f"mode {mode!r} is not known; expected {choices(ORACLES)}.")
    return ORACLES[mode]
