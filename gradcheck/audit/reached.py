"""Which lines of the references' formulas are run: a mutant in a line that no case reaches changes nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["PACKAGE", "Lines", "traced"]

PACKAGE = "gradcheck.reference"

Lines = set[tuple[str, int]]
"""Modules and line numbers."""


@contextmanager
def traced(lines: Lines) -> Iterator[None]:
    """Add the lines of functions below PACKAGE that the body runs, at half its speed; in this thread."""

    def entered(frame: FrameType, event: str, argument: Any) -> Any:
        module = str(frame.f_globals.get("__name__", ""))
        if not module.startswith(PACKAGE):
            return None

        def line(frame: FrameType, event: str, argument: Any) -> Any:
            lines.add((module, frame.f_lineno))
            return line

        return line(frame, event, argument)

    before = sys.gettrace()
    sys.settrace(entered)
    try:
        yield
    finally:
        sys.settrace(before)
