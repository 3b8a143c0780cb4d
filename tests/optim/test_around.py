"""What goes around a step: groups, state_dict, zero_grad, missing gradients, hooks, closures, bad hyperparameters.

Comparisons are of bits: PyTorch against itself by another way that must make no difference.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from gradcheck.cases.case import Case
from gradcheck.cases.history import History
from gradcheck.cases.strategies import SEEDS, HypothesisDraw
from gradcheck.reference.optim.rule import StepRule
from gradcheck.reference.registry import entries
from gradcheck.subject.optimizers import build, make_grad, make_param
from tests.optim.known import FOUND_IN

RULES = [entry for entry in entries().values() if isinstance(entry, StepRule)]
NAMES = [rule.name for rule in RULES]
IMPLEMENTATIONS = [(rule, mode) for rule in RULES for mode in rule.modes if mode in ("loop", "foreach", "fused")]


def named(thing: object) -> str:
    return getattr(thing, "name", str(thing)).removeprefix("optim.")


CAST = {"optim.NAdam": ("mu_product",), "optim.ASGD": ("eta", "mu")}
"""Entries of one element in float32 that load_state_dict casts to the parameter's dtype, as it must not the step."""


def drawn(rule: StepRule, data: st.DataObject, mode: str) -> History:
    draw, seed = HypothesisDraw(data.draw), data.draw(st.integers(0, SEEDS - 1))
    dtype = data.draw(st.sampled_from(("float64", "float32")))
    return History(Case(rule.name, tuple(rule.inputs(draw).items()), seed, dtype=dtype, mode=mode))


def run(optimizer: Any, params: list[torch.Tensor], history: History, steps: range) -> None:
    for step in steps:
        for i, param in enumerate(params):
            param.grad = make_grad(step, i, history)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse invariant checks")  # PyTorch warns of its own sparse tensors
            optimizer.step()


def start(history: History) -> tuple[Any, list[torch.Tensor]]:
    params = [make_param(array, history) for array in history.params]
    return build(history, params), params


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    """Bit for bit, NaN being NaN."""
    return all(
        torch.equal(x.detach().nan_to_num(nan=7.0), y.detach().nan_to_num(nan=7.0)) for x, y in zip(a, b, strict=True)
    )


def possible(history: History) -> bool:
    """Whether PyTorch takes this history at all (complex and sparse numbers in every implementation it does not)."""
    try:
        optimizer, params = start(history)
        run(optimizer, params, history, range(history.steps))
    except (RuntimeError, ValueError):
        return False
    return True


@pytest.mark.parametrize(("rule", "mode"), IMPLEMENTATIONS, ids=named)
@settings(max_examples=5)
@given(data=st.data())
def test_a_state_dict_carries_the_trajectory_on(rule: StepRule, mode: str, data: st.DataObject) -> None:
    """Saved midway and loaded into a new optimizer, the rest is the same bit for bit; so it is on a deep copy."""
    history = drawn(rule, data, mode)
    if not possible(history):
        return
    half = history.steps // 2
    optimizer, params = start(history)
    run(optimizer, params, history, range(half))
    saved = copy.deepcopy(optimizer.state_dict())
    twins = [param.detach().clone(memory_format=torch.preserve_format).requires_grad_(True) for param in params]
    twin = build(history, twins)
    twin.load_state_dict(saved)
    for name in CAST.get(rule.name, ()):
        for state in twin.state.values():
            if name in state:
                state[name] = state[name].to(torch.float32)  # the finding below, undone: exact both ways
    run(optimizer, params, history, range(half, history.steps))
    run(twin, twins, history, range(half, history.steps))
    assert same(params, twins), history.case
    again = twin.state_dict()
    assert again["param_groups"] == optimizer.state_dict()["param_groups"]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("optim.SparseAdam",)], ids=named)
def test_a_loaded_state_takes_on_the_parameters_dtype(name: str) -> None:
    """Entries of the parameter's shape are cast; the step count keeps its dtype (it would lose steps in bfloat16)."""
    cls = getattr(torch.optim, name.removeprefix("optim."))
    wide = torch.ones(2, 2, dtype=torch.float64, requires_grad=True)
    narrow = torch.ones(2, 2, dtype=torch.bfloat16, requires_grad=True)
    optimizer, other = cls([wide], lr=0.5), cls([narrow], lr=0.5)
    for _ in range(3):
        wide.grad = torch.full_like(wide, 0.5)
        optimizer.step()
    other.load_state_dict(optimizer.state_dict())
    for key, value in other.state[narrow].items():
        kept = optimizer.state[wide][key]
        if key == "step":
            assert value.dtype is kept.dtype
            assert value.item() == 3
        elif isinstance(value, torch.Tensor) and value.dim():
            assert value.dtype is torch.bfloat16
            assert torch.equal(value, kept.to(torch.bfloat16))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("optim.SparseAdam",)], ids=named)
@pytest.mark.parametrize("device", ["meta", *(["cuda"] if torch.cuda.is_available() else [])])
def test_a_loaded_state_follows_the_parameters_to_their_device(name: str, device: str) -> None:
    """Entries of the parameter's shape; the step count stays on the CPU, where the for-loop counts."""
    cls = getattr(torch.optim, name.removeprefix("optim."))
    here = torch.ones(2, 2, dtype=torch.float64, requires_grad=True)
    there = torch.ones(2, 2, dtype=torch.float64, device=device, requires_grad=True)
    optimizer, other = cls([here], lr=0.5), cls([there], lr=0.5)
    here.grad = torch.full_like(here, 0.5)
    optimizer.step()
    saved = optimizer.state_dict()
    other.load_state_dict(saved)
    assert other.state[there].keys() == optimizer.state[here].keys()
    for key, value in other.state[there].items():
        kept = optimizer.state[here][key]
        if isinstance(value, torch.Tensor):
            assert kept.device.type == "cpu"
            assert value.device.type == ("cpu" if key == "step" else device)
            assert value.shape == kept.shape
            assert device == "meta" or torch.equal(value.cpu().double(), kept.double())
    assert saved["param_groups"] == optimizer.state_dict()["param_groups"]


@pytest.mark.skipif(torch.__version__.split("+")[0] != FOUND_IN, reason=f"found in torch {FOUND_IN}")
@pytest.mark.parametrize(("name", "entry"), [(name, entry) for name, names in CAST.items() for entry in names])
def test_found_a_loaded_state_has_scalars_of_another_dtype(name: str, entry: str) -> None:
    """So NAdam and ASGD do not go on as they would have: more exactly in float64, less so in bfloat16."""
    for dtype in (torch.float64, torch.bfloat16):
        param = torch.ones(3, dtype=dtype, requires_grad=True)
        optimizer = getattr(torch.optim, name.removeprefix("optim."))([param], lr=0.1)
        param.grad = torch.ones_like(param)
        optimizer.step()
        assert optimizer.state[param][entry].dtype is torch.float32
        optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        assert optimizer.state[param][entry].dtype is dtype


def make(name: str, **options: Any) -> tuple[Any, list[torch.Tensor]]:
    params = [torch.full((2, 2), float(k + 1), dtype=torch.float64, requires_grad=True) for k in range(2)]
    return getattr(torch.optim, name.removeprefix("optim."))([params[0]], lr=0.25, **options), params


def gradient(name: str, size: float) -> torch.Tensor:
    grad = torch.full((2, 2), size, dtype=torch.float64)
    return grad.to_sparse(1) if name == "optim.SparseAdam" else grad


@pytest.mark.parametrize("name", NAMES, ids=named)
def test_a_group_added_midway_starts_from_nothing_and_disturbs_nobody(name: str) -> None:
    """The first parameter goes as it would alone; the new one as it would in an optimizer of its own."""
    (optimizer, params), (alone, lonely) = make(name), make(name)
    for step in range(4):
        if step == 2:
            optimizer.add_param_group({"params": [params[1]], "lr": 0.5})
        params[0].grad, lonely[0].grad = gradient(name, 0.5 + step), gradient(name, 0.5 + step)
        params[1].grad = gradient(name, 2.0) if step >= 2 else None
        optimizer.step()
        alone.step()
    own = getattr(torch.optim, name.removeprefix("optim."))([lonely[1]], lr=0.5)
    for _ in range(2):
        lonely[1].grad = gradient(name, 2.0)
        own.step()
    assert same(params, lonely)


@pytest.mark.parametrize("name", NAMES, ids=named)
def test_groups_have_their_own_options(name: str) -> None:
    """Two groups in one optimizer go as two optimizers do."""
    params, twins = make(name)[1], make(name)[1]
    cls = getattr(torch.optim, name.removeprefix("optim."))
    together = cls([{"params": [params[0]]}, {"params": [params[1]], "lr": 0.125}], lr=0.25)
    apart = [cls([twins[0]], lr=0.25), cls([twins[1]], lr=0.125)]
    for step in range(3):
        for several in (params, twins):
            for param in several:
                param.grad = gradient(name, 1.0 + step)
        together.step()
        for optimizer in apart:
            optimizer.step()
    assert same(params, twins)


@pytest.mark.parametrize("name", NAMES, ids=named)
@pytest.mark.parametrize("to_none", [True, False])
def test_zero_grad(name: str, to_none: bool) -> None:
    """None, or zeros in the same tensor; parameters and state stay."""
    optimizer, params = make(name)
    params[0].grad = gradient(name, 2.0)
    optimizer.step()
    before, grad = params[0].detach().clone(), params[0].grad
    state = {k: copy.deepcopy(v) for k, v in optimizer.state[params[0]].items()}
    optimizer.zero_grad(set_to_none=to_none)
    if to_none:
        assert params[0].grad is None
    else:
        assert params[0].grad is grad
        dense = grad.to_dense() if grad.is_sparse else grad
        assert not dense.any()
    assert same([params[0]], [before])
    for key, value in optimizer.state[params[0]].items():
        assert torch.equal(torch.as_tensor(value), torch.as_tensor(state[key]))


@pytest.mark.parametrize("name", NAMES, ids=named)
def test_hooks_run_around_the_step_in_order(name: str) -> None:
    """Pre-hooks in the order of registration, the step, post-hooks likewise; a removed hook is silent."""
    optimizer, params = make(name)
    calls: list[tuple[str, bool]] = []
    start_at = params[0].detach().clone()

    def note(word: str) -> Callable[..., None]:
        return lambda *_: calls.append((word, torch.equal(params[0].detach(), start_at)))

    optimizer.register_step_pre_hook(note("pre 1"))
    optimizer.register_step_post_hook(note("post 1"))
    removed = optimizer.register_step_pre_hook(note("never"))
    optimizer.register_step_pre_hook(note("pre 2"))
    optimizer.register_step_post_hook(note("post 2"))
    removed.remove()
    params[0].grad = gradient(name, 2.0)
    optimizer.step()
    assert calls == [("pre 1", True), ("pre 2", True), ("post 1", False), ("post 2", False)]


def test_hooks_of_all_optimizers_run_outside_an_optimizers_own() -> None:
    """Before its pre-hooks, and after its post-hooks; what a pre-hook returns is what the step is called with."""
    optimizer, params = make("optim.SGD")
    calls: list[str] = []

    def note(word: str) -> Callable[..., None]:
        return lambda *_: calls.append(word)

    def closure() -> float:
        params[0].grad = gradient("optim.SGD", 2.0)
        return 3.5

    handles = [register_optimizer_step_pre_hook(note("pre all")), register_optimizer_step_post_hook(note("post all"))]
    try:
        optimizer.register_step_pre_hook(note("pre"))
        optimizer.register_step_pre_hook(lambda self, args, kwargs: ((self, closure), kwargs))
        optimizer.register_step_post_hook(note("post"))
        assert optimizer.step() == 3.5
    finally:
        for handle in handles:
            handle.remove()
    assert calls == ["pre all", "pre", "post", "post all"]
    assert torch.equal(params[0].detach(), torch.full((2, 2), 0.5, dtype=torch.float64))


@pytest.mark.parametrize("name", NAMES, ids=named)
def test_a_closure_runs_once_with_gradients_enabled_and_its_loss_is_returned(name: str) -> None:
    optimizer, params = make(name)
    runs = []

    def closure() -> torch.Tensor:
        runs.append(torch.is_grad_enabled())
        params[0].grad = gradient(name, 1.0)
        return torch.tensor(3.5)

    with torch.no_grad():
        assert optimizer.step(closure).item() == 3.5
    assert runs == [True]


BAD = [
    ("SGD", {"lr": -1.0}, "learning rate"),
    ("SGD", {"momentum": -0.1}, "momentum"),
    ("SGD", {"weight_decay": -0.1}, "weight_decay"),
    ("SGD", {"nesterov": True}, "Nesterov momentum requires a momentum and zero dampening"),
    ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "Nesterov momentum requires"),
    *((name, {"lr": -1.0}, "learning rate|Learning rate") for name in
      ("Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Rprop", "Adagrad", "Adadelta", "ASGD", "SparseAdam",
       "Adafactor", "LBFGS", "Muon")),
    *((name, {"betas": betas}, f"beta parameter at index {index}") for name in
      ("Adam", "AdamW", "Adamax", "NAdam", "RAdam", "SparseAdam")
      for index, betas in enumerate([(1.0, 0.5), (0.5, 1.0)])),
    *((name, {"eps": -1e-8}, "epsilon") for name in
      ("Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Adagrad", "Adadelta", "SparseAdam")),
    *((name, {"weight_decay": -1.0}, "weight.decay") for name in
      ("Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Adagrad", "Adadelta", "ASGD", "Adafactor", "Muon")),
    ("NAdam", {"momentum_decay": -1.0}, "momentum_decay"),
    ("RMSprop", {"momentum": -1.0}, "momentum"),
    ("RMSprop", {"alpha": -1.0}, "alpha"),
    ("Rprop", {"etas": (1.5, 1.2)}, "eta"),
    ("Rprop", {"etas": (0.5, 0.9)}, "eta"),
    ("Adagrad", {"lr_decay": -1.0}, "lr_decay"),
    ("Adagrad", {"initial_accumulator_value": -1.0}, "initial_accumulator_value"),
    ("Adadelta", {"rho": 1.5}, "rho"),
    ("Adafactor", {"beta2_decay": 0.5}, "beta2_decay"),
    ("Adafactor", {"d": 0.5}, "threshold d"),
    ("Muon", {"momentum": -0.5}, "momentum"),
    ("Muon", {"adjust_lr_fn": "other"}, "Adjust learning rate function"),
    *((name, {"foreach": True, "fused": True}, "cannot be `True` together") for name in ("SGD", "Adam", "AdamW")),
    *((name, {"differentiable": True, "fused": True}, "does not support `differentiable`") for name in
      ("SGD", "Adam", "AdamW")),
    *((name, {"lr": torch.tensor([0.1, 0.2])}, "Tensor lr must be 1-element") for name in
      ("SGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Rprop", "Adagrad", "Adadelta", "ASGD")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options", "words"), BAD, ids=str)
def test_bad_hyperparameters_are_refused_in_words(name: str, options: dict[str, Any], words: str) -> None:
    param = torch.ones(2, 2, requires_grad=True)
    with pytest.raises((ValueError, RuntimeError), match=words):
        getattr(torch.optim, name)([param], **options)


PARAMS: dict[str, tuple[Callable[[], Any], str]] = {
    "no parameters": (lambda: torch.optim.SGD([]), "empty parameter list"),
    "a tensor": (lambda: torch.optim.SGD(torch.ones(2)), "should be an iterable of Tensors"),
    "no tensors": (lambda: torch.optim.SGD([1.0]), "can only optimize Tensors"),
    "no leaf": (lambda: torch.optim.SGD([torch.ones(2, requires_grad=True) * 2]), "non-leaf Tensor"),
    "two groups": (
        lambda: torch.optim.SGD([{"params": [one := torch.ones(2, requires_grad=True)]}, {"params": [one]}]),
        "more than one parameter group",
    ),
    "a vector for Muon": (lambda: torch.optim.Muon([torch.ones(2, requires_grad=True)]), "only supports 2D"),
    "groups for L-BFGS": (
        lambda: torch.optim.LBFGS([{"params": [torch.ones(2)]}, {"params": [torch.ones(2)]}]),
        "per-parameter options",
    ),
}


@pytest.mark.parametrize("name", PARAMS)
def test_parameters_that_cannot_be_are_refused_in_words(name: str) -> None:
    call, words = PARAMS[name]
    with pytest.raises((ValueError, TypeError), match=words):
        call()


@pytest.mark.skipif(torch.__version__.split("+")[0] != FOUND_IN, reason=f"found in torch {FOUND_IN}")
def test_found_adafactor_takes_one_epsilon_for_parameters_of_several_dtypes() -> None:
    """With eps[0] None the for-loop goes on with that of its first parameter, foreach takes each its own."""

    def stepped(foreach: bool, with_a_narrow_one: bool) -> torch.Tensor:
        wide = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
        narrow = torch.tensor([1.0, 2.0], dtype=torch.bfloat16, requires_grad=True)
        params = [narrow, wide] if with_a_narrow_one else [wide]
        wide.grad, narrow.grad = torch.full_like(wide, 1e-4), torch.ones_like(narrow)
        torch.optim.Adafactor(params, lr=0.1, foreach=foreach).step()
        return wide.detach()

    alone = stepped(False, False)
    assert torch.equal(stepped(True, True), stepped(True, False))
    assert not torch.equal(stepped(False, True), alone)
    assert torch.equal(stepped(True, False), alone)
