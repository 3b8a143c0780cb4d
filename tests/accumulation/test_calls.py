"""Single rules of accumulation that a random history does not reach: aliasing, layout, hooks and their order, modes."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from gradcheck.subject.tensors import bits_of

DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def leaf(*numbers: float, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.tensor(numbers, dtype=dtype, requires_grad=True)


# --- What .grad is: a tensor of its own, of the leaf's dtype and layout. ---


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_first_gradient_is_a_tensor_of_its_own(dtype: torch.dtype) -> None:
    """Neither the cotangent that was passed nor the gradient of another leaf shares its memory."""
    a, b = leaf(1.0, 2.0, dtype=dtype), leaf(3.0, 4.0, dtype=dtype)
    g = torch.ones(2, dtype=dtype)
    (a + b).backward(g)
    assert a.grad is not None
    assert b.grad is not None
    addresses = {tensor.data_ptr() for tensor in (g, a.grad, b.grad)}
    assert len(addresses) == 3
    assert a.grad.dtype is dtype


def test_a_leaf_given_its_own_cotangent_copies_it() -> None:
    a, g = leaf(1.0, 2.0), torch.ones(2, dtype=torch.float64)
    a.backward(g)
    g.fill_(7.0)
    assert a.grad is not None
    assert a.grad.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("dims", [(0, 1), (1, 0)])
def test_the_gradient_has_the_layout_of_a_dense_leaf(dims: tuple[int, int]) -> None:
    a = torch.ones(2, 3, dtype=torch.float64).permute(dims).contiguous().permute(dims).requires_grad_(True)
    (a * torch.arange(6, dtype=torch.float64).reshape(2, 3)).sum().backward()
    assert a.grad is not None
    assert a.grad.stride() == a.stride()


def test_accumulation_writes_into_the_same_tensor() -> None:
    """The second backward adds in place: who holds .grad sees it change."""
    a = leaf(1.0, 2.0)
    (a * 2.0).sum().backward()
    held = a.grad
    (a * 3.0).sum().backward()
    assert held is a.grad
    assert held is not None
    assert held.tolist() == [5.0, 5.0]


def test_with_a_graph_accumulation_makes_a_new_tensor() -> None:
    a = leaf(1.0, 2.0)
    (a * 2.0).sum().backward()
    held = a.grad
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Using backward\\(\\) with create_graph=True")
        (a * a).sum().backward(create_graph=True)
    assert held is not a.grad
    assert held is not None
    assert a.grad is not None
    assert held.tolist() == [2.0, 2.0]
    assert a.grad.tolist() == [4.0, 6.0]
    assert a.grad.requires_grad
    a.grad = None


# --- Hooks. ---


def test_hooks_run_in_the_order_of_registration_and_then_those_after_accumulation() -> None:
    calls: list[str] = []
    a = leaf(1.0, 2.0)

    def named(name: str) -> Callable[[torch.Tensor], None]:
        return lambda g: calls.append(f"{name} {g.tolist()}")

    a.register_hook(named("first"))
    a.register_hook(lambda g: g * 2.0)
    a.register_hook(named("third"))
    if hasattr(a, "register_post_accumulate_grad_hook"):
        a.register_post_accumulate_grad_hook(lambda leaf: calls.append(f"after {leaf.grad.tolist()}"))
    a.sum().backward()
    a.sum().backward()
    once, twice = "first [1.0, 1.0]", "third [2.0, 2.0]"
    after = ["after [2.0, 2.0]", "after [4.0, 4.0]"] if hasattr(a, "register_post_accumulate_grad_hook") else ["", ""]
    assert [call for call in calls if call] == [word for word in (once, twice, after[0], once, twice, after[1]) if word]


def test_a_removed_hook_is_silent() -> None:
    a = leaf(1.0)
    a.register_hook(lambda g: g * 5.0).remove()
    a.sum().backward()
    assert a.grad is not None
    assert a.grad.tolist() == [1.0]


def test_full_backward_hooks_of_modules_run_from_the_last_module_to_the_first() -> None:
    calls: list[str] = []
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Tanh()).double()
    for name, module in net.named_children():
        module.register_full_backward_pre_hook(lambda module, g, name=name: calls.append(f"before {name}"))
        module.register_full_backward_hook(lambda module, into, out, name=name: calls.append(f"after {name}"))
    net(torch.ones(1, 2, dtype=torch.float64, requires_grad=True)).sum().backward()
    assert calls == ["before 1", "after 1", "before 0", "after 0"]


# --- Modes. ---


def test_inference_tensors_never_enter_a_graph() -> None:
    a = leaf(1.0, 2.0)
    with torch.inference_mode():
        b = a * 2.0
    with pytest.raises(RuntimeError, match="Inference tensors cannot be saved for backward"):
        (a * b).sum().backward()


def test_enable_grad_inside_no_grad_records() -> None:
    a = leaf(1.0, 2.0)
    with torch.no_grad():
        silent = a * 2.0
        with torch.enable_grad():
            loud = a * 2.0
    assert not silent.requires_grad
    assert loud.requires_grad


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing_gives_the_same_bits(reentrant: bool) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 3))
    x = torch.linspace(-1.0, 1.0, 20).reshape(4, 5).requires_grad_(True)
    found: list[list[bytes]] = []
    for run in (lambda: net(x), lambda: checkpoint(net, x, use_reentrant=reentrant)):
        net.zero_grad()
        x.grad = None
        run().square().sum().backward()
        found.append([bits_of(p.grad) for p in (x, *net.parameters()) if p.grad is not None])
    assert len(found[0]) == 5
    assert found[0] == found[1]


def test_autocast_on_the_cpu_gives_gradients_in_the_dtype_of_the_parameters() -> None:
    net = torch.nn.Linear(4, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = net(torch.ones(2, 4))
    assert value.dtype is torch.bfloat16
    value.float().sum().backward()
    assert net.weight.grad is not None
    assert net.weight.grad.dtype is torch.float32
    assert net.weight.grad.tolist() == [[2.0] * 4] * 3  # a sum of two ones, exact in bfloat16


# --- Sparse. ---


@pytest.mark.parametrize("order", ["sparse then dense", "dense then sparse", "sparse then sparse"])
def test_sparse_and_dense_gradients_add_up(order: str) -> None:
    weight = torch.zeros(4, 2, dtype=torch.float64, requires_grad=True)
    index = torch.tensor([1, 1, 3])

    def sparse() -> None:
        torch.nn.functional.embedding(index, weight, sparse=True).sum().backward()

    def dense() -> None:
        weight.sum().backward()

    for word in order.split(" then "):
        {"sparse": sparse, "dense": dense}[word]()
    once = torch.tensor([[0.0, 0.0], [2.0, 2.0], [0.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    assert weight.grad is not None
    expected = 2.0 * once if "dense" not in order else once + 1.0
    assert torch.equal(weight.grad.to_dense(), expected)
    assert weight.grad.is_sparse == ("dense" not in order)


# --- The mistakes that the walkthroughs show. ---


def test_a_moved_leaf_is_no_leaf_and_gets_no_gradient() -> None:
    a = torch.ones(2, requires_grad=True)
    moved = a.to(torch.float64)
    assert not moved.is_leaf
    moved.sum().backward()
    with pytest.warns(UserWarning, match="not a leaf Tensor"):
        assert moved.grad is None
    assert a.grad is not None


def test_a_step_that_assigns_loses_the_leaf() -> None:
    a = leaf(1.0)
    (a * 2.0).sum().backward()
    assert a.grad is not None
    a = a - 0.1 * a.grad
    assert not a.is_leaf
    (a * 2.0).sum().backward()
    with pytest.warns(UserWarning, match="not a leaf Tensor"):
        assert a.grad is None


def test_a_step_in_place_on_a_leaf_raises() -> None:
    a = leaf(1.0)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad is being used in an in-place operation"):
        a -= 0.1


def test_a_step_under_no_grad_is_right() -> None:
    a = leaf(1.0)
    (a * 2.0).sum().backward()
    assert a.grad is not None
    with torch.no_grad():
        a -= 0.5 * a.grad
    assert a.is_leaf
    assert a.requires_grad
    assert a.tolist() == [0.0]


def test_gradients_that_are_never_zeroed_pile_up() -> None:
    a = leaf(3.0)
    for epoch in range(1, 5):
        (a * 2.0).sum().backward()
        assert a.grad is not None
        assert a.grad.tolist() == [2.0 * epoch]


def test_a_tensor_dataset_cannot_be_moved() -> None:
    data = torch.utils.data.TensorDataset(torch.ones(2))
    with pytest.raises(AttributeError, match="to"):
        data.to("cpu")  # type: ignore[attr-defined]
