"""Forward mode, Jacobians and batches: what ``forward_ad`` and ``torch.func`` make of a call."""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.autograd.forward_ad

from gradcheck.reference.derivatives import jacobian_name, tangent_name
from gradcheck.subject.modes import Call, Tensors, gradients, mode

__all__: list[str] = []

func: Any = torch.func
"""Typed as what it returns without has_aux."""

ad: Any = torch.autograd.forward_ad


def tangents_of(found: Tensors) -> Tensors:
    return {tangent_name(name): tensor for name, tensor in found.items()}


@mode("forward")
def forward(call: Call) -> Tensors:
    """Dual tensors of ``torch.autograd.forward_ad``; an output without tangent has the tangent 0."""
    with ad.dual_level():
        duals = {name: ad.make_dual(leaf, call.tangent(name)) for name, leaf in call.leaves.items()}
        outputs = call.function(duals)
        parts = {name: ad.unpack_dual(output) for name, output in outputs.items()}
        found = {
            tangent_name(name): torch.zeros_like(part.primal) if part.tangent is None else part.tangent
            for name, part in parts.items()
            if name not in call.aux
        }
        return {name: part.primal for name, part in parts.items()} | found


@mode("func.jvp")
def func_jvp(call: Call) -> Tensors:
    """``torch.func.jvp``."""
    ends, tangents, aux = func.jvp(call.split, (call.leaves,), (call.tangents(),), has_aux=True)
    return ends | aux | tangents_of(tangents)


@mode("func.jacrev")
def func_jacrev(call: Call) -> Tensors:
    """``torch.func.jacrev``: reverse mode, all rows at once under vmap."""
    return _jacobian(call, func.jacrev)


@mode("func.jacfwd")
def func_jacfwd(call: Call) -> Tensors:
    """``torch.func.jacfwd``: forward mode, all columns at once under vmap; what is drawn is drawn once."""
    return _jacobian(call, functools.partial(func.jacfwd, randomness="same"))


def _jacobian(call: Call, transform: object) -> Tensors:
    found = transform(lambda leaves: call.split(leaves)[0])(call.leaves)  # type: ignore[operator]
    return {
        jacobian_name(output, leaf): jacobian
        for output, of_leaves in found.items()
        for leaf, jacobian in of_leaves.items()
    }


@mode("vmap:backward")
def vmap_backward(call: Call) -> Tensors:
    """``torch.func.vmap`` over value and vjp of a batch of calls."""

    def one(row: Call) -> Tensors:
        ends, pull, aux = func.vjp(row.split, row.leaves, has_aux=True)
        (found,) = pull(row.cotangents(ends))
        return ends | aux | gradients(found)

    return _batched(call, one)


@mode("vmap:forward")
def vmap_forward(call: Call) -> Tensors:
    """``torch.func.vmap`` over value and jvp of a batch of calls."""

    def one(row: Call) -> Tensors:
        ends, tangents, aux = func.jvp(row.split, (row.leaves,), (row.tangents(),), has_aux=True)
        return ends | aux | tangents_of(tangents)

    return _batched(call, one)


def _batched(call: Call, one: object) -> Tensors:
    assert call.batch is not None
    found: Tensors = call.batch()(one)
    return found
