"""``jax.test_util.check_grads`` on the same formulas, written in jax.numpy, with the same faults planted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax.test_util import check_grads

from against.faults import Fault
from gradcheck.cases.case import Case
from gradcheck.cases.inputs import arguments_of

__all__ = ["finds_wrong"]

jax.config.update("jax_enable_x64", True)


def _layer_norm(x: Any, weight: Any, bias: Any) -> Any:
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / jnp.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5) * weight + bias


FORMULAS: dict[str, Callable[..., Any]] = {
    "silu": jax.nn.silu,
    "tanh": jnp.tanh,
    "softplus": jax.nn.softplus,
    "softmax": jax.nn.softmax,
    "log_softmax": jax.nn.log_softmax,
    "layer_norm": _layer_norm,
    "mse_loss": lambda x, target: jnp.mean((x - target) ** 2),
}


def finds_wrong(case: Case, fault: Fault, dtype: str = "float64") -> bool:
    """Whether check_grads, with its own tolerances, rejects the reverse-mode gradient of the faulty function."""
    arguments = arguments_of(case.on(dtype=dtype))
    formula = FORMULAS[case.operation.rpartition(".")[2]]
    first, *others = (jnp.asarray(a, dtype) for a in arguments.values() if isinstance(a, np.ndarray))
    spy = _spy(fault)
    try:
        check_grads(lambda x: formula(spy(x), *others) * fault.value, (first,), order=1, modes=("rev",))
    except AssertionError:
        return True
    return False


def _spy(fault: Fault) -> Callable[[Any], Any]:
    """The identity, whose vjp changes the cotangent as the fault does to a tensor."""

    def change(g: Any, x: Any) -> Any:
        wrong = fault.gradient(*(torch.from_numpy(np.array(array)) for array in (g, x)))
        return wrong.numpy()

    @jax.custom_vjp
    def spy(x: Any) -> Any:
        return x

    def backward(x: Any, g: Any) -> tuple[Any]:
        return (jax.pure_callback(change, jax.ShapeDtypeStruct(g.shape, g.dtype), g, x),)

    spy.defvjp(lambda x: (x, x), backward)
    return spy
