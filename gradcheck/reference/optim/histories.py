"""Building blocks of the step rules' ``inputs``: how histories of an optimizer are drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["BETAS", "GRAD_KINDS", "RATES", "histories"]

MOST_STEPS = 20
"""Steps are drawn as one number, so that a history shrinks to the very step that shows a fault."""

GRAD_KINDS = ("ordinary", "integers", "wide", "subnormal", "huge", "special", "ties", "roots")
"""Kinds of gradients; ties and integers hold zeros, wide and subnormal tiny numbers, roots those of tiny squares."""

PARAM_KINDS = ("ordinary", "ties", "wide")

RATES = (0.01, 0.1, 0.5, 1.0, 0.003)
BETAS = ((0.9, 0.999), (0.5, 0.75), (0.8, 0.99), (0.0, 0.9))


def histories(
    dims: tuple[int, int] = (0, 2),
    least: int = 0,
    complexes: Sequence[str] = GRAD_KINDS,
    sparse: Sequence[bool] = (False,),
    groups: bool = True,
    tensor_lr: bool = True,
    tensors: Sequence[str] = (),
    shapes: Sequence[tuple[int, ...]] = (),
    **options: Sequence[Any],
) -> Callable[[Any], dict[str, Any]]:
    """Inputs of a step rule: one to three parameters, their gradients over some steps, and one value of each option.

    dims: fewest and most dimensions of a parameter; least: its smallest side; shapes: some to choose from besides;
    tensors: options besides lr that may be tensors, which is drawn rarely;
    complexes: kinds of complex gradients, none where the class has no complex parameters; options: values, the
    simplest first.
    """

    def inputs(draw: Any) -> dict[str, Any]:
        steps = draw.integer(1, MOST_STEPS)
        count = draw.choice((1, 2, 3))
        pairs = bool(complexes) and draw.choice((False, False, False, True))
        arrays: dict[str, Any] = {}
        for i in range(count):
            alike = (arrays["param0"].shape,) * 3 if i else ()  # so that one could have the state of another
            shape = draw.choice((*alike, (), *shapes)) if shapes else ()
            if not shape and pairs:
                shape = (*draw.shape(dims, least=max(least, 1), most=24), 2)
            elif not shape:
                shape = draw.shape(dims, least=least, most=48)
            grad = draw.array((steps, *shape), complexes if pairs else GRAD_KINDS)
            arrays |= {f"param{i}": draw.array(shape, PARAM_KINDS), f"grad{i}": grad}
        chosen = {name: draw.choice(values) for name, values in options.items()}
        words = {"complex": True} if pairs else {}
        return {**arrays, "steps": steps, **chosen, **words, **_history(draw, steps, count, pairs, chosen)}

    def _history(draw: Any, steps: int, count: int, pairs: bool, chosen: dict[str, Any]) -> dict[str, Any]:
        words: dict[str, Any] = {}
        if groups and count > 1 and draw.boolean():
            name = draw.choice(tuple(options))
            others = [value for value in options[name] if value != chosen[name]]
            words["group1"] = ((name, draw.choice(others)),)
        for word in ("missing", "zeroed"):
            if draw.choice((False, False, True)):
                words[word] = ((draw.integer(0, steps - 1), draw.integer(0, count - 1)),)
        if draw.choice((False, False, True)):
            words["grad_layout"] = draw.choice(("transposed", "sliced"))
        if tensor_lr and draw.choice((False, False, False, True)):
            words["lr_tensor"] = draw.choice(("float32", "float64"))
        if not pairs and draw.choice(sparse):
            words["sparse"] = True
        for name in tensors:
            if draw.choice((False, False, False, False, True)):
                words[f"{name}_tensor"] = draw.choice(("float32", "float64"))
        return words

    return inputs
