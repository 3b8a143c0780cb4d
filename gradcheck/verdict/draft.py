"""The draft of a ledger entry, in TOML, from verdicts that deviate."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from gradcheck.cases.settings import DEFAULT
from gradcheck.verdict.ledger import Ledger
from gradcheck.verdict.verdict import Verdict

__all__ = ["drafts"]


def drafts(verdicts: Iterable[Verdict], ledger: Ledger) -> str:
    """One entry for each kind of elements by which the verdicts (of one case) exceed the bound.

    The reason is empty, for somebody to find out.
    """
    outputs: dict[str, dict[str, float]] = {}
    some: dict[str, Verdict] = {}
    for verdict in verdicts:
        for element, size in ledger.excess(verdict):
            outputs.setdefault(element, {})[verdict.output] = size
            some.setdefault(element, verdict)
    return "\n\n".join(_draft(element, sizes, some[element], ledger) for element, sizes in outputs.items())


def _draft(element: str, sizes: dict[str, float], verdict: Verdict, ledger: Ledger) -> str:
    version = ledger.version
    fields: dict[str, Any] = {
        "operation": verdict.operation,
        "outputs": list(sizes),
        "dtypes": [verdict.dtype],
        "device": verdict.device.partition(":")[0],
        "mode": verdict.mode,
        "torch": f">={version.major}.{version.minor}",
        "element": element,
    }
    if verdict.setting != DEFAULT:
        fields["setting"] = verdict.setting
    if element in ("raises", "words"):
        fields["words"] = verdict.words.partition(": ")[2] or verdict.words
    elif math.isfinite(max(sizes.values())):
        fields["size"] = _rounded_up(max(sizes.values()))
    fields |= {"reason": "", "source": f"found by gradcheck; replay: {verdict.case}"}
    return "\n".join(["[[deviation]]", *(f"{name} = {_toml(value)}" for name, value in fields.items())])


def _toml(value: Any) -> str:
    """A string, number or list; JSON writes them as TOML does."""
    return json.dumps(value, ensure_ascii=False)


def _rounded_up(size: float) -> float:
    """To two significant digits, so that the case itself is covered."""
    step = 10.0 ** (math.floor(math.log10(size)) - 1)
    return float(f"{math.ceil(size / step) * step:.6g}")
