"""Files that commands write: checked before the work begins, replaced whole when it is done."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from gradcheck.errors import UsageError

__all__ = ["writable", "write_json", "write_text"]


def writable(option: str, name: str | None) -> Path | None:
    """The path given to an option, once it is clear that it can be written: no work is to be lost on a typo."""
    if name is None:
        return None
    path = Path(name)
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"{option} {name!r}: expected a file in an existing folder.")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(f"{option} {name!r} cannot be written.")
    return path


def write_json(path: Path, content: Any) -> None:
    """Plain values as JSON, by :func:`write_text`."""
    write_text(path, json.dumps(content, indent=1))


def write_text(path: Path, text: str) -> None:
    """Write beside the file and put it in its place, so that what was there is not lost halfway."""
    beside = path.with_name(path.name + ".part")
    beside.write_text(text + "\n", encoding="utf-8")
    beside.replace(path)
