"""Second order, in all compositions of forward and reverse mode."""

from __future__ import annotations

from typing import Any

import torch
import torch.autograd.forward_ad

from gradcheck.reference.derivatives import hvp_name, tangent_name
from gradcheck.subject.modes import Call, Tensors, mode

__all__: list[str] = []

func: Any = torch.func
"""Typed as what it returns without has_aux."""

ad: Any = torch.autograd.forward_ad


def products(found: Tensors) -> Tensors:
    return {hvp_name(name): tensor for name, tensor in found.items()}


@mode("double")
def double(call: Call) -> Tensors:
    """Reverse over reverse by ``torch.autograd.grad`` with ``create_graph``: double backward."""
    leaves, outputs = call.graph()
    cotangents = call.cotangents(outputs)
    first = torch.autograd.grad(
        [outputs[name] for name in cotangents], list(leaves.values()), list(cotangents.values()), create_graph=True
    )
    ends = [(gradient, call.tangent(name)) for name, gradient in zip(leaves, first, strict=True)]
    ends = [(gradient, tangent) for gradient, tangent in ends if gradient.requires_grad]
    if not ends:  # linear: the gradients do not depend on the leaves
        return products({name: torch.zeros_like(leaf) for name, leaf in leaves.items()})
    second = torch.autograd.grad(
        [gradient for gradient, _ in ends], list(leaves.values()), [tangent for _, tangent in ends], allow_unused=True
    )
    return products(
        {
            name: torch.zeros_like(leaf) if found is None else found
            for (name, leaf), found in zip(leaves.items(), second, strict=True)
        }
    )


def _gradients(call: Call, leaves: Tensors) -> Tensors:
    ends, pull, _ = func.vjp(call.split, leaves, has_aux=True)
    found: Tensors = pull(call.cotangents(ends))[0]
    return found


@mode("func.double")
def func_double(call: Call) -> Tensors:
    """Reverse over reverse by ``torch.func.vjp`` of ``torch.func.vjp``."""
    _, pull = func.vjp(lambda leaves: _gradients(call, leaves), call.leaves)
    (found,) = pull(call.tangents())
    return products(found)


@mode("func.forward-over-reverse")
def func_forward_over_reverse(call: Call) -> Tensors:
    """``torch.func.jvp`` of ``torch.func.vjp``."""
    _, found = func.jvp(lambda leaves: _gradients(call, leaves), (call.leaves,), (call.tangents(),))
    return products(found)


@mode("forward-over-reverse")
def forward_over_reverse(call: Call) -> Tensors:
    """Backward of dual tensors of ``forward_ad``."""
    with ad.dual_level():
        leaves = {name: leaf.detach().requires_grad_(True) for name, leaf in call.leaves.items()}
        duals = {name: ad.make_dual(leaf, call.tangent(name)) for name, leaf in leaves.items()}
        outputs = call.function(duals)
        cotangents = call.cotangents({name: ad.unpack_dual(end).primal for name, end in outputs.items()})
        found = torch.autograd.grad(
            [outputs[name] for name in cotangents], list(duals.values()), list(cotangents.values())
        )
        parts = {name: ad.unpack_dual(gradient) for name, gradient in zip(leaves, found, strict=True)}
        return products(
            {name: torch.zeros_like(p.primal) if p.tangent is None else p.tangent for name, p in parts.items()}
        )


def _tangents(call: Call, leaves: Tensors) -> tuple[Tensors, Tensors]:
    """Derivatives of the outputs along the direction, and the outputs."""
    ends, found, _ = func.jvp(call.split, (leaves,), (call.tangents(),), has_aux=True)
    return dict(found), dict(ends)


@mode("reverse-over-forward")
def reverse_over_forward(call: Call) -> Tensors:
    """``torch.func.vjp`` of ``torch.func.jvp``."""
    along, pull, ends = func.vjp(lambda leaves: _tangents(call, leaves), call.leaves, has_aux=True)
    # A tangent of another dtype than its output's (the ledger knows one) would be given other numbers.
    (found,) = pull({name: end.to(along[name].dtype) for name, end in call.cotangents(ends).items()})
    return products(found)


@mode("forward-over-forward")
def forward_over_forward(call: Call) -> Tensors:
    """``torch.func.jvp`` of ``torch.func.jvp``, both along the same direction."""
    _, found = func.jvp(lambda leaves: _tangents(call, leaves)[0], (call.leaves,), (call.tangents(),))
    return {tangent_name(name, 2): tensor for name, tensor in found.items()}
