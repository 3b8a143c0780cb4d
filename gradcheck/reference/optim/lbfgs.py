"""L-BFGS, which asks a closure for the loss and its gradient as often as it likes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np

from gradcheck.arithmetic import Mask
from gradcheck.errors import ContractError
from gradcheck.reference.optim.line_search import strong_wolfe
from gradcheck.reference.optim.rule import COMPILED
from gradcheck.reference.registry import enter

__all__ = ["ClosureRule", "LBFGSState", "UndecidedError", "holds", "lbfgs"]

Objective = Callable[[Any], tuple[Any, Any]]


class UndecidedError(ContractError):
    """A decision of the algorithm hangs on rounding errors: either branch is right."""


def holds(condition: Any) -> bool:
    """The truth of a comparison. Raises UndecidedError where the errors of its operands allow both."""
    if isinstance(condition, Mask) and np.any(condition.undecided):
        raise UndecidedError("a comparison is undecided within the bounds of its operands.")
    return bool(condition.likely if isinstance(condition, Mask) else condition)


class LBFGSState(NamedTuple):
    """What is kept between calls; vectors are flat. None before the first call.

    d, t: the last direction and step length; old_dirs, old_stps, ro: y = g - g', s = t·d and 1/(y·s) of the remembered
    steps, oldest first; h_diag: the scale of the first approximation; prev_flat_grad, prev_loss: before the last step.
    """

    n_iter: int = 0
    func_evals: int = 0
    d: Any = None
    t: Any = None
    old_dirs: tuple[Any, ...] = ()
    old_stps: tuple[Any, ...] = ()
    ro: tuple[Any, ...] = ()
    h_diag: Any = None
    prev_flat_grad: Any = None
    prev_loss: Any = None


@dataclass(frozen=True)
class ClosureRule:
    """An optimizer that takes a closure: an Entry of the table. ``function(param, state, objective, **options)``.

    What a case says besides the options: problem, the one to minimise; calls, how often ``step`` is called; parts, of
    how many parameters the vector is made (the first has one number, or one pair); complex, whether it holds pairs.
    """

    name: str
    function: Callable[..., Any]
    inputs: Callable[[Any], dict[str, Any]]
    modes: tuple[str, ...] = ("loop", *COMPILED)
    arrays: ClassVar[tuple[str, ...]] = ("param0",)
    required: ClassVar[tuple[str, ...]] = ("param0",)
    kind: ClassVar[str] = "optimizer"
    elementwise: ClassVar[bool] = False
    dtypes: ClassVar[tuple[str, ...]] = ("float64", "float32", "float16", "bfloat16")

    @property
    def title(self) -> str:
        """The first line of the function's docstring: what it computes."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    @property
    def options(self) -> dict[str, Any]:
        """The optimizer's own options and PyTorch's defaults."""
        parameters = inspect.signature(self.function).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The options, and what a case says besides."""
        return {**self.options, "problem": "quadratic", "calls": 3, "parts": 1, "complex": False}


def _inputs(draw: Any) -> dict[str, Any]:
    """Few dimensions and few iterations: errors grow with both. So short a step as 2^-20 teaches nothing of H."""
    search = draw.choice((None, "strong_wolfe"))
    arguments = {
        "param0": draw.array((draw.choice((3, 2, 5)),), ("ordinary", "integers")),
        "problem": draw.choice(("quadratic", "rosenbrock", "logistic") if search else ("quadratic", "logistic")),
        "calls": draw.choice((3, 1, 6)),
        "lr": draw.choice((1.0, 0.5) if search else (0.1, 0.5, 2.0**-20)),
        "max_iter": draw.choice((1, 2, 3)),
        "history_size": draw.choice((100, 2, 1)),
        "line_search_fn": search,
        "max_eval": draw.choice((None, 1, 2, 4)),
        "tolerance_grad": draw.choice((1e-7, 0.25)),
        "tolerance_change": draw.choice((1e-9, 0.0625)),
        "parts": draw.choice((1, 1, 2)),
    }
    if draw.choice((False, False, True)):
        arguments |= {"param0": replace(arguments["param0"], shape=(draw.choice((4, 6)),)), "complex": True}
    return arguments


def lbfgs(
    param: Any, state: LBFGSState, objective: Objective, *, lr: Any = 1, max_iter: int = 20,
    max_eval: int | None = None, tolerance_grad: Any = 1e-7, tolerance_change: Any = 1e-9, history_size: int = 100,
    line_search_fn: str | None = None,
) -> tuple[Any, LBFGSState]:  # fmt: skip
    """L-BFGS (Nocedal 1980; two-loop recursion: Nocedal & Wright 2006, algorithm 7.4), param flat, shape (n,).

    Each iteration steps along -H·g, H from the last history_size pairs (y, s) with y·s > 1e-10 on top of (y·s)/(y·y)·I.
    The first step of all has length min(1, 1/‖g‖₁)·lr, the others lr, unless strong_wolfe (see line_search) finds one.
    Stops after max_iter iterations or max_eval evaluations (5/4·max_iter), at ‖g‖∞ ≤ tolerance_grad, at ‖t·d‖∞ or a
    change of the loss ≤ tolerance_change, and where d is no descent. Raises UndecidedError where a decision hangs on
    rounding.
    """
    max_eval = max_iter * 5 // 4 if max_eval is None else max_eval
    loss, grad = objective(param)
    evaluations = 1
    s = state._replace(func_evals=state.func_evals + 1)
    if holds(np.max(np.abs(grad)) <= tolerance_grad):
        return param, s
    for iteration in range(1, max_iter + 1):
        s = _direction(s._replace(n_iter=s.n_iter + 1), grad, history_size)
        s = s._replace(prev_flat_grad=grad, prev_loss=loss)
        t = np.minimum(1.0, 1.0 / np.sum(np.abs(grad))) * lr if s.n_iter == 1 else lr
        slope = np.sum(grad * s.d)
        s = s._replace(t=t)
        if holds(slope > -tolerance_change):
            break
        used = 0
        if line_search_fn is not None:
            ray = partial(_along, objective, param, s.d)
            loss, grad, t, used = strong_wolfe(ray, t, s.d, loss, grad, slope, max_eval - evaluations, holds)
            param = param + t * s.d
        else:
            param = param + t * s.d
            if iteration != max_iter:
                loss, grad = objective(param)
                used = 1
        evaluations += used
        s = s._replace(t=t, func_evals=s.func_evals + used)
        if iteration == max_iter or evaluations >= max_eval:
            break
        if holds(np.max(np.abs(grad)) <= tolerance_grad) or holds(np.max(np.abs(s.d * t)) <= tolerance_change):
            break
        if holds(np.abs(loss - s.prev_loss) < tolerance_change):
            break
    return param, s


def _along(objective: Objective, start: Any, direction: Any, step: Any) -> tuple[Any, Any]:
    return objective(start + step * direction)


def _direction(s: LBFGSState, grad: Any, history_size: int) -> LBFGSState:
    """The state with the new direction -H·g, and with the newest pair remembered."""
    if s.n_iter == 1:
        return s._replace(d=-grad, old_dirs=(), old_stps=(), ro=(), h_diag=1)
    y, step = grad - s.prev_flat_grad, s.d * s.t
    curvature = np.sum(y * step)
    if holds(curvature > 1e-10):
        s = s._replace(
            old_dirs=(*s.old_dirs, y)[-history_size:],
            old_stps=(*s.old_stps, step)[-history_size:],
            ro=(*s.ro, 1.0 / curvature)[-history_size:],
            h_diag=curvature / np.sum(y * y),
        )
    pairs = list(zip(s.old_dirs, s.old_stps, s.ro, strict=True))
    q, shares = -grad, []
    for y, step, ro in reversed(pairs):
        shares.append(np.sum(step * q) * ro)
        q = q - shares[-1] * y
    r = q * s.h_diag
    for (y, step, ro), share in zip(pairs, reversed(shares), strict=True):
        r = r + (share - np.sum(y * r) * ro) * step
    return s._replace(d=r)


def _search(seed: int, size: int, **words: Any) -> tuple[int, int, dict[str, Any]]:
    return seed, size, {"problem": "wavy", "calls": 2, "line_search_fn": "strong_wolfe", **words}


SEARCHES = (
    _search(7676, 1, calls=3, lr=2.0, max_eval=12, max_iter=1),  # zooms into brackets with either end the lower one
    _search(5173, 2, calls=1, lr=16.0, max_iter=4),  # ends at the evaluations that it has by default
    _search(2084, 1, calls=1, lr=4.0, max_eval=25, max_iter=1),  # moves a trial inside, from either end
    _search(2683, 2, problem="rosenbrock", calls=1, lr=2.0**-10, max_eval=4, max_iter=3),  # finds no bracket at first
    _search(8314, 2, lr=2.0, max_eval=10, max_iter=2),  # clamps a trial to its largest
    _search(2876, 1, calls=1, lr=8.0, max_iter=4),  # zooms where the right end is the lower one, and is moved inside
    _search(7038, 1, calls=3, lr=4.0, max_eval=12, max_iter=3),  # ends an iteration by each of its tests
    _search(520, 1, calls=1, lr=4.0, max_eval=12, max_iter=1),  # is twice near the same end
    _search(8484, 1, lr=8.0, max_eval=10, max_iter=1),  # is high enough to pass, and higher than the lower end
    _search(9824, 1, problem="quadratic", calls=1, lr=2.0**-10, max_eval=3, max_iter=1),  # ends without a bracket
    _search(9999, 1, calls=1, lr=2.0, max_eval=4, max_iter=1),  # is near an end again after it was moved inside
    _search(2143, 1, lr=0.5, max_eval=3, max_iter=1),  # turns a bracket round as it zooms
    _search(6312, 1, calls=1, lr=6.0, max_eval=4, max_iter=3),  # rises in its second trial without being too high
    _search(8111, 1, lr=6.0, max_eval=4, max_iter=1),  # is moved inside in a bracket far from 0
)
"""Seeds, sizes and arguments of line searches that go all through it, each with what the others do not show. In all of
them every decision stands under eight times the bounds as well: the last bits of a machine change none of them."""

RULE = enter(ClosureRule("optim.LBFGS", lbfgs, _inputs))
