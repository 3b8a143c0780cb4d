"""Evaluate one step of a rule in an arithmetic: exact arrays and numbers in, parameter and state entries out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gradcheck.arithmetic import Bounded, Dual, RoundingModel, balls, rounding_model
from gradcheck.arithmetic.machine import Machine
from gradcheck.arithmetic.running import lift, lift_array
from gradcheck.arithmetic.simulated import Simulated
from gradcheck.arithmetic.simulated import lift as simulated_number
from gradcheck.errors import ContractError
from gradcheck.formats import format_named
from gradcheck.reference.optim.rule import StepRule
from gradcheck.reference.optim.scalar import Scalar

__all__ = [
    "BALLS", "FLOAT64", "SCALAR_FORMAT", "Arithmetic", "Before", "bounded_arithmetic", "bounded_step",
    "derivative_of_step", "lifted_step", "outputs_of", "simulated_arithmetic", "take_step",
]  # fmt: skip

SCALAR_FORMAT = "float32"
"""The dtype of a state entry of one element (step, eta, mu, mu_product), where torch's default dtype is float32."""


@dataclass(frozen=True)
class Before:
    """What one step of one parameter starts from, as exact float64 arrays.

    state: the entries PyTorch keeps, by name, empty before the first step; t: the number of this step, from 1;
    dtype: of the parameter; options: of the parameter's group; mode: the implementation; tensors: the dtypes of options
    that are tensors, by name; rows: which rows of a sparse gradient are there, None where it is dense; kept: what
    PyTorch stored in this step, entries of one element and the parameter, where a rule asks for it.
    """

    param: np.ndarray
    grad: np.ndarray
    state: dict[str, np.ndarray]
    t: int
    dtype: str
    options: dict[str, Any]
    mode: str = "loop"
    tensors: dict[str, str] = field(default_factory=dict)
    rows: np.ndarray | None = None
    kept: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Arithmetic:
    """How a step is lifted. array: of the parameter's dtype; scalar_array: a state entry of one element; number: a
    Python number; tensor: a number that PyTorch holds in a tensor of one element, of the dtype given."""

    array: Callable[[np.ndarray], Any]
    scalar_array: Callable[[np.ndarray], Any]
    number: Callable[[float], Any]
    tensor: Callable[[float, str], Any]


FLOAT64 = Arithmetic(np.asarray, np.asarray, np.float64, lambda x, form: np.float64(x))
BALLS = Arithmetic(balls, balls, balls, lambda x, form: balls(x))


def bounded_arithmetic(model: RoundingModel) -> Arithmetic:
    """Running error: Python numbers in float64, arrays in the model's formats."""

    def tensor(x: float, form: str) -> Scalar:
        return Scalar(lift(x, rounding_model(form, model.device)))

    return Arithmetic(
        lambda array: lift_array(array, model).at_least_zero(not (array < 0.0).any()),
        lambda array: lift_array(array, rounding_model(SCALAR_FORMAT, model.device)),
        lambda x: tensor(x, "float64"),
        tensor,
    )


def simulated_arithmetic(machine: Machine) -> Arithmetic:
    """Simulated rounding, in the same formats."""

    def on(form: str) -> Machine:
        return replace(machine, model=rounding_model(form, machine.model.device))

    def tensor(x: float, form: str) -> Scalar:
        return Scalar(simulated_number(np.float64(x), on(form)))

    return Arithmetic(
        lambda array: Simulated(array, machine),
        lambda array: Simulated(array, on(SCALAR_FORMAT)),
        lambda x: tensor(x, "float64"),
        tensor,
    )


def take_step(rule: StepRule, before: Before, arithmetic: Arithmetic) -> tuple[Any, Any]:
    """``(param, state)`` after the step. Raises ContractError as :func:`lifted_step` does."""
    param, grad, state, t, options = lifted_step(rule, before, arithmetic)
    with np.errstate(all="ignore"):
        return rule.function(param, grad, state, t, **options)


def derivative_of_step(rule: StepRule, before: Before, arithmetic: Arithmetic, name: str) -> Any:
    """d param / d ``name`` after the step, element by element: ``param``, ``grad`` or an entry of the state.

    For elementwise rules: the dual number of the step in the direction of ones. None where nothing depends on it.
    """
    param, grad, state, t, options = lifted_step(rule, before, arithmetic)

    def varied(x: Any) -> Dual:
        return Dual(x, np.ones_like(x))

    if name == "param":
        param = varied(param)
    elif name == "grad":
        grad = varied(grad)
    else:
        state = state._replace(**{name: varied(getattr(state, name))})
    with np.errstate(all="ignore"):
        after, _ = rule.function(param, grad, state, t, **options)
    return after.tangent if isinstance(after, Dual) else None


def lifted_step(rule: StepRule, before: Before, arithmetic: Arithmetic) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
    """Parameter, gradient, state, t and options of the rule's call, in the arithmetic.

    Raises ContractError where PyTorch's state has entries unknown to the rule.
    """
    state = _start(rule, before)
    unknown = set(before.state) - set(state._fields)
    if unknown:
        raise ContractError(f"{rule.name}: state entries {sorted(unknown)} are not of {state._fields}.")
    state = state._replace(**before.state)
    lifted = {
        name: _entry(rule, name, array, arithmetic) for name, array in state._asdict().items() if array is not None
    }
    options = {name: _number(value, arithmetic) for name, value in {**rule.options, **before.options}.items()}
    options |= _tensor_options(before, arithmetic)
    kept = {name: _entry(rule, name, array, arithmetic) for name, array in before.kept.items()}
    extra = {"route": before.mode, "rows": before.rows, "kept": kept, "weight": _weight(before, arithmetic)}
    options |= {name: extra[name] for name in rule.takes}
    in_tensor = before.mode in rule.tensor_steps
    t = arithmetic.tensor(float(before.t), SCALAR_FORMAT) if in_tensor else arithmetic.number(float(before.t))
    return arithmetic.array(before.param), arithmetic.array(before.grad), state._replace(**lifted), t, options


def _tensor_options(before: Before, arithmetic: Arithmetic) -> dict[str, Any]:
    """lr and betas where they are tensors, with which scalars are computed in their dtype.

    Not the betas of a fused step, nor a weight decay: kernels take them as numbers, as ``Tensor.item()`` gives them.
    """
    options: dict[str, Any] = {}
    if "lr" in before.tensors:
        options["lr"] = arithmetic.tensor(float(before.options["lr"]), before.tensors["lr"])
    if "betas" in before.tensors and before.mode != "fused":
        form = before.tensors["betas"]
        options["betas"] = tuple(arithmetic.tensor(float(beta), form) for beta in before.options["betas"])
    return options


def _weight(before: Before, arithmetic: Arithmetic) -> Any:
    """1 - β1 as a tensor of one element of the parameter's dtype, of a β1 that was cast to it: two roundings, known."""
    if "betas" not in before.tensors or before.mode == "fused":
        return None
    form = format_named(before.dtype)
    beta = form.round(np.asarray(before.options["betas"][0], dtype=np.float64))
    return arithmetic.array(form.round(1.0 - beta))


def _start(rule: StepRule, before: Before) -> Any:
    """The state before the first step, in the formats that PyTorch keeps it in."""
    state = rule.start(before.param, **{**rule.options, **before.options})
    formats = {name: format_named(SCALAR_FORMAT if name in rule.scalars else before.dtype) for name in state._fields}
    return state._replace(
        **{name: formats[name].round(entry) for name, entry in state._asdict().items() if entry is not None}
    )


def _entry(rule: StepRule, name: str, array: Any, arithmetic: Arithmetic) -> Any:
    if name in rule.scalars:
        return arithmetic.scalar_array(np.asarray(array, dtype=np.float64))
    return arithmetic.array(np.asarray(array, dtype=np.float64))


def _number(value: Any, arithmetic: Arithmetic) -> Any:
    """Floats become numbers of the arithmetic, in tuples as well; booleans, integers and names stay."""
    if isinstance(value, tuple):
        return tuple(_number(part, arithmetic) for part in value)
    return arithmetic.number(value) if isinstance(value, float) else value


def outputs_of(after: tuple[Any, Any]) -> dict[str, Any]:
    """``{"param": …, "state[exp_avg]": …}`` of a step's result; entries that are not kept are left out."""
    param, state = after
    kept = {f"state[{name}]": entry for name, entry in state._asdict().items() if entry is not None}
    return {"param": param, **kept}


def bounded_step(rule: StepRule, before: Before, model: RoundingModel) -> dict[str, Bounded]:
    """The outputs with running error bounds.

    A fused kernel, or one that the compiler made, reads each tensor once, keeps everything in registers of its working
    format, and stores once: there ``stored`` means nothing, and the bound allows for the one rounding at the end.
    """
    fused = before.mode in ("fused", "compile:inductor") and model.rounds_on_store
    inner = replace(model, store=model.work) if fused else model
    outputs = outputs_of(take_step(rule, before, bounded_arithmetic(inner)))
    return {name: _of_model(output, inner, model) for name, output in outputs.items()}


def _of_model(output: Any, inner: RoundingModel, model: RoundingModel) -> Bounded:
    bounded = lift(output, inner)
    return Bounded(bounded.value, bounded.bound, model) if bounded.model is inner else bounded
