"""What of the installed PyTorch is covered: every differentiable name, and what a reference of it lacks.

The names are those of PyTorch's own table of operations (``gradcheck/data/differentiable-operations.tsv``, of
torch 2.13); a name that the installed version does not have is ``absent``.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gradcheck.reference.registry import Reference, entries
from gradcheck.subject.signatures import exists, missing_parameters, parameters_of

__all__ = ["STATUSES", "Coverage", "coverage"]

TABLE = Path(__file__).parent.parent / "data" / "differentiable-operations.tsv"

STATUSES = ("full", "partly", "none", "absent")


@dataclass(frozen=True)
class Coverage:
    """One name. status: one of STATUSES; missing: PyTorch's parameters that the reference lacks."""

    name: str
    family: str
    status: str
    missing: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def coverage() -> Iterator[Coverage]:
    """Every differentiable name of PyTorch's table, then the entries that it does not list (layers, optimizers, …)."""
    table = entries()
    listed = [line.split("\t")[0] for line in TABLE.read_text(encoding="utf-8").splitlines()[1:]]
    for name in [*listed, *(name for name in table if name not in listed)]:
        entry = table.get(name)
        family = family_of(name)
        if not exists(name):
            yield Coverage(name, family, "absent")
        elif entry is None:
            yield Coverage(name, family, "none")
        else:
            missing = tuple(_missing(entry)) if isinstance(entry, Reference) and name in listed else ()
            yield Coverage(name, family, "partly" if missing else "full", missing)


def family_of(name: str) -> str:
    """The namespace below torch: ``nn.functional``, ``linalg``, …; ``torch`` itself where there is none."""
    return name.rpartition(".")[0] or "torch"


def _missing(entry: Reference) -> list[str]:
    first = next(iter(parameters_of(entry.name)))
    parameters = {first if name == "x" else name for name in inspect.signature(entry.function).parameters}
    return missing_parameters(entry.name, parameters)
