"""One thread: the tensors here are tiny."""

from __future__ import annotations

import pytest

from gradcheck.subject.facts import use_one_thread


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Let PyTorch compute in one thread."""
    use_one_thread()
