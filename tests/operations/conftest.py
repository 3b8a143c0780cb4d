"""One test per operation, as chosen by ``--operation``: fixtures ``operation`` and ``elementwise``."""

from __future__ import annotations

import pytest

from gradcheck.reference.registry import Reference, select


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    chosen = [r for r in select(metafunc.config.getoption("operation") or ()) if isinstance(r, Reference)]
    for fixture, references in (("operation", chosen), ("elementwise", [r for r in chosen if r.elementwise])):
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, references, ids=_short_name)


def _short_name(reference: Reference) -> str:
    return reference.name.removeprefix("nn.functional.")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Tests run side by side under pytest-xdist; what they ask of PyTorch is small."""
    from gradcheck.subject.facts import use_one_thread

    use_one_thread()
