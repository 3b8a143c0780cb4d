"""The page without a browser: what it holds, what it leaves out, and that nothing in a record can break out of it."""

import json
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

from gradcheck.cli import main
from gradcheck.record.read import Record
from gradcheck.record.write import Recorder
from gradcheck.reference.registry import entries
from gradcheck.report.deviations import MOST, deviations
from gradcheck.report.errors import size_of_line, sizes
from gradcheck.report.formula import formula
from gradcheck.report.overview import CLASSES, overview
from gradcheck.report.page import page
from tests.record.synthetic import deviating, record, verdict, verdicts

HOSTILE = "</script><img src=x onerror=alert(1)>"


def call(*arguments):
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


def opened(tmp_path, found=None, **axes):
    path = tmp_path / "record.db"
    record(path, found, **axes)
    return Record(path)


def data_of(text):
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


def test_the_page_is_one_file_that_asks_for_nothing(tmp_path):
    with opened(tmp_path) as source:
        text = page(source, source.run(), with_curves=False)
    assert "default-src 'none'" in text
    assert not re.search(r'(?:src|href)="(?!#|data:)', re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL))
    assert "2.13.0+cpu" in text


def test_counts_and_figures_are_those_of_the_record(tmp_path):
    found = [
        verdict(number=0, error_over_bound=0.25),
        verdict(number=1, error_over_bound=0.75),
        verdict(number=2, status="unsupported", error_over_bound=float("nan"), words="no kernel"),
        deviating(7.5, number=3),
        deviating(float("inf"), operation="nn.functional.gelu", output="grad[x]"),  # which the synthetic ledger knows
    ]
    with opened(tmp_path, found) as source:
        about = overview(source, source.run())
    relu, gelu = (
        next(cell for cell in about["cells"] if about["axes"]["operation"][cell[0]].endswith(name))
        for name in ("relu", "gelu")
    )
    assert dict(zip(CLASSES, relu[7:12], strict=True)) == {
        "deviates": 1, "known": 0, "coarse": 0, "agrees": 2, "unsupported": 1,
    }  # fmt: skip
    assert relu[12] == 7.5
    assert dict(zip(CLASSES, gelu[7:12], strict=True))["known"] == 1
    assert gelu[12] == "inf"
    assert about["families"] == ["rectifier", "activation"]


def test_the_figure_of_a_place_is_that_of_its_gravest_class(tmp_path):
    coarse = verdict(number=0, status="coarse", error_over_bound=500.0, dtype="float16")
    raising = verdict(number=1, dtype="float16", status="raises", error_over_bound=float("nan"))
    for beside, worst in (([], 500.0), ([deviating(3.0, number=1, dtype="float16")], 3.0), ([raising], None)):
        (tmp_path / "record.db").unlink(missing_ok=True)
        with opened(tmp_path, [coarse, verdict(number=2, dtype="float16"), *beside]) as source:
            (cell,) = overview(source, source.run())["cells"]
        assert cell[12] == worst


def test_the_worst_of_each_sort_is_told_with_its_replay_line(tmp_path):
    found = [deviating(ratio, number=k) for k, ratio in enumerate((3.0, 9.0, 5.0))]
    found.append(deviating(4.0, dtype="float64"))
    with opened(tmp_path, found) as source:
        about = deviations(source, source.run())
    worst, other = about["found"]
    assert (worst["count"], worst["ratio"], other["count"]) == (3, 9.0, 1)
    assert "seed=1 dtype=float32" in worst["replay"]
    assert worst["replay"].startswith("gradcheck replay '")
    assert "deviates by 9 × the bound" in worst["text"]
    assert worst["entry"] is None


def test_the_ledger_entry_of_a_deviation_is_told(tmp_path):
    with opened(tmp_path, [deviating(5.0, operation="nn.functional.gelu")]) as source:
        about = deviations(source, source.run())
    assert about["found"][0]["class"] == "known"
    assert about["entries"][about["found"][0]["entry"]]["reason"] == "A kernel of its own."


def test_too_many_sorts_are_counted(tmp_path):
    found = [deviating(2.0 + k, output=f"out{k}") for k in range(MOST + 7)]
    with opened(tmp_path, found) as source:
        about = deviations(source, source.run())
    assert len(about["found"]) == MOST
    assert about["left"] == {"nn.functional.relu": 7}
    assert min(one["ratio"] for one in about["found"]) == 9.0


@pytest.mark.parametrize(
    ("line", "size"),
    [
        ("nn.functional.relu(x=ordinary(4, 7)) seed=0 dtype=float32", 28),
        ("nn.functional.linear(x=near(3, 4, at=(0.0, 20.0)), weight=ordinary(600, 4)) seed=1 dtype=float16", 2400),
        ("optim.SGD(lr=0.1) seed=1 dtype=float16", 1),
        ("nn.functional.relu(x=ordinary()) seed=0 dtype=float32", 1),
        ("nn.functional.relu(x=ordinary(0)) seed=0 dtype=float32", 1),
    ],
)
def test_sizes_are_read_from_the_line(line, size):
    assert size_of_line(line) == size


def test_worst_errors_by_size(tmp_path):
    found = [
        verdict(case=f"nn.functional.relu(x=ordinary({n})) seed=0 dtype=float32", output=output, error_over_bound=ratio)
        for n, output, ratio in ((5, "value", 0.5), (7, "value", 0.7), (9, "value", 0.9), (5, "grad[x]", 0.1))
    ]
    with opened(tmp_path, found) as source:
        about = sizes(source, source.run())
    assert about["nn.functional.relu"]["float32"] == {"value": [[2, 0.7], [3, 0.9]], "gradient": [[2, 0.1]]}


def test_every_entry_has_its_formula():
    for name in entries():
        about = formula(name)
        assert about["doc"], name
        assert "def " in re.sub(r"<[^>]*>", "", about["source"]), name
    gelu = formula("nn.functional.gelu")
    assert "_gelu_tanh" in re.sub(r"<[^>]*>", "", gelu["source"]).split("def gelu")[1]
    assert formula("nn.functional.relu")["kinks"][0]["what"] == "the gradient is 0"
    assert formula("nn.functional.nothing") is None


def test_nothing_in_a_record_breaks_out(tmp_path):
    found = [
        deviating(2.0, operation=HOSTILE, words=HOSTILE, output=HOSTILE, case=HOSTILE),
        verdict(operation=HOSTILE, status="unsupported", words=HOSTILE, number=4),
    ]
    path = tmp_path / "hostile.db"
    record(path, found, facts={"blas": HOSTILE})
    with Record(path) as source:
        text = page(source, source.run(), with_curves=False)
    assert HOSTILE not in text
    assert "<img" not in text
    assert data_of(text)["axes"]["operation"] == [HOSTILE]


def test_the_command_writes_the_page_and_says_so(tmp_path):
    path, target = tmp_path / "record.db", tmp_path / "report.html"
    record(path)
    record(path, facts={"torch": "2.9.0"})
    result = call(path, "-o", target, "--no-curves")
    assert result.exit_code == 0, result.output
    assert "run 2 of" in result.output
    assert "PyTorch 2.9.0" in target.read_text(encoding="utf-8")
    assert call(f"{path}:1", "-o", target, "--no-curves").exit_code == 0
    assert "PyTorch 2.13.0+cpu" in target.read_text(encoding="utf-8")


def test_of_two_runs_the_page_says_what_changed(tmp_path):
    path, other, target = tmp_path / "a.db", tmp_path / "b.db", tmp_path / "report.html"
    record(path, [verdict(number=0), verdict(number=1, dtype="float64")])
    record(path, [deviating(8.0, number=0), verdict(number=1, dtype="float64")], facts={"torch": "2.14.0"})
    record(other, [verdict(number=0), verdict(number=1, dtype="float64")])
    for arguments, words in (
        ([f"{path}:1", ":2"], ["wrong"]),
        ([f"{path}:1", path], ["wrong"]),
        ([path, other], ["mended"]),
    ):
        result = call(*arguments, "-o", target, "--no-curves")
        assert result.exit_code == 0, result.output
        assert "what changed since run" in result.output
        about = data_of(target.read_text(encoding="utf-8"))["difference"]
        assert [row["word"] for row in about["rows"]] == words
        assert about["counts"]["identical"] == 1
    assert about["rows"][0]["before"][0] == 8.0
    assert about["rows"][0]["replay"].startswith("gradcheck replay 'nn.functional.relu(")
    assert call(path, "-o", target, "--no-curves").exit_code == 0
    assert data_of(target.read_text(encoding="utf-8"))["difference"] is None


def test_curves_are_in_the_page(tmp_path):
    path, target = tmp_path / "record.db", tmp_path / "report.html"
    record(path, list(verdicts(operations=("nn.functional.relu", "nn.functional.layer_norm"), dtypes=("float32",))),
           facts={"torch": "2.0.9"})  # fmt: skip
    assert call(path, "-o", target).exit_code == 0
    text = target.read_text(encoding="utf-8")
    details = [json.loads(part) for part in re.findall(r'id="op-\d+">(.*?)</script>', text, re.DOTALL)]
    assert set(details[0]["curves"]["float32"]) == {"value", "grad[x]"}
    assert details[1]["curves"] is None
    judged = data_of(text)["judged"]
    assert judged.startswith("PyTorch ")
    assert judged.endswith("while the run was made by PyTorch 2.0.9 (AVX2)")


@pytest.mark.parametrize("content", [None, b"", b"no database at all", b"SQLite format 3\x00 and then nothing"])
def test_a_file_that_is_no_record(tmp_path, content):
    path = tmp_path / "record.db"
    if content is not None:
        path.write_bytes(content)
    result = call(path, "-o", tmp_path / "report.html")
    assert result.exit_code == 2
    assert str(path) in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "report.html").exists()


def test_a_record_without_runs(tmp_path):
    path = tmp_path / "record.db"
    with Recorder(path):
        pass
    result = call(path, "-o", tmp_path / "report.html")
    assert result.exit_code == 2
    assert "holds no run" in result.output


def test_other_wrong_use_is_one_sentence_and_status_2(tmp_path):
    path = tmp_path / "record.db"
    record(path)
    for arguments, words in (
        ([path], "Missing option '-o'"),
        ([path, "-o", "/nowhere/report.html"], "expected a file in an existing folder"),
        ([path, "-o", tmp_path], "expected a file in an existing folder"),
        ([f"{path}:7", "-o", tmp_path / "r.html"], "run '7' is not known"),
        (["-o", tmp_path / "r.html"], "Missing argument"),
        ([path, path, path, "-o", tmp_path / "r.html"], "3 are given"),
        ([path, ":7", "-o", tmp_path / "r.html"], "run '7' is not known"),
        ([path, tmp_path / "none.db", "-o", tmp_path / "r.html"], "none.db"),
    ):
        result = call(*arguments)
        assert result.exit_code == 2
        assert words in result.output
        assert "Traceback" not in result.output


def test_the_report_needs_no_torch_without_curves(tmp_path):
    path = tmp_path / "record.db"
    record(path)
    probe = (
        "import sys\nfrom gradcheck.cli import main\n"
        f"try: main(['report', {str(path)!r}, '-o', {str(tmp_path / 'r.html')!r}, '--no-curves'])\n"
        "except SystemExit as end: assert not end.code\n"
        "assert 'torch' not in sys.modules\nassert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", probe], check=True)
