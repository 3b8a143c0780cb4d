"""The gradient through one differentiable step: of the parameter after it, with respect to all that went in."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

from gradcheck.cases.history import History
from gradcheck.subject.optimizers import Entry, Factory, Moment, build, seen
from gradcheck.subject.settings import under_setting
from gradcheck.subject.tensors import to_tensor

__all__ = ["step_gradients"]


@under_setting
def step_gradients(
    history: History, i: int, was: Moment, names: tuple[str, ...], cotangent: np.ndarray, subject: Factory | None = None
) -> dict[str, Entry]:
    """``{"param": …, "grad": …, "exp_avg": …}``: the gradients of ⟨cotangent, parameter i after a step from ``was``⟩.

    names: the state entries of the parameter's shape, if there is a state yet. Zero where nothing depends on it.
    """
    assert was.grad is not None
    arrays = {"param": was.param.array, "grad": was.grad.array}
    arrays |= {name: was.state[name].array for name in names if name in was.state}
    leaves = {name: _leaf(array, history) for name, array in arrays.items()}
    param = leaves["param"].clone()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        param.grad = leaves["grad"].clone()
        optimizer = build(history, _in_place(history, param, i), subject)
        for name, entry in was.state.items():
            # What has the parameter's shape is a leaf; the other entries have one element, or are plain numbers.
            optimizer.state[param][name] = leaves[name].clone() if name in leaves else _as_kept(entry, param)
        optimizer.step()
        if not param.requires_grad:
            return {name: _zero(leaf) for name, leaf in leaves.items()}
        weight = _as_param(cotangent, history)
        gradients = torch.autograd.grad(param, list(leaves.values()), weight, allow_unused=True)
    pairs = zip(leaves.items(), gradients, strict=True)
    return {name: _zero(leaf) if gradient is None else seen(gradient) for (name, leaf), gradient in pairs}


def _as_kept(entry: Entry, param: torch.Tensor) -> Any:
    """A state entry of one element as the optimizer keeps it: a tensor, or (counts, before torch 2.1) a number."""
    plain = {"int": int, "float": float}.get(entry.dtype)
    if plain is not None:
        return plain(entry.array)
    return torch.tensor(entry.array, dtype=getattr(torch, entry.dtype), device=param.device)


def _in_place(history: History, param: torch.Tensor, i: int) -> list[torch.Tensor]:
    """The parameters of the optimizer: this one in its place, the others without a gradient."""
    others = [_as_param(array, history).requires_grad_(True).clone() for array in history.params]
    return [param if k == i else other for k, other in enumerate(others)]


def _as_param(array: np.ndarray, history: History) -> torch.Tensor:
    tensor = to_tensor(array, history.case.dtype, history.case.device)
    return torch.view_as_complex(tensor) if history.of("complex") else tensor


def _leaf(array: np.ndarray, history: History) -> torch.Tensor:
    return _as_param(array, history).requires_grad_(True)


def _zero(leaf: torch.Tensor) -> Any:
    return seen(torch.zeros_like(leaf))
