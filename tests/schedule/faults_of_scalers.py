"""Gradient scalers with one fault each, standing in for PyTorch's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Subject = Callable[..., Any]


class _Scaler(torch.amp.GradScaler):
    """PyTorch's, with the update written out."""

    grows_on_inf = keeps_count = slow = False

    def update(self, new_scale: Any = None) -> None:
        assert self._scale is not None
        assert self._growth_tracker is not None
        found = any(
            bool(x) for state in self._per_optimizer_states.values() for x in state["found_inf_per_device"].values()
        )
        count = int(self._growth_tracker) + 1
        if found:
            self._scale.mul_(self._growth_factor if self.grows_on_inf else self._backoff_factor)
            self._growth_tracker.fill_(count - 1 if self.keeps_count else 0)
        elif count == self._growth_interval + self.slow:
            self._scale.mul_(self._growth_factor)
            self._growth_tracker.fill_(0)
        else:
            self._growth_tracker.fill_(count)
        self._per_optimizer_states.clear()


class GrowsOnInf(_Scaler):
    """Grows where it should back off."""

    grows_on_inf = True


class KeepsCount(_Scaler):
    """An infinity does not end a run of good steps."""

    keeps_count = True


class Slow(_Scaler):
    """Grows one step late."""

    slow = True


class NeverSkips(torch.amp.GradScaler):
    """Steps in spite of an infinity."""

    def _maybe_opt_step(self, optimizer: Any, optimizer_state: Any, *args: Any, **kwargs: Any) -> Any:
        return optimizer.step(*args, **kwargs)


class LosesCount(torch.amp.GradScaler):
    """Its state has no growth tracker."""

    def load_state_dict(self, state_dict: Any) -> None:
        super().load_state_dict({**state_dict, "_growth_tracker": 0})


class Doubly(torch.amp.GradScaler):
    """Can be stepped twice."""

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        result = super().step(optimizer, *args, **kwargs)
        return self.unscaled_again(optimizer, result)

    def unscaled_again(self, optimizer: Any, result: Any) -> Any:
        """Forget that it has stepped."""
        from torch.amp.grad_scaler import OptState

        self._per_optimizer_states[id(optimizer)]["stage"] = OptState.UNSCALED
        return result


HISTORY = 'GradScaler(grad=ordinary(3, 2), growth_interval=2, history=("ok", "{}", "ok"){}) seed=0 dtype=float32'
SCALERS: dict[str, tuple[Subject, str, str]] = {
    "growth at an infinity": (GrowsOnInf, HISTORY.format("inf", ""), "scale"),
    "growth at a NaN": (GrowsOnInf, HISTORY.format("nan", ""), "scale"),
    "a count that goes on": (KeepsCount, HISTORY.format("-inf", ""), "tracker"),
    "growth one step late": (Slow, HISTORY.format("ok", ""), "scale"),
    "no step skipped": (NeverSkips, HISTORY.format("inf", ""), "stepped"),
    "a count that is not loaded": (LosesCount, HISTORY.format("ok", ", resume=1"), "resumed"),
    "two steps allowed": (Doubly, HISTORY.format("ok", ""), "rest"),
}
