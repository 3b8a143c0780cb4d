"""The report in headless Chromium: every check passes on the page, and fails on a page with a fault planted."""

import re
import time
from dataclasses import replace

import pytest

from gradcheck.record.compare import compare
from gradcheck.record.read import Record
from gradcheck.report.page import page
from tests.browser.browsing import Browser
from tests.browser.checks import CHECKS
from tests.record.synthetic import deviating, record, verdict, verdicts

pytestmark = pytest.mark.browser

OPERATIONS = tuple(
    f"nn.functional.{name}"
    for name in ("gelu", "layer_norm", "relu", "relu6", "softmax", "log_softmax", "conv2d", "silu")
)
HOSTILE = "</script><img src=x onerror=\"document.title='broken out'\">"
VIEWS = {
    "overview": "",
    "operation": "#/op/nn.functional.gelu?dtype=float32",
    "deviations": "#/deviations",
    "ledger": "#/ledger",
    "difference": "#/difference",
}
SECONDS = 2.0


@pytest.fixture(scope="module")
def browser():
    with Browser() as found:
        yield found


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("record") / "record.db"
    found = list(verdicts(operations=OPERATIONS, cases=12, modes=("backward", "double")))
    found += [deviating(3.0 + k, operation="nn.functional.gelu", dtype=d, number=99, output=f"grad[{k}]")
              for k in range(4) for d in ("float32", "bfloat16")]  # fmt: skip
    found.append(deviating(4.0, operation="nn.functional.conv2d", dtype="float64", number=99))
    before = [_before(one) for one in found]
    with Record(record_of(path, before, found)) as source:
        first, second = source.runs()
        return page(source, second, compare(source, first, source, second))


def record_of(path, before, after):
    """A record of two runs."""
    record(path, before)
    record(path, after, facts={"torch": "2.14.0", "cpu_capability": "AVX512"})
    return path


def _before(one):
    """What the earlier run said: conv2d was right, log_softmax wrong, layer_norm more accurate, silu had other bits."""
    name, place = one.operation.rpartition(".")[2], (one.dtype, one.mode)
    if name == "conv2d" and one.status == "deviates":
        return replace(one, status="agrees", error_over_bound=0.5, witness=None, digest="ff")
    if name == "log_softmax" and place == ("float64", "backward") and one.case.count("seed=3 "):
        return deviating(5.0, operation=one.operation, dtype=one.dtype, case=one.case, output=one.output)
    if name == "layer_norm" and place == ("float32", "double"):
        return replace(one, error_over_bound=one.error_over_bound / 8.0, digest="ff")
    return replace(one, digest="ff") if name == "silu" and place == ("float32", "double") else one


def written(folder, text):
    path = folder / "report.html"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def right(tmp_path_factory, text):
    return written(tmp_path_factory.mktemp("right"), text)


@pytest.mark.parametrize("check", [check for check, _, _ in CHECKS], ids=lambda check: check.__name__)
def test_the_page(browser, right, check):
    check(browser, right)


@pytest.mark.parametrize(("check", "old", "new"), CHECKS, ids=[check.__name__ for check, _, _ in CHECKS])
def test_a_planted_fault_is_noticed(browser, tmp_path, text, check, old, new):
    assert old in text
    faulty = written(tmp_path, text.replace(old, new))
    with pytest.raises(AssertionError):
        check(browser, faulty)


def test_nothing_in_a_record_becomes_part_of_the_page(browser, tmp_path):
    path = tmp_path / "hostile.db"
    record(path, [deviating(2.0, operation=HOSTILE, words=HOSTILE, output=HOSTILE, case=HOSTILE),
                  verdict(operation=HOSTILE, status="unsupported", words=HOSTILE, mode=HOSTILE)])  # fmt: skip
    with Record(path) as source:
        target = written(tmp_path, page(source, source.run(), with_curves=False))
    for view in ("", "#/deviations", "#/op/" + re.sub(r"[^a-z]", lambda sign: f"%{ord(sign[0]):02x}", HOSTILE)):
        browser.open(target, view)
        assert not browser.all("img"), view
        assert browser.complaints() == []
        assert HOSTILE in browser.find("main").text
        browser.until("return document.title.endsWith('gradcheck')", "the record has changed the title")


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A page of 100,000 verdicts on 125 operations, in several modes and layouts, 1,500 of them deviating."""
    folder = tmp_path_factory.mktemp("large")
    names = [f"nn.functional.op{k}" for k in range(125)]
    found = list(verdicts(operations=names, cases=25, modes=("backward", "double", "forward", "vmap:backward")))
    found[::67] = [
        deviating(2.0, **{name: getattr(one, name) for name in ("operation", "dtype", "mode", "output", "case")})
        for one in found[::67]
    ]
    assert len(found) == 100_000
    record(folder / "large.db", found)
    with Record(folder / "large.db") as source:
        return page(source, source.run(), with_curves=False)


def opening_seconds(browser, path):
    """From the request to a heat map that is drawn."""
    browser.open(path, forget=False)
    timing = "return document.querySelectorAll('#heat a.cell').length && performance.timing.loadEventEnd"
    browser.until(timing, "there is no heat map")
    painted = (
        "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())))"
    )
    return min(browser.driver.execute_async_script(painted), 1e6) / 1000.0


def test_a_hundred_thousand_verdicts_open_within_two_seconds(browser, tmp_path, large, record_property):
    path = written(tmp_path, large)
    seconds = min(opening_seconds(browser, path) for _ in range(3))
    size = path.stat().st_size / 1e6
    record_property("note", f"report of 100,000 verdicts: {size:.1f} MB, opens in {seconds:.2f} s")
    assert browser.find("#count").text == "125 of 125 operations, 100,000 verdicts"
    assert seconds < SECONDS
    start = time.monotonic()
    browser.js("document.getElementById('search').value = '12'; drawHeat()")
    assert time.monotonic() - start < SECONDS / 4.0


def test_a_page_that_takes_longer_is_noticed(browser, tmp_path, large):
    slow = "const end = performance.now() + 2100; while (performance.now() < end); prepareOverview();"
    path = written(tmp_path, large.replace("prepareOverview(); drawHeat();", f"{slow} drawHeat();"))
    assert opening_seconds(browser, path) > SECONDS


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("view", VIEWS)
def test_a_screenshot_of_each_view(browser, right, tmp_path_factory, view, width, dark):
    """They lie in the folder `screenshots` of pytest's own (see --basetemp), to be looked at."""
    folder = tmp_path_factory.getbasetemp() / "screenshots"
    folder.mkdir(exist_ok=True)
    target = folder / f"{view}-{width}-{'dark' if dark else 'light'}.png"
    browser.open(right, VIEWS[view], width=width, dark=dark)
    browser.screenshot(target)
    assert target.stat().st_size > 15_000, "there is next to nothing to see"
