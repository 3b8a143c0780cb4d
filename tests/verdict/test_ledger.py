"""The ledger covers what its entries say, and nothing else."""

import fnmatch
import shutil
from dataclasses import replace

import pytest

from gradcheck.cases.case import parse_case
from gradcheck.errors import UsageError
from gradcheck.processor import processor_flags
from gradcheck.reference.registry import entries
from gradcheck.verdict.kinds import judge
from gradcheck.verdict.ledger import DEFAULT_LEDGER, Ledger, load_ledger
from gradcheck.verdict.verdict import Verdict, Witness

ENTRY = """
[[deviation]]
operation = "nn.functional.gelu"
outputs = ["value"]
dtypes = ["float32"]
device = "cpu"
mode = "backward"
torch = ">=2.1,<2.15"
element = "ordinary"
size = 5.0
reason = "r"
source = "s"
"""


def verdict(*excess, **fields):
    """A verdict that deviates; excess: pairs of kind and ratio."""
    plain = {
        "operation": "nn.functional.gelu", "mode": "backward", "dtype": "float32", "device": "cpu",
        "layout": "contiguous", "output": "value", "status": "deviates", "error_over_bound": 3.0,
        "error_over_storage_bound": 3.0, "ulp": 3.0, "case": "", "digest": "",
    }  # fmt: skip
    return Verdict(**{**plain, **fields}, witness=Witness((), (), 1.0, 2.0, 0.1, 1, 1, excess))


@pytest.fixture
def ledger(tmp_path):
    path = tmp_path / "ledger.toml"
    path.write_text(ENTRY, encoding="utf-8")
    return load_ledger(path, torch_version="2.13.0+cpu")


def test_an_entry_covers_its_deviation(ledger):
    assert ledger.match(verdict(("ordinary", 3.0))) is ledger.entries[0]
    assert ledger.match(verdict(("ordinary", 3.0), device="cpu:0")) is ledger.entries[0]


@pytest.mark.parametrize(
    "other",
    [
        verdict(("ordinary", 3.0), operation="nn.functional.glu"),
        verdict(("ordinary", 3.0), output="grad[x]"),
        verdict(("ordinary", 3.0), dtype="float64"),
        verdict(("ordinary", 3.0), device="cuda"),
        verdict(("ordinary", 3.0), mode="double"),
        verdict(("ordinary", 5.1)),
        verdict(("nan", 3.0)),
        verdict(("ordinary", 3.0), ("nan", float("inf"))),
        verdict(),
    ],
    ids=["operation", "output", "dtype", "device", "mode", "size", "kind", "one kind more", "no excess"],
)
def test_it_covers_nothing_else(ledger, other):
    assert ledger.match(other) is None


@pytest.mark.parametrize(
    ("flags", "covered"),
    [
        ({"avx512bw"}, True),
        ({"avx512bw", "avx512_bf16"}, False),
        ({"avx2"}, False),
        (set(), True),  # a system that does not tell
    ],
)
def test_an_entry_about_other_processors_covers_nothing(tmp_path, flags, covered):
    path = tmp_path / "ledger.toml"
    path.write_text(ENTRY + 'cpu = "avx512bw !avx512_bf16"\n', encoding="utf-8")
    ledger = Ledger(load_ledger(path).entries, "2.13.0", flags)
    found = verdict(("ordinary", 3.0))
    assert (ledger.match(found) is ledger.entries[0]) == covered
    assert ledger.concerns(found) == covered
    assert (ledger.exceeded(verdict(("ordinary", 5.1))) is ledger.entries[0]) == covered


@pytest.mark.parametrize(
    ("version", "covered"), [("2.0.1", False), ("2.1.0", True), ("2.14.1", True), ("2.15.0", False)]
)
def test_versions(tmp_path, version, covered):
    path = tmp_path / "ledger.toml"
    path.write_text(ENTRY, encoding="utf-8")
    assert (load_ledger(path, version).match(verdict(("ordinary", 3.0))) is not None) == covered


def test_a_size_that_is_exceeded_is_known_as_such(ledger):
    assert ledger.exceeded(verdict(("ordinary", 5.1))) is ledger.entries[0]
    assert ledger.exceeded(verdict(("ordinary", 5.0))) is None


def test_an_entry_can_be_about_some_cases_only(tmp_path):
    path = tmp_path / "ledger.toml"
    path.write_text(ENTRY + 'case = "approximate=.tanh"\n', encoding="utf-8")
    ledger = load_ledger(path, "2.13.0")
    assert ledger.match(verdict(("ordinary", 3.0), case="nn.functional.gelu(x=ordinary(3), approximate='tanh') seed=0"))
    assert ledger.match(verdict(("ordinary", 3.0), case="nn.functional.gelu(x=ordinary(3)) seed=0")) is None


def test_a_case_that_is_no_regular_expression_is_refused(tmp_path):
    path = tmp_path / "ledger.toml"
    path.write_text(ENTRY + 'case = "("\n', encoding="utf-8")
    with pytest.raises(UsageError, match=r"case = '\(' is no regular expression"):
        load_ledger(path, "2.13.0")


def test_an_exception_is_covered_by_its_words(tmp_path):
    path = tmp_path / "ledger.toml"
    text = ENTRY.replace('element = "ordinary"', 'element = "raises"\nwords = "1-D tensor"').replace("size = 5.0\n", "")
    path.write_text(text, encoding="utf-8")
    ledger = load_ledger(path, "2.13.0")
    raised = replace(verdict(), status="raises", witness=None, words="RuntimeError: mat2 must not be a 1-D tensor")
    assert ledger.match(raised) is not None
    assert ledger.match(replace(raised, words="RuntimeError: out of memory")) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[deviation", "is no TOML file"),
        (ENTRY.replace('reason = "r"\n', ""), "entry 1 (nn.functional.gelu): reason missing"),
        (ENTRY + 'colour = "red"\n', "unknown field colour"),
        (ENTRY.replace("ordinary", "odd"), "element = 'odd'; expected ordinary, nan input"),
        (ENTRY.replace(">=2.1,<2.15", "new"), "torch = 'new' is no version range"),
    ],
)
def test_a_bad_ledger_is_a_sentence(tmp_path, text, words):
    path = tmp_path / "ledger.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load_ledger(path, "2.13.0")
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_entries_concern_operations_that_exist():
    ledger = load_ledger(DEFAULT_LEDGER, "2.13.0")
    assert ledger.entries
    names = list(entries())
    assert [entry.operation for entry in ledger.entries if not fnmatch.filter(names, entry.operation)] == []


REPLAYED = [
    (entry, entry.source.partition("replay: ")[2]) for entry in load_ledger().entries if "replay: " in entry.source
]


@pytest.mark.parametrize(("entry", "line"), REPLAYED, ids=[f"{e.operation} {e.element}" for e, _ in REPLAYED])
def test_each_replay_line_still_shows_its_deviation(entry, line):
    """No entry is stale on the CPU kernels of this version; the line shows what the entry says, and does not where the
    entry says so of the processor."""
    ledger = load_ledger()
    if not entry.torch.contains(ledger.version):
        pytest.skip(f"the entry is about torch {entry.torch}, this is {ledger.version}")
    found = [verdict for verdict in judge(parse_case(line)) if verdict.status in ("deviates", "raises")]
    shown = any(
        entry.concerns(verdict, ledger.version) and entry.is_of(kind)
        for verdict in found
        for kind, _ in ledger.excess(verdict)
    )
    assert shown == entry.shows_on(processor_flags())
    assert all(ledger.match(verdict) for verdict in found if entry.concerns(verdict, ledger.version))


def test_a_ledger_that_was_written_anew_is_read_anew(tmp_path):
    path = tmp_path / "ledger.toml"
    shutil.copy(DEFAULT_LEDGER, path)
    assert load_ledger(path).entries is load_ledger(path).entries
    path.write_text("", encoding="utf-8")
    assert load_ledger(path).entries == ()
