"""A case made ready for PyTorch: its tensors, and the operation as a function of those that have a gradient."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch

from gradcheck.cases.case import Case
from gradcheck.cases.inputs import arguments_of, batch_of, cotangent_of, cotangent_words, direction_of
from gradcheck.cases.layouts import CONTIGUOUS, SHARING
from gradcheck.errors import UsageError
from gradcheck.reference.registry import Reference
from gradcheck.subject.adapters import Operation, torch_callable
from gradcheck.subject.modes import MODES, Call, Mode, Tensors
from gradcheck.subject.seeding import outside_transforms, plain_of
from gradcheck.subject.settings import autocast_of
from gradcheck.subject.signatures import lacking_defaults, parameters_of
from gradcheck.subject.tensors import (
    COPIED,
    array_and_bits,
    bits_of,
    dtype_name,
    elements_of,
    numbers_in,
    stacked,
    to_tensor,
    torch_value,
)

__all__ = ["Prepared", "modes"]

func: Any = torch.func
"""Typed as what it returns without has_aux."""


@cache
def modes() -> dict[str, Mode]:
    """All modes by name; the modules that define them are imported here."""
    for module in ("forward_modes", "second_modes", "compiled_modes", "writing_modes"):
        importlib.import_module(f"gradcheck.subject.{module}")
    return MODES


MANY_BYTES = 1 << 16
"""So many bytes are compared where they lie; fewer sooner as strings of bytes."""


class Prepared:
    """The tensors of a case, and what calls the operation on them.

    drawn: arrays that PyTorch drew itself in the last call, by the name of the argument whose place they take; notes:
    what the mode has to tell besides; wrong: what does not hold there.
    """

    def __init__(self, operation: Reference, case: Case, arguments: dict[str, Any], subject: Operation) -> None:
        self.operation = operation
        self.case = case
        self.arguments = arguments
        self.drawn: dict[str, np.ndarray] = {}
        self.notes: list[str] = []
        self.wrong: list[str] = []
        self._subject = subject
        self._newer = lacking_defaults(operation, arguments)
        self._given: list[tuple[str, torch.Tensor, bytes | np.ndarray]] = []
        self._tensors = {name: _prepared(value, case) for name, value in arguments.items()}
        for name in (name for name, value in arguments.items() if isinstance(value, np.ndarray)):
            self.given(name, self._tensors[name], arguments[name])
        self._leaves = operation.differentiable_in(arguments)

    def call(self) -> Call:
        """The case as one call, for a mode."""
        return Call(
            function=lambda leaves: self._outputs(self._tensors | leaves),
            leaves={name: self._tensors[name] for name in self._leaves},
            aux=self.operation.aux,
            cotangent=lambda end, value: self.given(f"the cotangent of {end}", *_cotangent(self.case, end, value)),
            tangent=lambda name: self.given(
                f"the direction of {name}", *_direction(self.case, name, self.arguments[name])
            ),
            inplace=self._inplace() if self.case.mode == "inplace" else None,
            into=self._into() if self.case.mode == "out" else None,
            batch=lambda: Batch(self),
            notes=self.notes,
            wrong=self.wrong,
        )

    def outputs_of(self, tensors: dict[str, Any]) -> Tensors:
        """Named outputs of the operation on other tensors or hyperparameters."""
        return self._outputs(self._tensors | tensors)

    def given(self, name: str, tensor: torch.Tensor, array: np.ndarray | None = None) -> torch.Tensor:
        """The tensor, which is given to PyTorch under that name; its bits are kept, to be looked at afterwards.

        array: what it was made of; where that tells the bits they are not copied.
        """
        if array is not None and tensor.is_cpu and dtype_name(tensor) in COPIED:
            bits: bytes | np.ndarray = numbers_in(array, np.dtype(dtype_name(tensor)))
        else:
            with outside_transforms():
                bits = bits_of(tensor)
        self._given.append((name, tensor, bits))
        return tensor

    @contextmanager
    def untouched(self) -> Iterator[None]:
        """Raise RuntimeError where a tensor that was given does not hold the same bits after the body: input, cotangent
        or direction. What PyTorch raised over it is only its consequence."""
        try:
            yield
        except Exception:
            self._check_given()
            raise
        self._check_given()

    def _check_given(self) -> None:
        for name, tensor, bits in self._given:
            if not _same(elements_of(tensor), bits):
                raise RuntimeError(f"{name} was modified")

    def _outputs(self, tensors: dict[str, Any]) -> Tensors:
        first = self.operation.arrays[0]
        rest = {name: value for name, value in tensors.items() if name != first and name not in self._newer}
        with autocast_of(self.case.setting, self.case.device):
            outcome = self._subject(tensors[first], **rest)
        outputs = dict(outcome) if isinstance(outcome, dict) else {"value": outcome}
        for name in self.operation.drawn:
            if name in outputs:
                with outside_transforms():
                    self.drawn[name] = array_and_bits(plain_of(outputs.pop(name)))[0].astype(self.arguments[name].dtype)
        return outputs

    def _inplace(self) -> Callable[[Tensors], Tensors] | None:
        """The call with ``inplace=True`` on a copy of the first argument, where PyTorch has that parameter."""
        first = self.operation.arrays[0]
        try:
            if "inplace" not in parameters_of(self.operation.name):
                return None
        except (UsageError, KeyError, ValueError):
            return None
        return lambda leaves: self._outputs(
            self._tensors | leaves | {first: (self._tensors | leaves)[first].clone(), "inplace": True}
        )

    def _into(self) -> Callable[[Tensors, torch.Tensor], torch.Tensor] | None:
        """The call with ``out=``, of the function or of the one below torch of its name; None for a layer.

        Raises NotImplementedError, with what PyTorch says of the argument, where neither has it.
        """
        first = self.operation.arrays[0]
        words = {name: value for name, value in self._tensors.items() if name != first}
        tried = {name: value.clone() if isinstance(value, torch.Tensor) else value for name, value in words.items()}
        last, refused = self.operation.name.rpartition(".")[2], ""
        for function in (torch_callable(self.operation.name), getattr(torch, last, None)):
            if function is None or isinstance(function, type):
                continue
            try:
                with torch.no_grad():
                    # On copies: what has no out= may have written its running statistics before it says so.
                    function(self._tensors[first], **tried, out=function(self._tensors[first], **tried))
            except (TypeError, RuntimeError, ValueError, AttributeError) as error:
                words_of_torch = str(error).partition("\n")[0]  # no such argument, under this name at least
                refused = refused or (words_of_torch if "'out'" in words_of_torch else "")
                continue
            return lambda leaves, given, function=function: function(  # type: ignore[misc]
                **{**words, **{name: leaf for name, leaf in leaves.items() if name != first}, "out": given},
                input=leaves.get(first, self._tensors[first]),
            )
        if refused:
            raise NotImplementedError(f"no out= variant: not supported: {refused}")
        return None


class Batch:
    """Calls of one shape under ``torch.func.vmap``: the first array batched along its first axis, the next its last."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._cases = batch_of(prepared.case)
        self._rows = [arguments_of(case) for case in self._cases]

    def __call__(self, one: Callable[[Call], Tensors]) -> Tensors:
        prepared, aux = self._prepared, self._prepared.operation.aux
        names = [name for name, value in prepared.arguments.items() if isinstance(value, np.ndarray)]
        arrays = {name: [_prepared(row[name], prepared.case) for row in self._rows] for name in names}
        leaves = prepared.operation.differentiable_in(prepared.arguments)
        with torch.no_grad():
            outputs = prepared.outputs_of({})
        cotangents = {
            name: prepared.given(
                f"the cotangent of {name}", stacked([_cotangent(case, name, output)[0] for case in self._cases])
            )
            for name, output in outputs.items()
            if name not in aux
        }
        tangents = {
            name: prepared.given(
                f"the direction of {name}",
                stacked([_direction(case, name, prepared.arguments[name])[0] for case in self._cases]),
            )
            for name in leaves
        }

        def single(batch: Tensors, along: Tensors, ends: Tensors) -> Tensors:
            row = Call(
                function=lambda moved: prepared.outputs_of(batch | moved),
                leaves={name: batch[name] for name in leaves},
                aux=aux,
                cotangent=lambda name, _: ends[name],
                tangent=lambda name: along[name],
            )
            return one(row)

        # Every second array is batched along its last axis.
        dims = {name: 0 if place % 2 == 0 or not arrays[name][0].dim() else -1 for place, name in enumerate(names)}
        batch = {name: prepared.given(name, stacked(arrays[name], dims[name])) for name in names}
        # What is drawn is drawn once, and the same for every row: so it can be told what it was.
        found: Tensors = func.vmap(single, in_dims=(dims, 0, 0), randomness="same")(batch, tangents, cotangents)
        return found


def _same(elements: np.ndarray, bits: bytes | np.ndarray) -> bool:
    """Whether elements have these bits, in row-major order."""
    if isinstance(bits, bytes) or elements.nbytes < MANY_BYTES:
        return elements.tobytes() == (bits if isinstance(bits, bytes) else bits.tobytes())
    word = np.uint64 if elements.nbytes % 8 == 0 else np.uint8
    return np.array_equal(elements.reshape(-1).view(word), np.ascontiguousarray(bits).reshape(-1).view(word))


def _prepared(value: Any, case: Case) -> Any:
    if isinstance(value, np.ndarray):
        return to_tensor(value, case.dtype, case.device, case.layout)
    return torch_value(value)


def _cotangent(case: Case, output: str, value: torch.Tensor) -> tuple[torch.Tensor, np.ndarray]:
    """The cotangent of an output, and the array that it is made of."""
    name = dtype_name(value)
    array = cotangent_of(case, tuple(value.shape), name, output)
    return to_tensor(array, name, case.device, cotangent_words(case.cotangent)[1]), array


def _direction(case: Case, name: str, array: np.ndarray) -> tuple[torch.Tensor, np.ndarray]:
    """The direction in which an argument moves, and the array that it is made of.

    Laid out as cotangents are, since it is that of the gradients in second order; but its numbers stay different ones
    along every dimension, or derivatives along it might cancel.
    """
    layout = cotangent_words(case.cotangent)[1]
    layout = CONTIGUOUS if layout in SHARING else layout
    direction = direction_of(case, name, array.shape)
    return to_tensor(direction, case.dtype, case.device, layout), direction
