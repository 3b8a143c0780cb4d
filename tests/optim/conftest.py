"""Optimizer tests: one thread, and no chatter of torch.compile."""

from __future__ import annotations

import logging

import pytest


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    from gradcheck.subject.facts import use_one_thread

    use_one_thread()


@pytest.fixture(autouse=True)
def quiet_compiler() -> None:
    logging.getLogger("torch").setLevel(logging.CRITICAL)
