"""A run: when and where it was made, and everything about the machine that could matter to its verdicts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

__all__ = ["FACTS", "Run", "read_run"]

FACTS = (
    "gradcheck",
    "torch",
    "numpy",
    "python",
    "platform",
    "cpu_capability",
    "blas",
    "threads",
    "devices",
    "precision",
)
"""Names of the facts; devices and precision are dicts, threads is an integer, the others are strings."""

_NESTED = ("devices", "precision", "selection")


@dataclass(frozen=True)
class Run:
    """One run of ``gradcheck verify``.

    number: its place in this file; uuid: its name everywhere; started, finished: UTC, ISO 8601, finished None while it
    is unfinished; devices: by device (``cpu``, ``cuda:0``) a dict of ``name`` and ``driver``; precision: PyTorch's
    precision flags by name; selection: what was asked for (fields of ``run.plan.Selection``, or ``cases_from``).
    """

    number: int
    uuid: str
    started: str
    finished: str | None
    host: str
    gradcheck: str
    torch: str
    numpy: str
    python: str
    platform: str
    cpu_capability: str
    blas: str
    threads: int
    devices: dict[str, dict[str, str]]
    precision: dict[str, Any]
    selection: dict[str, Any]

    @property
    def facts(self) -> dict[str, Any]:
        """All facts by name."""
        return {name: getattr(self, name) for name in FACTS}

    @property
    def device(self) -> str:
        """The devices with their names, in words."""
        return ", ".join(
            f"{device} ({about['name']})" if about.get("name") else device for device, about in self.devices.items()
        )


COLUMNS = ("id", "uuid", "started", "finished", "host", *FACTS, "selection")


def read_run(row: tuple[Any, ...]) -> Run:
    """The run of a row of COLUMNS."""
    fields = dict(zip(("number", *COLUMNS[1:]), row, strict=True))
    return Run(**{name: json.loads(value) if name in _NESTED else value for name, value in fields.items()})
