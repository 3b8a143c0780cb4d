"""The ledger of known deviations: what PyTorch is known to get wrong, how much, why, and who says so.

An entry silences nothing by widening a bound: it covers verdicts of one operation whose excess is of one kind of
element (see Witness) and not larger than the entry's size. What is larger, or of another kind, is reported.
"""

from __future__ import annotations

import fnmatch
import functools
import importlib.metadata
import math
import re
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from gradcheck.arithmetic.accuracy import kernels_of
from gradcheck.cases.modes import GROUPS, ORACLES
from gradcheck.cases.settings import words_of
from gradcheck.errors import UsageError, choices
from gradcheck.processor import processor_flags
from gradcheck.verdict.verdict import Verdict

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["DEFAULT_LEDGER", "Entry", "Ledger", "load_ledger"]

DEFAULT_LEDGER = Path(__file__).parent.parent / "ledger.toml"

ELEMENTS = ("ordinary", "nan input", "nan", "overflow", "raises", "words")
"""Kinds of elements of a witness's excess, `raises` for an exception where the reference has a value, and `words` for
what is told in words alone: a wrong shape or dtype, an output that is missing, what should not have changed."""


@dataclass(frozen=True)
class Entry:
    """One known deviation.

    operation: PyTorch's name, * allowed; outputs ("*" for all), dtypes: which it concerns; torch: a version range;
    mode: one or several modes or groups of them, ``backward`` standing for all that run its kernels; element: the kind
    of elements that exceed the bound, or several; size: the largest error/bound seen; words: for `raises` and `words`,
    what the message contains; cpu: instruction sets without which the kernels concerned do not run, and the deviation
    does not show, and those with which others run (after a !); case: a regular expression that is found in the line of
    every case concerned ("" for all cases); setting: one or several precision settings, * allowed ("" for all).
    """

    operation: str
    outputs: tuple[str, ...]
    dtypes: tuple[str, ...]
    device: str
    mode: str | tuple[str, ...]
    torch: SpecifierSet
    element: str | tuple[str, ...]
    size: float
    reason: str
    source: str
    words: str = ""
    cpu: str = ""
    case: str = ""
    setting: str | tuple[str, ...] = ""

    def concerns(self, verdict: Verdict, version: Version) -> bool:
        """Whether operation, output, dtype, device, mode, setting, version and words of the case are the entry's."""
        return (
            fnmatch.fnmatchcase(verdict.operation, self.operation)
            and (verdict.output in self.outputs or "*" in self.outputs)
            and self._in_dtype(verdict)
            and self.device == kernels_of(verdict.device)
            and self._in_mode(verdict.mode)
            and self.in_setting(verdict.setting)
            and self.torch.contains(version, prereleases=True)
            and re.search(self.case, verdict.case) is not None
        )

    def as_json(self) -> dict[str, Any]:
        """The fields by name, as in the ledger's file; a size that is infinite is left out."""
        fields = {name: value for name, value in vars(self).items() if value not in ("", math.inf)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()} | {
            "torch": str(self.torch)
        }

    def is_of(self, element: str) -> bool:
        """Whether it concerns that kind of elements."""
        return element == self.element or (isinstance(self.element, tuple) and element in self.element)

    def shows_on(self, flags: Collection[str]) -> bool:
        """Whether a processor with these instruction sets runs the kernels concerned; True where none are known."""
        return not flags or all((word.lstrip("!") in flags) != word.startswith("!") for word in self.cpu.split())

    @property
    def replay(self) -> str:
        """The line of a case that shows the deviation, where the source has one."""
        return self.source.partition("replay: ")[2]

    def in_setting(self, setting: str) -> bool:
        """Whether the setting is the entry's."""
        wanted = (self.setting or "*",) if isinstance(self.setting, str) else self.setting
        return any(fnmatch.fnmatchcase(setting, pattern) for pattern in wanted)

    def _in_dtype(self, verdict: Verdict) -> bool:
        """Whether the dtype is the entry's, or that of autocast is, whose kernels run then."""
        return not {verdict.dtype, words_of(verdict.setting).get("autocast")}.isdisjoint(self.dtypes)

    def _in_mode(self, mode: str) -> bool:
        """Whether the mode is one of the entry's, or in one of its groups, or runs the same kernels as ``backward``."""
        words = self.mode if isinstance(self.mode, tuple) else (self.mode,)
        if "backward" in words and ORACLES.get(mode) in SAME_KERNELS:
            return True
        return mode in words or any(mode in GROUPS.get(word, ()) for word in words)


SAME_KERNELS = ("vjp", "value", "vjp of rows")
"""Oracles of the modes that call the kernels of ``backward``: what these get wrong is wrong there as well."""


class Ledger:
    """Entries, for one version of PyTorch and one processor.

    here: those whose deviation shows on the processor; no other covers anything.
    """

    def __init__(self, entries: Iterable[Entry], torch_version: str, flags: Collection[str] | None = None) -> None:
        """flags: the processor's instruction sets, those of this one if not given."""
        self.entries = tuple(entries)
        known = processor_flags() if flags is None else flags
        self.here = tuple(entry for entry in self.entries if entry.shows_on(known))
        self.version = Version(Version(torch_version).base_version)

    def concerns(self, verdict: Verdict) -> bool:
        """Whether there is an entry of its operation, output, dtype, mode and case, whatever it exceeds."""
        return any(entry.concerns(verdict, self.version) for entry in self.here)

    def match(self, verdict: Verdict) -> Entry | None:
        """The entry that covers the worst excess of a verdict, if every excess of it is covered; None otherwise."""
        return next(iter(self.covering(verdict)), None)

    def covering(self, verdict: Verdict) -> tuple[Entry, ...]:
        """The entries that together cover every excess of a verdict; none if one excess is not covered."""
        found = [self._covering(verdict, element, size) for element, size in self.excess(verdict)]
        return tuple(entry for entry in found if entry is not None) if all(found) else ()

    def exceeded(self, verdict: Verdict) -> Entry | None:
        """An entry of the right kind whose size the verdict exceeds."""
        for element, size in self.excess(verdict):
            for entry in self.here:
                if entry.concerns(verdict, self.version) and entry.is_of(element) and size > entry.size:
                    return entry
        return None

    def excess(self, verdict: Verdict) -> tuple[tuple[str, float], ...]:
        """The kinds of elements for which a bad verdict exceeds the bound, each with the worst ratio."""
        if verdict.status == "raises":
            return (("raises", 0.0),)
        return verdict.witness.excess if verdict.witness is not None else (("words", 0.0),)

    def _covering(self, verdict: Verdict, element: str, size: float) -> Entry | None:
        for entry in self.here:
            if (
                entry.concerns(verdict, self.version)
                and entry.is_of(element)
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
        about = path.stat()
        entries = _entries(path, about.st_size, about.st_mtime_ns)
    except OSError as error:
        raise UsageError(f"ledger {path}: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"ledger {path} is no TOML file: {error}.") from None
    return Ledger(entries, torch_version or _installed_torch())


@functools.lru_cache(maxsize=8)
def _entries(path: Path, size: int, changed: int) -> tuple[Entry, ...]:
    """What the file held when it had this size and was changed at that time; parsed once, which takes as long as
    judging a case."""
    table = tomllib.loads(path.read_text(encoding="utf-8")) if size else {}
    return tuple(_entry(path, number, fields) for number, fields in enumerate(table.get("deviation", []), start=1))


@functools.cache
def _installed_torch() -> str:
    return importlib.metadata.version("torch")


def _entry(path: Path, number: int, fields: dict[str, Any]) -> Entry:
    def fail(reason: str) -> UsageError:
        return UsageError(f"ledger {path}, entry {number} ({fields.get('operation', 'no operation')}): {reason}.")

    required = {"operation", "outputs", "dtypes", "device", "mode", "torch", "element", "reason", "source"}
    if missing := sorted(required - set(fields)):
        raise fail(f"{choices(missing)} missing")
    if unknown := sorted(set(fields) - required - {"case", "cpu", "setting", "size", "words"}):
        raise fail(f"unknown field {choices(unknown)}")
    for name in ("reason", "source"):
        if not str(fields[name]).strip():
            raise fail(f"{name} is empty; every known deviation has one")
    elements = [fields["element"]] if isinstance(fields["element"], str) else fields["element"]
    if unknown := [element for element in elements if element not in ELEMENTS]:
        raise fail(f"element = {unknown[0]!r}; expected {choices(ELEMENTS)}")
    try:
        versions = SpecifierSet(fields["torch"])
    except InvalidSpecifier:
        raise fail(f"torch = {fields['torch']!r} is no version range such as '>=2.0,<2.14'") from None
    try:
        re.compile(fields.get("case", ""))
    except re.error as error:
        raise fail(f"case = {fields['case']!r} is no regular expression ({error})") from None
    size = float(fields.get("size", math.inf))
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
    return Entry(**{**fields, "torch": versions, "size": size})
