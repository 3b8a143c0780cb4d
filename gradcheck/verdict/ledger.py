"""The ledger of known deviations: what PyTorch is known to get wrong, how much, why, and who says so.

An entry silences nothing by widening a bound: it covers verdicts of one operation whose excess is of one kind of
element (see Witness) and not larger than the entry's size. What is larger, or of another kind, is reported.
"""

from __future__ import annotations

import importlib.metadata
import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from gradcheck.errors import UsageError, choices
from gradcheck.verdict.verdict import Verdict

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["DEFAULT_LEDGER", "Entry", "Ledger", "load_ledger"]

DEFAULT_LEDGER = Path(__file__).parent.parent / "ledger.toml"

ELEMENTS = ("ordinary", "nan input", "nan", "overflow", "raises")
"""Kinds of elements of a witness's excess, and `raises` for an exception where the reference has a value."""


@dataclass(frozen=True)
class Entry:
    """One known deviation.

    outputs, dtypes: which it concerns; torch: a version range; element: the kind of elements that exceed the bound;
    size: the largest error/bound seen; words: for `raises`, what PyTorch's message contains;
    cpu: the instruction set without which the kernels concerned do not run, and the deviation does not show.
    """

    operation: str
    outputs: tuple[str, ...]
    dtypes: tuple[str, ...]
    device: str
    mode: str
    torch: SpecifierSet
    element: str
    size: float
    reason: str
    source: str
    words: str = ""
    cpu: str = ""

    def concerns(self, verdict: Verdict, version: Version) -> bool:
        """Whether operation, output, dtype, device, mode and version are the entry's."""
        return (
            self.operation == verdict.operation
            and verdict.output in self.outputs
            and verdict.dtype in self.dtypes
            and self.device == verdict.device.partition(":")[0]
            and self.mode == verdict.mode
            and self.torch.contains(version, prereleases=True)
        )


class Ledger:
    """Entries, for one version of PyTorch."""

    def __init__(self, entries: Iterable[Entry], torch_version: str) -> None:
        self.entries = tuple(entries)
        self.version = Version(Version(torch_version).base_version)

    def match(self, verdict: Verdict) -> Entry | None:
        """The entry that covers the worst excess of a verdict, if every excess of it is covered; None otherwise."""
        excess = self._excess(verdict)
        covering = [self._covering(verdict, element, size) for element, size in excess]
        return covering[0] if covering and all(covering) else None

    def exceeded(self, verdict: Verdict) -> Entry | None:
        """An entry of the right kind whose size the verdict exceeds."""
        for element, size in self._excess(verdict):
            for entry in self.entries:
                if entry.concerns(verdict, self.version) and entry.element == element and size > entry.size:
                    return entry
        return None

    def _excess(self, verdict: Verdict) -> tuple[tuple[str, float], ...]:
        if verdict.status == "raises":
            return (("raises", 0.0),)
        return verdict.witness.excess if verdict.witness is not None else ()

    def _covering(self, verdict: Verdict, element: str, size: float) -> Entry | None:
        for entry in self.entries:
            if (
                entry.concerns(verdict, self.version)
                and entry.element == element
                and size <= entry.size
                and entry.words in verdict.words
            ):
                return entry
        return None


def load_ledger(path: Path | None = None, torch_version: str | None = None) -> Ledger:
    """The ledger in a TOML file (the package's own by default), for a version of torch (the installed one).

    Raises UsageError naming the file, the entry and the field that is wrong.
    """
    path = path or DEFAULT_LEDGER
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")) if path.stat().st_size else {}
    except OSError as error:
        raise UsageError(f"ledger {path}: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"ledger {path} is no TOML file: {error}.") from None
    entries = [_entry(path, number, fields) for number, fields in enumerate(table.get("deviation", []), start=1)]
    return Ledger(entries, torch_version or importlib.metadata.version("torch"))


def _entry(path: Path, number: int, fields: dict[str, Any]) -> Entry:
    def fail(reason: str) -> UsageError:
        return UsageError(f"ledger {path}, entry {number} ({fields.get('operation', 'no operation')}): {reason}.")

    required = {"operation", "outputs", "dtypes", "device", "mode", "torch", "element", "reason", "source"}
    if missing := sorted(required - set(fields)):
        raise fail(f"{choices(missing)} missing")
    if unknown := sorted(set(fields) - required - {"cpu", "size", "words"}):
        raise fail(f"unknown field {choices(unknown)}")
    if fields["element"] not in ELEMENTS:
        raise fail(f"element = {fields['element']!r}; expected {choices(ELEMENTS)}")
    try:
        versions = SpecifierSet(fields["torch"])
    except InvalidSpecifier:
        raise fail(f"torch = {fields['torch']!r} is no version range such as '>=2.0,<2.14'") from None
    size = float(fields.get("size", math.inf))
    words = {**fields, "outputs": tuple(fields["outputs"]), "dtypes": tuple(fields["dtypes"])}
    return Entry(**{**words, "torch": versions, "size": size})
