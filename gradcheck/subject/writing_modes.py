"""Modes about who may write where: ``out=``, and writing over what the backward still needs."""

from __future__ import annotations

import re

import torch

from gradcheck.subject.modes import Call, Tensors, gradients, mode, same_bits

__all__: list[str] = []

REFUSED = re.compile(r"don't support automatic differentiation|derivative for .* is not implemented|NotImplemented")
"""What PyTorch says of ``out=`` where an argument requires a gradient: at the call, or when it is differentiated."""

SAVED = re.compile(r"modified (by an )?inplace")
"""What PyTorch says of a saved tensor that was written over, or of a view of it."""


@mode("out")
def out(call: Call) -> Tensors:
    """The variant that writes into a given tensor; PyTorch has to refuse to differentiate it."""
    if call.into is None:
        raise NotImplementedError("no out= variant: not supported")
    with torch.no_grad():
        plain = call.function(call.leaves)["value"]
        given = torch.full_like(plain, float("nan"))
        written = call.into(call.leaves, given)
    if written.data_ptr() != given.data_ptr():
        raise RuntimeError("out= returned another tensor than the one given")
    leaves = {name: leaf.detach().requires_grad_(True) for name, leaf in call.leaves.items()}
    try:
        torch.autograd.backward(call.into(leaves, torch.empty_like(plain)), torch.ones_like(plain))
    except RuntimeError as error:
        if not REFUSED.search(str(error)):
            raise
    else:
        raise RuntimeError("out= was not refused although an argument requires a gradient")
    return {"value": given}


@mode("written-over")
def written_over(call: Call) -> Tensors:
    """Backward after each tensor that went in, and each that came out, was written over in place.

    PyTorch has to notice where the backward needs what was there; where it does not, the gradients are the same bits.
    """
    before = _after_writing(call, None)
    outputs = call.function(call.leaves)
    for target in dict.fromkeys([*call.leaves, *call.ends(outputs)]):
        found = _after_writing(call, target)
        for name, gradient in found.items():
            if not same_bits(gradient, before[name]):
                raise RuntimeError(f"{target} was written over after the call, and {name} changed in silence")
    return outputs | before


def _after_writing(call: Call, target: str | None) -> Tensors:
    """Gradients of the leaves after ``target`` was written over, if anything was; none where PyTorch refused."""
    leaves = {name: leaf.detach().requires_grad_(True) for name, leaf in call.leaves.items()}
    copies = {name: leaf.clone() for name, leaf in leaves.items()}
    outputs = call.function(copies)
    cotangents = call.cotangents(outputs)
    ends = {name: outputs[name].clone() for name in cotangents}  # what is written over below is not what is pulled back
    if target is not None:
        written = copies[target] if target in copies else outputs[target]
        written.detach().fill_(0.5)  # unseen by the graph, but for the version of the tensor
    try:
        found = torch.autograd.grad(list(ends.values()), list(leaves.values()), list(cotangents.values()))
    except RuntimeError as error:
        if not SAVED.search(str(error)):
            raise
        return {}
    return gradients(dict(zip(leaves, found, strict=True)))
