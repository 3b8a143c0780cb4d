"""Tampered subjects: PyTorch's own function with one fault built in, as a kernel might have it.

A tampering maps PyTorch's function to a wrong one. `value` and `gradient` keep the other side right, as a kernel does
whose backward is written apart from its forward.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it

Tensor = torch.Tensor
Operation = Callable[..., Tensor]
Tampering = Callable[[Operation], Operation]
Change = Callable[[Tensor], Tensor]


class _Value(torch.autograd.Function):
    """Changes the value and passes the cotangent on."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, change: Change) -> Tensor:
        return change(y.clone())

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return g, None


class _Gradient(torch.autograd.Function):
    """Passes the number on and changes the gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, change: Change) -> Tensor:
        ctx.change = change
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return ctx.change(g.clone()), None


def value(change: Change) -> Tampering:
    return lambda function: lambda x, **words: _Value.apply(function(x, **words), change)


def gradient(change: Change, of: str = "x") -> Tampering:
    """Change the gradient of one argument."""

    def tampering(function: Operation) -> Operation:
        def wrong(x: Tensor, **words: Any) -> Tensor:
            if of == "x":
                return function(_Gradient.apply(x, change), **words)
            if words.get(of) is None:
                return function(x, **words)
            return function(x, **{**words, of: _Gradient.apply(words[of], change)})

        return wrong

    return tampering


def called(change: Callable[[Tensor, dict[str, Any]], dict[str, Any]]) -> Tampering:
    """The function called with other arguments: ``change`` maps the arguments to those that it replaces."""

    def tampering(function: Operation) -> Operation:
        def wrong(x: Tensor, **words: Any) -> Tensor:
            others = {**words, **change(x, words)}
            return function(others.pop("x", x), **others)

        return wrong

    return tampering


def instead(other: Operation) -> Tampering:
    """Another computation altogether; autograd differentiates it."""
    return lambda function: other


# Changes of a tensor.


def scaled(roundoffs: float) -> Change:
    """All elements times 1 + ``roundoffs``·u, computed in double precision so that the factor arrives whole."""

    def change(t: Tensor) -> Tensor:
        return (t.double() * (1.0 + roundoffs * torch.finfo(t.dtype).eps / 2.0)).to(t.dtype)

    return change


def only(change: Change, where: Callable[[Tensor], Any]) -> Change:
    """The change at one flat index (``where`` gives None for a tensor that has no such element)."""

    def changed(t: Tensor) -> Tensor:
        place = where(t) if t.numel() else None
        if place is None:
            return t
        flat, other = t.reshape(-1).clone(), change(t).reshape(-1)
        flat[place] = other[place]
        return flat.reshape(t.shape)

    return changed


def largest(t: Tensor) -> Any:
    return int(torch.nan_to_num(t.double(), nan=0.0, posinf=0.0, neginf=0.0).abs().argmax())


def tail(t: Tensor) -> Any:
    """The last element, where the vectors of 8 or 16 do not end with it."""
    return t.numel() - 1 if t.numel() % 8 else None


def first(t: Tensor) -> Any:
    return 0


def past(count: int) -> Callable[[Tensor], Any]:
    """Element number ``count``, in tensors that have so many."""
    return lambda t: count if t.numel() > count else None


def half(t: Tensor) -> Tensor:
    return t * 0.5


def negated(t: Tensor) -> Tensor:
    return -t


def zero(t: Tensor) -> Tensor:
    return torch.zeros_like(t)


def not_a_number(t: Tensor) -> Tensor:
    return torch.full_like(t, float("nan"))


def without_nan(t: Tensor) -> Tensor:
    return torch.where(t.isnan(), torch.zeros_like(t), t)


def saturated(t: Tensor) -> Tensor:
    """Infinities cut off at the largest number."""
    return torch.nan_to_num(t, nan=float("nan"))


def flushed(t: Tensor) -> Tensor:
    """Subnormal numbers become zero."""
    return torch.where(t.abs() < torch.finfo(t.dtype).smallest_normal, torch.zeros_like(t), t)


def through(dtype: str) -> Change:
    """A round trip through another dtype."""
    return lambda t: t.to(getattr(torch, dtype)).to(t.dtype)


def truncated(bits: int) -> Change:
    """float32 with so many bits of its significand, rounded towards zero: 10 are TF32's."""

    def change(t: Tensor) -> Tensor:
        return (t.contiguous().view(torch.int32) & ~((1 << (23 - bits)) - 1)).view(torch.float32)

    return change


def stale() -> Change:
    """What the previous call left, where it has the same shape."""
    kept: list[Tensor] = []

    def change(t: Tensor) -> Tensor:
        before = kept.pop() if kept else t
        kept.append(t)
        return before if before.shape == t.shape else t

    return change


def rolled(t: Tensor) -> Tensor:
    """Every element one place further."""
    return torch.roll(t, 1)


def transposed_if_square(t: Tensor) -> Tensor:
    return t.T.contiguous() if t.dim() == 2 and t.shape[0] == t.shape[1] else t


def wider(t: Tensor) -> Tensor:
    return t.to(torch.float64 if t.dtype is torch.float32 else torch.float32)


def one_dimension_more(t: Tensor) -> Tensor:
    return t.reshape(*t.shape, 1)


# Whole computations.


class _LowPrecisionSum(torch.autograd.Function):
    """Σ added up one by one in the dtype of the terms."""

    @staticmethod
    def forward(ctx: Any, terms: Tensor) -> Tensor:
        ctx.shape = terms.shape
        total = torch.zeros((), dtype=terms.dtype, device=terms.device)
        for term in terms.reshape(-1):
            total = total + term
        return total

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return g.expand(ctx.shape)


def low_precision_sum(function: Operation) -> Operation:
    """The reduction of a loss done in the storage dtype."""

    def wrong(x: Tensor, *, reduction: str, **words: Any) -> Tensor:
        elements = function(x, reduction="none", **words)
        if reduction == "none" or words.get("weight") is not None:
            return function(x, reduction=reduction, **words)
        total = _LowPrecisionSum.apply(elements)
        return total / elements.numel() if reduction == "mean" else total

    return wrong


class _LowPrecisionBias(torch.autograd.Function):
    """Adds a bias; its gradient is added up over the rows one by one in the storage dtype."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, bias: Tensor) -> Tensor:
        ctx.outer = bias.shape
        return y.clone()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        rows = g.reshape(-1, *ctx.outer)
        total = torch.zeros(ctx.outer, dtype=g.dtype, device=g.device)
        for row in rows:
            total = total + row
        return g, total


def low_precision_bias(function: Operation) -> Operation:
    def wrong(x: Tensor, *, bias: Any, **words: Any) -> Tensor:
        y = function(x, bias=bias if bias is None else bias.detach(), **words)
        return y if bias is None else _LowPrecisionBias.apply(y, bias)

    return wrong


class _BiasAlongWrongAxis(torch.autograd.Function):
    """Adds nothing; hands the bias a gradient summed over the outputs instead of over the rows."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, bias: Tensor) -> Tensor:
        ctx.outer = bias.shape
        return y.clone()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return g, g.sum(-1).reshape(-1)[:1].expand(ctx.outer) if g.numel() else torch.zeros_like(g.sum(0))


def bias_along_wrong_axis(function: Operation) -> Operation:
    def wrong(x: Tensor, *, bias: Any, **words: Any) -> Tensor:
        if bias is None or bias.dim() == 0:
            return function(x, bias=bias, **words)
        return _BiasAlongWrongAxis.apply(function(x, bias=bias.detach(), **words), bias)

    return wrong


def as_if_contiguous(function: Operation) -> Operation:
    """Reads the memory in order, whatever the strides."""

    def wrong(x: Tensor, **words: Any) -> Tensor:
        return function(x.as_strided(x.shape, torch.empty(x.shape).stride()), **words)

    return wrong


def linear_above(limit: float) -> Tampering:
    """The saturated branch taken too early: x itself above ``limit``."""
    return lambda function: lambda x, **words: torch.where(x > limit, x, function(x, **words))


def detached(function: Operation) -> Operation:
    return lambda x, **words: function(x.detach(), **words)


def failing(function: Operation) -> Operation:
    def wrong(x: Tensor, **words: Any) -> Tensor:
        raise RuntimeError("expected a multiple of 4")

    return wrong


def log_of_softmax(x: Tensor, *, dim: int, dtype: Any = None) -> Tensor:
    return torch.log(torch.softmax(x, dim, dtype=dtype))


def softmax_without_shift(x: Tensor, *, dim: int, dtype: Any = None) -> Tensor:
    e = torch.exp(x if dtype is None else x.to(dtype))
    return e / e.sum(dim, keepdim=True) if e.dim() else e / e


def sigmoid_by_positive_exponential(x: Tensor) -> Tensor:
    return torch.exp(x) / (1.0 + torch.exp(x))


def softplus_without_threshold(x: Tensor, *, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    return torch.log1p(torch.exp(beta * x)) / beta


def logsigmoid_by_log(x: Tensor) -> Tensor:
    return torch.log(torch.sigmoid(x))


def elu_by_exp(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """exp(x) - 1 in place of expm1(x)."""
    return torch.where(x > 0, x, alpha * (torch.exp(torch.where(x > 0, torch.zeros_like(x), x)) - 1.0))


def tanh_by_exp(x: Tensor) -> Tensor:
    e = torch.exp(-2.0 * x)
    return (1.0 - e) / (1.0 + e)


def mse_expanded(x: Tensor, *, target: Tensor, weight: Any = None, reduction: str = "mean") -> Tensor:
    """x² - 2·x·target + target² in place of (x - target)²."""
    if weight is not None:
        return F.mse_loss(x, target, weight=weight, reduction=reduction)
    elements = x * x - 2.0 * x * target + target * target
    return {"mean": elements.mean, "sum": elements.sum, "none": lambda: elements}[reduction]()


def bce_by_sigmoid(x: Tensor, *, target: Tensor, weight: Any, pos_weight: Any, reduction: str) -> Tensor:
    """The logarithm of a rounded sigmoid."""
    s = torch.sigmoid(x)
    elements = -((1.0 if pos_weight is None else pos_weight) * target * torch.log(s) + (1 - target) * torch.log(1 - s))
    elements = elements if weight is None else elements * weight
    return {"mean": elements.mean, "sum": elements.sum, "none": lambda: elements}[reduction]()


def cross_entropy_over_last_axis(x: Tensor, *, target: Tensor, **words: Any) -> Tensor:
    """Scores normalised over the last dimension instead of over the classes."""
    if x.dim() < 3 or target.is_floating_point() or words.pop("label_smoothing", 0.0):
        return F.cross_entropy(x, target, **words)
    return F.nll_loss(torch.log_softmax(x, -1), target, **words)


def ignore_index_counted(function: Operation) -> Operation:
    """Ignored elements count in the mean's norm."""

    def wrong(x: Tensor, *, target: Tensor, **words: Any) -> Tensor:
        loss = function(x, target=target, **words)
        if target.is_floating_point() or words["reduction"] != "mean" or words["weight"] is not None:
            return loss
        return loss * (target != words["ignore_index"]).sum() / max(target.numel(), 1)

    return wrong
