"""The ladder agrees step by step, and each of the usual mistakes is caught and named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from gradcheck.errors import UsageError
from gradcheck.reference.training import MODELS, MicroBatch, model_named
from gradcheck.reference.training_run import Loader, Task, grouped, run_by_hand
from gradcheck.subject.training import RUNGS, Autograd, Loop, LossAndOptimizer, ModuleAndLoader, loader_order, run_rung
from gradcheck.verdict.pipeline import StepVerdict, judge_training, worst_of
from gradcheck.walkthrough.pipelines import BATCHINGS, DTYPES, SAMPLES, climb, make_task


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batching", BATCHINGS)
@pytest.mark.parametrize("model", MODELS)
def test_every_rung_agrees_at_every_step(model: str, batching: str, dtype: str) -> None:
    task = make_task(MODELS[model], batching, dtype, seed=1)
    for rung, record in climb(task).items():
        verdicts = judge_training(task, record)
        assert worst_of(verdicts).error_over_bound <= 1.0, f"{rung}: {worst_of(verdicts).sentence()}"
        assert {verdict.step for verdict in verdicts} == set(range(1, len(list(task.steps())) + 1))


@pytest.mark.cuda
@pytest.mark.parametrize("model", MODELS)
def test_every_rung_agrees_on_cuda(model: str) -> None:
    task = make_task(MODELS[model], "accumulation over 4", "float32", seed=1)
    for record in climb(task, "cuda").values():
        assert worst_of(judge_training(task, record)).error_over_bound <= 1.0


class WrongRate(LossAndOptimizer):
    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.optimizer.param_groups[0]["lr"] *= 1.1


class OtherInOneStep(Loop):
    """In the fifth step the sum is taken for the mean, or the mean for the sum."""

    passes = 0

    def backward(self, x: Any, y: Any, batch: MicroBatch) -> float:
        self.passes += 1
        other = "sum" if batch.reduction == "mean" else "mean"
        return super().backward(x, y, replace(batch, reduction=other) if self.passes == 5 else batch)


class NeverZeroed(LossAndOptimizer):
    def zero(self) -> None:
        pass


class OneParameterNotZeroed(Loop):
    def zero(self) -> None:
        assert self.parameters["weight"].grad is not None
        self.parameters["weight"].grad.zero_()


class WeightedAlike(Loop):
    """Every micro-batch by 1/k for the k of its own group, though the last one is smaller."""

    def step(self, pairs: Any, batches: Any) -> Any:
        return super().step(pairs, tuple(replace(batch, weight=1.0 / len(batches)) for batch in batches))


class WeightedByK(Loop):
    """Every micro-batch by 1/k for the k of full groups: the last group has fewer."""

    def step(self, pairs: Any, batches: Any) -> Any:
        return super().step(pairs, tuple(replace(batch, weight=1.0 / 4.0) for batch in batches))


class NotWeighted(Loop):
    def step(self, pairs: Any, batches: Any) -> Any:
        return super().step(pairs, tuple(replace(batch, weight=1.0) for batch in batches))


class EarlyStep(LossAndOptimizer):
    """The optimizer steps before the first backward pass of the step."""

    def backward(self, x: Any, y: Any, batch: MicroBatch) -> float:
        self.optimizer.step()
        return super().backward(x, y, batch)

    def update(self) -> None:
        pass


class EarlyStepOfOldGradients(ModuleAndLoader):
    """``optimizer.step(); optimizer.zero_grad(); loss.backward()``."""

    def backward(self, x: Any, y: Any, batch: MicroBatch) -> float:
        self.optimizer.step()
        self.optimizer.zero_grad()
        return super().backward(x, y, batch)

    def update(self) -> None:
        pass

    def zero(self) -> None:
        pass


class OtherOrder(ModuleAndLoader):
    def __init__(self, task: Task) -> None:
        super().__init__(replace(task, loader=replace(task.loader, seed=task.loader.seed + 1)))
        self.task = task


class ValidatedWithTheSum(Loop):
    def validate(self) -> float:
        with torch.no_grad():
            return float(self.loss(self.predict(self.tensor(self.task.x_valid)), self.tensor(self.task.y_valid), "sum"))


class MovedBetweenSteps(Loop):
    def step(self, pairs: Any, batches: Any) -> Any:
        step = super().step(pairs, batches)
        with torch.no_grad():
            self.parameters["bias"].mul_(1.0 + 2.0**-20)
        return step


MINI, OVER_4 = "mini-batch", "accumulation over 4"

FAULTS: list[tuple[Callable[[Task], Loop], str, str, str]] = [
    (WrongRate, MINI, "weight", "the step of weight, learning rate · gradient, is 1.1 times what it should be"),
    (OtherInOneStep, MINI, "grad[weight]", "the sum was taken for the mean"),
    (NeverZeroed, MINI, "grad[weight]", "the gradient was not zeroed"),
    (OneParameterNotZeroed, MINI, "grad[bias]", "the gradient was not zeroed"),
    (WeightedAlike, OVER_4, "grad[weight]", "the micro-batches were weighted alike, whatever their size"),
    (WeightedByK, OVER_4, "grad[weight]", "as if there were as many as before"),
    (NotWeighted, OVER_4, "grad[weight]", "the micro-batches were not weighted"),
    (EarlyStep, MINI, "weight", "was not updated: the optimizer stepped before there was a gradient"),
    (EarlyStepOfOldGradients, MINI, "weight", "was updated with the gradient of the step before"),
    (OtherOrder, MINI, "data", "the batch is not the one of the plan"),
    (ValidatedWithTheSum, MINI, "validation loss", "is 5 times what it should be"),
    (MovedBetweenSteps, MINI, "state", "bias has changed between two steps"),
]


def deviating(loop: Loop, task: Task) -> list[StepVerdict]:
    return [verdict for verdict in judge_training(task, loop.run()) if verdict.status == "deviates"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("fault", "batching", "output", "words"), FAULTS, ids=lambda value: str(value)[:60])
def test_a_mistake_is_caught_and_named(fault: Any, batching: str, output: str, words: str, dtype: str) -> None:
    task = make_task(MODELS["linear_regression"], batching, dtype)
    found = deviating(fault(task), task)
    assert any(verdict.output == output and words in verdict.words for verdict in found), [v.words for v in found]


def test_a_mistake_in_one_step_is_found_in_that_step_alone() -> None:
    task = make_task(MODELS["linear_regression"], MINI, "float32")
    assert {verdict.step for verdict in deviating(OtherInOneStep(task), task)} == {5}


def test_the_mean_for_the_sum_is_named() -> None:
    task = make_task(MODELS["linear_regression"], MINI, "float32")
    sums = tuple(tuple(tuple(replace(b, reduction="sum") for b in step) for step in epoch) for epoch in task.epochs)
    # The step size of the mean would make the run diverge.
    task = replace(task, epochs=sums, rate=0.01)
    assert not deviating(Loop(task), task)
    found = deviating(OtherInOneStep(task), task)
    assert {verdict.step for verdict in found} == {5}
    assert any("the mean was taken for the sum" in verdict.words for verdict in found)


def test_missing_steps_and_left_over_batches_are_found() -> None:
    task = make_task(MODELS["linear_regression"], MINI, "float32")
    fewer = replace(task, epochs=tuple(epoch[:-1] for epoch in task.epochs))
    verdict = judge_training(fewer, ModuleAndLoader(fewer).run())[0]
    assert verdict.output == "steps"
    assert "3 batches were left over" in verdict.words
    record = Autograd(task).run()
    record.steps.pop()
    assert "8 steps were made, should be 9" in judge_training(task, record)[0].words


def test_a_verdict_is_a_sentence() -> None:
    task = make_task(MODELS["linear_regression"], MINI, "float32")
    sentence = worst_of(deviating(WrongRate(task), task)).sentence()
    assert sentence.startswith("linear_regression, mini-batch, loss and optimizer, float32 on cpu, step ")


def test_the_last_group_is_partial_and_weighted_by_samples() -> None:
    order = [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10,)]
    full, partial = grouped(order, 4)
    assert [batch.weight for batch in full] == [0.25] * 4
    assert [batch.weight for batch in partial] == [2.0 / 3.0, 1.0 / 3.0]


def test_a_loader_serves_every_sample_once_an_epoch() -> None:
    for epoch in loader_order(SAMPLES, Loader(4, True, 7), 3):
        assert sorted(index for batch in epoch for index in batch) == list(range(SAMPLES))


def test_the_run_by_hand_holds_numbers_of_the_dtype() -> None:
    task = make_task(MODELS["two_layer_network"], "full batch", "float32")
    for step in run_by_hand(task).steps:
        for array in (*step.gradients.values(), *step.after.values()):
            np.testing.assert_array_equal(array, np.float32(array))


def test_unknown_names_are_wrong_use() -> None:
    with pytest.raises(UsageError, match="model 'nothing' is not known; expected linear_regression"):
        model_named("nothing")
    with pytest.raises(UsageError, match="rung 'ladder' is not known; expected autograd"):
        run_rung("ladder", make_task(MODELS["linear_regression"], MINI, "float32"))
    assert set(RUNGS) == {"autograd", "loss and optimizer", "module and loader"}
