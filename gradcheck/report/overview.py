"""What a run found, for the heat map: worst and median figures of every place, in a compact form for the page."""

from __future__ import annotations

import math
from typing import Any

from gradcheck.record.read import Figures, Record
from gradcheck.record.run import Run
from gradcheck.reference.registry import entries

__all__ = ["AXES", "CLASSES", "class_of", "family_of", "figure", "overview"]

AXES = ("operation", "dtype", "mode", "device", "layout", "setting", "output")
"""Axes of the cells, in the order of their columns on the page."""

CLASSES = ("deviates", "known", "coarse", "agrees", "unsupported")
"""What a reader has to tell apart, the gravest first: `deviates` stands for whatever fails beyond the ledger, `known`
for what the ledger covers."""

FAILING = ("deviates", "raises", "crashed", "timed out")


def class_of(status: str, known: bool) -> str:
    """The class of a verdict; what PyTorch lacks (an older one: absent) counts as unsupported."""
    if known:
        return "known"
    return {"agrees": "agrees", "coarse": "coarse", "unsupported": "unsupported", "absent": "unsupported"}.get(
        status, "deviates"
    )


def figure(value: float) -> float | str | None:
    """A figure of four digits for the page: None where there is none; JSON has no infinity."""
    if math.isnan(value):
        return None
    return "inf" if math.isinf(value) else float(f"{value:.4g}")


def overview(record: Record, run: Run) -> dict[str, Any]:
    """``axes``: names by axis; ``cells``: for each place the numbers of its names, counts by class and figures.

    The figures are the worst error/bound of the gravest class there, and the median and the worst ulp of all.
    """
    axes: dict[str, dict[str, int]] = {axis: {} for axis in AXES}
    worst = _worst_by_class(record, run)
    cells = [_cell(found, axes, worst) for found in record.figures(run, AXES)]
    names = {axis: list(numbers) for axis, numbers in axes.items()}
    return {"axes": names, "cells": cells, "families": [family_of(name) for name in names["operation"]]}


def _worst_by_class(record: Record, run: Run) -> dict[tuple[str, ...], float]:
    """By place and class the worst error/bound, where one was compared."""
    axes = ", ".join(AXES)
    sql = f"""SELECT {axes}, v.status, v.entry IS NOT NULL AS known, max(v.error_over_bound) FROM verdicts v
        JOIN cases c ON c.id = v.case_id WHERE v.run = ? AND v.error_over_bound IS NOT NULL
        GROUP BY {axes}, v.status, known"""
    worst: dict[tuple[str, ...], float] = {}
    for *place, status, known, ratio in record.rows(sql, run.number):
        key = (*place, class_of(status, bool(known)))
        worst[key] = max(worst.get(key, 0.0), ratio)
    return worst


def _cell(found: Figures, axes: dict[str, dict[str, int]], worst: dict[tuple[str, ...], float]) -> list[Any]:
    place = [axes[axis].setdefault(found.place[axis], len(axes[axis])) for axis in AXES]
    counts = dict.fromkeys(CLASSES, 0)
    for status, count in found.statuses.items():
        counts[class_of(status, known=False)] += count
    counts["known"] = found.known
    counts["deviates"] -= found.known
    gravest = next(name for name, count in counts.items() if count)
    key = (*(found.place[axis] for axis in AXES), gravest)
    figures = (worst.get(key, math.nan), found.median, found.worst_ulp)
    return [*place, *counts.values(), *(figure(value) for value in figures)]


def family_of(operation: str) -> str:
    """The family that an operation belongs to: the file of its reference, or the kind of entry it is."""
    entry = entries().get(operation)
    if entry is None:
        return "unknown here"
    if entry.kind != "operation":
        return entry.kind
    parts = getattr(entry, "function").__module__.split(".")  # noqa: B009 - the protocol does not promise it
    family = parts[parts.index("functional") + 1] if "functional" in parts else parts[-1]
    return str(family).replace("_", " ")
