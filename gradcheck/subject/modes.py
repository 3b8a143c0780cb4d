"""The ways PyTorch computes a derivative. Each mode is a small function from a prepared call to named tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.utils.checkpoint

from gradcheck.reference.evaluate import gradient_name

__all__ = ["MODES", "Call", "Mode", "Tensors", "gradients", "mode", "reverse", "same_bits"]

func: Any = torch.func
"""Typed as what it returns without has_aux."""

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Call:
    """An operation with its arguments, as a function of the tensors that have a gradient.

    function: from these to the outputs; leaves: the tensors, detached; aux: outputs without gradient; cotangent: from
    the name of an output and the output to its cotangent; tangent: from the name of a leaf to its direction; inplace: a
    call that overwrites its first argument, if PyTorch has one; into: one that writes its value into a given tensor, if
    it has such; batch: calls of the same shape to be made at once; notes: what a mode has to tell besides its outputs;
    wrong: sentences on what does not hold of them, whatever their values are.
    """

    function: Callable[[Tensors], Tensors]
    leaves: Tensors
    aux: tuple[str, ...]
    cotangent: Callable[[str, torch.Tensor], torch.Tensor]
    tangent: Callable[[str], torch.Tensor]
    inplace: Callable[[Tensors], Tensors] | None = None
    into: Callable[[Tensors, torch.Tensor], torch.Tensor] | None = None
    batch: Callable[[], Any] | None = None
    notes: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def graph(self) -> tuple[Tensors, Tensors]:
        """Fresh leaves that record a graph, and the outputs made of them."""
        leaves = {name: leaf.detach().requires_grad_(True) for name, leaf in self.leaves.items()}
        return leaves, self.function(leaves)

    def ends(self, outputs: Tensors) -> Tensors:
        """The outputs that have a gradient."""
        return {name: output for name, output in outputs.items() if name not in self.aux}

    def cotangents(self, outputs: Tensors) -> Tensors:
        return {name: self.cotangent(name, output) for name, output in self.ends(outputs).items()}

    def tangents(self) -> Tensors:
        return {name: self.tangent(name) for name in self.leaves}

    def split(self, leaves: Tensors) -> tuple[Tensors, Tensors]:
        """Outputs that have a gradient, and the others: what ``torch.func`` calls has_aux."""
        outputs = self.function(leaves)
        return self.ends(outputs), {name: output for name, output in outputs.items() if name in self.aux}


Mode = Callable[[Call], Tensors]

MODES: dict[str, Mode] = {}


def mode(name: str) -> Callable[[Mode], Mode]:
    """Enter the decorated function as the mode of that name."""

    def register(function: Mode) -> Mode:
        MODES[name] = function
        return function

    return register


def gradients(found: Tensors) -> Tensors:
    """Gradients by the name of their output, from those by the name of their leaf."""
    return {gradient_name(name): tensor for name, tensor in found.items()}


@mode("backward")
def backward(call: Call) -> Tensors:
    """``torch.autograd.backward`` of all outputs that have a gradient at once; gradients read from ``.grad``."""
    return reverse(call, call.function)


def reverse(call: Call, function: Callable[[Tensors], Tensors]) -> Tensors:
    """Backward through a function that stands for the call's own."""
    leaves = {name: leaf.detach().requires_grad_(True) for name, leaf in call.leaves.items()}
    outputs = function(leaves)
    cotangents = call.cotangents(outputs)
    torch.autograd.backward([outputs[name] for name in cotangents], list(cotangents.values()))
    return outputs | gradients({name: _gradient(name, leaf) for name, leaf in leaves.items()})


def _gradient(name: str, leaf: torch.Tensor) -> torch.Tensor:
    if leaf.grad is None:
        raise RuntimeError(f"backward left {name}.grad None")
    return leaf.grad


@mode("grad")
def grad(call: Call) -> Tensors:
    """``torch.autograd.grad``: the bits of the plain backward, and nothing is accumulated."""
    leaves, outputs = call.graph()
    cotangents = call.cotangents(outputs)
    found = torch.autograd.grad(
        [outputs[name] for name in cotangents], list(leaves.values()), list(cotangents.values())
    )
    if any(leaf.grad is not None for leaf in leaves.values()):
        raise RuntimeError("torch.autograd.grad wrote into .grad")
    return _same_as_plain(call, outputs | gradients(dict(zip(leaves, found, strict=True))))


@mode("func.vjp")
def func_vjp(call: Call) -> Tensors:
    """``torch.func.vjp``."""
    ends, pull, aux = func.vjp(call.split, call.leaves, has_aux=True)
    (found,) = pull(call.cotangents(ends))
    return ends | aux | gradients(found)


@mode("func.grad")
def func_grad(call: Call) -> Tensors:
    """``torch.func.grad`` of the sum of cotangent·output, whose derivative by the output is the cotangent itself."""

    def scalar(leaves: Tensors) -> tuple[torch.Tensor, Tensors]:
        outputs = call.function(leaves)
        parts = [(cotangent * outputs[name]).sum() for name, cotangent in call.cotangents(outputs).items()]
        return torch.stack(parts).sum() if len(parts) > 1 else parts[0], outputs

    found, outputs = func.grad(scalar, has_aux=True)(call.leaves)
    return outputs | gradients(found)


@mode("inplace")
def inplace(call: Call) -> Tensors:
    """The call that overwrites its first argument, on a copy that is no leaf; unsupported where there is none."""
    if call.inplace is None:
        raise NotImplementedError("no in-place variant: not supported")
    return reverse(call, call.inplace)


@mode("inference")
def inference(call: Call) -> Tensors:
    """The value under ``torch.inference_mode`` and under ``no_grad``: the bits of the call that records a graph."""
    with torch.inference_mode():
        outputs = call.function(call.leaves)
    with torch.no_grad():
        again = call.function(call.leaves)
    _, plain = call.graph()
    for name, output in outputs.items():
        if not same_bits(output, again[name]):
            call.wrong.append(f"{name} has other bits under no_grad than under inference_mode")
        if not same_bits(output, plain[name].detach()):
            call.wrong.append(f"{name} has other bits under inference_mode than where gradients are recorded")
    return outputs


@mode("checkpoint")
def checkpoint(call: Call) -> Tensors:
    """Backward through ``torch.utils.checkpoint``, which computes the forward a second time."""

    def checkpointed(leaves: Tensors) -> Tensors:
        names = list(leaves)

        def forward(*tensors: torch.Tensor) -> Any:
            return call.function(dict(zip(names, tensors, strict=True)))

        outputs: Tensors = torch.utils.checkpoint.checkpoint(forward, *leaves.values(), use_reentrant=False)
        return outputs

    return _same_as_plain(call, reverse(call, checkpointed))


@mode("saved-tensor-hooks")
def saved_tensor_hooks(call: Call) -> Tensors:
    """Backward with saved tensors copied when they are packed."""
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor.clone(), lambda tensor: tensor):
        return _same_as_plain(call, reverse(call, call.function))


def _same_as_plain(call: Call, found: Tensors) -> Tensors:
    """What was found, which is to have the bits of the plain backward."""
    for name, tensor in reverse(call, call.function).items():
        if not same_bits(tensor, found[name]):
            call.wrong.append(f"{name} has other bits than the plain backward")
    return found


def same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors have the same shape, dtype and numbers, -0 and 0 being two; one NaN is as good as another.

    Numbers are compared only where a repeated call promises them.

    CUDA kernels that add with atomics (gradients of embedding, index_add, interpolate, …) add in another order each
    time, unless deterministic algorithms are asked for; there the bound alone judges.
    """
    if a.device.type != "cpu" and not torch.are_deterministic_algorithms_enabled():
        return a.shape == b.shape and a.dtype == b.dtype
    a, b = a.to_dense(), b.to_dense()
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return bool((((a == b) & (a.signbit() == b.signbit())) | (a.isnan() & b.isnan())).all())
