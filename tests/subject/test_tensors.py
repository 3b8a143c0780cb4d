"""Tensors hold exactly the numbers of the arrays they are made from, where and how they were asked for."""

import ast
from pathlib import Path

import numpy as np
import pytest
import torch

from gradcheck.cases.layouts import data_for, misfit
from gradcheck.errors import UsageError
from gradcheck.formats import FORMATS
from gradcheck.subject.tensors import LAYOUTS, bits_of, dtype_name, to_array, to_tensor, torch_value

SUBJECT = sorted((Path(__file__).parents[2] / "gradcheck" / "subject").glob("*.py"))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (5,), (3, 4), (2, 0, 3), (2, 3, 4), (2, 1, 3, 2), (1, 2, 2, 2, 3)])
@pytest.mark.parametrize("dtype", FORMATS)
def test_numbers_come_back_as_they_were(dtype, shape, layout):
    edges = data_for(layout, np.resize(FORMATS[dtype].edges(), shape))
    tensor = to_tensor(edges, dtype, "cpu", layout)
    assert dtype_name(tensor) == dtype
    assert tuple(tensor.shape) == shape
    back = to_array(tensor)
    assert np.array_equal(back, edges)
    assert np.array_equal(np.signbit(back), np.signbit(edges))


@pytest.mark.parametrize("dtype", FORMATS)
def test_bits_are_those_of_the_format(dtype):
    form = FORMATS[dtype]
    edges = form.edges()
    assert bits_of(to_tensor(edges, dtype, "cpu", "sliced")) == form.to_bits(edges).tobytes()


def test_layouts_are_what_they_say():
    grid = np.arange(12.0).reshape(3, 4)

    def laid(layout, array=grid):
        return to_tensor(data_for(layout, array), "float32", "cpu", layout)

    assert laid("contiguous").is_contiguous()
    assert laid("transposed").stride() == (1, 3)
    assert laid("sliced").stride() == (8, 2)
    assert laid("padded").stride() == (7, 1)
    assert laid("offset").storage_offset() == 1
    assert laid("offset").data_ptr() % 8 == 4
    assert laid("flipped").is_contiguous()
    assert laid("expanded").stride() == (0, 1)
    assert laid("overlapping").stride() == (1, 1)
    assert laid("neg").is_neg()
    assert laid("neg").stride() == (4, 1)
    assert laid("conj").is_neg()
    assert (laid("conj").stride(), laid("conj").storage_offset()) == ((8, 2), 1)
    image, volume = np.zeros((2, 3, 4, 5)), np.zeros((2, 3, 4, 5, 6))
    assert laid("channels_last", image).is_contiguous(memory_format=torch.channels_last)
    assert laid("channels_last_3d", volume).is_contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize("layout", sorted(set(LAYOUTS) - {"contiguous", "flipped"}))
def test_a_layout_is_another_than_contiguous_where_it_fits(layout):
    for shape in ((), (5,), (3, 4), (2, 3, 4, 5), (2, 3, 2, 2, 3)):
        tensor = to_tensor(data_for(layout, np.ones(shape)), "float64", "cpu", layout)
        plain = tensor.is_contiguous() and not tensor.is_neg() and not tensor.storage_offset()
        if shape:  # without dimensions there is nothing to order
            assert plain == bool(misfit(layout, shape, "float64"))


def test_the_array_is_not_shared():
    array = np.zeros(3)
    to_tensor(array, "float64", "cpu").fill_(1.0)
    assert not array.any()


def test_integers_stay_integers():
    tensor = to_tensor(np.array([1, 2]), "bfloat16", "cpu", "transposed")
    assert tensor.dtype is torch.int64


def test_an_unknown_layout_is_a_sentence():
    with pytest.raises(
        UsageError, match="layout 'diagonal' is not known; expected contiguous, transposed, sliced, channels_last"
    ):
        to_tensor(np.zeros(3), "float32", "cpu", "diagonal")


def test_names_of_dtypes_become_dtypes():
    assert torch_value("float32") is torch.float32
    assert torch_value("mean") == "mean"
    assert torch_value(3) == 3


def calls(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node


CREATORS = {"tensor", "zeros", "ones", "empty", "full", "arange", "rand", "randn", "from_numpy", "as_tensor"}


def made_on_torch(node):
    return isinstance(node.func.value, ast.Name) and node.func.value.id == "torch" and node.func.attr in CREATORS


@pytest.mark.parametrize("path", SUBJECT, ids=lambda path: path.stem)
def test_every_new_tensor_names_its_device(path):
    for node in calls(path):
        if made_on_torch(node):
            assert "device" in {word.arg for word in node.keywords}, ast.unparse(node)


def test_there_are_new_tensors_to_look_at():
    assert any(made_on_torch(node) for path in SUBJECT for node in calls(path))


@pytest.mark.parametrize("path", SUBJECT, ids=lambda path: path.stem)
def test_numpy_is_asked_of_cpu_tensors_only(path):
    """``.numpy()`` comes after an explicit ``.cpu()`` or ``.to(device="cpu")`` in the same function."""
    for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(function, ast.FunctionDef) and ".numpy()" in ast.unparse(function):
            assert ".cpu()" in ast.unparse(function) or "device='cpu'" in ast.unparse(function), function.name
