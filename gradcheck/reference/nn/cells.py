"""One step of a recurrent network: plain (Elman 1990), LSTM (Hochreiter & Schmidhuber 1997) and GRU (Cho et al. 2014).

A step takes what the input contributes to its gates, the state before it and the parameters of the cell, and returns
the state after it and its vjp. PyTorch's cells are composites: each result is stored. What a step returns is left to
the caller to store.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gradcheck.arithmetic.functions import stored
from gradcheck.reference.nn.functional.activation import sigmoid, tanh
from gradcheck.reference.nn.functional.linear import linear
from gradcheck.reference.nn.functional.rectifier import relu
from gradcheck.reference.registry import reference

__all__ = ["CellParameters", "Step", "StepVjp", "gru_step", "lstm_step", "relu_step", "tanh_step"]


class CellParameters(NamedTuple):
    """Of G gates (1, 4 or 3): weight_ih: (G·H, I), weight_hh: (G·H, P), biases: (G·H,) or None, weight_hr: (P, H).

    P is H, and weight_hr None, where the hidden state is not projected.
    """

    weight_ih: Any
    weight_hh: Any
    bias_ih: Any = None
    bias_hh: Any = None
    weight_hr: Any = None


State = tuple[Any, ...]

StepVjp = Callable[[State], tuple[Any, State, dict[str, Any]]]
"""From the cotangents of the state after the step to those of the input's gates, of the state before, of parameters."""

Step = Callable[[Any, State, CellParameters], tuple[State, StepVjp]]
"""Gates of the input: (N, G·H); a state: of h (N, P), and of c (N, H) for an LSTM."""


def _hidden_gates(h: Any, cell: CellParameters) -> tuple[Any, Callable[[Any], tuple[Any, dict[str, Any]]]]:
    """weight_hh·h + bias_hh; the vjp gives the cotangent of h and those of the two parameters."""
    gates, linear_vjp = linear(h, cell.weight_hh, cell.bias_hh)

    def hidden_gates_vjp(g: Any) -> tuple[Any, dict[str, Any]]:
        gradients = linear_vjp(g)
        return gradients["x"], {f"{name}_hh": gradients[name] for name in gradients if name != "x"}

    return stored(gates), hidden_gates_vjp


def _plain_step(nonlinearity: Callable[[Any], Any], gates: Any, state: State, cell: CellParameters) -> Any:
    hidden, hidden_vjp = _hidden_gates(state[0], cell)
    h, activation_vjp = nonlinearity(stored(hidden + gates))

    def plain_vjp(cotangents: State) -> Any:
        g = stored(activation_vjp(cotangents[0])["x"])
        before, gradients = hidden_vjp(g)
        return g, (before,), gradients

    return (h,), plain_vjp


def tanh_step(gates: Any, state: State, cell: CellParameters) -> Any:
    """h' = tanh(gates + weight_hh·h + bias_hh)."""
    return _plain_step(tanh, gates, state, cell)


def relu_step(gates: Any, state: State, cell: CellParameters) -> Any:
    """h' = max(0, gates + weight_hh·h + bias_hh)."""
    return _plain_step(relu, gates, state, cell)


def lstm_step(gates: Any, state: State, cell: CellParameters) -> Any:
    """c' = σ(f)·c + σ(i)·tanh(g), h' = σ(o)·tanh(c'), times weight_hrᵀ if there is one; gates i, f, g, o in a row."""
    h, c = state
    hidden, hidden_vjp = _hidden_gates(h, cell)
    in_part, forget_part, cell_part, out_part = _parts(stored(hidden + gates), 4)
    i, in_vjp = sigmoid(in_part)
    f, forget_vjp = sigmoid(forget_part)
    z, cell_vjp = tanh(cell_part)
    o, out_vjp = sigmoid(out_part)
    i, f, z, o = stored(i), stored(f), stored(z), stored(o)
    c_after = stored(f * c) + stored(i * z)
    squashed, squash_vjp = tanh(stored(c_after))
    squashed = stored(squashed)
    h_after = o * squashed
    if cell.weight_hr is not None:
        h_after, projection_vjp = linear(stored(h_after), cell.weight_hr)

    def lstm_vjp(cotangents: State) -> Any:
        gh, gc = cotangents
        gradients = {}
        if cell.weight_hr is not None:
            through = projection_vjp(gh)
            gh, gradients["weight_hr"] = stored(through["x"]), through["weight"]
        gc = stored(gc + stored(squash_vjp(stored(gh * o))["x"]))
        pieces = [
            in_vjp(stored(gc * z)),
            forget_vjp(stored(gc * c)),
            cell_vjp(stored(gc * i)),
            out_vjp(stored(gh * squashed)),
        ]
        g = stored(np.concatenate([piece["x"] for piece in pieces], axis=-1))
        before, of_hidden = hidden_vjp(g)
        return g, (before, gc * f), gradients | of_hidden

    return (h_after, c_after), lstm_vjp


def gru_step(gates: Any, state: State, cell: CellParameters) -> Any:
    """n = tanh(n_x + σ(r)·n_h), h' = (h - n)·σ(z) + n; gates r, z, n in a row, each with a part of x and one of h.

    Cho et al. 2014 as PyTorch has it: the reset gate multiplies weight_hh·h + bias_hh, not h.
    """
    (h,) = state
    hidden, hidden_vjp = _hidden_gates(h, cell)
    reset_x, update_x, new_x = _parts(gates, 3)
    reset_h, update_h, new_h = _parts(hidden, 3)
    r, reset_vjp = sigmoid(stored(reset_h + reset_x))
    z, update_vjp = sigmoid(stored(update_h + update_x))
    r, z = stored(r), stored(z)
    n, new_vjp = tanh(stored(new_x + stored(r * new_h)))
    n = stored(n)
    step = stored(h - n)

    def gru_vjp(cotangents: State) -> Any:
        (g,) = cotangents
        kept = stored(g * z)
        new = stored(new_vjp(stored(g - kept))["x"])
        reset = stored(reset_vjp(stored(new * new_h))["x"])
        update = stored(update_vjp(stored(g * step))["x"])
        before, gradients = hidden_vjp(np.concatenate([reset, update, stored(new * r)], axis=-1))
        return np.concatenate([reset, update, new], axis=-1), (stored(before) + kept,), gradients

    return (stored(step * z) + n,), gru_vjp


def _parts(gates: Any, count: int) -> list[Any]:
    """The gates of a row of them, each as long as the others: (N, count·H) to ``count`` of (N, H)."""
    size = np.shape(gates)[-1] // count
    return [gates[..., part * size : (part + 1) * size] for part in range(count)]


def _inputs(gates: int, *states: str) -> Callable[[Any], dict[str, Any]]:
    def inputs(draw: Any) -> dict[str, Any]:
        lead = draw.choice(((draw.side(1, 9),), ()))
        inner, hidden = draw.side(1, 7), draw.side(1, 7)
        bias, given = draw.choice((True, False)), draw.choice((True, False))
        plain = {"nonlinearity": draw.choice(("tanh", "relu"))} if gates == 1 else {}
        scale = draw.choice((1.0, 0.0625, 0.0625))  # with smaller weights no gate is saturated
        return {
            "x": draw.array((*lead, inner)),
            "weight_ih": draw.scaled(draw.tame((gates * hidden, inner)), scale),
            "weight_hh": draw.scaled(draw.tame((gates * hidden, hidden)), scale),
            "bias_ih": draw.tame((gates * hidden,)) if bias else None,
            "bias_hh": draw.tame((gates * hidden,)) if bias else None,
            **{state: draw.tame((*lead, hidden)) if given else None for state in states},
            **plain,
        }

    return inputs


def _cell(step: Step, x: Any, cell: CellParameters, states: dict[str, Any]) -> Any:
    """One step from an input (N, I) or (I,); states that are None are 0. Results: the state, and the vjp of it."""
    rows = x.reshape(-1, np.shape(x)[-1])
    shape = (np.shape(rows)[0], np.shape(cell.weight_hh)[-1])
    gates, linear_vjp = linear(rows, cell.weight_ih, cell.bias_ih)
    before = tuple(np.zeros(shape) if state is None else state.reshape(shape) for state in states.values())
    after, step_vjp = step(stored(gates), before, cell)
    final = (*np.shape(x)[:-1], shape[1])

    def cell_vjp(*cotangents: Any) -> dict[str, Any]:
        g, of_states, gradients = step_vjp(tuple(cotangent.reshape(shape) for cotangent in cotangents))
        of_input = linear_vjp(g)
        gradients |= {f"{name}_ih": of_input[name] for name in of_input if name != "x"}
        given = zip(states.items(), of_states, strict=True)
        gradients |= {name: gradient.reshape(final) for (name, state), gradient in given if state is not None}
        return gradients | {"x": of_input["x"].reshape(np.shape(x))}

    return [state.reshape(final) for state in after], cell_vjp


@reference("nn.RNNCell", inputs=_inputs(1, "hx"))
def rnn_cell(
    x: Any, weight_ih: Any, weight_hh: Any, bias_ih: Any = None, bias_hh: Any = None, hx: Any = None,
    *, nonlinearity: str = "tanh",
) -> Any:  # fmt: skip
    """tanh(weight_ih·x + bias_ih + weight_hh·hx + bias_hh), or max(0, …); x: (N, I) or (I,), the others (N, H) or (H,).

    hx is 0 unless given. With relu the gradient at 0 is 0 (Elman 1990).
    """
    step = tanh_step if nonlinearity == "tanh" else relu_step
    (h,), cell_vjp = _cell(step, x, CellParameters(weight_ih, weight_hh, bias_ih, bias_hh), {"hx": hx})
    return h, cell_vjp


@reference("nn.LSTMCell", inputs=_inputs(4, "hx", "cx"))
def lstm_cell(
    x: Any, weight_ih: Any, weight_hh: Any, bias_ih: Any = None, bias_hh: Any = None, hx: Any = None, cx: Any = None
) -> Any:
    """One step of an LSTM: ``value`` is h', ``c_n`` is c'; x: (N, I) or (I,), the states (N, H) or (H,), else 0.

    c' = σ(f)·c + σ(i)·tanh(g), h' = σ(o)·tanh(c'), with i, f, g, o = weight_ih·x + bias_ih + weight_hh·h + bias_hh
    (Hochreiter & Schmidhuber 1997; Gers et al. 2000).
    """
    (h, c), cell_vjp = _cell(lstm_step, x, CellParameters(weight_ih, weight_hh, bias_ih, bias_hh), {"hx": hx, "cx": cx})

    def lstm_cell_vjp(g: dict[str, Any]) -> dict[str, Any]:
        return cell_vjp(g["value"], g["c_n"])

    return {"value": h, "c_n": c}, lstm_cell_vjp


@reference("nn.GRUCell", inputs=_inputs(3, "hx"))
def gru_cell(x: Any, weight_ih: Any, weight_hh: Any, bias_ih: Any = None, bias_hh: Any = None, hx: Any = None) -> Any:
    """One step of a GRU; x: (N, I) or (I,), hx and the result (N, H) or (H,); hx is 0 unless given (Cho et al. 2014).

    h' = (h - n)·σ(z) + n, n = tanh(n_x + σ(r)·n_h), with r, z and n the three parts of weight_ih·x + bias_ih (index x)
    and weight_hh·h + bias_hh (index h); r and z are their sums.
    """
    (h,), cell_vjp = _cell(gru_step, x, CellParameters(weight_ih, weight_hh, bias_ih, bias_hh), {"hx": hx})
    return h, cell_vjp
