"""The axes at the end of a case line, changed without parsing the call before them."""

from __future__ import annotations

from gradcheck.cases.case import AXES

__all__ = ["axes_of_line", "line_on"]


def axes_of_line(line: str) -> tuple[str, dict[str, str]]:
    """The call, and the words for seed, dtype and those axes that do not have their default."""
    call, _, words = line.rpartition(")")
    return call + ")", dict(word.split("=", 1) for word in words.split())


def line_on(line: str, **axes: str) -> str:
    """The line of the same case elsewhere on AXES: what ``str(parse_case(line).on(**axes))`` is, at once."""
    call, words = axes_of_line(line)
    words |= axes
    kept = [f"{name}={words[name]}" for name, default in AXES.items() if words.get(name, default) != default]
    return " ".join([call, f"seed={words['seed']}", f"dtype={words['dtype']}", *kept])
