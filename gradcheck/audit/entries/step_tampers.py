"""Faults of an optimizer's own, put into a history that ran: states mixed up, steps counted wrong, what must stay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from gradcheck.audit.entries.bench import SpecialTamper
from gradcheck.audit.tamper import ROUNDOFFS
from gradcheck.cases.case import Case
from gradcheck.formats import format_named
from gradcheck.reference.optim.evaluate import FLOAT64, outputs_of, take_step
from gradcheck.subject.optimizers import Entry, Moment, Seen, changes_between
from gradcheck.verdict.steps import before_step

__all__ = ["STEP_TAMPERS"]


def _at_some_step(
    change: Callable[[list[Moment], list[Moment]], dict[int, Moment] | None],
) -> Callable[[Case, Any], Any]:
    """A tamper from a change of the moments after one step: the first, from a seeded one on, at which it can strike."""

    def tamper(case: Case, ran: Any) -> Any:
        seen: Seen = ran.seen
        steps = len(seen.after)
        for offset in range(steps):
            step = (case.seed + offset) % steps
            changed = change(seen.before[step], seen.after[step])
            if changed:
                after = [list(moments) for moments in seen.after]
                for i, moment in changed.items():
                    after[step][i] = moment
                words = [f"step {step}: {found}" for found in changes_between(seen.before[step], after[step])]
                return replace(ran, seen=replace(seen, after=after, changed=[*seen.changed, *words]))
        return None

    return tamper


def _differ(a: Entry, b: Entry) -> bool:
    return a.array.shape != b.array.shape or not np.array_equal(a.array, b.array, equal_nan=True)


def _tensors(moment: Moment) -> dict[str, Entry]:
    return {name: entry for name, entry in moment.state.items() if name != "step"}


def _pairs(before: list[Moment], after: list[Moment]) -> list[tuple[int, int, str]]:
    """Two parameters that have just stepped, and an entry that has one shape and two values in them."""
    stepped = [i for i, moment in enumerate(before) if moment.grad is not None]
    return [
        (i, k, name)
        for i in stepped
        for k in stepped
        if i < k
        for name, entry in _tensors(after[i]).items()
        if name in after[k].state
        and entry.array.shape == after[k].state[name].array.shape
        and _differ(entry, after[k].state[name])
    ]


def _with(moment: Moment, **entries: Entry) -> Moment:
    return replace(moment, state={**moment.state, **entries})


def shared(before: list[Moment], after: list[Moment]) -> dict[int, Moment] | None:
    """Two parameters share one state tensor."""
    for i, k, name in _pairs(before, after):
        return {k: _with(after[k], **{name: after[i].state[name]})}
    return None


def swapped(before: list[Moment], after: list[Moment]) -> dict[int, Moment] | None:
    """Two parameters have each other's state."""
    for i, k, name in _pairs(before, after):
        mine, theirs = after[i].state[name], after[k].state[name]
        return {i: _with(after[i], **{name: theirs}), k: _with(after[k], **{name: mine})}
    return None


def confused(before: list[Moment], after: list[Moment]) -> dict[int, Moment] | None:
    """Two entries of one parameter's state change places."""
    for i, (was, now) in enumerate(zip(before, after, strict=True)):
        entries = list(_tensors(now).items()) if was.grad is not None else []
        for (name, one), (other, two) in pairwise(entries):
            if one.array.shape == two.array.shape and _differ(one, two):
                return {i: _with(now, **{name: two, other: one})}
    return None


def _counted(add: float) -> Callable[[list[Moment], list[Moment]], dict[int, Moment] | None]:
    def change(before: list[Moment], after: list[Moment]) -> dict[int, Moment] | None:
        for i, (was, now) in enumerate(zip(before, after, strict=True)):
            if was.grad is not None and "step" in now.state:
                count = now.state["step"]
                return {i: _with(now, step=replace(count, array=count.array + add))}
        return None

    return change


def _gradient(change: Callable[[Entry], Entry | None]) -> Callable[[list[Moment], list[Moment]], Any]:
    def changed(before: list[Moment], after: list[Moment]) -> dict[int, Moment] | None:
        for i, now in enumerate(after):
            if now.grad is not None and now.grad.array.size and (now.grad.array != 0.0).any():
                return {i: replace(now, grad=change(now.grad))}
        return None

    return changed


def _written(entry: Entry) -> Entry:
    array = entry.array * 0.5
    return Entry(array, array.tobytes(), entry.dtype)


def moved(before: list[Moment], after: list[Moment]) -> dict[int, Moment] | None:
    """A parameter without a gradient moves."""
    for i, (was, now) in enumerate(zip(before, after, strict=True)):
        if was.grad is None and now.param.array.size and np.isfinite(now.param.array).any():
            array = now.param.array * 0.5 + 1.0
            return {i: replace(now, param=Entry(array, array.tobytes(), now.param.dtype))}
    return None


def forgotten(before: list[Moment], after: list[Moment]) -> dict[int, Moment] | None:
    """An entry of the state is not kept."""
    for i, (was, now) in enumerate(zip(before, after, strict=True)):
        if was.grad is not None and _tensors(now):
            name = next(iter(_tensors(now)))
            return {i: replace(now, state={n: e for n, e in now.state.items() if n != name})}
    return None


def wider(before: list[Moment], after: list[Moment]) -> dict[int, Moment] | None:
    """An entry of the state is kept in another dtype."""
    for i, (was, now) in enumerate(zip(before, after, strict=True)):
        for name, entry in _tensors(now).items() if was.grad is not None else ():
            if entry.array.ndim:
                other = "float64" if entry.dtype != "float64" else "float32"
                return {i: _with(now, **{name: replace(entry, dtype=other)})}
    return None


def of_the_first_group(case: Case, ran: Any) -> Any:
    """The last parameter steps by the first group's options."""
    history, seen = ran.history, ran.seen
    last = len(history.params) - 1
    if not history.last_group(last):
        return None
    for step, (before, after) in enumerate(zip(seen.before, seen.after, strict=True)):
        if before[last].grad is None:
            continue
        right = before_step(history, history.rule, step, last, before[last])
        options = {**history.rule.options, **history.options(0)}
        own, other = (
            np.asarray(outputs_of(take_step(history.rule, start, FLOAT64))["param"], dtype=np.float64)
            for start in (right, replace(right, options=options))
        )
        form = format_named(case.dtype)
        with np.errstate(all="ignore"):
            apart = np.abs(own - other) > ROUNDOFFS * form.roundoff * np.abs(own)
        if np.any(apart & np.isfinite(own)):
            changed = [list(moments) for moments in seen.after]
            changed[step][last] = replace(after[last], param=replace(after[last].param, array=form.round(other)))
            return replace(ran, seen=replace(seen, after=changed))
    return None


STEP_TAMPERS = (
    SpecialTamper("one state tensor shared by two parameters", "state", _at_some_step(shared)),
    SpecialTamper("state of two parameters swapped", "state", _at_some_step(swapped)),
    SpecialTamper("two state entries confused", "state", _at_some_step(confused)),
    SpecialTamper("stale step count", "state[step]", _at_some_step(_counted(-1.0))),
    SpecialTamper("step counted twice", "state[step]", _at_some_step(_counted(1.0))),
    SpecialTamper("state entry not kept", "state", _at_some_step(forgotten)),
    SpecialTamper("state entry in another dtype", "state", _at_some_step(wider)),
    SpecialTamper("gradient written", "untouched", _at_some_step(_gradient(_written))),
    SpecialTamper("gradient taken away", "untouched", _at_some_step(_gradient(lambda entry: None))),
    SpecialTamper("parameter without a gradient moved", "untouched", _at_some_step(moved)),
    SpecialTamper("options of the first group for all", "param", of_the_first_group),
)
"""Besides the operations' catalogue, which changes numbers of one output after one step."""
