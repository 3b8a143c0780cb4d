"""The decorator ``@schedule``: a learning rate's closed form as an entry of the table, and how cases of it are drawn.

A closed form is ``closed(t, lr, *, …) -> {"lr": …}``: t, the numbers of steps taken, is an integer array, lr the rate
that a parameter group starts from; what comes out has the shape of t. A schedule that drives the momentum returns
``"momentum"`` as well. Most of PyTorch's schedulers compute a rate from the one before: that route is a second formula,
``route(lr, t, base, *, …) -> lr`` from the rate at t - 1 (at t = 0: from base), and its rounding counts too.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from gradcheck.reference.registry import enter

__all__ = ["LR_ONLY", "MODES", "MOMENTUM", "RARELY", "Schedule", "drawn", "schedule"]

MODES = ("step", "epoch", "last_epoch", "tensor")
"""``step()``; ``step(epoch)``; made anew with ``last_epoch=…`` in the middle; lr as a tensor of the case's dtype."""

MOMENTUM = ("SGD", "Adam", "AdamW", "RMSprop", "NAdam", "RAdam", "Adamax", "Muon", "SparseAdam")
"""Optimizers that have a momentum, or betas, of which the first is driven."""

LR_ONLY = ("Adagrad", "Adadelta", "ASGD", "Rprop", "Adafactor", "LBFGS")

COMMON = {"steps": inspect.Parameter.empty, "lr": (0.1,), "optimizer": "SGD", "resume": None}
"""What a case says besides the scheduler's options. steps: how often the scheduler steps; lr: where each parameter
group starts; optimizer: the class that is driven; resume: the step after which the state is loaded into new objects."""


@dataclass(frozen=True)
class Schedule:
    """One scheduler; an Entry of the table.

    closed, route: see above; inputs: from a Draw to the arguments of a case; grouped: options that may be a tuple with
    one value for each parameter group; functions: options that name a function of the user's (see ``functions``).
    """

    name: str
    closed: Callable[..., dict[str, Any]]
    inputs: Callable[[Any], dict[str, Any]]
    route: Callable[..., Any] | None = None
    modes: tuple[str, ...] = MODES
    grouped: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    kind: ClassVar[str] = "schedule"
    dtypes: ClassVar[tuple[str, ...]] = ("float64",)
    elementwise: ClassVar[bool] = False

    @property
    def title(self) -> str:
        """The first line of the formula's docstring."""
        return (self.closed.__doc__ or "").strip().partition("\n")[0]

    @property
    def arrays(self) -> tuple[str, ...]:
        """What a step looks at, such as the metrics of ReduceLROnPlateau."""
        parameters = inspect.signature(self.closed).parameters.values()
        return tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)[2:]

    @property
    def options(self) -> dict[str, Any]:
        """The scheduler's own options and PyTorch's defaults."""
        parameters = inspect.signature(self.closed).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The options, and what every case of a schedule says."""
        return {**self.options, **COMMON}

    @property
    def required(self) -> tuple[str, ...]:
        missing = (name for name, default in self.hyperparameters.items() if default is inspect.Parameter.empty)
        return (*self.arrays, *missing)


def schedule(
    name: str,
    *,
    inputs: Callable[[Any], dict[str, Any]],
    route: Callable[..., Any] | None = None,
    modes: tuple[str, ...] = MODES,
    grouped: tuple[str, ...] = (),
    functions: tuple[str, ...] = (),
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter the decorated closed form as the schedule of ``name``; the function itself is returned unchanged."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        enter(Schedule(name, function, inputs, route, modes, grouped, functions))
        return function

    return register


RARELY = (False,) * 9 + (True,)
"""To choose from where something is drawn of which PyTorch is known to make something else: it hides all else."""

STEPS = (1, 2, 3, 5, 6, 9, 13, 24, 40)
RATES = ((0.1,), (0.1, 0.02), (1.0,), (0.003, 0.5, 0.07))


def drawn(
    draw: Any,
    optimizers: Sequence[str] = (*MOMENTUM, *LR_ONLY),
    most: int | None = None,
    array: str | None = None,
    kinds: Sequence[str] = ("ordinary",),
    **options: Sequence[Any],
) -> dict[str, Any]:
    """The arguments of a case: one value of each option (the simplest first), and what every case of a schedule says.

    most: the most steps that the schedule has; array: the name of an array of one number for each step.
    """
    chosen = {name: draw.choice(values) for name, values in options.items()}
    steps = draw.choice([n for n in STEPS if most is None or n <= most] or [1])
    optimizer = draw.choice(optimizers)
    rates = draw.choice([rates for rates in RATES if optimizer != "LBFGS" or len(rates) == 1])
    resume = draw.choice((None, 1, max(steps // 2, 1), steps))
    arrays = {} if array is None else {array: draw.array((steps,), kinds)}
    words = {"steps": steps, "lr": rates, "optimizer": optimizer}
    return {**arrays, **chosen, **words, **({} if resume is None else {"resume": resume})}
