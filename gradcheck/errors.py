"""The errors that a user of gradcheck can meet; the command line prints them as one sentence, with status 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["ContractError", "GradcheckError", "MissingRuleError", "UsageError", "choices", "nearest"]


class GradcheckError(Exception):
    """Base of everything that gradcheck raises on purpose. The message is a whole sentence."""


class UsageError(GradcheckError):
    """An argument, a name or a case line is not usable: the message names it, its value and what was expected."""


class ContractError(GradcheckError):
    """A reference breaks its contract: wrong gradient names, a wrong shape, an undeclared argument."""


class MissingRuleError(GradcheckError):
    """A reference called a NumPy or SciPy function that an arithmetic has no rule for."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The names nearest to ``name``, as the end of a sentence; every last dotted part counts as a name too."""
    names = list(known)
    by_last_part = {full.rpartition(".")[2]: full for full in names}
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    close += [by_last_part[part] for part in difflib.get_close_matches(name, by_last_part, n=3, cutoff=0.5)]
    unique = list(dict.fromkeys(close))[:3]
    return f"did you mean {' or '.join(unique)}?" if unique else "`gradcheck list` shows all names."


def choices(options: Iterable[object]) -> str:
    """``a, b or c``, for the part of a message that says what was expected."""
    words = [str(option) for option in options]
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
