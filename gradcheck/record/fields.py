"""How verdicts, witnesses and ledger entries are written into columns, and read back."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

from gradcheck.cases.case import AXES
from gradcheck.cases.line import axes_of_line
from gradcheck.verdict.verdict import Verdict, Witness

__all__ = ["CASE_COLUMNS", "VERDICT_COLUMNS", "as_text", "case_row", "listed_case", "read_verdict", "verdict_row"]

CASE_COLUMNS = ("line", "operation", "mode", "dtype", "device", "layout", "setting")
VERDICT_COLUMNS = (
    "output", "status", "error_over_bound", "error_over_storage_bound", "ulp", "digest", "words", "witness", "notes",
    "seconds",
)  # fmt: skip


def as_text(content: Any) -> str:
    """Plain values as standard JSON; numbers that JSON has not are strings, such as "inf"."""
    return json.dumps(_plain(content), ensure_ascii=False, separators=(",", ":"))


def _plain(content: Any) -> Any:
    if isinstance(content, float):
        return content if math.isfinite(content) else str(content)
    if isinstance(content, dict):
        return {str(name): _plain(value) for name, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_plain(value) for value in content]
    return content


def case_row(verdict: Verdict) -> tuple[str, ...]:
    """The CASE_COLUMNS of a verdict."""
    return (verdict.case, *(getattr(verdict, name) for name in CASE_COLUMNS[1:]))


def listed_case(line: str) -> tuple[str, ...]:
    """The CASE_COLUMNS of a case line."""
    words = AXES | axes_of_line(line)[1] | {"line": line, "operation": line.partition("(")[0]}
    return tuple(words[name] for name in CASE_COLUMNS)


def verdict_row(verdict: Verdict) -> tuple[Any, ...]:
    """The VERDICT_COLUMNS of a verdict; what is not a number is NULL, which is what SQLite makes of it anyway."""
    witness = None if verdict.witness is None else as_text(vars(verdict.witness))
    notes = as_text(verdict.notes) if verdict.notes else None
    plain = (getattr(verdict, name) for name in VERDICT_COLUMNS[:7])
    return (*plain, witness, notes, verdict.seconds)


def read_verdict(case: tuple[Any, ...], row: tuple[Any, ...]) -> Verdict:
    """The verdict of CASE_COLUMNS and VERDICT_COLUMNS."""
    fields = dict(zip(VERDICT_COLUMNS, row, strict=True))
    for name in ("error_over_bound", "error_over_storage_bound", "ulp", "seconds"):
        fields[name] = math.nan if fields[name] is None else fields[name]
    fields["notes"] = tuple(json.loads(fields["notes"])) if fields["notes"] else ()
    fields["witness"] = _read_witness(fields["witness"]) if fields["witness"] else None
    return Verdict(case=case[0], **dict(zip(CASE_COLUMNS[1:], case[1:], strict=True)), **fields)


def _read_witness(text: str) -> Witness:
    fields = json.loads(text)
    known = {field.name for field in dataclasses.fields(Witness)}
    fields = {name: value for name, value in fields.items() if name in known}
    pairs = {name: tuple((str(word), float(number)) for word, number in fields[name]) for name in ("inputs", "excess")}
    numbers = {name: float(fields[name]) for name in ("got", "should_be", "bound")}
    return Witness(**{**fields, **pairs, **numbers, "index": tuple(fields["index"])})
