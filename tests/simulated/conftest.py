"""Every test here has the simulated accelerator, or says in one line why it was not run."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def simulated() -> str:
    from gradcheck.subject.facts import use_one_thread
    from tests.simulated.backend import absence, install

    if absence():
        pytest.skip(f"nothing was run on the simulated accelerator: {absence()}")
    use_one_thread()
    install()
    return "simulated"
