"""Every test here has the simulated accelerator, or says in one line why it was not run."""

from __future__ import annotations

from pathlib import Path

import pytest

ALONE = (
    "the simulated accelerator has to be there before PyTorch's first backward pass in a process, so it was not run "
    "beside other tests: pytest tests/simulated"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Autograd counts the devices once, at the first backward pass: these tests want a process of their own."""
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    if len(here) < len(items):
        for item in here:
            item.add_marker(pytest.mark.skip(reason=ALONE))


@pytest.fixture(scope="session", autouse=True)
def simulated() -> str:
    from gradcheck.subject.facts import use_one_thread
    from tests.simulated.backend import absence, install

    if absence():
        pytest.skip(f"nothing was run on the simulated accelerator: {absence()}")
    use_one_thread()
    install()
    return "simulated"
