"""Calls of recurrent layers and cells: modules whose parameters are views of the case's tensors."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from gradcheck.subject.adapters import adapter
from gradcheck.subject.seeding import outside_transforms

__all__ = ["call_module", "made", "with_parameters"]

Tensor = torch.Tensor


def with_parameters(module: nn.Module, weights: Tensor) -> dict[str, Tensor]:
    """Views of a flat tensor, in the order and of the shapes of a module's parameters, by name."""
    named = list(module.named_parameters())
    pieces = torch.split(weights, [parameter.numel() for _, parameter in named])
    return {name: piece.view(parameter.shape) for (name, parameter), piece in zip(named, pieces, strict=True)}


def call_module(module: nn.Module, parameters: dict[str, Tensor], *args: Any, **words: Any) -> Any:
    """The module called with tensors in its parameters' place, so that autograd reaches them."""
    return torch.func.functional_call(module, parameters, args, words)


def made(kind: Any, x: Tensor, *args: Any, **words: Any) -> Any:
    """A module of x's dtype on its device. Its parameters are drawn at random, which no transform has to see."""
    with outside_transforms():
        return kind(*args, **words, dtype=x.dtype, device=x.device)


def _cell(module: nn.Module, x: Tensor, parameters: dict[str, Tensor | None], state: Any) -> Any:
    return call_module(module, {name: p for name, p in parameters.items() if p is not None}, x, state)


@adapter("nn.RNNCell")
def _rnn_cell(x: Tensor, hx: Tensor | None = None, nonlinearity: str = "tanh", **parameters: Tensor | None) -> Tensor:
    return _cell(_cell_module(nn.RNNCell, x, parameters, nonlinearity=nonlinearity), x, parameters, hx)


@adapter("nn.LSTMCell")
def _lstm_cell(x: Tensor, hx: Tensor | None = None, cx: Tensor | None = None, **parameters: Tensor | None) -> Any:
    h, c = _cell(_cell_module(nn.LSTMCell, x, parameters), x, parameters, None if hx is None else (hx, cx))
    return {"value": h, "c_n": c}


@adapter("nn.GRUCell")
def _gru_cell(x: Tensor, hx: Tensor | None = None, **parameters: Tensor | None) -> Tensor:
    return _cell(_cell_module(nn.GRUCell, x, parameters), x, parameters, hx)


def _cell_module(kind: Any, x: Tensor, parameters: dict[str, Tensor | None], **words: Any) -> nn.Module:
    weight, bias = parameters["weight_hh"], parameters["bias_ih"] is not None
    assert weight is not None
    module: nn.Module = made(kind, x, x.shape[-1], weight.shape[-1], bias, **words)
    return module


def _layer(kind: Any, x: Tensor, weights: Tensor, state: Any, **options: Any) -> Any:
    """A recurrent layer called with views of the flat weights in the place of its own list of parameters."""
    module = made(kind, x, x.shape[-1], **options)
    parameters = with_parameters(module, weights)
    module._flat_weights = [parameters[name] for name in module._flat_weights_names]
    return module(x, state)


@adapter("nn.RNN")
def _rnn(x: Tensor, weights: Tensor, h_0: Tensor | None = None, **options: Any) -> dict[str, Tensor]:
    value, h_n = _layer(nn.RNN, x, weights, h_0, **options)
    return {"value": value, "h_n": h_n}


@adapter("nn.GRU")
def _gru(x: Tensor, weights: Tensor, h_0: Tensor | None = None, **options: Any) -> dict[str, Tensor]:
    value, h_n = _layer(nn.GRU, x, weights, h_0, **options)
    return {"value": value, "h_n": h_n}


@adapter("nn.LSTM")
def _lstm(
    x: Tensor, weights: Tensor, h_0: Tensor | None = None, c_0: Tensor | None = None, **options: Any
) -> dict[str, Tensor]:
    value, (h_n, c_n) = _layer(nn.LSTM, x, weights, None if h_0 is None else (h_0, c_0), **options)
    return {"value": value, "h_n": h_n, "c_n": c_n}
