"""Run an optimizer of PyTorch over the history of a case, and keep what was there before and after every step."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from gradcheck.cases.history import History
from gradcheck.cases.layouts import SHARING
from gradcheck.errors import UsageError, choices
from gradcheck.reference.optim.rule import COMPILED, MODES
from gradcheck.subject.compiling import compiled
from gradcheck.subject.observed import RAISED
from gradcheck.subject.settings import under_setting
from gradcheck.subject.tensors import LAYOUTS, array_and_bits, dtype_name, laid_out, to_tensor

__all__ = [
    "Entry",
    "Factory",
    "Moment",
    "Seen",
    "build",
    "changes_between",
    "make_grad",
    "make_param",
    "observe",
    "refused",
    "run_history",
    "seen",
]

Factory = Callable[..., Any]
"""What stands in for a class of torch.optim: called with parameter groups and options."""

FLAGS: dict[str, dict[str, bool]] = {
    "loop": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
    "differentiable": {"differentiable": True},
    "capturable": {"capturable": True, "foreach": False},
    **{mode: {"foreach": False} for mode in COMPILED},
}
"""The options that ask for an implementation; a class that has no ``foreach`` has the for-loop only."""

WITHOUT_FLAGS = ("optim.SparseAdam", "optim.Muon", "optim.LBFGS")


@dataclass(frozen=True)
class Entry:
    """A tensor (or a number) at one moment: exact float64 array, bits, dtype; complex numbers as pairs of reals."""

    array: np.ndarray
    bits: bytes
    dtype: str


@dataclass(frozen=True)
class Moment:
    """One parameter at one moment: the parameter, its gradient (None where it has none), its state by name."""

    param: Entry
    grad: Entry | None
    state: dict[str, Entry]


@dataclass(frozen=True)
class Seen:
    """A history as it ran. outcome: ``ran``, ``unsupported`` or ``raises``; words: PyTorch's own, with the step.

    before, after: step by step, parameter by parameter; changed: sentences on what a step changed and must not.
    """

    outcome: str
    words: str = ""
    before: list[list[Moment]] = field(default_factory=list)
    after: list[list[Moment]] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)


def seen(value: Any) -> Entry:
    """What a state entry holds now."""
    if not isinstance(value, torch.Tensor):
        number = np.asarray(value, dtype=np.float64)
        return Entry(number, number.tobytes(), type(value).__name__)
    tensor = value.detach()
    if tensor.is_sparse:
        tensor = tensor.to_dense()
    real = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
    array, bits = array_and_bits(real)
    return Entry(array.copy(), bits, dtype_name(real))


def observe(optimizer: Any, params: list[torch.Tensor]) -> list[Moment]:
    """Every parameter, gradient and state entry, as they are now."""
    moments = []
    for param in params:
        state = {name: seen(value) for name, value in optimizer.state.get(param, {}).items() if value is not None}
        moments.append(Moment(seen(param), None if param.grad is None else seen(param.grad), state))
    return moments


def make_param(array: np.ndarray, history: History) -> torch.Tensor:
    """A leaf that requires a gradient, in the case's layout."""
    return _laid_out(array, history, history.case.layout).requires_grad_(True)


def make_grad(step: int, i: int, history: History) -> torch.Tensor | None:
    """The gradient of parameter i at a step; a sparse one names one row twice, with half of it each time.

    Not with momentum: the buffer would keep both halves, and all halves after them, as summands that no state shows.
    """
    array, rows = history.grad(step, i), history.rows(step, i)
    if array is None:
        return None
    layout = history.of("grad_layout")
    grad = _laid_out(array, history, history.case.layout if layout not in LAYOUTS else layout)
    if rows is None:
        return grad
    index = np.flatnonzero(rows)
    values = grad[torch.as_tensor(index, device=grad.device)]
    twice = len(index) > 0 and not history.full_options(i).get("momentum")
    if twice:
        index = np.append(index, index[-1])
        values = torch.cat([values[:-1], values[-1:] / 2, values[-1:] - values[-1:] / 2])
    places = torch.as_tensor(index, device=grad.device)[None]
    sparse = torch.sparse_coo_tensor(places, values, grad.shape, check_invariants=True)
    return sparse if twice else sparse.coalesce()


def _laid_out(array: np.ndarray, history: History, layout: str) -> torch.Tensor:
    tensor = to_tensor(array, history.case.dtype, history.case.device)
    if history.of("complex"):
        tensor = torch.view_as_complex(tensor.reshape(-1, 2).contiguous()).reshape(array.shape[:-1])
    return tensor if layout in SHARING else laid_out(tensor, layout)  # steps write into them


def build(history: History, params: list[torch.Tensor], subject: Factory | None = None) -> Any:
    """The optimizer of the case over these parameters, in its groups and in the case's implementation."""
    name, mode = history.case.operation, history.case.mode
    if mode not in MODES:
        raise UsageError(f"mode {mode!r} is not known to optimizers; expected {choices(MODES)}.")
    found = getattr(torch.optim, name.rpartition(".")[2], None)
    if found is None:
        raise UsageError(f"torch {torch.__version__} has no {name}.")
    flags = {} if name in WITHOUT_FLAGS and mode in ("loop", *COMPILED) else FLAGS[mode]
    options = dict(history.options(0))
    options |= _tensors(history, options, found)
    groups = [{"params": [p for i, p in enumerate(params) if history.last_group(i) == 0]}]
    second = [p for i, p in enumerate(params) if history.last_group(i) == 1]
    if second:
        groups.append({"params": second, **dict(history.of("group1"))})
    return (subject or found)(groups, **options, **flags)


def _tensors(history: History, options: dict[str, Any], found: type) -> dict[str, Any]:
    """The options that are tensors, as such. Raises RuntimeError where this version's class does not say it takes them.

    Of lr it is not asked: every class took one before its signature said so.
    """
    made: dict[str, Any] = {}
    for name, form in history.tensors(0).items():
        said = str(inspect.signature(found).parameters[name].annotation)
        if name != "lr" and "Tensor" not in said:
            raise RuntimeError(f"torch {torch.__version__}: {found.__name__} does not support {name} as a tensor")
        value = options.get(name, history.rule.options[name])
        made[name] = _as_tensors(value, getattr(torch, form), history.case.device)
    return made


def _as_tensors(value: Any, dtype: torch.dtype, device: str) -> Any:
    if isinstance(value, tuple):
        return tuple(_as_tensors(part, dtype, device) for part in value)
    return torch.tensor(value, dtype=dtype, device=device)


@under_setting
def run_history(history: History, subject: Factory | None = None) -> Seen:
    """Run the history; ``subject`` stands in for PyTorch's own class (planted faults do that)."""
    step = -1
    result = Seen("ran")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            params = [make_param(array, history) for array in history.params]
            optimizer, params = _prepared(history, params, subject)
            take = optimizer.step
            if history.case.mode.startswith("compile:"):
                take = compiled(optimizer.step, history.case.mode.partition(":")[2])
            for step in range(history.steps):
                _take(history, optimizer, take, params, step, result)
    except RAISED as error:
        message = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        place = "when it is made" if step < 0 else f"at step {step}"
        return Seen("unsupported" if refused(str(error)) else "raises", f"{type(error).__name__} {place}: {message}")
    return result


_REFUSALS = ("capturable=True", "does not support", "must be on supported devices", "unexpected keyword argument",
             "as a Tensor is not supported", "requires all the params to be",
             "view_as_complex is only", "is not compatible with sparse")  # fmt: skip


def refused(message: str) -> bool:
    """Whether the message says that PyTorch does not offer what was asked for."""
    from gradcheck.subject.run import _NO_KERNEL

    return bool(_NO_KERNEL.search(message)) or any(words in message for words in _REFUSALS)


def _prepared(history: History, params: list[torch.Tensor], subject: Factory | None) -> tuple[Any, list[torch.Tensor]]:
    """A differentiable step writes into its parameters under autograd, which leaves forbid: it gets copies."""
    if history.case.mode == "differentiable":
        params = [param.clone() for param in params]
    return build(history, params, subject), params


def _take(
    history: History, optimizer: Any, take: Callable[[], Any], params: list[torch.Tensor], step: int, result: Seen
) -> None:
    for i, param in enumerate(params):
        if history.case.mode == "differentiable":
            param.detach_()
            for value in optimizer.state.get(param, {}).values():
                if isinstance(value, torch.Tensor):
                    value.detach_()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            param.grad = make_grad(step, i, history)
    before, options, around = observe(optimizer, params), _options(optimizer), [_around(p) for p in params]
    take()
    after = observe(optimizer, params)
    result.before.append(before)
    result.after.append(after)
    result.changed.extend(f"step {step}: {words}" for words in changes_between(before, after))
    result.changed.extend(f"step {step}: {words}" for words in _one_tensor_for_two(optimizer, params))
    for i, (was, now) in enumerate(zip(around, [_around(p) for p in params], strict=True)):
        if was != now:
            result.changed.append(f"step {step}: the step wrote to memory between the elements of param{i}")
    if _options(optimizer) != options:
        result.changed.append(f"step {step}: the step changed the options of a group, {_options(optimizer)}")


def _one_tensor_for_two(optimizer: Any, params: list[torch.Tensor]) -> list[str]:
    """Sentences on state entries that begin where another entry, a parameter or a gradient does in memory.

    Numbers may not show it: both may be right at this step, and one be overwritten by what happens to the other.
    """
    words: list[str] = []
    owners: dict[int, str] = {}
    named: list[tuple[str, Any]] = [(f"param{i}", param.detach()) for i, param in enumerate(params)]
    named += [(f"grad{i}", param.grad) for i, param in enumerate(params) if param.grad is not None]
    for i, param in enumerate(params):
        named += [(f"state[{name}] of param{i}", value) for name, value in optimizer.state.get(param, {}).items()]
    for name, value in named:
        if isinstance(value, torch.Tensor) and value.numel():
            place = (value._values() if value.is_sparse else value).data_ptr()
            owner = owners.setdefault(place, name) if place else name  # 0: the device does not tell
            if owner != name and "state" in name:
                words.append(f"{name} is one tensor with {owner}")
    return words


def _around(tensor: torch.Tensor) -> bytes:
    """The memory of a tensor's storage that is no element of it, as bits."""
    tensor = tensor.detach()
    whole = tensor.as_strided((tensor.untyped_storage().nbytes() // tensor.element_size(),), (1,), 0)
    if whole.numel() == tensor.numel():
        return b""
    outside = torch.ones(whole.shape, dtype=torch.bool, device=tensor.device)
    outside.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset()).fill_(False)
    return seen(whole[outside]).bits


def _options(optimizer: Any) -> list[dict[str, Any]]:
    """The options of every group, tensors as numbers."""
    return [
        {name: copy.deepcopy(_plain(value)) for name, value in group.items() if name != "params"}
        for group in optimizer.param_groups
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_plain(part) for part in value)
    return value.item() if isinstance(value, torch.Tensor) else value


def changes_between(before: list[Moment], after: list[Moment]) -> list[str]:
    """Sentences on gradients that changed, and on parameters without a gradient that did."""
    words = []
    for i, (was, now) in enumerate(zip(before, after, strict=True)):
        if was.grad is None:
            if now.grad is not None:
                words.append(f"param{i} had no gradient and has one")
            if now.param.bits != was.param.bits:
                words.append(f"param{i} had no gradient and was changed")
            if {n: e.bits for n, e in now.state.items()} != {n: e.bits for n, e in was.state.items()}:
                words.append(f"param{i} had no gradient and its state was changed")
        elif now.grad is None:
            words.append(f"grad{i} was taken away")
        elif now.grad.bits != was.grad.bits:
            words.append(f"grad{i} was changed {_difference(was.grad, now.grad)}")
    return words


def _difference(was: Entry, now: Entry) -> str:
    index = int(np.argmax((was.array != now.array).reshape(-1)))
    return f"from {was.array.reshape(-1)[index]!r} to {now.array.reshape(-1)[index]!r} at its element {index}"
