"""``gradcheck ledger``, and what ``verify`` says of entries that are stale or too small."""

import pytest
from click.testing import CliRunner

from gradcheck.cases.case import parse_case
from gradcheck.cli import main
from gradcheck.errors import UsageError
from gradcheck.verdict.ledger import DEFAULT_LEDGER, load_ledger

LINE = 'nn.functional.gelu(x=near(15, 3, 8, at=(0.0,)), approximate="none") seed=4 dtype=float32'


def call(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)))


@pytest.fixture
def empty(tmp_path):
    path = tmp_path / "empty.toml"
    path.touch()
    return path


def test_a_draft_covers_its_case_once_it_has_a_reason(tmp_path, empty):
    draft = tmp_path / "draft.toml"
    done = call("ledger", "add", LINE, "--ledger", empty, "-o", draft)
    assert done.exit_code == 0, done.output
    assert "one draft added; give it its reason" in done.output
    with pytest.raises(UsageError, match=r"entry 1 \(nn\.functional\.gelu\): reason is empty; every known deviation"):
        load_ledger(draft)
    draft.write_text(draft.read_text().replace('reason = ""', 'reason = "r"'))
    assert call("replay", LINE, "--ledger", empty).exit_code == 1
    assert call("replay", LINE, "--ledger", draft).exit_code == 0
    (entry,) = load_ledger(draft).entries
    assert (entry.element, entry.dtypes, entry.mode) == ("ordinary", ("float32",), "backward")
    assert parse_case(entry.replay) == parse_case(LINE)
    assert 1.0 < entry.size < 6.0


def test_drafts_are_added_to_what_is_there(tmp_path, empty):
    both = tmp_path / "both.toml"
    both.write_text(DEFAULT_LEDGER.read_text(encoding="utf-8"), encoding="utf-8")
    call("ledger", "add", LINE, "--ledger", empty, "-o", both)
    assert both.read_text(encoding="utf-8").startswith(DEFAULT_LEDGER.read_text(encoding="utf-8").rstrip())
    assert both.read_text(encoding="utf-8").count("[[deviation]]") == len(load_ledger().entries) + 1


def test_what_is_known_needs_no_draft():
    done = call("ledger", "add", LINE)
    assert (done.exit_code, done.output) == (0, "The ledger knows all that deviates in this case.\n")


def test_a_case_that_agrees_makes_no_draft():
    done = call("ledger", "add", "nn.functional.relu(x=ordinary(3)) seed=0 dtype=float32")
    assert done.exit_code == 2
    assert "nothing deviates in the case" in done.output


def test_entries_are_listed():
    done = call("ledger", "list", "gelu")
    where = "nn.functional.gelu value, grad[x], tangent in float32 on cpu, backward, tangents"
    assert f"{where}: ordinary, up to 11 × the bound" in done.output
    assert "pytorch/pytorch#58525" in done.output
    assert "hardsigmoid" not in done.output
    assert call("ledger", "list", "gellu").exit_code == 2


ENTRY = """
[[deviation]]
operation = "nn.functional.{operation}"
outputs = ["value"]
dtypes = ["float32"]
device = "cpu"
mode = "backward"
torch = ">=2.0"
element = "ordinary"
size = 1.5
reason = "r"
source = "{source}"
"""


def test_verify_names_what_is_stale_unseen_or_too_small(tmp_path):
    path = tmp_path / "ledger.toml"
    agrees = "replay: nn.functional.relu(x=ordinary(3)) seed=0 dtype=float32"
    entries = [("relu", agrees), ("silu", "nobody"), ("gelu", f"replay: {LINE}".replace('"', '\\"'))]
    path.write_text("".join(ENTRY.format(operation=name, source=source) for name, source in entries))
    narrow = ["verify", "--dtype", "float32", "--cases", "8", "--jobs", "1", "--ledger", path]
    done = call(*narrow, "relu", "silu", "gelu")
    assert "stale: nn.functional.relu value in float32 on cpu, backward: ordinary, up to 1.5" in done.output
    assert "neither this run nor its replay line shows it" in done.output
    assert "not seen in this run: nn.functional.silu value" in done.output
    assert "size exceeded: nn.functional.gelu value" in done.output
    assert "the ledger knows 1.5 × the bound" in done.output
    assert "stale" not in call(*narrow, "tanh").output
