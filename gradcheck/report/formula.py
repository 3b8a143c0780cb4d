"""The formula of an operation for the page: its docstring, its source in colour, its conventions at kinks."""

from __future__ import annotations

import html
import inspect
import re
import types
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from gradcheck.reference.registry import Reference, entries

__all__ = ["formula"]


def formula(operation: str) -> dict[str, Any] | None:
    """``doc`` and ``source`` as HTML, ``file`` and ``kinks``; None for an operation that has no reference here."""
    entry = entries().get(operation)
    if entry is None:
        return None
    functions = _functions(entry)
    return {
        "doc": _paragraphs(inspect.getdoc(functions[0]) if functions else entry.title),
        "source": _coloured("\n\n".join(_source(function) for function in functions)),
        "file": functions[0].__module__.replace(".", "/") + ".py" if functions else "",
        "kinks": _kinks(entry) if isinstance(entry, Reference) else [],
    }


def _functions(entry: Any) -> list[Callable[..., Any]]:
    """The function of an entry, and those of its own module that it calls."""
    first = inspect.unwrap(getattr(entry, "function", None) or getattr(entry, "closed", None) or entry)
    if not isinstance(first, types.FunctionType):
        return []
    found = {first.__name__: first}
    waiting = [first]
    while waiting:
        for function in _called(waiting.pop()):
            if function.__name__ not in found:
                found[function.__name__] = function
                waiting.append(function)
    return list(found.values())


def _called(function: types.FunctionType) -> Iterator[types.FunctionType]:
    for name in _names(function.__code__):
        value = function.__globals__.get(name)
        if isinstance(value, types.FunctionType) and value.__module__ == function.__module__:
            yield value


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _source(function: Callable[..., Any]) -> str:
    """The function as it is written, without its docstring, which stands above it on the page."""
    try:
        text = inspect.getsource(function).rstrip()
    except OSError:
        return f"# the source of {function.__name__} is not here"
    return re.sub(r'\n    """.*?"""(?=\n)', "", text, count=1, flags=re.DOTALL)


@cache
def _formatter() -> Any:
    from pygments.formatters.html import HtmlFormatter

    return HtmlFormatter(nowrap=True, classprefix="h-")


def _coloured(source: str) -> str:
    from pygments import highlight
    from pygments.lexers.python import PythonLexer

    # Colours of operators, punctuation and plain names would double the size of the page and say nothing.
    text = highlight(source, PythonLexer(), _formatter())
    return re.sub(r'<span class="h-(?:n|p|o|w|nn|err)">([^<]*)</span>', r"\1", text).rstrip()


def _paragraphs(doc: str | None) -> str:
    """A docstring as paragraphs, what is quoted in it as code."""
    parts = re.split(r"\n\s*\n", inspect.cleandoc(doc or ""))
    quoted = (re.sub(r"``(.+?)``", r"<code>\1</code>", html.escape(part, quote=False)) for part in parts if part)
    return "".join(f"<p>{part}</p>" for part in quoted)


def _kinks(operation: Reference) -> list[dict[str, str]]:
    return [
        {"where": kink.where, "what": kink.what, "at": _call(kink.at), "gives": _call(kink.gives)}
        for kink in operation.kinks
    ]


def _call(words: Any) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in words.items())
