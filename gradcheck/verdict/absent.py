"""What the installed PyTorch lacks: a function or class, or a parameter, or a word for it, that a later version has."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

from gradcheck.cases.case import Case, parse_case
from gradcheck.errors import UsageError
from gradcheck.subject.facts import torch_version
from gradcheck.subject.signatures import UNSEEN, exists, later_words, parameters_of
from gradcheck.verdict.verdict import Verdict

__all__ = ["as_absent", "lacking"]

_UNEXPECTED = re.compile(r"TypeError: .*unexpected keyword argument '(\w+)'")

_exists = cache(exists)


def lacking(case: Case) -> str:
    """In words, that this PyTorch has no such operation; empty where it has."""
    return "" if _exists(case.operation) else f"torch {torch_version()} has no {case.operation}"


def as_absent(verdict: Verdict) -> Verdict:
    """The verdict, `absent` where the subject met a name, or PyTorch refused a parameter or word, that it has not.

    Its signature is asked as well: a parameter that it has, or whose function shows none, is refused for some reason
    of the case, and a wrong name in a reference is no fault of PyTorch's (tests compare them for the newest version).
    """
    if verdict.status == "unsupported" and verdict.words.startswith(f"torch {torch_version()} has no "):
        return replace(verdict, status="absent")
    if verdict.status != "raises":
        return verdict
    if newer := later_words(verdict.operation, dict(parse_case(verdict.case).arguments)):
        words = ", ".join(f"{parameter}={word!r}" for parameter, word in newer.items())
        return replace(verdict, status="absent", words=f"torch {torch_version()}: {verdict.operation} has no {words}")
    refused = _UNEXPECTED.search(verdict.words)
    if refused is None:
        return verdict
    documented = UNSEEN.get(verdict.operation, {})  # of the newest version, whatever the installed one is
    if refused[1] in _parameters(verdict.operation) and refused[1] not in documented:
        return verdict
    words = f"torch {torch_version()}: {verdict.operation} has no parameter {refused[1]}"
    return replace(verdict, status="absent", words=words)


def _parameters(name: str) -> dict[str, object]:
    """The parameters of an operation; that any is accepted where they are not known."""
    try:
        return parameters_of(name)
    except (UsageError, KeyError, ValueError):
        return _Any()


class _Any(dict[str, object]):
    def __contains__(self, name: object) -> bool:
        return True
