"""Recurrent layers: steps of a cell along time, in one direction or both, in several layers.

PyTorch multiplies the input of all times by weight_ih at once and takes the steps one by one; the gradients of what
all steps share are accumulated in the storage dtype, from the last step to the first.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from gradcheck.arithmetic.functions import stored
from gradcheck.reference.nn.cells import CellParameters, Step, gru_step, lstm_step, relu_step, tanh_step
from gradcheck.reference.nn.functional.linear import linear
from gradcheck.reference.nn.parameters import Shapes, flattened, size, unflattened
from gradcheck.reference.registry import reference

__all__ = ["gru", "lstm", "rnn"]


class _Sizes(NamedTuple):
    """Of a network: gates of a cell, input, hidden and projected size (0: none), layers, directions, biases or not."""

    gates: int
    inner: int
    hidden: int
    projected: int
    layers: int
    directions: int
    bias: bool

    @property
    def output(self) -> int:
        """Length of a hidden state."""
        return self.projected or self.hidden

    def shapes(self) -> Iterator[Shapes]:
        """Shapes of the parameters of every layer and direction, in PyTorch's order."""
        rows = self.gates * self.hidden
        for cell in range(self.layers * self.directions):
            inner = self.inner if cell < self.directions else self.output * self.directions
            shapes: Shapes = {"weight_ih": (rows, inner), "weight_hh": (rows, self.output)}
            if self.bias:
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
            if self.projected:
                shapes["weight_hr"] = (self.projected, self.hidden)
            yield shapes

    def total(self) -> int:
        """Number of all parameters."""
        return sum(size(shapes) for shapes in self.shapes())


def _inputs(gates: int, *states: str) -> Callable[[Any], dict[str, Any]]:
    def inputs(draw: Any) -> dict[str, Any]:
        batch, times = draw.side(1, 5), draw.choice((3, 1, 4, 2))
        inner, hidden = draw.side(1, 5), draw.side(2, 5)
        layers, bidirectional = draw.choice((1, 2, 3, 1)), draw.boolean()
        bias, given = draw.choice((True, True, False)), draw.choice((True, False, True))
        order = draw.choice(("times first", "times first", "unbatched", "batch first"))
        projected = draw.choice((0, 0, 1, max(hidden - 1, 1))) if gates == 4 else 0
        between = () if order == "unbatched" else (batch,)
        lead = (batch, times) if order == "batch first" else (times, *between)
        x = draw.array((*lead, inner))
        faint = x.kind == "subnormal"  # and so is what comes out, without a bias
        bias = bias and not faint
        sizes = _Sizes(gates, inner, hidden, projected, layers, 1 + bidirectional, bias)
        weights = draw.array((sizes.total(),), ("ordinary",)) if faint else draw.tame((sizes.total(),))
        if draw.choice((True, False, True)):
            # Of the size with which PyTorch begins, errors do not grow with the steps; smaller, no gate is saturated.
            weights = draw.scaled(weights, draw.choice((1.0, 0.0625)) / math.sqrt(hidden))
        widths = dict(zip(("h_0", "c_0"), (sizes.output, hidden), strict=True))
        shapes = {state: (layers * sizes.directions, *between, widths[state]) for state in states}
        array = functools.partial(draw.array, kinds=(x.kind,)) if faint else draw.tame
        start = {state: array(shape) if given else None for state, shape in shapes.items()}
        special = {1: {"nonlinearity": draw.choice(("tanh", "relu"))}, 4: {"proj_size": projected}}
        return {
            "x": x,
            "weights": weights,
            **start,
            "hidden_size": hidden,
            "num_layers": layers,
            "bias": bias,
            "batch_first": order == "batch first",
            "bidirectional": bidirectional,
            **special.get(gates, {}),
        }

    return inputs


def _split(weights: Any, sizes: _Sizes) -> tuple[list[CellParameters], Callable[[list[dict[str, Any]]], Any]]:
    """The cells of a flat array of parameters, and from their gradients by name to that of the array."""
    cells, start = [], 0
    for shapes in sizes.shapes():
        stop = start + size(shapes)
        cells.append(CellParameters(**unflattened(weights[start:stop], shapes)))
        start = stop

    def joined(gradients: list[dict[str, Any]]) -> Any:
        return np.concatenate([flattened(g, shapes) for g, shapes in zip(gradients, sizes.shapes(), strict=True)])

    return cells, joined


def _one_direction(step: Step, x: Any, state: tuple[Any, ...], cell: CellParameters, reverse: bool) -> Any:
    """Steps through x (T, N, I) from a state, from the last time on if reverse: outputs (T, N, P), last state, vjp."""
    gates, linear_vjp = linear(x, cell.weight_ih, cell.bias_ih)
    gates = stored(gates)
    times = range(np.shape(x)[0])
    order = times[::-1] if reverse else times
    outputs, pullbacks = {}, {}
    for time in order:
        state, pullbacks[time] = step(gates[time], tuple(stored(part) for part in state), cell)
        outputs[time] = state[0]

    def one_direction_vjp(g: Any, cotangents: tuple[Any, ...]) -> Any:
        of_gates: dict[int, Any] = {}
        sums: dict[str, Any] = {}
        for time in order[::-1]:
            h, *rest = (stored(part) for part in cotangents)
            of_gates[time], cotangents, gradients = pullbacks[time]((stored(g[time] + h), *rest))
            sums = {name: stored(sums[name]) + stored(part) if sums else part for name, part in gradients.items()}
        of_input = linear_vjp(np.stack([stored(of_gates[time]) for time in times]))
        sums |= {f"{name}_ih": part for name, part in of_input.items() if name != "x"}
        return of_input["x"], cotangents, sums

    return np.stack([outputs[time] for time in times]), state, one_direction_vjp


def _layer(step: Step, x: Any, states: list[tuple[Any, ...]], cells: list[CellParameters]) -> Any:
    """One direction, or both side by side: outputs (T, N, D·P), last states by direction, vjp."""
    runs = [
        _one_direction(step, x, state, cell, reverse=direction == 1)
        for direction, (state, cell) in enumerate(zip(states, cells, strict=True))
    ]
    width = np.shape(runs[0][0])[-1]

    def layer_vjp(g: Any, cotangents: list[tuple[Any, ...]]) -> Any:
        pulled = [
            run[2](g[..., direction * width : (direction + 1) * width], cotangent)
            for direction, (run, cotangent) in enumerate(zip(runs, cotangents, strict=True))
        ]
        inputs = [part[0] for part in pulled]
        of_x = inputs[0] if len(inputs) == 1 else stored(inputs[0]) + stored(inputs[1])
        return of_x, [part[1] for part in pulled], [part[2] for part in pulled]

    return np.concatenate([run[0] for run in runs], axis=-1), [run[1] for run in runs], layer_vjp


def _network(step: Step, sizes: _Sizes, x: Any, weights: Any, states: dict[str, Any], batch_first: bool) -> Any:
    """All layers: ``{"value", "h_n", …}`` and their vjp. ``states``: h_0 (and c_0), None for zeros."""
    cells, joined = _split(weights, sizes)
    unbatched = np.ndim(x) == 2
    rows = np.swapaxes(x, 0, 1) if batch_first else x.reshape(np.shape(x)[0], -1, sizes.inner)
    count, per_layer = len(cells), sizes.directions
    widths = {"h_0": sizes.output, "c_0": sizes.hidden}
    starts = {
        name: (np.zeros if state is None else state.reshape)((count, np.shape(rows)[1], widths[name]))
        for name, state in states.items()
    }
    finals, pullbacks = [], []
    for first in range(0, count, per_layer):
        here = range(first, first + per_layer)
        begin = [tuple(start[cell] for start in starts.values()) for cell in here]
        rows, ends, layer_vjp = _layer(step, stored(rows), begin, cells[first : first + per_layer])
        finals += ends
        pullbacks.append(layer_vjp)
    outputs = {"value": rows[:, 0] if unbatched else np.swapaxes(rows, 0, 1) if batch_first else rows}
    for part, name in enumerate(states):
        last = np.stack([final[part] for final in finals])
        outputs[name.replace("_0", "_n")] = last[:, 0] if unbatched else last

    def network_vjp(cotangents: dict[str, Any]) -> dict[str, Any]:
        g = cotangents["value"]
        g = np.swapaxes(g, 0, 1) if batch_first else g.reshape(np.shape(rows))
        ends = [cotangents[name.replace("_0", "_n")].reshape(np.shape(starts[name])) for name in states]
        before: list[tuple[Any, ...]] = []
        gradients: list[dict[str, Any]] = []
        for layer in reversed(range(len(pullbacks))):
            here = range(layer * per_layer, (layer + 1) * per_layer)
            g, of_states, of_cells = pullbacks[layer](stored(g), [tuple(end[cell] for end in ends) for cell in here])
            before, gradients = of_states + before, of_cells + gradients
        of_x = np.swapaxes(g, 0, 1) if batch_first else g.reshape(np.shape(x))
        result = {"x": of_x, "weights": joined(gradients)}
        for part, (name, state) in enumerate(states.items()):
            if state is not None:
                result[name] = np.stack([parts[part] for parts in before]).reshape(np.shape(state))
        return result

    return outputs, network_vjp


def _sizes(gates: int, x: Any, hidden: int, layers: int, bidirectional: bool, bias: bool, projected: int = 0) -> _Sizes:
    return _Sizes(gates, np.shape(x)[-1], hidden, projected, layers, 2 if bidirectional else 1, bias)


@reference("nn.RNN", inputs=_inputs(1, "h_0"))
def rnn(
    x: Any,
    weights: Any,
    h_0: Any = None,
    *,
    hidden_size: int,
    num_layers: int = 1,
    nonlinearity: str = "tanh",
    bias: bool = True,
    batch_first: bool = False,
    bidirectional: bool = False,
) -> Any:
    """h_t = tanh(W_ih·x_t + b_ih + W_hh·h_{t-1} + b_hh), or max(0, …); ``value`` holds all h_t, ``h_n`` the last ones.

    x: (T, N, I), (T, I), or (N, T, I) with batch_first; h_0 and h_n: (layers·D, N, H), D = 2 in both directions, 0
    unless given; value: as x, of length D·H. weights: all parameters of ``torch.nn.RNN`` in their order, flat (Elman
    1990; Schuster & Paliwal 1997). With relu the gradient at 0 is 0.
    """
    sizes = _sizes(1, x, hidden_size, num_layers, bidirectional, bias)
    step = tanh_step if nonlinearity == "tanh" else relu_step
    return _network(step, sizes, x, weights, {"h_0": h_0}, batch_first)


@reference("nn.LSTM", inputs=_inputs(4, "h_0", "c_0"))
def lstm(
    x: Any,
    weights: Any,
    h_0: Any = None,
    c_0: Any = None,
    *,
    hidden_size: int,
    num_layers: int = 1,
    bias: bool = True,
    batch_first: bool = False,
    bidirectional: bool = False,
    proj_size: int = 0,
) -> Any:
    """Long short-term memory; ``value`` holds all h_t, ``h_n`` and ``c_n`` the last states (see nn.LSTMCell).

    x, h_0, h_n, weights: as of nn.RNN; c_0 and c_n: (layers·D, N, H). With proj_size the hidden state is W_hr·h, so
    long (Sak et al. 2014; Hochreiter & Schmidhuber 1997).
    """
    sizes = _sizes(4, x, hidden_size, num_layers, bidirectional, bias, proj_size)
    return _network(lstm_step, sizes, x, weights, {"h_0": h_0, "c_0": c_0}, batch_first)


@reference("nn.GRU", inputs=_inputs(3, "h_0"))
def gru(
    x: Any,
    weights: Any,
    h_0: Any = None,
    *,
    hidden_size: int,
    num_layers: int = 1,
    bias: bool = True,
    batch_first: bool = False,
    bidirectional: bool = False,
) -> Any:
    """Gated recurrent units; ``value`` holds all h_t, ``h_n`` the last ones (see nn.GRUCell; Cho et al. 2014).

    x, h_0, h_n, weights: as of nn.RNN.
    """
    sizes = _sizes(3, x, hidden_size, num_layers, bidirectional, bias)
    return _network(gru_step, sizes, x, weights, {"h_0": h_0}, batch_first)
