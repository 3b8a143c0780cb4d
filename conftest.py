"""What every test can be told from the command line: devices, dtypes, operations, and how long to search.

Nothing here imports torch before a test needs it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from gradcheck.errors import UsageError
from gradcheck.formats import FORMATS, format_named

#: Examples per property, for --hypothesis-profile. quick and default search the same cases in every run, so that a
#: failure is met again; thorough searches new ones and remembers what failed.
PROFILES = {"quick": 10, "default": 60, "thorough": 2000}

for _name, _examples in PROFILES.items():
    settings.register_profile(
        _name,
        max_examples=_examples,
        deadline=None,
        derandomize=_name != "thorough",
        print_blob=False,  # the replay line says it better
        suppress_health_check=[HealthCheck.too_slow],  # the first example of all imports torch
    )
settings.load_profile("default")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("gradcheck", "what to judge")
    devices = "cpu (default), cuda, cuda:N, another accelerator, or simulated (see tests/simulated); repeatable"
    group.addoption("--device", action="append", metavar="D", help=devices)
    group.addoption("--dtype", action="append", metavar="D", help=f"{', '.join(FORMATS)}; repeatable; default: all")
    group.addoption(
        "--operation",
        action="append",
        metavar="NAME",
        help="PyTorch's dotted name or its last part, * allowed; repeatable; default: all",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse unusable options before anything runs, in one sentence."""
    try:
        for dtype in chosen(config, "dtype"):
            format_named(dtype)
        if config.getoption("operation"):
            from gradcheck.reference.registry import select

            select(config.getoption("operation"))
        for device in chosen(config, "device"):
            if device != "cpu":
                from gradcheck.subject.devices import check_device

                if device.partition(":")[0] == "simulated":
                    _simulate()
                check_device(device)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None


def _simulate() -> None:
    """Make the simulated accelerator known; raises UsageError where that is not possible."""
    from tests.simulated.backend import install

    try:
        install()
    except RuntimeError as error:
        raise UsageError(f"device 'simulated': {error}.") from None


def chosen(config: pytest.Config, option: str) -> tuple[str, ...]:
    """The values of --device or --dtype, or their defaults."""
    default = ["cpu"] if option == "device" else list(FORMATS)
    return tuple(dict.fromkeys(config.getoption(option) or default))


def pytest_report_header(config: pytest.Config) -> str:
    operations = ", ".join(config.getoption("operation") or ["all"])
    devices, dtypes = (", ".join(chosen(config, option)) for option in ("device", "dtype"))
    return f"gradcheck: operations {operations}; dtypes {dtypes}; devices {devices}"


@pytest.fixture(scope="session")
def devices(pytestconfig: pytest.Config) -> tuple[str, ...]:
    return chosen(pytestconfig, "device")


@pytest.fixture(scope="session")
def dtypes(pytestconfig: pytest.Config) -> tuple[str, ...]:
    return chosen(pytestconfig, "dtype")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests marked cuda or browser run where there is one, and say in one line that they were not run elsewhere."""
    if item.get_closest_marker("browser"):
        from tests.browser.browsing import missing

        if missing():
            pytest.skip(f"browser checks were not run: {missing()}")
    if item.get_closest_marker("cuda") and _absence_of_cuda():
        pytest.skip(f"{WITHOUT_CUDA}: {_absence_of_cuda()}")


WITHOUT_CUDA = "not run without CUDA"


@functools.cache
def _absence_of_cuda() -> str:
    """Why PyTorch cannot compute on CUDA here; empty where it can."""
    from gradcheck.subject.devices import check_device

    try:
        check_device("cuda")
    except UsageError as error:
        return str(error)
    return ""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many tests were not run for want of CUDA; and what tests recorded as ``note``, such as results that depend on
    an element's place."""
    skipped = [report for report in terminalreporter.stats.get("skipped", ()) if WITHOUT_CUDA in str(report.longrepr)]
    if skipped:
        terminalreporter.write_line(f"cuda: {len(skipped)} tests were not run: {_absence_of_cuda()}")
    notes = dict.fromkeys(_notes(terminalreporter))
    if notes:
        terminalreporter.section("notes of gradcheck")
        for note in notes:
            terminalreporter.write_line(note)


def _notes(terminalreporter: pytest.TerminalReporter) -> Iterator[str]:
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == "note":
                    yield str(value)
